import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der
from sklearn.exceptions import ConvergenceWarning

from fastlogit.models import MODELS, Rows
from fastlogit.solvers import lbfgs
from fastlogit.training.objective import Objective

EPS = float(np.finfo(float).eps)
ZEROS, NONE = (np.zeros((30, 1)), np.zeros(1)), np.empty(0)
ADVICE = {"advice": lambda: " look elsewhere"}


def rosenbrock(theta):
    return rosen(theta), rosen_der(theta)


def test_finds_a_known_minimum():
    theta, value, n_iter = lbfgs.minimise(
        rosenbrock, np.zeros(5), max_iter=1000, tol=1e-9, ftol=1e-15, **ADVICE
    )
    np.testing.assert_allclose(theta, 1, atol=1e-6)
    assert value < 1e-12
    assert 10 < n_iter < 1000


def test_warns_when_it_stops_too_soon():
    with pytest.warns(ConvergenceWarning, match=r"after 3 iteration\(s\)[\s\S]*look elsewhere"):
        lbfgs.minimise(rosenbrock, np.zeros(5), max_iter=3, tol=1e-9, **ADVICE)


def test_refining_goes_below_what_the_loss_resolves():
    settings = {"max_iter": 1000, "tol": 1e-12, "ftol": 1e-6} | ADVICE
    coarse = lbfgs.minimise(rosenbrock, np.zeros(5), **settings)
    fine = lbfgs.minimise(rosenbrock, np.zeros(5), refine=20, **settings)
    assert np.abs(rosen_der(fine[0])).max() < 1e-3 * np.abs(rosen_der(coarse[0])).max()
    assert coarse[2] < fine[2] <= coarse[2] + 20
    settings["max_iter"] = coarse[2] + 3
    assert lbfgs.minimise(rosenbrock, np.zeros(5), refine=20, **settings)[2] == coarse[2] + 3


def test_computes_each_loss_and_its_gradient_once():
    seen = []

    def objective(theta):
        seen.append(theta.copy())
        return rosenbrock(theta)

    settings = {"max_iter": 1000, "tol": 1e-9} | ADVICE
    theta, value, n_iter = lbfgs.minimise(objective, np.zeros(5), **settings)
    expected = minimize(
        rosenbrock, np.zeros(5), method="L-BFGS-B", jac=True, options={"gtol": 1e-9}
    )
    assert len(seen) == expected.nfev
    np.testing.assert_array_equal(theta, expected.x)
    assert (value, n_iter) == (expected.fun, expected.nit)


def test_weights_only_holds_the_biases_at_zero():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 3)), rng.integers(3, size=9)
    params = np.zeros((3, 3)), np.zeros(3)
    objective = Objective(MODELS["softmax"], params, Rows(X, y, np.empty(0)), 0.1)
    theta = rng.normal(size=9)
    loss, gradient = lbfgs.weights_only(objective)(theta)
    whole_loss, whole_gradient = objective(np.append(theta, np.zeros(3)))
    assert loss == whole_loss
    np.testing.assert_array_equal(gradient, whole_gradient[:9])


def test_closing_iterations_come_after_convergence_and_count():
    settings = {"start": np.zeros(5), "tol": 1e-4} | ADVICE
    theta, _, n_iter = lbfgs.minimise(rosenbrock, max_iter=1000, **settings)

    def polish(result):
        np.testing.assert_array_equal(result.x, theta)
        yield from ((theta + step, step) for step in range(1, 9))

    def closed(**more):
        end, value, n = lbfgs.minimise(rosenbrock, **settings, polish=polish, **more)
        np.testing.assert_array_equal(end, theta + value)
        return value, n - n_iter

    assert closed(max_iter=1000) == (8, 8)
    assert closed(max_iter=n_iter + 3) == (3, 3)
    watched = []

    def callback(theta):
        watched.append(theta)
        return len(watched) == n_iter + 2

    assert closed(max_iter=1000, callback=callback) == (2, 2)
    with pytest.warns(ConvergenceWarning):
        assert lbfgs.minimise(rosenbrock, **settings, polish=polish, max_iter=3)[2] == 3


@pytest.mark.parametrize("tol", [1e-6, 1e-8])
@pytest.mark.parametrize("C", [1, 100])
def test_float32_searches_no_longer_than_float64(toy_set, C, tol):
    evaluations, settings = {}, {"max_iter": 1000, "maxls": 50, "ftol": 64 * EPS} | ADVICE
    for dtype in (np.float64, np.float32):
        X, y = toy_set("breast_cancer", "logistic", dtype)
        exact = Objective(MODELS["logistic"], ZEROS, Rows(X.astype(float), y, NONE), 1 / C / len(y))
        objective = Objective(
            MODELS["logistic"], ZEROS, Rows(X, y, NONE.astype(dtype)), 1 / C / len(y)
        )
        points = []

        def counted(theta, objective=objective, points=points):
            points.append(theta)
            return objective(theta)

        theta, value, _ = lbfgs.minimise(counted, np.zeros(31), tol=tol, **settings)
        evaluations[dtype] = len(points)
        loss, gradient = exact(theta.astype(dtype).astype(float))
        assert value == pytest.approx(loss, rel=1e-5 if dtype == np.float32 else 1e-13)
        assert np.abs(gradient).max() < max(2 * tol, 1e-7)
    assert evaluations[np.float32] <= 1.25 * evaluations[np.float64] + 3


def test_the_gradient_tells_a_change_that_rounding_hides():
    resolved, ones = lbfgs.ResolvedLoss(), np.ones(2)
    step, rounding = np.array([1e-8, -3e-8]), 16 * 2.0**-23
    assert resolved(ones, 1.0, np.float32([1, 2])) == 1
    # The mean of both gradients, (2, 1), along the step.
    assert resolved(ones + step, 1 + 1e-7, np.float32([3, 0])) == pytest.approx(1 - 1e-8, abs=1e-15)
    assert resolved(ones + 1, 1 + 3 * rounding, np.float32([9, 9])) == 1 + 3 * rounding
    clipped = resolved(ones + 2, 1 + 2.5 * rounding, np.float32([9, 9]))
    assert clipped == pytest.approx(1 + 3.5 * rounding, rel=1e-10)


def test_a_float64_loss_is_taken_as_it_is():
    resolved = lbfgs.ResolvedLoss()
    assert resolved(np.ones(1), 1.0, np.ones(1)) == 1
    assert resolved(np.ones(1) + 1e-9, 1 + EPS, np.ones(1)) == 1 + EPS


def test_in_place_it_takes_the_same_steps_and_begins_with_what_is_known():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 8)) * np.logspace(-1, 1, 8), rng.integers(3, size=300)
    params = np.zeros((8, 3)), np.zeros(3)
    rows, model = Rows(X, y, np.empty(0)), MODELS["softmax"]
    for max_iter in (3, 1000):
        objective = Objective(model, params, rows, 0.01)
        theta, evaluations = objective.params.flat, []

        def evaluate(objective=objective, evaluations=evaluations):
            evaluations.append(0)
            return objective.evaluate()

        known = objective.evaluate()
        at = lbfgs.InPlace(evaluate, theta, objective.gradient.flat, known)
        options = {"maxiter": max_iter, "gtol": 1e-6, "ftol": 1e-14, "maxls": 50}
        ours = lbfgs.minimise_in_place(at, theta.copy(), **options)
        theirs = minimize(
            Objective(model, params, rows, 0.01), np.zeros(27), jac=True, method="L-BFGS-B",
            options=options,
        )  # fmt: skip
        np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-4 if max_iter > 3 else 1e-10)
        assert (ours.success, ours.status) == (theirs.success, theirs.status)
        assert ours.fun == pytest.approx(theirs.fun, rel=1e-9)
        assert ours.message.split(":")[0] == theirs.message.split(":")[0]
        # Rounding grows from step to step, to another iteration or two of a whole fit.
        assert ours.nit == pytest.approx(theirs.nit, rel=0.1 if max_iter > 3 else 0)
        assert len(evaluations) == pytest.approx(theirs.nfev - 1, rel=0.1 if max_iter > 3 else 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_kernel_evaluates_few_rows_itself_with_the_same_bits(dtype, monkeypatch):
    monkeypatch.setattr(lbfgs, "EVALUATIONS", 7)  # several calls
    rng = np.random.default_rng(0)
    X, y = (
        (rng.normal(size=(300, 8)) * np.logspace(-1, 1, 8)).astype(dtype),
        rng.integers(2, size=300),
    )
    params = np.zeros((8, 1), dtype), np.zeros(1, dtype)
    options, results = {"maxiter": 1000, "gtol": 1e-4, "ftol": 1e-14, "maxls": 50}, []
    for knows, in_kernel in ((False, False), (False, True), (True, True)):
        objective = Objective(MODELS["logistic"], params, Rows(X, y, np.empty(0, dtype)), 0.001)
        short_call = objective.short_call if in_kernel else None
        loss = objective.evaluate() if knows else None
        theta, gradient = objective.params.flat, objective.gradient.flat
        at = lbfgs.InPlace(objective.evaluate, theta, gradient, loss, short_call)
        results.append(lbfgs.minimise_in_place(at, theta.copy(), **options))
    assert results[0].nit > 7
    for result in results[1:]:
        assert (result.nit, result.fun) == (results[0].nit, results[0].fun)
        np.testing.assert_array_equal(result.x, results[0].x)
        np.testing.assert_array_equal(result.jac, results[0].jac)


def test_only_a_short_evaluation_by_one_thread_is_the_kernels():
    rng = np.random.default_rng(0)
    params = np.zeros((30, 1)), np.zeros(1)
    for n, backend, is_short in (
        (300, "numba", True),
        (300, "numpy", False),
        (10**6, "numba", False),
    ):
        X, y = np.ones((n, 30)), rng.integers(2, size=n)
        objective = Objective(MODELS["logistic"], params, Rows(X, y, np.empty(0)), 0.1, backend)
        assert (objective.short_call is not None) == is_short


def test_in_place_it_ignores_what_scipy_is_to_print():
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(30, 2)), rng.integers(2, size=30), np.empty(0))
    objective = Objective(MODELS["logistic"], (np.zeros((2, 1)), np.zeros(1)), rows, 0.1)
    at = lbfgs.InPlace(objective.evaluate, objective.params.flat, objective.gradient.flat)
    options = {"max_iter": 100, "tol": 1e-6, "ftol": 1e-14, "maxls": 50} | ADVICE
    printed, *_ = lbfgs.minimise(objective, np.zeros(3), in_place=at, iprint=-1, **options)
    assert np.abs(objective(printed)[1]).max() <= 1e-6


def test_refining_by_gradients_goes_on_where_the_loss_is_all_rounding():
    rng = np.random.default_rng(0)
    curvature = np.logspace(-2, 0, 30)
    best = rng.normal(size=30)

    def shifted(theta):  # whose changes below 1e-13 do not show
        distance = theta - best
        return 1e3 + float(distance @ (curvature * distance)) / 2, curvature * distance

    settings = {"max_iter": 1000, "tol": 1e-12, "ftol": 64 * EPS, "refine": 200, "maxls": 50}
    by_loss, *_ = lbfgs.minimise(shifted, np.zeros(30), **settings, **ADVICE)
    by_gradient, value, _ = lbfgs.minimise(
        shifted, np.zeros(30), by_gradient=True, **settings, **ADVICE
    )
    assert np.abs(shifted(by_gradient)[1]).max() < 1e-12
    assert np.abs(shifted(by_loss)[1]).max() > 1e-10
    assert value == shifted(by_gradient)[0]
