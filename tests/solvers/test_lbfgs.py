import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der
from sklearn.exceptions import ConvergenceWarning

from fastlogit.models import MODELS, Rows
from fastlogit.solvers import lbfgs
from fastlogit.training.objective import Objective

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
