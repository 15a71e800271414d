"""The loss by columns, and its steps by coordinate descent and by the Hessian."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from fastlogit.models import Rows
from fastlogit.solvers import columns as solver
from fastlogit.solvers.columns import ColumnLoss


def losses(K, *, n=80, M=12, weighted=True, alpha=0.01, dtype=np.float64):
    """Return the loss of the same rows by dense and by sparse columns, and θ."""
    rng = np.random.default_rng(K)
    X = (rng.normal(size=(n, M)) * (rng.random((n, M)) < 0.4)).astype(dtype)
    y = rng.integers(max(K, 2), size=n)
    rows = Rows(X, y, rng.uniform(0, 2, n * weighted).astype(dtype))
    kinds = np.ascontiguousarray(X.T), csc_array(X)
    theta = rng.normal(size=K * (M + 1)) / 3
    return [ColumnLoss(kind, rows, K, True, alpha) for kind in kinds], theta


@pytest.mark.parametrize("K", [1, 3])
def test_dense_and_sparse_columns_agree(K):
    (dense, sparse), theta = losses(K)
    (loss, gradient), (other, other_gradient) = dense(theta), sparse(theta)
    np.testing.assert_allclose(other, loss, rtol=1e-13)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-14)
    strength = np.full(theta.size, 0.02)
    steps = [kind.step(theta, gradient, strength, 1e-5) for kind in (dense, sparse)]
    np.testing.assert_allclose(*steps, atol=1e-3)


@pytest.mark.parametrize("K", [1, 3])
def test_a_step_belongs_to_the_parameters_that_it_is_given(K):
    (loss, fresh), theta = losses(K)
    strength, gradient = np.full(theta.size, 0.02), loss(theta)[1]
    loss(theta + 1)
    expected = fresh.step(theta, gradient, strength, 1e-6)
    np.testing.assert_allclose(loss.step(theta, gradient, strength, 1e-6), expected, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_hessian_takes_over_where_sweeps_do_not_suffice(monkeypatch, weighted):
    (loss, _), theta = losses(1, weighted=weighted)
    strength, gradient = np.full(theta.size, 0.02), loss(theta)[1]
    by_sweeps = loss.step(theta, gradient, strength, 1e-8)
    monkeypatch.setattr(solver, "SWEEPS", 1)
    loss.step(theta, gradient, strength, 1e-8)
    assert loss.takes_hessian
    step = loss.step(theta, gradient, strength, 1e-8)
    np.testing.assert_allclose(step, by_sweeps, atol=1e-4)
    np.testing.assert_array_equal(theta + step == 0, theta + by_sweeps == 0)


def test_columns_beyond_single_precision_keep_their_own():
    (loss, _), theta = losses(1, alpha=0.0)
    expected = loss.step(theta, loss(theta)[1], np.full(theta.size, 0.02), 1e-8)
    for factor in (1e25, 1e-25):
        far = ColumnLoss(loss.X * factor, Rows(loss.X.T, loss.y, loss.weight), 1, False, 0.0)
        near = ColumnLoss(loss.X, Rows(loss.X.T, loss.y, loss.weight), 1, False, 0.0)
        weights, strength = theta[:-1], np.full(theta.size - 1, 0.02)
        step = near.step(weights, near(weights)[1], strength, 1e-8)
        scaled = weights / factor
        far_step = far.step(scaled, far(scaled)[1], strength * factor, 1e-8 * factor)
        np.testing.assert_allclose(far_step * factor, step, atol=1e-4)
    assert expected.any()
