"""scikit-learn's meta-estimators give the same results with our estimators as with its own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier

NETWORK = {
    "hidden_layer_sizes": (6,), "activation": "logistic", "learning_rate_init": 0.05,
    "max_iter": 15, "random_state": 0,
}  # fmt: skip
PAIRS = {
    "LogisticRegression": (LogisticRegression(tol=1e-6), SklearnLogisticRegression(tol=1e-6)),
    "adam": (MLPClassifier(**NETWORK), SklearnMLPClassifier(**NETWORK)),
    "sgd": (MLPClassifier(solver="sgd", **NETWORK), SklearnMLPClassifier(solver="sgd", **NETWORK)),
}
WRAPPERS = {
    "one against the rest": OneVsRestClassifier,
    "calibrated": lambda inner: CalibratedClassifierCV(inner, cv=2),
    "voting": lambda inner: VotingClassifier([("a", inner)], voting="soft"),
    "stacking": lambda inner: StackingClassifier([("a", inner)], cv=2),
    "bagging": lambda inner: BaggingClassifier(inner, n_estimators=3, random_state=0),
    "boosting": lambda inner: AdaBoostClassifier(inner, n_estimators=3, random_state=0),
    "pipeline": lambda inner: make_pipeline(StandardScaler(), inner),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each = pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS)


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@each
def test_classifiers_of_classifiers(toy_set, ours, theirs, wrap):
    X, y = toy_set("iris", "softmax")
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    model, expected = (wrap(clone(inner)).fit(X, labels) for inner in (ours, theirs))
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.parametrize("wrap", [MultiOutputClassifier, ClassifierChain])
@each
def test_several_targets(toy_set, ours, theirs, wrap):
    X, y = toy_set("iris", "softmax")
    targets = np.column_stack([y == 0, y == 2]).astype(int)
    model, expected = (wrap(clone(inner)).fit(X, targets) for inner in (ours, theirs))
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)


@each
def test_feature_importances(toy_set, ours, theirs):
    X, y = toy_set("wine", "softmax")
    worths = [
        permutation_importance(clone(inner).fit(X, y), X, y, n_repeats=2, random_state=0)
        for inner in (ours, theirs)
    ]
    np.testing.assert_array_equal(worths[0].importances, worths[1].importances)
    folds = [
        cross_val_predict(inner, X, y, cv=3, method="predict_proba") for inner in (ours, theirs)
    ]
    np.testing.assert_allclose(*folds, atol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {"solver": "saga", "l1_ratio": 1, "C": 0.1}])
def test_selection_of_features(toy_set, arguments):
    X, y = toy_set("wine", "softmax")
    for select in (SelectFromModel, RFE):
        chosen = [
            select(cls(**arguments, max_iter=5000, tol=1e-6)).fit(X, y).get_support()
            for cls in (LogisticRegression, SklearnLogisticRegression)
        ]
        np.testing.assert_array_equal(*chosen)
        assert 0 < chosen[0].sum() < X.shape[1]


@each
def test_names_come_through_a_pipeline_and_the_page_shows_it(toy_set, ours, theirs):
    X, y = toy_set("iris", "softmax")
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), clone(ours)).set_output(transform="pandas")
    assert type(ours).__name__ in pipeline._repr_html_()
    pipeline.fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == list("abcd")
    assert pipeline[-1].backend_ == "numba"
    assert type(ours).__name__ in pipeline._repr_html_()


@each
def test_labels_come_back_in_scikit_learns_type(toy_set, ours, theirs):
    X, y = toy_set("iris", "softmax")
    names = np.array(["a", "bb", "ccc"])[y]
    for labels in (
        y.astype(np.uint8), y.astype(float), y > 0, names, names.astype(object), y.tolist(),
        pd.Series(y, dtype="Int64"), pd.Series(names, dtype="category"),
    ):  # fmt: skip
        model, expected = (clone(inner).fit(X, labels) for inner in (ours, theirs))
        assert model.classes_.dtype == expected.classes_.dtype
        predicted, wanted = model.predict(X), expected.predict(X)
        assert predicted.dtype == wanted.dtype
        np.testing.assert_array_equal(predicted, wanted)


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: GridSearchCV(inner, {"C": [0.1, 1]}),
        lambda inner: CalibratedClassifierCV(inner),
        lambda inner: BaggingClassifier(inner),
        lambda inner: make_pipeline(StandardScaler(), inner),
        lambda inner: VotingClassifier([("a", inner)]),
        lambda inner: StackingClassifier([("a", inner)]),
        lambda inner: OneVsRestClassifier(inner),
    ],
    ids=["search", "calibrated", "bagging", "pipeline", "voting", "stacking", "one-vs-rest"],
)
def test_a_source_is_refused_unread(make, monkeypatch):
    """It can be neither split nor transformed: the error says what takes it, and what to do."""
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    source = fastlogit.scan(X, target=y)
    monkeypatch.delattr(type(source), "read")
    with pytest.raises((TypeError, ValueError), match="load its rows, or a sample of them"):
        make(LogisticRegression()).fit(source, y)


def test_a_pipeline_that_leaves_a_source_as_it_is_fits_it():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    pipeline = make_pipeline("passthrough", LogisticRegression(tol=1e-8))
    fitted = pipeline.fit(fastlogit.scan(X, target=y))[-1]
    expected = LogisticRegression(tol=1e-8).fit(X, y)
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-5)
