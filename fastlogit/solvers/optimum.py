"""The optimum of an L2 penalty by whichever method is fastest for the rows' shape.

For solvers that name an optimum and where to stop near it, not a path: dual coordinate descent for
two classes where features outnumber rows or rows are sparse, Newton's steps for all else, and for
what coordinate descent finds hard. What is near enough is a rule.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.linalg import LinAlgError

from fastlogit.kernels.full_batch.newton import Limits
from fastlogit.models import Floats
from fastlogit.solvers import LossAndGradient
from fastlogit.solvers.dual import DualDescent, Progress, is_slow
from fastlogit.solvers.newton import DEFAULT_TOL, Point, take_step
from fastlogit.solvers.newton_steps import (
    SURELY_REGULAR,
    ConjugateGradientSteps,
    LinearParams,
    newton_steps,
    precision,
)


class Rule(Protocol):
    """When a fit may stop: at a point that a step led to, if any, or after an epoch of the dual.

    is_final: whether a fit may stop after an epoch without a look at the gradient.
    """

    is_final: bool

    def at(self, point: Point, before: Point | None) -> bool:
        """Return whether the point is near enough."""

    def gap(self, progress: Progress) -> float:
        """Return the duality gap that is near enough."""


class CoefficientChange:
    """Of "sag" and "saga": the last step changes no coefficient by more than tol times the largest.

    Newton's step is the way to the optimum, an epoch of theirs a small share of it. Where no step
    was taken the penalty bounds the distance: with the gradient g of what it curves by α,
    ‖w − w*‖ ≤ ‖g‖ / α, and from the dual, whose gap is Σ C loss's, ‖w − w*‖² ≤ 2 gap.
    """

    is_final = True

    def __init__(self, params: LinearParams, alpha: float, tol: float) -> None:
        self._n_weights, self._alpha, self._tol = params.n_weights, alpha, tol

    def at(self, point: Point, before: Point | None) -> bool:
        """Return whether the last step, or without one the gradient, is small enough."""
        size = np.abs(point.theta).max()
        if before is not None:
            return bool(np.abs(point.theta - before.theta).max() <= self._tol * size)
        norm = np.linalg.norm(point.theta[: self._n_weights])
        return bool(np.linalg.norm(point.gradient) <= self._tol * self._alpha * norm)

    def gap(self, progress: Progress) -> float:
        """Return the gap at which the distance is tol times the weights."""
        return 0.5 * self._tol**2 * float(progress.weights @ progress.weights)


def norm_of_weights(gradient: Floats, params: LinearParams, alpha: float) -> float:
    """Return ‖g‖ with a penalised bias as the weight of a feature, penalised like the others."""
    squares = float(gradient @ gradient)
    if params.bias_alpha > 0:
        squares += float(gradient[-1]) ** 2 * (alpha / params.bias_alpha - 1)
    return math.sqrt(squares)


def share_of_first_norm(params: LinearParams, tol: float) -> float:
    """Return which share of the gradient's norm at 0 is left, see `GradientNorm`."""
    rows = params.rows
    sums = np.bincount(rows.y, rows.weight if rows.weight.size else None, minlength=2)
    return 0.1 * tol * max(float(sums.min() / sums.sum()), 1 / rows.y.size)


class GradientNorm:
    """Of "liblinear" in the primal: ‖g‖ ≤ tol · share of the smaller class · ‖g‖ at 0.

    A tenth of it is asked for, which takes a step more at most: below the limit LIBLINEAR's last
    step often leads far. It counts rows; here they count by weight, so that those are repetition.
    """

    is_final = False

    def __init__(
        self, params: LinearParams, alpha: float, tol: float, loss_and_gradient: LossAndGradient
    ) -> None:
        zeros = np.zeros(params.n_weights + params.fit_bias)
        first = norm_of_weights(loss_and_gradient(zeros)[1], params, alpha)
        self._most = share_of_first_norm(params, tol) * first
        self._params, self._alpha = params, alpha

    def at(self, point: Point, before: Point | None) -> bool:  # noqa: ARG002
        """Return whether the gradient is small enough."""
        return norm_of_weights(point.gradient, self._params, self._alpha) <= self._most

    def gap(self, progress: Progress) -> float:
        """Return the gap that such a gradient leaves, where it is curved by the steepest row."""
        return 2 * (self._most / self._alpha) ** 2 / progress.steepest


class DualGradient:
    """Of "liblinear" in the dual: no row's |u − m|, the slope of the dual, is above tol.

    At the a of a point's margins the slopes are x · g / α; longest returns the largest ‖x‖.
    """

    is_final = True

    def __init__(
        self, params: LinearParams, alpha: float, tol: float, longest: Callable[[], float]
    ) -> None:
        self._params, self._alpha, self._tol, self._longest = params, alpha, tol, longest

    def at(self, point: Point, before: Point | None) -> bool:  # noqa: ARG002
        """Return whether no row's slope can be above tol."""
        norm = norm_of_weights(point.gradient, self._params, self._alpha)
        return self._longest() * norm <= self._alpha * self._tol

    def gap(self, progress: Progress) -> float:
        """Return the gap at which no row's slope is above tol: slopes fall with its root."""
        return progress.gap * (self._tol / max(progress.largest, 1e-300)) ** 2


def minimise(
    loss_and_gradient: LossAndGradient, start: Floats, params: LinearParams, alpha: float,
    rule: Rule, dual: DualDescent | None, *, max_iter: int, eps: float,
    say: Callable[[str], None] = lambda _text: None, taken: int = 0,
) -> tuple[Floats, int, bool]:  # fmt: skip
    """Return where the loss is least, in float64, the epochs and steps taken, and if it stopped.

    Steps taken before count as its own. Where neither a step's loss nor its gradient falls, which
    is due to rounding, the fit stops.
    """
    epochs, theta, is_near = taken, params.centred(start), True
    if dual is not None:
        start, (theta, epochs, is_near) = theta, _descend(dual, params, rule, max_iter, say)
        if is_near and rule.is_final:
            return theta, epochs, True
    at, before = Point(theta, *loss_and_gradient(theta)), None
    if not is_near:  # epochs that were given up may have led far away
        first = Point(start, *loss_and_gradient(start))
        at = at if at.loss < first.loss else first
    if rule.at(at, before):
        return at.theta, epochs, True
    steps = newton_steps(params, alpha, DEFAULT_TOL)
    for n_iter in range(epochs + 1, max_iter + 1):
        try:
            ahead, _ = take_step(loss_and_gradient, at, steps, eps)
        except LinAlgError:  # collinear features without a penalty
            steps = ConjugateGradientSteps(params, alpha)
            ahead, _ = take_step(loss_and_gradient, at, steps, eps)
        if ahead is None:
            return at.theta, max(n_iter - 1, 1), True
        at, before = ahead, at
        say(f"step {n_iter}: loss {at.loss:.8g}")
        if rule.at(at, before):
            return at.theta, n_iter, True
    return at.theta, max_iter, False


def kernel_limits(params: LinearParams, *, by_norm: bool, max_iter: int, tol: float) -> Limits:
    """Return the rule of `GradientNorm`, or of `CoefficientChange`, as the kernel reads it.

    The kernel starts at 0.
    """
    inf = math.inf
    norm, change = (share_of_first_norm(params, tol), inf) if by_norm else (inf, tol)
    eps = precision(params.rows.X.dtype)
    return Limits(
        inf, norm, inf, change, inf, inf, eps, SURELY_REGULAR, params.bias_alpha, False, max_iter
    )


def _descend(
    dual: DualDescent, params: LinearParams, rule: Rule, max_iter: int, say: Callable[[str], None]
) -> tuple[Floats, int, bool]:
    """Return where epochs of the dual lead, how many, and whether the gap is small enough."""
    gaps: list[float] = []
    while True:
        progress = dual.epoch()
        gaps.append(progress.gap)
        target = rule.gap(progress)
        is_near = progress.gap <= target
        say(f"epoch {len(gaps)}: duality gap {progress.gap:.3g}")
        if is_near or len(gaps) == max_iter or is_slow(gaps, target, dual.most_ahead):
            theta = np.asarray(progress.weights, np.float64)
            end = np.append(theta, progress.bias) if params.fit_bias else theta.copy()
            return end, len(gaps), is_near


def with_bias_penalty(loss_and_gradient: LossAndGradient, params: LinearParams) -> LossAndGradient:
    """Return the loss plus the penalty of the bias, the last parameter."""

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        loss, gradient = loss_and_gradient(theta)
        gradient[-1] += params.bias_alpha * theta[-1]
        return loss + params.bias_alpha / 2 * float(theta[-1]) ** 2, gradient

    return evaluate if params.bias_alpha > 0 else loss_and_gradient
