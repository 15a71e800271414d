"""The kernel's Newton steps against those in Python, and where it leaves off."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastlogit.models import MODELS, Rows
from fastlogit.solvers import lbfgs, newton, optimum
from fastlogit.solvers.newton_steps import LinearParams, newton_steps
from fastlogit.training.objective import Objective


def problem(dtype=np.float64, n=80, D=4, weighted=False, noise=1.0, spread=1.0):
    rng = np.random.default_rng(3)
    X = spread * rng.normal(size=(n, D))
    y = (X @ rng.normal(size=D) + noise * rng.normal(size=n) > 0.3).astype(np.intp)
    weight = rng.uniform(0, 3, n) if weighted else np.empty(0)
    return Rows(X.astype(dtype), y, weight.astype(dtype))


def both(rows, *, alpha=0.01, fit_bias=True, name="newton-cholesky", tol=1e-6, max_iter=100):
    """Return what the kernel and what Python returns."""
    D = rows.X.shape[1]
    params = np.zeros((D, 1), rows.X.dtype), np.zeros(1, rows.X.dtype)
    objective, linear = (
        Objective(MODELS["logistic"], params, rows, alpha),
        LinearParams(rows, 1, fit_bias),
    )
    start = np.zeros(D + fit_bias)
    settings = {"name": name, "max_iter": max_iter, "tol": tol}
    limits = newton.kernel_limits(linear, **settings)
    ours = newton.minimise_in_kernel(objective, linear, start, limits)
    function = objective if fit_bias else lbfgs.weights_only(objective)
    theirs = newton.minimise(
        function, start, newton_steps(linear, alpha, tol), None, **settings,
        eps=float(np.finfo(rows.X.dtype).eps), gap=newton.allowed_gap(linear, alpha, tol),
    )  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize(("n", "D"), [(80, 4), (700, 40), (30, 1)])
def test_the_steps_are_those_in_python(dtype, weighted, fit_bias, n, D):
    rows = problem(dtype, n, D, weighted)
    for name in ("newton-cholesky", "newton-cg"):
        (theta, n_iter, done), expected = both(rows, fit_bias=fit_bias, name=name)
        assert done
        assert n_iter == expected[1]
        assert n_iter > 2
        tolerance = 1e-9 if dtype is np.float64 else 1e-4
        np.testing.assert_allclose(theta, expected[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias_alpha", [0.0, 0.002])
@pytest.mark.parametrize("by_norm", [False, True])
def test_the_steps_of_solvers_that_name_an_optimum(dtype, weighted, bias_alpha, by_norm):
    rows, alpha, tol = problem(dtype, 80, 4, weighted), 0.01, 1e-3
    zeros = np.zeros((4, 1), dtype), np.zeros(1, dtype)
    objective = Objective(MODELS["logistic"], zeros, rows, alpha)
    linear, start = LinearParams(rows, 1, True, bias_alpha), np.zeros(5)
    limits = optimum.kernel_limits(linear, by_norm=by_norm, max_iter=50, tol=tol)
    theta, n_iter, done = newton.minimise_in_kernel(objective, linear, start, limits)
    function = optimum.with_bias_penalty(objective, linear)
    rule = (
        optimum.GradientNorm(linear, alpha, tol, function)
        if by_norm else optimum.CoefficientChange(linear, alpha, tol)
    )  # fmt: skip
    expected, expected_iter, _ = optimum.minimise(
        function, start, linear, alpha, rule, None, max_iter=50, eps=float(np.finfo(dtype).eps)
    )
    assert done
    assert n_iter == expected_iter > 2
    np.testing.assert_allclose(theta, expected, atol=1e-9 if dtype is np.float64 else 1e-4)
    assert abs(function(theta)[1]).max() < 1e-4


def test_a_step_that_overshoots_is_shortened():
    # From far out the whole first step lands where the loss is higher.
    rows, alpha = problem(noise=0.1, spread=3.0), 1e-4
    zeros = np.zeros((4, 1)), np.zeros(1)
    objective, linear = (
        Objective(MODELS["logistic"], zeros, rows, alpha),
        LinearParams(rows, 1, True),
    )
    start = np.array([4.0, -4.0, 4.0, -4.0, 0.0])
    settings = {"name": "newton-cholesky", "max_iter": 100, "tol": 1e-6}
    first = start + newton_steps(linear, alpha, 1e-6).step(start, objective(start)[1])
    assert objective(first)[0] > objective(start)[0]
    limits = newton.kernel_limits(linear, **settings)
    theta, _, done = newton.minimise_in_kernel(objective, linear, start, limits)
    assert done
    assert np.abs(objective(theta)[1]).max() <= 1e-6


def test_a_solved_problem_takes_the_steps_that_scikit_learn_takes():
    rows = Rows(np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([0, 0, 1, 1]), np.empty(0))
    for name, n_iter in (("newton-cholesky", 1), ("newton-cg", 0)):
        ours, theirs = both(rows, name=name)
        assert ours[1:] == (n_iter, True)
        assert theirs[1] == n_iter


def test_it_ends_where_the_iterations_are_used_up():
    rows, alpha = problem(), 0.01
    zeros = np.zeros((4, 1)), np.zeros(1)
    objective, linear = (
        Objective(MODELS["logistic"], zeros, rows, alpha),
        LinearParams(rows, 1, True),
    )
    limits = newton.kernel_limits(linear, name="newton-cholesky", max_iter=2, tol=1e-12)
    theta, n_iter, done = newton.minimise_in_kernel(objective, linear, np.zeros(5), limits)
    assert (n_iter, done) == (2, False)
    assert objective(theta)[0] < objective(np.zeros(5))[0]


def test_a_hessian_that_may_be_singular_is_left_to_python():
    rows = problem()
    rows.X[:, 1] = rows.X[:, 0]
    zeros = np.zeros((4, 1)), np.zeros(1)
    for alpha in (0.0, 1e-13):
        objective, linear = (
            Objective(MODELS["logistic"], zeros, rows, alpha),
            LinearParams(rows, 1, True),
        )
        limits = newton.kernel_limits(linear, name="newton-cg", max_iter=9, tol=1e-6)
        theta, n_iter, done = newton.minimise_in_kernel(objective, linear, np.zeros(5), limits)
        assert (n_iter, done) == (0, False)
        assert not theta.any()


@pytest.mark.parametrize("sparse", [False, True])
def test_other_shapes_are_left_to_python(sparse):
    if sparse:
        rows, n_outputs = Rows(csr_array(np.eye(4)), np.array([0, 1, 0, 1]), np.empty(0)), 1
    else:
        rows, n_outputs = Rows(np.eye(4), np.array([0, 1, 2, 1]), np.empty(0)), 3
    params = np.zeros((4, n_outputs)), np.zeros(n_outputs)
    model = MODELS["logistic" if n_outputs == 1 else "softmax"]
    linear, start = LinearParams(rows, n_outputs, True), np.ones(5 * n_outputs)
    objective = Objective(model, params, rows, 0.1)
    limits = newton.kernel_limits(linear, name="newton-cg", max_iter=9, tol=1e-6)
    assert newton.minimise_in_kernel(objective, linear, start, limits) == (start, 0, False)
