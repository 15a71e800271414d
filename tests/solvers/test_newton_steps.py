"""Both solvers of Newton's steps against the Hessian written out."""

import numpy as np
import pytest
from numpy.linalg import LinAlgError
from scipy.sparse import csr_array

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


def kind_of_steps(n, D, K, alpha=0.1, dtype=np.float64, tol=1e-4):
    rows = Rows(np.zeros((n, D), dtype), np.zeros(n, np.intp), np.empty(0, dtype))
    return type(newton_steps(LinearParams(rows, K, fit_bias=True), alpha, tol))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_faster_of_both_steps_is_chosen(dtype):
    """Where one takes 1.3 times as long as the other, or more."""
    for n, D, K in ((150, 4, 3), (569, 30, 1), (178, 13, 3), (1000, 4, 6), (20_000, 4, 3)):
        assert kind_of_steps(n, D, K, dtype=dtype) is CholeskySteps
    for n, D, K in ((20_000, 30, 6), (1797, 64, 10), (100_000, 64, 1), (150, 250, 1)):
        assert kind_of_steps(n, D, K, dtype=dtype) is ConjugateGradientSteps


def test_more_steps_by_products_are_expected_of_a_tight_tol():
    for tol, kind in ((1e-4, ConjugateGradientSteps), (1e-8, CholeskySteps), (0, CholeskySteps)):
        assert kind_of_steps(2000, 50, 3, tol=tol) is kind
        assert kind_of_steps(20_000, 30, 1, tol=tol) is kind_of_steps(20_000, 30, 1)


def test_a_hessian_that_may_be_singular_is_factorised():
    assert kind_of_steps(20_000, 30, 6) is ConjugateGradientSteps
    assert kind_of_steps(20_000, 30, 6, alpha=0) is CholeskySteps
    assert kind_of_steps(20_000, 33, 6, alpha=0) is ConjugateGradientSteps


def test_no_hessian_takes_more_memory_than_allowed(monkeypatch):
    assert newton_steps_module.fits_in_memory(4000)
    assert not newton_steps_module.fits_in_memory(5000)
    assert kind_of_steps(150, 10, 1) is CholeskySteps
    monkeypatch.setattr(newton_steps_module, "MOST_BYTES", 24 * 9**2)
    assert kind_of_steps(150, 10, 1) is ConjugateGradientSteps
    params, theta, gradient = case(150, 10, 1, 0.1)
    solver = ConjugateGradientSteps(params, 0.1)
    assert solver.step(theta, gradient) @ gradient < 0
    assert solver._M.ndim == 1, "M itself is too large: its diagonal preconditions"


@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize(("n", "D", "K"), [(30, 4, 1), (300, 7, 3)])
def test_steps_over_sparse_rows_are_those_over_dense_ones(n, D, K, fit_bias, monkeypatch):
    monkeypatch.setattr(newton_steps_module, "RESIDUAL", 1e-12)
    params, theta, gradient = case(n, D, K, 0.01, fit_bias=fit_bias)
    expected = ConjugateGradientSteps(params, 0.01).step(theta, gradient)
    rows = Rows(csr_array(params.rows.X), params.rows.y, params.rows.weight)
    sparse = LinearParams(rows, K, fit_bias)
    flat = [np.append(p[: K * D].reshape(K, D).T, p[K * D :]) for p in (theta, gradient, expected)]
    shifted = flat[0] + (K > 1)
    np.testing.assert_allclose(sparse.centred(shifted), sparse.centred(flat[0]), atol=1e-12)
    solver = newton_steps(sparse, 0.01, 1e-4)
    assert isinstance(solver, ConjugateGradientSteps)
    np.testing.assert_allclose(solver.step(flat[0], flat[1]), flat[2], atol=1e-9)


@pytest.mark.parametrize("solver", [CholeskySteps, ConjugateGradientSteps])
def test_a_bias_may_have_a_penalty_of_its_own(penalised_hessian, solver, monkeypatch):
    monkeypatch.setattr(newton_steps_module, "RESIDUAL", 1e-12)
    params, theta, gradient = case(50, 6, 1, 0.01)
    hessian = penalised_hessian(params, theta, 0.01)
    hessian[-1, -1] += 0.3
    penalised = LinearParams(params.rows, 1, True, 0.3)
    step = solver(penalised, 0.01).step(theta, gradient)
    np.testing.assert_allclose(hessian @ step, -gradient, atol=1e-10)
