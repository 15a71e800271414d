"""Newton's loop on functions whose minimum is known, and where it has to give up."""

import numpy as np
import pytest
from numpy.linalg import LinAlgError
from scipy.linalg import LinAlgWarning
from scipy.optimize import rosen, rosen_der, rosen_hess
from sklearn.exceptions import ConvergenceWarning

from fastlogit.solvers import lbfgs, newton


def fallback(theta, max_iter):
    theta, _, n_iter = lbfgs.minimise(
        rosenbrock, theta, max_iter=max_iter, tol=1e-9, advice=str, ftol=1e-15
    )
    return theta, n_iter


SETTINGS = {"max_iter": 100, "tol": 1e-9, "eps": 2.2e-16, "name": "newton-cholesky"}


def rosenbrock(theta):
    return rosen(theta), rosen_der(theta)


class ExactSteps:
    def step(self, theta, gradient):
        return np.linalg.solve(rosen_hess(theta), -gradient)


class ToZero:
    def step(self, theta, gradient):
        return -theta


class Failing:
    """Raises, or goes uphill, after some exact steps."""

    def __init__(self, n_steps, uphill):
        self.left, self.uphill = n_steps, uphill

    def step(self, theta, gradient):
        self.left -= 1
        if self.left >= 0:
            return ExactSteps().step(theta, gradient)
        if self.uphill:
            return gradient
        raise LinAlgError("no factor")


def test_finds_a_known_minimum_fast():
    theta, n_iter = newton.minimise(rosenbrock, np.full(3, 0.9), ExactSteps(), fallback, **SETTINGS)
    np.testing.assert_allclose(theta, 1, atol=1e-9)
    assert 3 < n_iter < 12


def test_a_foreseen_last_step_spares_an_evaluation():
    counts, ends = [], []
    for foresee in (False, True):
        calls = []

        def counted(theta, calls=calls):
            calls.append(theta)
            loss, gradient = rosenbrock(theta)
            return loss + 1, gradient  # of which the last step promises little

        theta, n_iter = newton.minimise(
            counted,
            np.full(3, 0.9),
            ExactSteps(),
            fallback,
            foresee=foresee,
            **SETTINGS | {"tol": 1e-7},
        )
        counts.append((len(calls), n_iter))
        ends.append(theta)
    assert counts[1] == (counts[0][0] - 1, counts[0][1])
    np.testing.assert_array_equal(*ends)
    assert np.abs(rosenbrock(ends[1])[1]).max() <= 1e-7


@pytest.mark.parametrize(
    ("before", "at", "tol", "is_taken"),
    [
        (None, 1e-7, 1e-6, True),  # within tol already
        (None, 1e-5, 1e-6, False),
        (1e-2, 1e-4, 1e-5, True),  # a hundredth is left, and of that no more
        (1e-2, 1e-4, 1e-7, False),
        (1e-5, 5e-6, 1e-5, False),  # half is left: not yet quadratic
    ],
)
def test_a_last_step_is_foreseen_by_what_the_one_before_left(before, at, tol, is_taken):
    def point(size):
        return newton.Point(np.full(2, size), 1.0 + size**2, np.full(2, size))

    start = before and (point(before), before**2)
    end = newton.last_step(ToZero(), start, point(at), tol, 1.0)
    assert (end is not None) == is_taken
    assert not is_taken or not end.any()


def test_a_last_step_promises_little_of_the_loss():
    at = newton.Point(np.full(2, 1e-3), 1e-6, np.full(2, 1e-3))
    assert newton.last_step(ToZero(), None, at, 1e-2, 1.0) is None
    assert newton.last_step(ToZero(), None, at._replace(loss=1.0), 1e-2, 1.0) is not None
    assert newton.last_step(ToZero(), None, at._replace(loss=1.0), 1e-2, 1e-9) is None


def test_a_solved_problem_takes_the_steps_that_scikit_learn_takes():
    for name, n_iter in (("newton-cholesky", 1), ("newton-cg", 0)):
        arguments = SETTINGS | {"name": name}
        assert (
            newton.minimise(rosenbrock, np.ones(3), ExactSteps(), fallback, **arguments)[1]
            == n_iter
        )


def test_warns_when_it_stops_too_soon(capsys):
    with pytest.warns(ConvergenceWarning, match="did not converge after 2 iterations"):
        _, n_iter = newton.minimise(
            rosenbrock,
            np.full(3, 0.5),
            ExactSteps(),
            fallback,
            **SETTINGS | {"max_iter": 2},
            verbose=1,
        )
    assert n_iter == 2
    assert capsys.readouterr().out.count("Newton iter=") == 2


def test_a_step_that_promised_much_of_the_loss_is_not_the_last(capsys):
    def converged(name, gradient, decrement, loss):
        at = newton.Point(np.zeros(2), loss, gradient)
        return newton.has_converged(name, 1e-5, 1, 3, at, decrement, gap=0.125)

    gradient = np.array([1e-6, -2e-6])
    for name in ("newton-cg", "newton-cholesky"):
        assert converged(name, gradient, 1e-6, 1e-3)
        assert capsys.readouterr().out.endswith("  Solver did converge at loss = 0.001.\n")
        assert not converged(name, gradient, 1e-6, 1e-6)
        assert capsys.readouterr().out.endswith("    Newton decrement 1e-06 <= 1.25e-07 False\n")
        assert not converged(name, 10 * gradient, 1e-6, 1e-3)
    assert not converged(name, gradient, 1e-4, 1.0)


@pytest.mark.parametrize(
    ("uphill", "category", "text"),
    [(False, LinAlgWarning, "singular.*iteration 3"), (True, ConvergenceWarning, "Line search")],
)
def test_lbfgs_takes_over(uphill, category, text):
    further = []

    def counted(theta, max_iter):
        theta, n_iter = fallback(theta, max_iter)
        further.append(n_iter)
        return theta, n_iter

    with pytest.warns(category, match=text):
        theta, n_iter = newton.minimise(
            rosenbrock, np.full(3, 0.9), Failing(2, uphill), counted, **SETTINGS
        )
    np.testing.assert_allclose(theta, 1, atol=1e-6)
    assert further[0] > 3
    assert n_iter == 2 + further[0]


class SteepestDescent:
    def __init__(self, length):
        self.length = length

    def step(self, theta, gradient):
        return -self.length * gradient


def test_a_step_is_halved_until_the_loss_falls():
    def steep(theta):
        return float(np.cosh(theta).sum()), np.sinh(theta)

    at = newton.Point(np.array([0.5]), *steep(np.array([0.5])))
    ahead, decrement = newton.take_step(steep, at, SteepestDescent(20), 0)
    assert ahead.loss < at.loss
    assert (ahead.loss, ahead.gradient) == steep(ahead.theta)
    assert decrement == 10 * at.gradient @ at.gradient
    share = (ahead.theta - at.theta)[0] / (-20 * at.gradient[0])
    assert np.log2(share) == round(np.log2(share))
    assert newton.take_step(steep, at, SteepestDescent(-20), 0)[0] is None
    assert newton.take_step(steep, at, SteepestDescent(20), 0, most=decrement)[0] is None


def test_finishing_ends_within_tol_or_where_no_step_goes_down():
    start, settings = np.full(3, 0.9), {"tol": 1e-9, "eps": 2.2e-16}
    at, n_steps = newton.finish(rosenbrock, start, ExactSteps(), max_iter=100, **settings)
    assert np.abs(rosen_der(at.theta)).max() <= 1e-9
    assert 3 < n_steps < 12
    assert newton.finish(rosenbrock, at.theta, ExactSteps(), max_iter=100, **settings)[1] == 0
    assert newton.finish(rosenbrock, start, ExactSteps(), max_iter=2, **settings)[1] == 2
    for uphill in (False, True):
        at, n_steps = newton.finish(rosenbrock, start, Failing(2, uphill), max_iter=100, **settings)
        assert n_steps == 2
        assert at.loss == rosen(at.theta) < rosen(start)
        np.testing.assert_array_equal(at.gradient, rosen_der(at.theta))
