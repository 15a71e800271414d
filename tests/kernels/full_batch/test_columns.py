"""Losses, gradients and coordinate descent by columns, against their formulas in NumPy."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.sparse import csc_array
from scipy.special import log_softmax, softmax

from fastlogit.kernels.full_batch import columns as kernels
from fastlogit.kernels.full_batch import dense_rows
from fastlogit.models.arrays import matrix_for_kernels


def problem(n, M, K, *, weighted=False, fit_bias=True, dtype=np.float64):
    """Return X (n, M), a quarter of it not 0, y, weights, 1 / Σ w and θ with some weights of 0."""
    rng = np.random.default_rng([n, M, K])
    X = (rng.normal(size=(n, M)) * (rng.random((n, M)) < 0.25)).astype(dtype)
    y = rng.integers(max(K, 2), size=n)
    weight = rng.uniform(0, 2, n if weighted else 0).astype(dtype)
    theta = rng.normal(size=K * (M + fit_bias)) * (rng.random(K * (M + fit_bias)) < 0.7)
    return X, y, weight, float(1 / (weight.sum() if weighted else n)), theta


def columns_of(X, sparse):
    if not sparse:
        return np.ascontiguousarray(X.T)
    data, rows, starts = matrix_for_kernels(csc_array(X))
    return kernels.Csc(data, rows, starts[:-1], starts[1:])


def logits_of(X, theta, K):
    M = X.shape[1]
    bias = theta[K * M :] if theta.size > K * M else np.zeros(K)
    return X.astype(float) @ theta[: K * M].reshape(K, M).T + bias


def with_both_classes(logits):
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


def loss_of(theta, X, y, weight, scale, K):
    log_p = log_softmax(with_both_classes(logits_of(X, theta, K)), axis=1)[np.arange(len(y)), y]
    return -(log_p * (weight if weight.size else 1)).sum() * scale


def evaluated(X, y, weight, scale, theta, K, sparse):
    n, dtype = len(y), X.dtype
    work, gradient = np.empty(kernels.BLOCK_ROWS * K, dtype), np.empty(theta.size)
    logits, residual = np.empty((K, n), dtype), np.empty((K, n), dtype)
    out = work, logits, residual, gradient
    if sparse:
        columns = columns_of(X, sparse)
        loss = kernels.loss_and_gradient(columns, X.shape[1], theta, y, weight, scale, *out)
    else:
        Wt, b = theta[: K * X.shape[1]].reshape(K, -1).astype(dtype), np.zeros(K, dtype)
        b[: theta.size - Wt.size] = theta[Wt.size :]
        sums = np.empty(Wt.size, dtype)
        loss = dense_rows.loss_and_gradient(X, Wt, b, y, weight, scale, work, sums, *out[1:])
    return loss, gradient, logits, residual, work


CASES = [(5, 1, 1), (300, 7, 1), (515, 4, 3), (40, 30, 3), (20, 3, 2)]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "M", "K"), CASES)
def test_loss_and_gradient(n, M, K, weighted, sparse):
    for fit_bias in (False, True):
        X, y, weight, scale, theta = problem(n, M, K, weighted=weighted, fit_bias=fit_bias)
        loss, gradient, logits, *_ = evaluated(X, y, weight, scale, theta, K, sparse)
        arguments = X, y, weight, scale, K
        np.testing.assert_allclose(loss, loss_of(theta, *arguments), rtol=1e-12)
        np.testing.assert_allclose(logits.T, logits_of(X, theta, K), atol=1e-12)
        expected = approx_fprime(theta, loss_of, 1e-7, *arguments)
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_float32_stays_near(sparse):
    X, y, weight, scale, theta = problem(700, 9, 3, weighted=True, dtype=np.float32)
    loss, gradient, logits, *_ = evaluated(X, y, weight, scale, theta, 3, sparse)
    wide = evaluated(X.astype(float), y, weight.astype(float), scale, theta, 3, sparse)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(loss, wide[0], rtol=1e-6)
    np.testing.assert_allclose(gradient, wide[1], atol=1e-6)


def subgradient(slope, ahead, strength):
    at_zero = np.maximum(np.abs(slope) - strength, 0)
    return np.where(ahead == 0, at_zero, np.abs(slope + strength * np.sign(ahead))).max()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "M", "K"), CASES)
def test_descent_ends_where_the_models_subgradient_is_zero(
    expected_hessian, n, M, K, weighted, sparse
):
    alpha, X, y, weight, scale, theta = 0.01, *problem(n, M, K, weighted=weighted)
    _, gradient, logits, residual, work = evaluated(X, y, weight, scale, theta, K, sparse)
    gradient[: K * M] += alpha * theta[: K * M]
    strength = np.full(theta.size, 0.01)
    strength[K * M :] = 0
    columns, bend, step = columns_of(X, sparse), np.empty(theta.size), np.zeros(theta.size)
    tol = 1e-10
    if K == 1:
        root, changes = np.empty(n), np.zeros(n)
        scaled = columns._replace(data=np.empty_like(X, shape=columns.data.shape)) if sparse else (
            np.empty_like(columns)
        )  # fmt: skip
        features = np.arange(M)
        kernels.scale_columns(columns, features, residual, weight, scale, root, bend, scaled)
        kernels.descend_columns(
            scaled, M, root, bend, gradient, theta, strength, alpha, tol, 20_000, step, changes
        )
    else:
        proba, weighted_proba, changes = (np.zeros((K, n)) for _ in range(3))
        kernels.prepare_classes(
            columns, M, logits, weight, scale, work, proba, weighted_proba, bend
        )
        np.testing.assert_allclose(proba.T, softmax(logits.T, axis=1), rtol=1e-12)
        kernels.descend_classes(
            columns, M, proba, weighted_proba, bend, gradient, theta, strength, alpha, tol, 20_000,
            step, changes, np.zeros(n),
        )  # fmt: skip
    Wt, b = theta[: K * M].reshape(K, M), theta[K * M :]
    H = expected_hessian(X, weight, Wt, b, K)
    np.testing.assert_allclose(bend, np.diag(H), rtol=1e-9, atol=1e-15)
    H[np.arange(K * M), np.arange(K * M)] += alpha
    assert subgradient(gradient + H @ step, theta + step, strength) < 1e-9
    assert np.any(step != 0)


@pytest.mark.parametrize("sparse", [False, True])
def test_some_columns_are_scaled_and_multiplied(sparse):
    X, y, weight, scale, theta = problem(70, 9, 1, weighted=True)
    *_, residual, _ = evaluated(X, y, weight, scale, theta, 1, sparse)
    columns, features = columns_of(X, sparse), np.array([1, 4, 8])
    root, bend, scaled = np.empty(70, np.float32), np.empty(4), np.empty((3, 70), np.float32)
    if sparse:
        taken = kernels.Csc(*columns[:2], columns.starts[features], columns.ends[features])
        scaled = taken._replace(data=np.empty(columns.data.size, np.float32))
    kernels.scale_columns(columns, features, residual, weight, scale, root, bend, scaled)
    expected = X[:, features] * root[:, None]
    np.testing.assert_allclose(bend, [*(expected**2).sum(axis=0), (root**2).sum()], rtol=1e-5)
    places, values = np.array([0, 2]), np.ones(70, np.float32)
    kernels.add_columns(scaled, places, np.array([2.0, -1.0]), values)
    np.testing.assert_allclose(values, 1 + expected[:, places] @ [2, -1], atol=1e-6)
    dots = np.empty(2)
    kernels.dot_columns(scaled, places, values, dots)
    np.testing.assert_allclose(dots, expected[:, places].T @ values, atol=1e-6)
