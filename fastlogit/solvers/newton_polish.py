"""What brings L-BFGS's end to the optimum where its own rule leaves too much of the loss.

A gradient g within tol leaves up to ‖g‖² / 2α of a loss that the penalty curves by α in each
direction. With little penalty that is a share of a small loss, which L-BFGS takes hundreds of
iterations more for, or does not get below at all; a few Newton steps close it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastlogit.models import Floats
from fastlogit.solvers import lbfgs, newton
from fastlogit.solvers.conjugate_gradients import newton_steps
from fastlogit.solvers.newton_steps import LinearParams

DEFAULT_TOL = 1e-4
# Above it steps that close a fit with C = 1e4 take up to four times as long as L-BFGS took in all.
TIGHT_TOL = 1e-7
# A Newton step from within a gap ends, solved for roughly, this many times nearer at least.
NEARER = 10


def last_gap(params: LinearParams, alpha: float, tol: float, theta: Floats) -> float:
    """Return what a Newton step to theta may have promised, relative to the loss, to be the last.

    What a gradient leaves goes with its square; at the default tol it may be all of the loss, since
    there scikit-learn's iterations are enough. It may be anything where the penalty at theta does
    not show in a loss of log K: the loss of classes that a plane separates then falls on and on.
    """
    eps, weights = float(np.finfo(params.rows.X.dtype).eps), theta[: params.n_weights]
    shows = np.finfo(float).eps * np.log(max(params.n_outputs, 2))
    if alpha / 2 * float(weights @ weights) <= shows:
        return np.inf
    return float(max((tol / DEFAULT_TOL) ** 2, 16 * eps))


def closing(
    params: LinearParams, alpha: float, tol: float, loss_and_gradient: newton.LossAndGradient
) -> lbfgs.Close | None:
    """Return what closes a fit by L-BFGS to tol, None where its own end is to stand.

    That is where tol is not tight, for scikit-learn's iterations in scikit-learn's time; without a
    penalty, for there may be no optimum; and on sparse rows, which Newton's kernels do not know.

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
    eps = float(np.finfo(params.rows.X.dtype).eps)

    def close(result: Any) -> Iterable[tuple[Floats, float]]:
        gap = last_gap(params, alpha, tol, result.x)
        if np.isinf(gap) or most_left(params, alpha, result.jac) <= gap / NEARER * result.fun:
            return ()
        start, steps = params.centred(result.x), newton_steps(params, alpha)
        return newton.closing_steps(loss_and_gradient, start, steps, gap=gap, eps=eps)

    return close


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
