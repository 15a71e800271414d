"""A linear model's loss plus an L1 penalty, minimised by steps in some of its features each.

Shapes: D features, K outputs; parameters flat, the weights (K, D) class by class, then the biases.

At the optimum most weights are 0. So a step moves those of a working set of features and the
biases: of features with weights, and of the worst of those whose gradient would lower F, a quarter
as many (Massias, Gramfort and Salmon, Celer: a fast solver for the Lasso with
dual extrapolation, 2018; Bertrand et al., Beyond L1: faster and better sparse models with skglm,
2022). There a set is solved for before the next is chosen. But the gradient in all features costs
about as much as a few sweeps of coordinate descent in some: with a set for every step a fit takes
0.5 to 0.7 of the time, since no step is spent on a set that lacks features.
"""

from typing import NamedTuple, Protocol

import numpy as np

from fastlogit.models import Floats, Indices
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers import warn
from fastlogit.solvers.newton import Point

# A set has up to so many times the features with weights. 2 takes up to 4 times as long where the
# Hessian of several classes solves for steps, as of 300 x 1,500 x 5, and as long elsewhere.
GROWTH = 1.25
# So few features are one set, since their Hessian costs little.
ONE_SET = 64
# Share of a violation that a step has to leave at least: single precision does not reach less.
LEAST_RESIDUAL = 1e-4


class Part(NamedTuple):
    """Some features, and the parameters, gradient and strengths of their weights and the biases."""

    features: Indices
    theta: Floats
    gradient: Floats
    strength: Floats


class Steps(Protocol):
    """What solves for steps, and tells how far they reach."""

    def step(self, theta: Floats, part: Part, tol: float) -> Floats:
        """Return a part's step at θ, to within tol of a subgradient of 0."""

    def stretch(self, problem: proximal.Penalised, at: Point, step: Floats) -> float:
        """Return the multiple of the last step, 1 or more, that is tried first."""


def minimise(
    problem: proximal.Penalised, start: Floats, n_features: int, n_outputs: int, steps: Steps, *,
    max_iter: int, tol: float, unit: float, eps: float, verbose: int = 0, fewest: int,
    residual: float,
) -> tuple[Floats, int]:  # fmt: skip
    """Return where F is least, in float64 as the start is, and the Newton steps taken.

    A set has up to ``fewest`` features, or a quarter more than have weights. tol is relative to the
    unit, the penalty's strength with L2 included. A step leaves the share residual of the
    violation, or as much as this is if that is less. Where F falls by no more than eps, the loss's
    machine precision, rounding ends the fit; a stop by max_iter warns.
    """
    n_weights, n_iter, at = n_outputs * n_features, 0, Point(start, *problem.smooth(start))
    while True:
        violations = problem.violations(at)
        far = float(violations.max()) / unit
        if far <= tol:
            return at.theta, n_iter
        if n_iter >= max_iter:
            warn("The max_iter was reached which means the coef_ did not converge")
            return at.theta, n_iter
        features = np.arange(n_features)
        if n_features > ONE_SET:
            features = chosen(at.theta, violations, n_features, n_outputs, fewest)
        places = np.add.outer(np.arange(n_outputs) * n_features, features).ravel()
        places = np.append(places, np.arange(n_weights, start.size))
        part = Part(features, at.theta[places], at.gradient[places], problem.strength[places])
        left, step = min(residual, max(far, LEAST_RESIDUAL)), np.zeros(start.size)
        step[places] = steps.step(at.theta, part, unit * far * left)
        stretch = steps.stretch(problem, at, step)
        ahead = proximal.search_line(problem, at, step, eps, stretch)
        if ahead is None:  # rounding
            return at.theta, n_iter
        at, n_iter = ahead, n_iter + 1
        if verbose:
            print(f"step {n_iter}: objective {at.loss + problem.penalty(at.theta):.8g}")


def chosen(
    theta: Floats, violations: Floats, n_features: int, n_outputs: int, fewest: int
) -> Indices:
    """Return the features with weights, and the worst violations of 0, up to a quarter as many."""
    shape, n_weights = (n_outputs, n_features), n_outputs * n_features
    used = np.asarray(theta[:n_weights].reshape(shape).any(axis=0))
    worst = violations[:n_weights].reshape(shape).max(axis=0)
    worst[used] = 0
    n_used = int(np.count_nonzero(used))
    count = max(fewest, int(GROWTH * n_used) + 1) - n_used
    added = np.flatnonzero(worst > 0)
    if added.size > count:
        added = added[np.argpartition(worst[added], -count)[-count:]]
    used[added] = True
    used[0] |= not used.any()  # all that is left are biases
    return np.flatnonzero(used)
