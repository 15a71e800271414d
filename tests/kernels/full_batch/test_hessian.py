"""The Hessian against finite differences of the gradient, its products against the Hessian."""

import numpy as np
import pytest

import fastlogit
from fastlogit.kernels.full_batch import hessian as module
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.models import as_writable_view


def hessian_of(X, weight, Wt, b, n_kept, *, fit_bias=True, same=0.0, other=0.0):
    dtype = X.dtype
    buffers = module.hessian_buffers(X.shape[1], len(Wt), n_kept, dtype)
    for array in buffers:
        array.fill(np.nan)
    out = np.full((n_kept * (X.shape[1] + fit_bias),) * 2, np.nan)
    scale = 1 / (weight.sum() if weight.size else len(X))
    width = module.panel_width(X.shape[1], buffers.border.shape[0], dtype)
    module.hessian(
        as_writable_view(Wt),
        as_writable_view(b),
        X,
        weight,
        scale,
        width,
        same,
        other,
        buffers,
        out,
    )
    return out


SIZES = [(1, 1, 1), (7, 3, 1), (300, 33, 1), (600, 70, 1), (5, 1, 3), (257, 17, 3), (520, 20, 8)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "D", "K"), SIZES)
def test_equals_the_formula(
    linear_problem, n, D, K, weighted, dtype, relative_error, expected_hessian
):
    X, weight, Wt, b = linear_problem(n, D, K, dtype, weighted)
    for n_kept in {max(K - 1, 1), K}:
        expected = expected_hessian(X, weight, Wt, b, n_kept)
        actual = hessian_of(X, weight, Wt, b, n_kept)
        assert relative_error(actual, expected) < 30 * np.finfo(dtype).eps
        np.testing.assert_array_equal(actual, actual.T)
        size = n_kept * D
        same, other = 0.3, -0.1
        penalised = hessian_of(X, weight, Wt, b, n_kept, fit_bias=False, same=same, other=other)
        penalty = np.kron(other + (same - other) * np.eye(n_kept), np.eye(D))
        expected = expected[:size, :size] + penalty
        assert relative_error(penalised, expected) < 30 * np.finfo(dtype).eps


@pytest.mark.parametrize(("model", "K"), [("logistic", 1), ("softmax", 4)])
def test_equals_finite_differences_of_the_gradient(linear_problem, model, K, relative_error):
    X, weight, Wt, b = linear_problem(40, 5, K, np.float64, True)
    y = np.arange(40) % max(K, 2)

    def gradient(theta):
        params = theta[: Wt.size].reshape(Wt.shape).T, theta[Wt.size :]
        _, (W, bias) = fastlogit.loss_and_gradient(model, params, X, y, sample_weight=weight)
        return np.append(W.T, bias)

    theta, h = np.append(Wt, b), 1e-5
    differences = [
        (gradient(theta + h * e) - gradient(theta - h * e)) / (2 * h) for e in np.eye(theta.size)
    ]
    assert relative_error(hessian_of(X, weight, Wt, b, K), np.array(differences)) < 1e-9


def test_far_logits_stay_finite(dtype):
    X = np.array([[1e4], [-1e4]], dtype)
    for K in (1, 3):
        Wt = np.arange(1, K + 1, dtype=dtype)[:, None]
        out = hessian_of(X, X[:0, 0], Wt, np.zeros(K, dtype), K)
        np.testing.assert_array_equal(out, 0)


def test_small_eigenvalues_survive_many_float32_rows():
    """A column that is the sum of two: the Hessian is singular, but for the penalty."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 6))
    X = np.hstack([X, X[:, :2].sum(axis=1, keepdims=True)]).astype(np.float32)
    Wt, b = np.zeros((1, 7), np.float32), np.zeros(1, np.float32)
    out = hessian_of(X, np.empty(0, np.float32), Wt, b, 1)
    assert -1e-7 < np.linalg.eigvalsh(out).min() < 1e-6


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "D", "K"), SIZES)
def test_equals_the_hessian_times_the_vector(
    linear_problem, expected_hessian, n, D, K, weighted, dtype, relative_error
):
    X, weight, Wt, b = linear_problem(n, D, K, dtype, weighted)
    scale = 1 / (weight.sum(dtype=float) if weighted else n)
    curvature = np.full((n, K), np.nan, dtype)
    module.fill_curvature(Wt, b, X, weight, scale, curvature)
    rng = np.random.default_rng(1)
    V, u = rng.normal(size=(K, D)).astype(dtype), rng.normal(size=K).astype(dtype)
    expected = expected_hessian(X, weight, Wt, b, K) @ np.append(V, u).astype(float)
    for rows_at_once in (BLOCK_ROWS, 32):
        out_V, out_u = np.full((K, D), np.nan, dtype), np.full(K, np.nan, dtype)
        changes = np.full((rows_at_once, K), np.nan, dtype)
        module.hessian_product(curvature, X, weight, scale, V, u, changes, out_V, out_u)
        assert relative_error(np.append(out_V, out_u), expected) < 100 * np.finfo(dtype).eps
