"""Both solvers of Newton's steps against the Hessian written out."""

import numpy as np
import pytest
from numpy.linalg import LinAlgError

from fastlogit.models import MODELS, Rows
from fastlogit.solvers import newton_steps as newton_steps_module
from fastlogit.solvers.newton_steps import (
    CholeskySteps,
    ConjugateGradientSteps,
    LinearParams,
    newton_steps,
    solved,
)
from fastlogit.training.objective import Objective


def case(n, D, K, alpha, dtype=np.float64, *, fit_bias=True, weighted=True, seed=0):
    """Return the solver's model, centred parameters and the gradient there."""
    rng = np.random.default_rng([seed, n, D, K])
    X, y = rng.normal(size=(n, D)).astype(dtype), rng.integers(max(K, 2), size=n)
    weight = rng.uniform(0.1, 2, n if weighted else 0).astype(dtype)
    rows = Rows(X, y, weight)
    params = LinearParams(rows, K, fit_bias)
    theta = params.centred(rng.normal(size=K * (D + fit_bias)) / np.sqrt(D))
    model = MODELS["logistic" if K == 1 else "softmax"]
    objective = Objective(model, (np.zeros((D, K)), np.zeros(K)), rows, alpha)
    _, gradient = objective(np.append(theta, np.zeros(K)) if not fit_bias else theta)
    return params, theta, gradient[: theta.size].astype(float)


@pytest.fixture
def penalised_hessian(expected_hessian):
    def hessian(params, theta, alpha):
        Wt, b = params.split(theta)
        rows, size = params.rows, theta.size
        whole = expected_hessian(rows.X, rows.weight, Wt, b, len(Wt))[:size, :size]
        return whole + alpha * np.diag(np.arange(size) < params.n_weights)

    return hessian


@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize(("n", "D", "K"), [(30, 4, 1), (300, 7, 3), (400, 5, 6)])
def test_steps_solve_newtons_equations(
    penalised_hessian, n, D, K, alpha, fit_bias, relative_error, monkeypatch
):
    monkeypatch.setattr(newton_steps_module, "RESIDUAL", 1e-10)
    params, theta, gradient = case(n, D, K, alpha, fit_bias=fit_bias)
    hessian = penalised_hessian(params, theta, alpha)
    for solver in (CholeskySteps, ConjugateGradientSteps):
        step = solver(params, alpha).step(theta, gradient)
        assert relative_error(hessian @ step, -gradient) < 1e-8
        np.testing.assert_allclose(params.centred(step), step, atol=1e-9)


@pytest.mark.parametrize(("n", "D", "K"), [(40, 100, 1), (30, 90, 3)])
def test_the_diagonal_preconditions_wide_data(
    penalised_hessian, n, D, K, monkeypatch, relative_error
):
    monkeypatch.setattr(newton_steps_module, "RESIDUAL", 1e-10)
    monkeypatch.setattr(newton_steps_module, "MOST_FOR_FACTOR", 1)
    params, theta, gradient = case(n, D, K, 0.1)
    solver = ConjugateGradientSteps(params, 0.1)
    step = solver.step(theta, gradient)
    assert relative_error(penalised_hessian(params, theta, 0.1) @ step, -gradient) < 1e-8


@pytest.mark.parametrize("K", [1, 4])
def test_the_first_step_takes_one_product(penalised_hessian, K):
    params, theta, _ = case(200, 6, K, 0.01)
    theta[:] = 0
    model = MODELS["logistic" if K == 1 else "softmax"]
    objective = Objective(model, (np.zeros((6, K)), np.zeros(K)), params.rows, 0.01)
    _, gradient = objective(theta)
    solver = ConjugateGradientSteps(params, 0.01)
    step = solver.step(theta, gradient)
    assert solver._products == 1
    hessian = penalised_hessian(params, theta, 0.01)
    np.testing.assert_allclose(hessian @ step, -gradient, atol=1e-10)


def test_float32_steps_go_down(penalised_hessian, relative_error):
    for K in (1, 5):
        params, theta, gradient = case(500, 12, K, 1e-3, np.float32)
        exact = CholeskySteps(params, 1e-3).step(theta, gradient)
        hessian = penalised_hessian(params, theta, 1e-3)
        assert relative_error(hessian @ exact, -gradient) < 1e-3
        assert ConjugateGradientSteps(params, 1e-3).step(theta, gradient) @ gradient < 0


def test_singular_matrices_are_refused():
    with pytest.raises(LinAlgError):
        solved(np.ones((3, 3)), np.ones(3), 1e-16)
    with pytest.raises(LinAlgError, match="condition number"):
        solved(np.diag([1.0, 1e-9]), np.ones(2), 1e-7)
    with pytest.raises(LinAlgError):
        solved(np.zeros((2, 2)), np.ones(2), 1e-16)
    np.testing.assert_allclose(solved(np.diag([4.0, 2.0]), np.ones(2), 1e-16), [0.25, 0.5])


def test_few_parameters_are_factorised_and_many_are_not():
    kinds = [type(newton_steps(case(n, D, K, 0.1)[0], 0.1)) for n, D, K in (
        (100, 30, 1), (100, 4, 3), (200, 64, 10), (20, 300, 1),
    )]  # fmt: skip
    assert kinds == [CholeskySteps] * 2 + [ConjugateGradientSteps] * 2
