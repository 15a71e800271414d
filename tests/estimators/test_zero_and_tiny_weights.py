"""Row weights of 0 or near 0, against scikit-learn's fits with the same weights."""

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
Y = {2: np.arange(200) % 2, 3: np.arange(200) % 3}
BY_NEWTON = {"solver": "newton-cholesky", "tol": 1e-8}
MLP = {"hidden_layer_sizes": (4,), "activation": "logistic", "random_state": 0, "max_iter": 5}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_bootstrap_sample_by_weights_may_miss_a_class():
    y = np.zeros(200, int)
    y[:2] = 1
    ours, theirs = (
        BaggingClassifier(kind(), 50, random_state=0).fit(X, y)
        for kind in (LogisticRegression, SklearnLogisticRegression)
    )
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("as_class_weight", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cholesky", "newton-cg"])
def test_a_class_without_weight(solver, n_classes, as_class_weight):
    y = Y[n_classes]
    weight = None if as_class_weight else (y != 1).astype(float)
    settings = {"solver": solver, "class_weight": {1: 0} if as_class_weight else None}
    ours, theirs = (
        kind(**settings).fit(X, y, weight)
        for kind in (LogisticRegression, SklearnLogisticRegression)
    )
    assert ours.backend_ == "numba"
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["saga", "sgd", "adam"])
def test_a_class_without_weight_by_other_solvers(solver, n_classes):
    y = Y[n_classes]
    model = LogisticRegression(
        solver=solver, l1_ratio=0.5 * (solver == "saga"), learning_rate_init=0.1, random_state=0
    )
    model.fit(X, y, (y != 1).astype(float))
    assert set(model.predict(X)) == set(y) - {1}


def test_one_class_is_refused_whatever_the_weights():
    for solver in ("lbfgs", "sgd"):
        with pytest.raises(ValueError, match="only one class: 0"):
            LogisticRegression(solver=solver).fit(X, np.zeros(200, int), np.ones(200))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("size", [1e-45, 1e-150, 1e-290])
def test_tiny_float64_weights_are_weights(size, n_classes):
    y, weight = Y[n_classes], size * rng.uniform(0.5, 1.5, 200)
    ours = LogisticRegression(C=1 / weight.sum(), **BY_NEWTON).fit(X, y, weight)
    scaled = LogisticRegression(**BY_NEWTON).fit(X, y, weight / weight.sum())
    np.testing.assert_allclose(ours.coef_, scaled.coef_, rtol=1e-7)
    np.testing.assert_allclose(ours.intercept_, scaled.intercept_, rtol=1e-7)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_a_network_with_tiny_weights(solver):
    weight = 1e-45 * rng.uniform(0.5, 1.5, 200)
    ours, theirs = (
        kind(**MLP, solver=solver, alpha=0).fit(X, Y[2], weight)
        for kind in (MLPClassifier, SklearnMLPClassifier)
    )
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("size", [1e-45, 1e-290])
def test_training_with_tiny_weights(model, backend, size):
    y, weight = Y[2], rng.uniform(0.5, 1.5, 200)
    settings = {"hidden": 3 if "mlp" in model else None, "random_state": 0, "backend": backend}
    one, tiny = (
        fastlogit.train(model, X, y, sample_weight=w, **settings) for w in (weight, size * weight)
    )
    for array, other in zip(one.params, tiny.params, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), LogisticRegression(solver="sgd"), MLPClassifier(**MLP)],
    ids=["lbfgs", "sgd", "mlp"],
)
def test_weights_that_float32_cannot_hold_are_refused(estimator):
    weight = np.full(200, 1e-42)
    with pytest.raises(ValueError, match=r"sample_weight sums to 2.*e-40, .* finite float32"):
        estimator.fit(X.astype(np.float32), Y[2], weight)


@pytest.mark.parametrize("early_stopping", [True, "loss"])
@pytest.mark.parametrize("kind", [LogisticRegression, MLPClassifier])
def test_validation_rows_of_weight_0(kind, early_stopping):
    settings = {"solver": "sgd", "early_stopping": early_stopping, "random_state": 0}
    settings |= {"activation": "logistic"} if kind is MLPClassifier else {}
    model, y = kind(**settings, validation_fraction=0.1), Y[3]
    weight = np.zeros(200)
    weight[[0, 1, 2]] = 1
    with pytest.raises(ValueError, match=r"(training|validation) rows sums to 0"):
        model.fit(X, y, weight)


@pytest.mark.parametrize("value", [None, np.nan, np.inf, "2"])
@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), LogisticRegression(solver="adam"), MLPClassifier(**MLP)],
    ids=["lbfgs", "adam", "mlp"],
)
def test_class_weights_that_are_not_numbers(estimator, value):
    estimator.set_params(class_weight={0: value, 1: 1.0})
    with pytest.raises(ValueError, match=r"class_weight=.* must hold finite numbers, .* class 0"):
        estimator.fit(X, Y[2])
