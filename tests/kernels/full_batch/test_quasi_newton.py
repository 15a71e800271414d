"""The steps of SciPy's L-BFGS-B, point for point, and how a minimisation ends."""

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from fastlogit.kernels.full_batch import quasi_newton


def run(function, gradient_of, start, *, tol=1e-9, ftol=1e-15, max_iter=500, max_trials=50):
    """Return the points evaluated, the last code, and the memory, θ and gradient at the end."""
    theta, gradient = np.array(start, float), np.empty(len(start))
    memory = quasi_newton.allocate(theta.size)
    limits = quasi_newton.Limits(tol, ftol, max_iter, max_trials)
    points, code = [], quasi_newton.EVALUATE
    while code == quasi_newton.EVALUATE:
        points.append(theta.copy())
        gradient[:] = gradient_of(theta)
        code = quasi_newton.advance(float(function(theta)), theta, gradient, memory, limits)
    return points, code, memory, theta, gradient


def run_scipy(function, gradient_of, start, *, tol=1e-9, ftol=1e-15, max_iter=500, max_trials=50):
    points = []

    def evaluate(theta):
        points.append(theta.copy())
        return function(theta), gradient_of(theta)

    options = {"gtol": tol, "ftol": ftol, "maxiter": max_iter, "maxls": max_trials}
    return points, minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options)


# Sums of squares of a matrix with condition number 1e4, and sums of powers that are flat at 0.
SCALES = np.logspace(-2, 2, 7)
FUNCTIONS = {
    "rosenbrock": (rosen, rosen_der),
    "quadratic": (lambda x: SCALES @ x**2 / 2, lambda x: SCALES * x),
    "quartic": (lambda x: np.sum(x**4) / 4, lambda x: x**3),
    "waves": (lambda x: np.sum(x**2 / 20 - np.cos(x)), lambda x: x / 10 + np.sin(x)),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_points_and_iterations_are_scipys(name, seed):
    start = np.random.default_rng(seed).normal(size=7) * 10**seed / 10
    for max_iter in (1, 4, 500):
        points, code, memory, theta, gradient = run(*FUNCTIONS[name], start, max_iter=max_iter)
        expected, result = run_scipy(*FUNCTIONS[name], start, max_iter=max_iter)
        scale = np.abs(expected).max()
        # Rounding grows from step to step: the first points are the same to its last digits.
        for ours, theirs in zip(points[:12], expected[:12], strict=False):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * scale)
        if max_iter < 500:
            assert len(points) == len(expected)
            assert memory.counts[quasi_newton.ITERATIONS] == result.nit
            np.testing.assert_allclose(theta, result.x, rtol=0, atol=1e-9 * scale)
        else:
            assert code in (quasi_newton.CONVERGED, quasi_newton.FLAT)
            assert result.success
            found = FUNCTIONS[name][0](theta)
            assert found == memory.search[quasi_newton.F0]
            assert found == pytest.approx(result.fun, rel=1e-9, abs=1e-12)
            assert memory.counts[quasi_newton.ITERATIONS] == pytest.approx(result.nit, rel=0.2)
        np.testing.assert_allclose(gradient, FUNCTIONS[name][1](theta))


def test_codes_at_the_end():
    quadratic = FUNCTIONS["quadratic"]
    points, code, *_ = run(*quadratic, np.zeros(7))
    assert (len(points), code) == (1, quasi_newton.CONVERGED)
    assert run(*quadratic, np.ones(7), tol=0, ftol=1e-3)[1] == quasi_newton.FLAT
    assert run(*quadratic, np.ones(7), max_iter=3)[1] == quasi_newton.OUT_OF_ITERATIONS


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_a_gradient_that_misleads_ends_at_the_start(wrong):
    start = np.arange(1.0, 8)
    calls = []

    def gradient_of(theta):
        calls.append(theta)
        return SCALES * theta * wrong

    points, code, memory, theta, gradient = run(
        FUNCTIONS["quadratic"][0], gradient_of, start, max_trials=20
    )
    assert code == quasi_newton.FAILED
    np.testing.assert_array_equal(theta, start)
    np.testing.assert_array_equal(gradient, SCALES * start * wrong)
    assert memory.counts[quasi_newton.ITERATIONS] == 0
    assert len(points) <= 21


def test_a_loss_that_is_not_finite_ahead_is_stepped_back_from():
    def function(x):
        return np.inf if np.abs(x).max() > 5 else float(np.sum((x - 3) ** 2))

    points, code, _, theta, _ = run(function, lambda x: 2 * (x - 3), np.array([-4.0, 4.9]))
    expected, result = run_scipy(function, lambda x: 2 * (x - 3), np.array([-4.0, 4.9]))
    assert code == quasi_newton.CONVERGED
    np.testing.assert_allclose(theta, 3)
    assert len(points) == len(expected)
    np.testing.assert_allclose(theta, result.x)


def test_pairs_are_carried_to_another_penalty():
    quadratic, change, n_weights = FUNCTIONS["quadratic"], 0.5, 5
    _, _, memory, theta, gradient = run(*quadratic, np.ones(7), max_iter=4)
    curvature = SCALES + change * (np.arange(7) < n_weights)
    quasi_newton.change_penalty(change, n_weights, memory)
    n_pairs = memory.counts[quasi_newton.PAIRS]
    assert 0 < n_pairs < quasi_newton.MEMORY
    for k in range(n_pairs):
        np.testing.assert_allclose(memory.changes[k], curvature * memory.steps[k])
        assert memory.products[k] == pytest.approx(memory.changes[k] @ memory.steps[k])
    last = memory.changes[n_pairs - 1]
    assert memory.search[quasi_newton.CHANGE] == pytest.approx(last @ last)
    # The next minimisation begins with a whole quasi-Newton step.
    gradient[:] = curvature * theta
    before = theta.copy()
    limits = quasi_newton.Limits(1e-12, 0.0, 100, 50)
    loss = float(curvature @ theta**2 / 2)
    assert quasi_newton.advance(loss, theta, gradient, memory, limits) == quasi_newton.EVALUATE
    np.testing.assert_allclose(theta - before, memory.direction)
    assert memory.direction @ gradient < 0
