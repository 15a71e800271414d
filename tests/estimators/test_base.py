"""Predictions of valid arrays equal those of other input; which code runs is recorded."""

import copy
import logging

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators.predictions import kernel_proba, log_proba
from fastlogit.models import MODELS

# Predictions of valid arrays and of any others


METHODS = {
    MLPClassifier: ("predict", "predict_proba", "predict_log_proba"),
    LogisticRegression: ("predict", "decision_function", "predict_proba", "predict_log_proba"),
}
THEIRS = {MLPClassifier: SklearnMLPClassifier, LogisticRegression: SklearnLogisticRegression}
CASES = [(kind, method) for kind, methods in METHODS.items() for method in methods]
LABELS = {"two": [0, 1], "three": [-1, 4, 7], "strings": ["a", "bb", "ccc"]}


class Array(np.ndarray):
    """A subclass of ndarray, which needs validation."""


def fitted(kind, classes=(0, 1, 2), dtype=np.float64, **arguments):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)).astype(dtype), np.resize(classes, 30)
    if kind is MLPClassifier:
        settings = {"hidden_layer_sizes": (6,), "solver": "lbfgs", "alpha": 0.5, "random_state": 0}
        arguments = settings | arguments
    return kind(**{"max_iter": 2000} | arguments).fit(X, y), X


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("classes", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize(("kind", "method"), CASES)
def test_valid_arrays_are_predicted_like_other_input(kind, method, classes, dtype):
    model, X = fitted(kind, classes, dtype)
    before = dict(vars(model))
    call = getattr(model, method)
    for rows in (X, X[:1]):
        got, other = call(rows), call(rows.view(Array))
        assert got.dtype == other.dtype
        np.testing.assert_array_equal(got, other)
    assert vars(model) == before
    plain = copy.copy(model)
    plain.backend_ = "scikit-learn"
    expected = getattr(THEIRS[kind], method)(plain, X)
    if method == "predict":
        np.testing.assert_array_equal(call(X), expected)
    else:
        tolerance = {"rtol": 1e-4, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-9}
        np.testing.assert_allclose(call(X), expected, **tolerance)


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_bad_rows_are_refused(kind, method):
    model, X = fitted(kind)
    call = getattr(model, method)
    with pytest.raises(NotFittedError):
        getattr(kind(), method)(X)
    with pytest.raises(ValueError, match="X has 3 features"):
        call(X[:, :3].copy())
    with pytest.raises(ValueError, match="contains NaN"):
        call(np.where(X > 0, X, np.nan))
    with pytest.raises(ValueError, match="0 sample"):
        call(X[:0])
    with config_context(assume_finite=True), np.errstate(invalid="ignore"):
        assert len(call(np.where(X > 0, X, np.nan))) == len(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("classes", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("kind", METHODS)
def test_many_rows_are_classified_as_scikit_learn_does(kind, classes, dtype):
    model, _ = fitted(kind, classes, dtype)
    X = np.random.default_rng(1).normal(size=(20_000, 4)).astype(dtype)
    plain = copy.copy(model)
    plain.backend_ = "scikit-learn"
    expected = THEIRS[kind].predict(plain, X)
    assert model.predict(X).dtype == expected.dtype
    highest = np.sort(model.predict_proba(X))[:, -2:]
    clear = highest[:, 1] - highest[:, 0] > 1e-5  # elsewhere rounding decides
    assert clear.mean() > 0.9
    for rows in (X, np.asfortranarray(X), X.view(Array), X.astype(np.float64), csr_array(X)):
        np.testing.assert_array_equal(model.predict(rows)[clear], expected[clear])


@pytest.mark.parametrize("kind", METHODS)
def test_bad_rows_among_many_are_refused(kind):
    model, _ = fitted(kind)
    X = np.random.default_rng(1).normal(size=(20_000, 4))
    for place, value, word in ((0, np.nan, "NaN"), (19_999, np.inf, "infinity")):
        bad = X.copy()
        bad[place, 3] = value
        with pytest.raises(ValueError, match=word):
            model.predict(bad)


@pytest.mark.filterwarnings("ignore:.*encountered in matmul:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Logits overflow:RuntimeWarning")
@pytest.mark.parametrize("classes", LABELS.values(), ids=LABELS)
def test_overflowing_logits_are_classified_as_scikit_learn_does(classes):
    X = 1e10 * np.random.default_rng(1).normal(size=(20_000, 4))
    model, _ = fitted(LogisticRegression, classes)
    model.coef_ = np.copysign(1e308, model.coef_)
    np.testing.assert_array_equal(model.predict(X), SklearnLogisticRegression.predict(model, X))
    network, _ = fitted(MLPClassifier, classes)
    network.coefs_[1] = np.copysign(1e308, network.coefs_[1])
    proba = network.predict_proba(X)
    output = (proba[:, 1] > 0.5).astype(int) if len(classes) == 2 else proba.argmax(axis=1)
    np.testing.assert_array_equal(network.predict(X), np.take(classes, output))


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_a_frames_names_are_asked_for(kind, method):
    pandas = pytest.importorskip("pandas")
    model, X = fitted(kind)
    model.fit(pandas.DataFrame(X, columns=list("abcd")), np.resize([0, 1], 30))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        getattr(model, method)(X)


def test_parameters_of_other_shapes_are_refused():
    model, X = fitted(LogisticRegression)
    model.coef_ = np.ones((3, 9))
    for method in METHODS[LogisticRegression]:
        with pytest.raises(ValueError, match="mismatch"):
            getattr(model, method)(X)
    network, X = fitted(MLPClassifier)
    network.coefs_[1] = np.ones((5, 3))
    for method in METHODS[MLPClassifier]:
        with pytest.raises(ValueError, match="mismatch"):
            getattr(network, method)(X)


def test_assigned_parameters_are_used():
    model, X = fitted(LogisticRegression)
    model.coef_, model.intercept_ = np.zeros((3, 4)), np.log([1.0, 2.0, 5.0])
    np.testing.assert_allclose(model.predict_proba(X[:1]), [[1 / 8, 2 / 8, 5 / 8]])
    assert model.predict(X[:1]) == [2]
    model.intercept_ = 0.0  # NumPy broadcasts it, the kernels do not
    np.testing.assert_allclose(model.predict_proba(X[:1]), [[1 / 3] * 3])
    network, X = fitted(MLPClassifier)
    network.coefs_, network.intercepts_[1] = [np.zeros((4, 6)), np.zeros((6, 3))], np.log([1, 2, 5])
    np.testing.assert_allclose(network.predict_proba(X[:1]), [[1 / 8, 2 / 8, 5 / 8]])
    assert network.predict(X[:1]) == [2]


class Contrary(LogisticRegression):
    def decision_function(self, X):
        return -super().decision_function(X)


class Certain(MLPClassifier):
    def _forward_pass_fast(self, X, check_input=True):
        return np.tile([0.0, 0.0, 1.0], (len(X), 1))


def test_subclasses_keep_what_they_override():
    model, X = fitted(LogisticRegression, [0, 1])
    contrary, _ = fitted(Contrary, [0, 1])
    for rows in (X, np.tile(X, (999, 1))):
        np.testing.assert_array_equal(contrary.predict(rows), 1 - model.predict(rows))
    certain, _ = fitted(Certain, hidden_layer_sizes=(6,), solver="lbfgs", random_state=0)
    assert set(certain.predict(X)) == {2}


@pytest.mark.parametrize("y", [np.zeros(30, int), np.eye(30)[:, :2]], ids=["one", "multilabel"])
def test_networks_without_two_classes_predict_as_scikit_learns(y):
    X = np.random.default_rng(0).normal(size=(30, 4))
    ours, theirs = (
        kind((3,), activation="logistic", solver="sgd", random_state=0)
        for kind in (MLPClassifier, SklearnMLPClassifier)
    )
    classes = [0] if y.ndim == 1 else [0, 1]
    for model in (ours, theirs):
        model.partial_fit(X, y, classes=classes)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


# The functions of parameters and rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", list(MODELS))
def test_logits_and_probabilities_agree_with_plain_numpy(problem, model, dtype):
    given = problem(model, 23, 5, dtype=dtype)
    layer = given.X
    for weights, bias in zip(given.params[:-2:2], given.params[1:-2:2], strict=True):
        layer = expit(layer @ weights + bias)
    expected = layer @ given.params[-2] + given.params[-1]
    tolerance = {"rtol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    logits = expected.astype(dtype)
    if MODELS[model].binary:
        expected = np.hstack([np.zeros_like(expected), expected])
    proba = kernel_proba(MODELS[model], given.params, given.X)
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, softmax(expected, axis=1), **tolerance)
    np.testing.assert_allclose(np.exp(log_proba(logits)), proba, **tolerance)


def test_mixed_dtypes_give_the_wider_and_read_only_input_is_fine(problem):
    given = problem("logistic", 4, 3, dtype=np.float32)
    X = given.X.astype(np.float64)
    for array in (X, *given.params):
        array.setflags(write=False)
    assert kernel_proba(MODELS["logistic"], given.params, X).dtype == np.float64
    assert kernel_proba(MODELS["logistic"], given.params, np.arange(6).reshape(2, 3)).shape == (
        2,
        2,
    )


@pytest.mark.parametrize("name", ["logistic", "mlp-logistic"])
def test_parameters_of_no_model_are_left_to_numpy(problem, name):
    given = problem(name, 4, 3)
    assert kernel_proba(MODELS[name], given.params, given.X) is not None
    assert kernel_proba(MODELS[name], given.params, given.X[:, :2]) is None
    two_outputs = (*given.params[:-2], np.hstack([given.params[-2]] * 2), np.zeros(2))
    assert kernel_proba(MODELS[name], two_outputs, given.X) is None
    scalar = (*given.params[:-1], np.array(0.5))
    assert kernel_proba(MODELS[name], scalar, given.X) is None
    assert (
        kernel_proba(MODELS[name], [a.astype(np.longdouble) for a in given.params], given.X) is None
    )


def test_logarithms_of_infinite_logits():
    logits = np.array([[0.0, -np.inf, 0.0], [1e4, 0.0, -1e4]])
    with np.errstate(divide="ignore"):
        expected = np.log(softmax(logits, axis=1))
    np.testing.assert_allclose(log_proba(logits)[0], expected[0])
    np.testing.assert_array_equal(log_proba(logits)[1], [0, -1e4, -2e4])
    with np.errstate(invalid="ignore"):
        assert np.isnan(log_proba(np.full((1, 3), np.nan))).all()


# The choice of the code


def test_records_which_code_runs_and_logs_why(caplog):
    estimator = LogisticRegression()
    estimator.classes_ = np.arange(3)
    estimator._use_kernels()
    assert (estimator.backend_, estimator.model_) == ("numba", "softmax")
    with caplog.at_level(logging.INFO, logger="fastlogit"):
        estimator._use_sklearn("because of this")
    assert estimator.backend_ == "scikit-learn"
    assert not hasattr(estimator, "model_")
    assert [(record.name, record.levelname) for record in caplog.records] == [("fastlogit", "INFO")]
    message = caplog.records[0].getMessage()
    assert message == "LogisticRegression runs on scikit-learn: because of this"
