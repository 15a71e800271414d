"""A linear model's loss plus an L1 penalty, minimised on a few of its features at a time.

Shapes: D features, K outputs; parameters flat, the weights (K, D) class by class, then the biases.

At the optimum most weights are 0. So F is minimised in the weights of a working set of features and
the biases, all other weights being 0; then the whole gradient tells which features would lower F
further, and the set becomes those with weights and the worst of these, up to twice as many as have
weights (Massias, Gramfort and Salmon, Celer: a fast solver for the Lasso with dual extrapolation,
2018; Bertrand et al., Beyond L1: faster and better sparse models with skglm, 2022). Every round
starts where the last one ended, so that F falls.
"""

from collections.abc import Callable

import numpy as np

from fastlogit.models import Floats, Indices
from fastlogit.solvers import LossAndGradient, StepAt, warn
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton import Point

# A round ends at this share of the violation that it began with.
NEARER = 0.1
# So few features are one set, since their Hessian costs little.
ONE_SET = 64


def minimise(
    problem: proximal.Penalised, start: Floats, n_features: int, n_outputs: int,
    restrict: Callable[[Indices], tuple[LossAndGradient, StepAt]], *, max_iter: int, tol: float,
    unit: float, eps: float, verbose: int = 0, fewest: int, residual: float,
) -> tuple[Floats, int]:  # fmt: skip
    """Return where F is least, in float64 as the start is, and the Newton steps taken.

    restrict returns f of some features' weights and of the biases, and what minimises its model.
    The first set has up to ``fewest`` features, and a step leaves the share ``residual`` of a
    violation. The other arguments are those of
    proximal_newton.minimise; a stop by max_iter warns.
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
        smooth, step_at = restrict(features)
        part = proximal.Penalised(smooth, problem.strength[places])
        is_whole = features.size == n_features
        ahead, n_ahead = proximal.minimise(
            part, Point(at.theta[places], at.loss, at.gradient[places]), step_at, unit=unit,
            max_iter=max_iter, tol=tol if is_whole else max(NEARER * far, 0.5 * tol), eps=eps,
            verbose=verbose, n_iter=n_iter, residual=residual,
        )  # fmt: skip
        if n_ahead == n_iter:  # rounding
            return at.theta, n_iter
        n_iter = n_ahead
        if is_whole:
            at = ahead
            continue
        theta = at.theta.copy()
        theta[places] = ahead.theta
        at = Point(theta, *problem.smooth(theta))


def chosen(
    theta: Floats, violations: Floats, n_features: int, n_outputs: int, fewest: int
) -> Indices:
    """Return the features with weights, and the worst violations of 0, up to twice as many."""
    shape, n_weights = (n_outputs, n_features), n_outputs * n_features
    used = np.asarray(theta[:n_weights].reshape(shape).any(axis=0))
    worst = violations[:n_weights].reshape(shape).max(axis=0)
    worst[used] = 0
    n_used = int(np.count_nonzero(used))
    count = max(fewest, 2 * n_used) - n_used
    added = np.flatnonzero(worst > 0)
    if added.size > count:
        added = added[np.argpartition(worst[added], -count)[-count:]]
    used[added] = True
    used[0] |= not used.any()  # all that is left are biases
    return np.flatnonzero(used)
