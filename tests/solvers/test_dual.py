"""Epochs of the dual against the optimality conditions of the primal."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit

from fastlogit.kernels.training import epoch
from fastlogit.models import Rows
from fastlogit.solvers.dual import DualDescent, is_fastest, is_slow
from fastlogit.solvers.newton_steps import LinearParams


def case(n, D, *, fit_bias, bias_alpha=0.0, sparse=False, weighted=True, dtype=np.float64):
    rng = np.random.default_rng([n, D])
    X, y = rng.normal(size=(n, D)).astype(dtype), rng.integers(2, size=n)
    if sparse:
        X[rng.random(X.shape) < 0.7] = 0
    weight = rng.integers(0, 3, n if weighted else 0).astype(dtype)
    rows = Rows(csr_array(X) if sparse else X, y, weight)
    return LinearParams(rows, 1, fit_bias, bias_alpha), X.astype(float)


def gradient(params, X, alpha, progress):
    """Return the gradient of the penalised mean loss, written out."""
    rows, bias = params.rows, progress.bias
    weight = rows.weight if rows.weight.size else np.ones(rows.y.size)
    residual = params.scale * weight * (expit(X @ progress.weights + bias) - rows.y)
    return X.T @ residual + alpha * progress.weights, residual.sum() + params.bias_alpha * bias


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("fit_bias", "bias_alpha"), [(False, 0.0), (True, 0.0), (True, 0.02)])
@pytest.mark.parametrize(("n", "D", "alpha"), [(30, 90, 0.1), (60, 8, 0.01), (40, 200, 1e-3)])
def test_epochs_lead_to_the_optimum(n, D, alpha, fit_bias, bias_alpha, sparse):
    params, X = case(n, D, fit_bias=fit_bias, bias_alpha=bias_alpha, sparse=sparse)
    for start in (np.zeros(D + fit_bias), np.random.default_rng(0).normal(size=D + fit_bias)):
        descent = DualDescent(params, alpha, start)
        for _ in range(400):
            progress = descent.epoch()
        grad_W, grad_b = gradient(params, X, alpha, progress)
        assert np.abs(grad_W).max() < 1e-10
        assert not fit_bias or abs(grad_b) < 1e-10
        assert progress.gap < 1e-12


def test_columns_that_repeat_or_are_out_of_order_are_those_of_their_sum():
    params, _ = case(30, 40, fit_bias=True, sparse=True)
    plain = params.rows.X
    halves = csr_array((
        np.repeat(plain.data / 2, 2)[::-1].copy(), np.repeat(plain.indices, 2)[::-1].copy(),
        np.append(0, np.cumsum(2 * np.diff(plain.indptr)[::-1])),
    ), shape=plain.shape)  # fmt: skip
    rows = Rows(halves, params.rows.y[::-1].copy(), params.rows.weight[::-1].copy())
    results = []
    for given in (params, LinearParams(rows, 1, True)):
        descent = DualDescent(given, 0.01, np.zeros(41))
        for _ in range(200):
            progress = descent.epoch()
        results.append(np.append(progress.weights, progress.bias))
    np.testing.assert_allclose(*results, atol=1e-8)
    assert halves.nnz == 2 * plain.nnz  # the input is as it was


def test_float32_weights_come_near():
    params, X = case(40, 300, fit_bias=True, dtype=np.float32)
    descent = DualDescent(params, 0.01, np.zeros(301))
    for _ in range(50):
        progress = descent.epoch()
    assert progress.weights.dtype == np.float32
    grad_W, grad_b = gradient(params, X, 0.01, progress)
    assert max(np.abs(grad_W).max(), abs(grad_b)) < 1e-5


def test_rounded_rows_are_left_for_the_last_digits():
    params, X = case(300, 600, fit_bias=True)
    descent = DualDescent(params, 0.05, np.zeros(601))
    kinds = []
    for _ in range(60):
        progress = descent.epoch()
        kinds.append(progress.weights.dtype.itemsize)
    assert kinds == sorted(kinds)
    assert set(kinds) == {4, 8}
    grad_W, grad_b = gradient(params, X, 0.05, progress)
    assert max(np.abs(grad_W).max(), abs(grad_b)) < 1e-12


def test_slow_descents_are_given_up():
    fast = [10.0**-epoch for epoch in range(8)]
    assert not any(is_slow(fast[:length], 1e-12) for length in range(1, 9))
    slow = [0.99**epoch for epoch in range(8)]
    assert [is_slow(slow[:length], 1e-6) for length in range(1, 8)] == [False] * 4 + [True] * 3
    assert not is_slow(slow, 0.95)
    assert is_slow([1.0, 1.0, 1.0, 1.0, 1.0], 1e-3)
    assert is_slow([np.inf], 1.0)


def test_wide_and_sparse_rows_of_two_classes_are_for_the_dual():
    assert is_fastest(case(30, 90, fit_bias=True)[0])
    assert is_fastest(case(90, 60, fit_bias=True, sparse=True)[0])
    assert not is_fastest(case(90, 30, fit_bias=True)[0])
    assert not is_fastest(case(15, 30, fit_bias=True)[0])
    params = case(30, 90, fit_bias=True)[0]
    assert not is_fastest(LinearParams(params.rows, 3, True))


def test_an_epoch_cut_into_calls_has_the_same_bits(monkeypatch):
    params, _ = case(1000, 20, fit_bias=True)
    results = []
    for limit in (epoch.CALL_MULTIPLY_ADDS, 1):
        monkeypatch.setattr(epoch, "CALL_MULTIPLY_ADDS", limit)
        results.append(DualDescent(params, 0.1, np.zeros(21)).epoch())
    np.testing.assert_array_equal(results[0].weights, results[1].weights)
    assert results[0].bias == results[1].bias
