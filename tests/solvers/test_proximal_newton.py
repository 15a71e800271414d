"""L1 and elastic net: the optimum's conditions, and scikit-learn's saga run to the end."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csc_array
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from fastlogit import LogisticRegression
from fastlogit.solvers import proximal_newton as proximal


def optimality(model, X, y, weight=None):
    """Return the largest element of the smallest subgradient, over the penalty's strength."""
    weight = np.ones(len(y)) if weight is None else weight
    logits = X @ model.coef_.T + model.intercept_
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    residual = weight[:, None] * (softmax(logits, axis=1) - (y[:, None] == model.classes_))
    residual = residual[:, 1:] if len(model.classes_) == 2 else residual
    coef, l1 = model.coef_, model.l1_ratio
    g = model.C * residual.T @ X + (1 - l1) * coef
    at_zero = np.maximum(np.abs(g) - l1, 0)
    violation = np.where(coef == 0, at_zero, np.abs(g + l1 * np.sign(coef)))
    bias = model.C * np.abs(residual.sum(axis=0)).max() if model.fit_intercept else 0
    return max(violation.max(), bias)


CASES = [
    (name, C, l1_ratio)
    for name in ("iris", "wine", "breast_cancer", "blobs")
    for C, l1_ratio in ((0.05, 1.0), (0.3, 0.5), (1.0, 1.0))
]


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("name", "C", "l1_ratio"), [*CASES, ("digits", 0.1, 1.0)])
def test_the_optimum_is_reached(toy_set, name, C, l1_ratio, fit_intercept):
    X, y = toy_set(name, "softmax")
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if l1_ratio < 1 else None
    model = LogisticRegression(
        solver="saga", C=C, l1_ratio=l1_ratio, tol=1e-7, fit_intercept=fit_intercept
    ).fit(X, y, weight)
    assert model.backend_ == "numba"
    assert optimality(model, X, y, weight) < 2e-7
    if l1_ratio == 1:
        assert 0 < np.count_nonzero(model.coef_ == 0) < model.coef_.size


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("C", "l1_ratio"), [(0.05, 1.0), (0.2, 0.4)])
def test_equals_saga_run_to_the_end(toy_set, C, l1_ratio, n_classes):
    X, y = toy_set("wine", "softmax")
    X, y = X[y < n_classes], y[y < n_classes]
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    settings = {"solver": "saga", "C": C, "l1_ratio": l1_ratio, "random_state": 0}
    ours = LogisticRegression(**settings, tol=1e-9).fit(X, y, weight)
    theirs = SklearnLogisticRegression(**settings, tol=1e-10, max_iter=100_000).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    for attribute in ("coef_", "intercept_", "n_iter_"):
        actual, expected = getattr(ours, attribute), getattr(theirs, attribute)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), attribute


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize(
    ("name", "C"),
    # With less penalty saga does not come that near to breast_cancer's optimum in 20,000 epochs.
    [*product(["iris", "wine"], [0.02, 0.1, 1.0]), ("breast_cancer", 0.02)],
)
def test_has_the_zeros_of_saga(toy_set, name, C, l1_ratio, fit_intercept):
    X, y = toy_set(name, "softmax")
    settings = {"solver": "saga", "C": C, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    settings |= {"random_state": 0, "tol": 1e-10}
    ours = LogisticRegression(**settings).fit(X, y)
    theirs = SklearnLogisticRegression(**settings, max_iter=20_000).fit(X, y)
    assert ours.backend_ == "numba"
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "digits"])
@pytest.mark.parametrize("C", [0.05, 1.0])
def test_float32_comes_as_near_as_it_can(toy_set, name, C):
    X, y = toy_set(name, "softmax", np.float32)
    model = LogisticRegression(solver="saga", l1_ratio=1, C=C).fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    wide = LogisticRegression(solver="saga", l1_ratio=1, C=C, tol=1e-8).fit(X.astype(float), y)

    def objective(model):
        logits = X @ model.coef_.T.astype(float) + model.intercept_
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        losses = -log_softmax(logits, axis=1)[np.arange(len(y)), y]
        return losses.sum() + np.abs(model.coef_).sum(dtype=float) / C

    assert objective(model) < objective(wide) * (1 + 1e-5)


def test_collinear_features_are_no_obstacle():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 6))
    X = np.hstack([X, X @ rng.normal(size=(6, 6))])
    y = (X[:, 0] + X[:, 1] + rng.normal(size=500) > 0).astype(int)
    model = LogisticRegression(solver="saga", l1_ratio=1, C=10, tol=1e-6).fit(X, y)
    assert optimality(model, X, y) < 2e-6
    assert model.n_iter_[0] < 20


def test_warm_start_and_too_few_iterations(toy_set):
    X, y = toy_set("breast_cancer", "logistic")
    model = LogisticRegression(solver="saga", l1_ratio=1, warm_start=True, tol=1e-6)
    cold, coef = model.fit(X, y).n_iter_[0], model.coef_
    assert model.fit(X, y).n_iter_[0] == 0 < cold
    np.testing.assert_array_equal(model.coef_, coef)
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        short = LogisticRegression(solver="saga", l1_ratio=1, max_iter=1, verbose=1).fit(X, y)
    assert short.n_iter_ == 1


def test_nearly_dense_sparse_rows_become_dense(toy_set):
    X, y = toy_set("wine", "softmax")
    X = np.where(np.abs(X) < 0.5, 0, X)
    arguments = {"solver": "saga", "l1_ratio": 0.5, "C": 0.1, "tol": 1e-6}
    dense = LogisticRegression(**arguments).fit(X, y)
    sparse = LogisticRegression(**arguments).fit(csc_array(X), y)
    assert sparse.backend_ == "numba"
    np.testing.assert_array_equal(sparse.coef_, dense.coef_)


def test_solving_for_signs_stops_at_the_first_that_changes():
    H, theta, strength = np.eye(3), np.array([1.0, 1.0, 0.0]), np.array([0.1, 0.1, 0.1])
    step = np.zeros(3)
    proximal.solve_for_signs(H, np.array([0.4, 3.9, 0.0]), theta, strength, step)
    np.testing.assert_allclose(step, [-0.125, -1, 0])
    assert (theta + step)[1] == 0
    proximal.solve_for_signs(H, np.array([0.4, 3.9, 0.0]), theta, strength, step)
    np.testing.assert_allclose(step, [-0.5, -1, 0])


@pytest.mark.parametrize("K", [3, 4, 5])
@pytest.mark.parametrize("alpha", [0.0, 0.05, 2.0])
def test_a_shift_of_all_classes_makes_their_penalty_least(K, alpha):
    rng = np.random.default_rng(K)
    D, strength = 6, 0.4
    theta, step = rng.normal(size=(2, K * D + K)) + 0.5
    weights, biases = (theta + step)[: K * D].reshape(K, D), step[K * D :].copy()
    proximal.shift_classes(theta, step, D, K, strength, alpha)
    ahead = (theta + step)[: K * D].reshape(K, D)

    def penalty(weights):
        return (strength * np.abs(weights) + alpha / 2 * weights**2).sum(axis=-2)

    np.testing.assert_allclose(np.ptp(weights - ahead, axis=0), 0, atol=1e-14)
    np.testing.assert_array_equal(step[K * D :], biases)
    trials = np.linspace(-4, 4, 2001)[:, None, None]
    assert np.all(penalty(ahead) <= penalty(weights - trials).min(axis=0) + 1e-14)
    if alpha == 0 and K % 2:
        np.testing.assert_array_equal(np.count_nonzero(ahead == 0, axis=0), 1)


def test_a_shift_leaves_weights_where_their_penalty_is_least_already():
    theta, step = np.array([1.0, -1.0, 0.0, 2.0]), np.zeros(4)
    proximal.shift_classes(theta, step, 1, 4, 1.0, 0.0)
    np.testing.assert_array_equal(step, 0)
