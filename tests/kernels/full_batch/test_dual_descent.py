"""Dual coordinate descent against the conditions of the optimum."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.special import expit, xlogy

from fastlogit.kernels.codegen.simd import VECTOR_BYTES
from fastlogit.kernels.full_batch.dual_descent import UNSEEN, descend, solve_row
from fastlogit.kernels.layers.sparse import csr
from fastlogit.models.arrays import matrix_for_kernels


def problem(n, D, dtype, *, sparse, seed=0):
    rng = np.random.default_rng([seed, n, D])
    X = rng.normal(size=(n, D)).astype(dtype)
    if sparse:
        X[rng.random(X.shape) < 0.6] = 0
    sign = rng.choice([-1.0, 1.0], n)
    rows = csr(*matrix_for_kernels(csr_array(X))) if sparse else X
    return X, rows, sign, rng.uniform(0.1, 3, n)


class State:
    """The dual at a = 0, of rows with a feature of the square bias_square."""

    def __init__(self, X, rows, sign, bound, bias_square):
        self.rows, self.sign, self.bound, self.bias_square = rows, sign, bound, bias_square
        lanes = VECTOR_BYTES // X.itemsize
        self.w, self.b = np.zeros(-(-X.shape[1] // lanes) * lanes, X.dtype), np.zeros(1)
        self.u, self.square = np.full(len(X), UNSEEN), np.full(len(X), -1.0)
        self.sums = np.zeros(X.shape[1])

    def visit(self, order):
        return descend(
            self.rows, order, self.sign, self.bound, self.bias_square, self.sums, self.square,
            self.u, self.w, self.b,
        )  # fmt: skip


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("bias_square", [0.0, 2.5])
@pytest.mark.parametrize(("n", "D"), [(1, 1), (12, 5), (40, 17), (20, 100)])
def test_epochs_lead_to_the_optimum(n, D, bias_square, sparse, dtype):
    X, rows, sign, bound = problem(n, D, dtype, sparse=sparse)
    state = State(X, rows, sign, bound, bias_square)
    for _ in range(600):
        gap, largest = state.visit(np.arange(n))
    accuracy = 1e-9 if dtype == np.float64 else 2e-4
    assert gap < accuracy
    assert largest < accuracy
    w, b = state.w[:D].astype(float), state.b[0]
    slopes = bound * expit(-sign * (X.astype(float) @ w + b)) * sign
    np.testing.assert_allclose(w, X.T.astype(float) @ slopes, atol=10 * accuracy)
    np.testing.assert_allclose(b, bias_square * slopes.sum(), atol=10 * accuracy)
    assert not state.w[D:].any()


def test_the_gap_is_that_of_the_duality():
    X, rows, sign, bound = problem(30, 8, np.float64, sparse=False)
    state = State(X, rows, sign, bound, 0.0)
    for _ in range(30):
        state.visit(np.arange(30))
    a, u = bound * expit(-state.u), state.u
    primal = state.w @ state.w / 2 + bound @ np.logaddexp(0, -sign * (X @ state.w[:8]))
    entropy = xlogy(a, a / bound) + xlogy(bound - a, 1 - a / bound)
    margins = sign * (X @ state.w[:8])
    expected = primal + state.w @ state.w / 2 + entropy.sum()
    estimate = np.sum(bound * (expit(-u) - expit(-margins)) * (margins - u)) / 2
    assert 0 < expected < 1e-3
    np.testing.assert_allclose(estimate, expected, rtol=0.05)


@pytest.mark.parametrize("q", [0.0, 1e-3, 1.0, 50.0, 1e6])
@pytest.mark.parametrize("c", [1e-6, 1.0, 1e4])
def test_a_row_is_solved_from_anywhere(jit, q, c):
    @jit
    def solve(u, m, q, c):
        return solve_row(u, m, q, c)

    for u in (-30.0, -1.0, 0.0, 3.0, UNSEEN):
        for m in (-200.0, -1.0, 0.0, 0.5, 300.0):
            a = c * expit(-u)

            def phi(u, m=m, a=a):
                return u - m - q * (c * expit(-u) - a)

            low, high = m - q * a - 1e-9, m + q * (c - a) + 1e-9
            expected = brentq(phi, low, high, xtol=1e-13, maxiter=500)
            error = abs(solve(u, m, q, c) - expected)
            assert error <= 0.011 * abs(u - m) + 1e-9 * (1 + abs(expected))


def test_columns_may_repeat_and_come_in_any_order():
    X = csr_array(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]))
    sign = np.array([1.0, -1.0])
    for columns, squares in (
        ([0, 1, 1, 2], [5, 25]), ([1, 0, 1, 2], [5, 25]), ([0, 0, 1, 2], [9, 25]),
        ([0, 1, 2, 2], [5, 49]),
    ):  # fmt: skip
        given = csr_array((X.data, np.array(columns), X.indptr), shape=X.shape)
        states = []
        for rows in (csr(*matrix_for_kernels(given)), given.toarray()):
            state = State(given.toarray(), rows, sign, np.ones(2), 1.0)
            state.visit(np.arange(2))
            np.testing.assert_array_equal(state.square, squares)
            np.testing.assert_array_equal(state.sums, 0)
            states.append(np.append(state.w[:3], state.b))
        np.testing.assert_allclose(*states, rtol=1e-14)
