"""Frames, multilabel targets and float32: names, labels and dtypes are preserved."""

import logging
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.utils.validation import _get_feature_names

from fastlogit import LogisticRegression, MLPClassifier

ESTIMATORS = [
    cls(solver=solver, random_state=0, max_iter=5)
    for cls in (partial(MLPClassifier, (5,)), LogisticRegression)
    for solver in ("lbfgs", "sgd", "adam")
]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ["length", "width", "height", "weight"]


def polars_frame(X):
    frame = pytest.importorskip("polars").DataFrame(dict(zip(NAMES, X.T, strict=True)))
    if _get_feature_names(frame) is None:
        pytest.skip("this scikit-learn does not see the names in this polars")
    return frame


FRAMES = {"pandas": partial(pd.DataFrame, columns=NAMES), "polars": polars_frame}


def params_of(model):
    if hasattr(model, "coef_"):
        return [model.coef_, model.intercept_]
    return model.coefs_ + model.intercepts_


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@each
def test_frames_are_fitted_as_arrays_and_their_names_kept(toy_set, estimator, frame):
    X, y = toy_set("iris", "softmax")
    expected = clone(estimator).fit(X, y)
    model = clone(estimator).fit(frame(X), y)
    assert model.backend_ == "numba"
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_equal(params_of(model), params_of(expected))
    for method in ("predict", "predict_proba", "predict_log_proba"):
        np.testing.assert_array_equal(
            getattr(model, method)(frame(X)), getattr(expected, method)(X)
        )
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(X)[NAMES[::-1]])


@each
def test_a_fit_forgets_the_input_of_the_last(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    model = clone(estimator).fit(pd.DataFrame(X, columns=NAMES), y)
    model.fit(X[:, :3], y == 0)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 3
    assert model.classes_.tolist() == [False, True]
    with pytest.raises(ValueError, match="X has 4 features"):
        model.predict(X)


def test_warns_of_labels_that_look_like_a_regression(toy_set):
    X, _ = toy_set("iris", "softmax")
    with pytest.warns(UserWarning, match="unique classes is greater than 50%"):
        LogisticRegression(max_iter=5).fit(X, np.arange(len(X)) % 100)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        LogisticRegression().fit(X, X[:, 0])


@pytest.mark.parametrize("exact_resume", [False, True])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("estimator", [e for e in ESTIMATORS if e.solver != "lbfgs"], ids=str)
def test_partial_fit_takes_frames(toy_set, estimator, frame, exact_resume):
    X, y = toy_set("iris", "softmax")
    model, expected = (clone(estimator).set_params(exact_resume=exact_resume) for _ in range(2))
    for _ in range(2):
        model.partial_fit(frame(X), y, classes=[0, 1, 2])
        expected.partial_fit(X, y, classes=[0, 1, 2])
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_equal(params_of(model), params_of(expected))


@each
def test_labels_of_a_series(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    expected = clone(estimator).fit(X, labels)
    model = clone(estimator).fit(X, pd.Series(labels, index=np.arange(len(y))[::-1]))
    np.testing.assert_equal(params_of(model), params_of(expected))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
@each
def test_float32_stays_float32(toy_set, estimator, name):
    X, y = toy_set(name, "softmax", np.float32)
    arguments = {} if estimator.solver == "lbfgs" else {"X_val": X[:50], "y_val": y[:50]}
    model = clone(estimator).fit(X, y, np.ones(len(y)), **arguments)
    assert {array.dtype for array in params_of(model)} == {np.dtype(np.float32)}
    for method in ("predict_proba", "predict_log_proba"):
        assert getattr(model, method)(X).dtype == np.float32
    if estimator.solver == "lbfgs":
        return
    optimizer = vars(model._optimizer)
    moments = [a for name in ("ms", "vs", "velocities") for a in optimizer.get(name, [])]
    assert {array.dtype for array in moments} == {np.dtype(np.float32)}
    curves = [model.loss_curve_, model.validation_loss_curve_, model.validation_scores_]
    assert {type(value) for curve in curves for value in curve} == {float}  # summed in float64
    model.partial_fit(X.astype(np.float64), y)
    assert {array.dtype for array in params_of(model)} == {np.dtype(np.float32)}
    assert model.predict_proba(X).dtype == np.float32


# Multilabel targets


@pytest.fixture
def several():
    return make_multilabel_classification(90, 6, n_classes=4, random_state=0)


# scikit-learn 1.8 cannot split a sparse y.
@pytest.mark.parametrize(
    ("early_stopping", "sparse"), [(False, False), (False, True), (True, False)]
)
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_several_labels_run_on_scikit_learn(several, caplog, solver, early_stopping, sparse):
    X, y = several
    arguments = {"solver": solver, "random_state": 0, "max_iter": 6}
    if solver != "lbfgs":
        arguments["early_stopping"] = early_stopping
    y = csr_array(y) if sparse else y
    with caplog.at_level(logging.INFO, logger="fastlogit"):
        ours = MLPClassifier((4,), **arguments).fit(X, y)
    assert [(r.name, r.levelname) for r in caplog.records] == [("fastlogit", "INFO")]
    assert "scikit-learn: y has several labels per row" in caplog.records[0].getMessage()
    theirs = SklearnMLPClassifier((4,), **arguments).fit(X, y)
    assert ours.backend_ == "scikit-learn"
    np.testing.assert_equal(params_of(ours), params_of(theirs))
    for method in ("predict_proba", "predict_log_proba"):
        np.testing.assert_array_equal(getattr(ours, method)(X), getattr(theirs, method)(X))
    one, other = ours.predict(X), theirs.predict(X)
    np.testing.assert_array_equal(*(p.toarray() if sparse else p for p in (one, other)))
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_several_labels_in_partial_fit(several, solver):
    X, y = several
    arguments = {"solver": solver, "random_state": 0}
    ours = MLPClassifier((4,), **arguments)
    theirs = SklearnMLPClassifier((4,), **arguments)
    for _ in range(3):
        ours.partial_fit(X, y, classes=range(4))
        theirs.partial_fit(X, y, classes=range(4))
    np.testing.assert_equal(params_of(ours), params_of(theirs))
    assert ours.loss_curve_ == theirs.loss_curve_


def test_several_labels_of_frames(several):
    X, y = several
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = MLPClassifier((4,), random_state=0, max_iter=3).fit(frame, pd.DataFrame(y))
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.predict(frame).shape == y.shape
    refit = model.fit(X[:, 0:3], y[:, 0])
    assert refit.backend_ == "numba"


def test_several_labels_refuse_validation_data(several):
    X, y = several
    with pytest.raises(ValueError, match=r"X_val is for the solvers .* several labels per row"):
        MLPClassifier((4,)).fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"exact_resume=True .* several labels per row"):
        MLPClassifier((4,), exact_resume=True).partial_fit(X, y, classes=range(4))
