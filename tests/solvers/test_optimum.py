"""Rules of where to stop near an optimum, and what finds it."""

import numpy as np
import pytest
from scipy.special import expit

from fastlogit.models import Rows
from fastlogit.solvers import optimum
from fastlogit.solvers.dual import DualDescent, Progress
from fastlogit.solvers.newton import Point
from fastlogit.solvers.newton_steps import LinearParams

ALPHA = 0.02


def case(n=40, D=6, bias_alpha=0.0, dtype=np.float64):
    rng = np.random.default_rng([n, D])
    X = rng.normal(size=(n, D)).astype(dtype)
    rows = Rows(X, (X[:, 0] + rng.normal(size=n) > 0.3).astype(int), np.empty(0, dtype))
    params = LinearParams(rows, 1, True, bias_alpha)

    def loss_and_gradient(theta):
        logits = X @ theta[:-1] + theta[-1]
        loss = np.mean(np.logaddexp(0, logits) - rows.y * logits)
        residual = (expit(logits) - rows.y) / n
        gradient = np.append(X.T @ residual + ALPHA * theta[:-1], residual.sum())
        return float(loss + ALPHA / 2 * theta[:-1] @ theta[:-1]), gradient

    return params, optimum.with_bias_penalty(loss_and_gradient, params)


def solve(params, objective, rule, *, dual=False, max_iter=100, eps=2e-16):
    descent = DualDescent(params, ALPHA, np.zeros(7)) if dual else None
    return optimum.minimise(
        objective, np.zeros(7), params, ALPHA, rule, descent, max_iter=max_iter, eps=eps
    )


@pytest.mark.parametrize("dual", [False, True])
def test_coefficients_come_as_near_as_tol_says(dual):
    params, objective = case()
    best, _, _ = solve(params, objective, optimum.CoefficientChange(params, ALPHA, 1e-12))
    assert np.abs(objective(best)[1]).max() < 1e-12
    for tol in (1e-2, 1e-4, 1e-6):
        rule = optimum.CoefficientChange(params, ALPHA, tol)
        theta, n_iter, converged = solve(params, objective, rule, dual=dual)
        assert converged
        assert n_iter >= 1
        assert np.linalg.norm(theta - best) <= tol * np.linalg.norm(best)


def test_where_no_step_was_taken_the_gradient_decides():
    params, objective = case()
    rule = optimum.CoefficientChange(params, ALPHA, 1e-4)
    best, _, _ = solve(params, objective, optimum.CoefficientChange(params, ALPHA, 1e-12))
    assert rule.at(Point(best, *objective(best)), None)
    away = best * 1.001
    assert not rule.at(Point(away, *objective(away)), None)


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
def test_the_gradient_is_as_small_as_liblinears(tol, dual):
    params, objective = case(bias_alpha=ALPHA / 9)
    rule = optimum.GradientNorm(params, ALPHA, tol, objective)
    theta, _, converged = solve(params, objective, rule, dual=dual)
    scales = np.append(np.ones(6), 3)
    norm, first = (np.linalg.norm(scales * objective(at)[1]) for at in (theta, np.zeros(7)))
    share = min(params.rows.y.sum(), 40 - params.rows.y.sum()) / 40
    assert converged
    assert norm <= tol * share * first / 10


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
def test_the_dual_ends_with_the_epoch_whose_slopes_are_as_small_as_tol(tol):
    params, objective = case(bias_alpha=ALPHA)
    rule = optimum.DualGradient(params, ALPHA, tol, lambda: 10.0)
    theta, n_iter, converged = solve(params, objective, rule, dual=True)
    descent = DualDescent(params, ALPHA, np.zeros(7))
    epochs = [descent.epoch() for _ in range(n_iter)]
    assert converged
    assert [epoch.largest <= tol for epoch in epochs] == [False] * (n_iter - 1) + [True]
    np.testing.assert_array_equal(theta, np.append(epochs[-1].weights, epochs[-1].bias))


def test_slopes_of_the_dual_are_bounded_by_the_gradient():
    params, objective = case(bias_alpha=ALPHA / 4)
    X = np.hstack([params.rows.X, np.full((40, 1), 2.0)])
    longest = np.linalg.norm(X, axis=1).max()
    theta, n_iter, converged = solve(
        params, objective, optimum.DualGradient(params, ALPHA, 1e-3, lambda: longest)
    )
    gradient = objective(theta)[1] * np.append(np.ones(6), 2)
    assert converged
    assert 1 <= n_iter < 10
    assert np.abs(X @ gradient / ALPHA).max() <= 1e-3


def test_a_gap_is_estimated_from_the_largest_slope():
    params, _ = case(bias_alpha=ALPHA)
    rule = optimum.DualGradient(params, ALPHA, 0.1, lambda: 10.0)
    near, far = (Progress(np.ones(6), 0.0, 1.0, largest, 1.0) for largest in (0.05, 1.0))
    assert rule.gap(near) >= near.gap
    assert rule.gap(far) == pytest.approx(0.01)


def test_too_few_iterations_are_told():
    params, objective = case()
    rule = optimum.CoefficientChange(params, ALPHA, 1e-12)
    for dual in (False, True):
        theta, n_iter, converged = solve(params, objective, rule, dual=dual, max_iter=2)
        assert (n_iter, converged) == (2, False)
        assert theta.any()


def test_steps_end_where_rounding_hides_the_rest():
    params, objective = case()
    rule = optimum.CoefficientChange(params, ALPHA, 0.0)
    theta, n_iter, converged = solve(params, objective, rule, max_iter=1000)
    assert converged
    assert n_iter < 100
    assert np.abs(objective(theta)[1]).max() < 1e-14
