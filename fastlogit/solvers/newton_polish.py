"""Newton steps after L-BFGS has converged, where its stopping rule leaves too much of the loss.

A gradient g within tol leaves the loss up to ‖g‖² / 2α above its minimum, since the penalty curves
it by α in each direction. With a weak penalty that is a large share of a small loss. L-BFGS takes
hundreds of further iterations to remove it, or never does; a few Newton steps do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastlogit.models import Floats
from fastlogit.solvers import lbfgs, newton
from fastlogit.solvers.conjugate_gradients import newton_steps
from fastlogit.solvers.newton_steps import LinearParams

DEFAULT_TOL = 1e-4
# Above it steps that polish a fit with C = 1e4 take up to four times as long as L-BFGS took in all.
TIGHT_TOL = 1e-7
# A Newton step from within a gap ends, solved for roughly, this many times nearer at least.
NEARER = 10


def allowed_gap(params: LinearParams, alpha: float, tol: float) -> Callable[[Floats], float]:
    """Return the largest decrease that the last Newton step may promise, as a function of theta.

    It is relative to the loss at theta, to which the step leads.
    The gap that a gradient leaves is proportional to its square. At the default tol it may be the
    whole loss, since scikit-learn's iterations suffice there. It is unlimited where the penalty at
    theta is below the rounding of a loss of log K: on separable classes the loss then decreases by
    a constant factor at every step, without end.
    """
    eps = float(np.finfo(params.rows.X.dtype).eps)
    gap = max((tol / DEFAULT_TOL) ** 2, 16 * eps)
    rounding = float(np.finfo(float).eps) * math.log(max(params.n_outputs, 2))

    def at(theta: Floats) -> float:
        weights = theta[: params.n_weights]
        return math.inf if alpha / 2 * float(weights @ weights) <= rounding else gap

    return at


def newton_polish(
    params: LinearParams, alpha: float, tol: float, loss_and_gradient: newton.LossAndGradient
) -> lbfgs.Polish | None:
    """Return what polishes a fit by L-BFGS to tol, or None where L-BFGS's result is final.

    That is so where tol is not tight, so that the iterations are scikit-learn's; without a penalty,
    since there may be no optimum; and for sparse rows, which Newton's kernels do not support.

    Parameters
    ----------
    params : LinearParams
        The model and its data.
    alpha : float
        Factor of the penalty.
    tol : float
        Of the gradient's largest element.
    loss_and_gradient : callable
        The objective at flat parameters.
    """
    if tol > TIGHT_TOL or alpha == 0 or params.rows.sparse:
        return None
    eps, gap_at = float(np.finfo(params.rows.X.dtype).eps), allowed_gap(params, alpha, tol)

    def polish(result: Any) -> Iterable[tuple[Floats, float]]:
        gap = gap_at(result.x)
        if math.isinf(gap) or most_left(params, alpha, result.jac) <= gap / NEARER * result.fun:
            return ()
        start, steps = params.centred(result.x), newton_steps(params, alpha)
        return newton.polish_steps(loss_and_gradient, start, steps, gap=gap, eps=eps)

    return polish


def most_left(params: LinearParams, alpha: float, gradient: Floats) -> float:
    """Return what the loss at a gradient may be above its least.

    A bias has no penalty, but follows the weights: to take its gradient out of the way changes
    theirs by it times the features' means, over rows that depend on the parameters. The root mean
    square of the rows stands for these.
    """
    size = float(np.linalg.norm(gradient[: params.n_weights]))
    if params.fit_bias:
        X = params.rows.X
        square = float(np.vdot(X, X)) / len(X)
        size += np.sqrt(square) * float(np.linalg.norm(gradient[params.n_weights :]))
    return size * size / (2 * alpha)
