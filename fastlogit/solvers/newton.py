"""Newton's method for a loss over all rows, by scikit-learn's rules, and as a polish of L-BFGS.

A step solves H step = −g with the gradient g and the Hessian H of the penalised mean loss at θ, the
flat parameters (P,); a backtracking line search then decides how far to go along it (Nocedal and
Wright, Numerical Optimization, 2006, chapter 3). What solves for the steps is an argument: see
:mod:`fastlogit.solvers.newton_steps`.

A gradient g within tol, where L-BFGS stops, leaves the loss up to ‖g‖² / 2α above its minimum,
since the penalty curves it by α in each direction. With a weak penalty that is a large share of a
small loss, which L-BFGS removes in hundreds of iterations or never, and Newton in a few steps.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import LinAlgWarning

from fastlogit.kernels.full_batch import newton as kernel
from fastlogit.kernels.full_batch.hessian import panel_width
from fastlogit.models import Floats
from fastlogit.solvers import LossAndGradient, warn
from fastlogit.solvers.lbfgs import Polish
from fastlogit.solvers.newton_steps import (
    SURELY_REGULAR,
    LinearParams,
    StepSolver,
    newton_steps,
    precision,
)
from fastlogit.training.objective import Objective

# Of scikit-learn's line search: Armijo's constant, and the lengths tried at most.
SUFFICIENT_DECREASE = 1 / 2**11
STEP_LENGTHS = [0.5**halvings for halvings in range(21)]

DEFAULT_TOL = 1e-4
# Above it steps that polish a fit with C = 1e4 take up to four times as long as L-BFGS took in all.
TIGHT_TOL = 1e-7
# Parameters, and seconds of an evaluation times these, up to which the kernel takes the steps: of
# more the arithmetic is what takes the time.
MOST_IN_KERNEL, LONGEST_IN_KERNEL = 64, 1e-3
# The share of a gradient that a step leaves where Newton's method converges quadratically.
QUADRATIC = 0.1
# A Newton step from within a gap ends, solved for roughly, this many times nearer at least.
NEARER = 10


class Point(NamedTuple):
    """Flat parameters, and the loss and its gradient there."""

    theta: Floats
    loss: float
    gradient: Floats


def minimise(
    loss_and_gradient: LossAndGradient, start: Floats, steps: StepSolver,
    fallback: Callable[[Floats, int], tuple[Floats, int]], *, name: str, max_iter: int, tol: float,
    eps: float, gap: Callable[[Floats], float] = lambda _theta: math.inf, verbose: int = 0,
    taken: int = 0, foresee: bool = False,
) -> tuple[Floats, int]:  # fmt: skip
    """Return where the loss is least, in float64 as the start is, and the iterations taken.

    Iterations taken before count as its own. The last step is taken without another evaluation if
    that is to `foresee`.

    Where the Hessian is singular or no step goes down, it warns, and the fallback takes the other
    iterations. For name, tol and gap see `has_converged`; eps is the loss's machine precision.
    """

    def foreseen(n_iter: int, before: tuple[Point, float] | None) -> Floats | None:
        if not foresee or n_iter == max_iter:
            return None
        return last_step(steps, before, at, tol, gap(at.theta))

    at = Point(start, *loss_and_gradient(start))
    stops = partial(has_converged, name, tol, verbose)
    if name == "newton-cg" and stops(taken, at, 0.0):
        return start, taken
    if (end := foreseen(taken, None)) is not None:
        return end, taken + 1
    for n_iter in range(taken + 1, max_iter + 1):
        try:
            ahead, decrement = take_step(loss_and_gradient, at, steps, eps)
        except LinAlgError as error:
            warn(
                f"{name} found a singular or very ill-conditioned Hessian matrix at iteration "
                f"{n_iter}. It will now resort to lbfgs instead. Collinear features of X or too "
                f"little penalty cause it.\n{error}",
                LinAlgWarning,
            )
            break
        if ahead is None:
            text = f"Line search of {name} at iteration {n_iter} did not converge."
            warn(f"{text} It will now resort to lbfgs instead.")
            break
        before, at = (at, decrement), ahead
        if (end := foreseen(n_iter, before)) is not None:
            return end, n_iter + 1
        if stops(n_iter, at, decrement, gap(at.theta)):
            return at.theta, n_iter
    else:
        warn(
            f"{name} failed to converge at loss = {at.loss}. Increase the number of iterations.\n"
            f"Newton solver did not converge after {max_iter} iterations."
        )
        return at.theta, max_iter
    theta, further = fallback(at.theta, max_iter - n_iter)
    return theta, n_iter - 1 + further


def has_converged(
    name: str, tol: float, verbose: int, n_iter: int, at: Point, decrement: float,
    gap: float = math.inf,
) -> bool:  # fmt: skip
    """Return whether a fit may stop after n_iter steps, by the rule of scikit-learn's solver.

    The gradient's largest element must be at most tol, with "newton-cholesky" also the decrement
    that the last step promised, which unlike there must be at most the gap times the loss as well.
    """
    heading, text = f"Newton iter={n_iter}", "1. max |gradient| {} <= {}"
    if name == "newton-cg":
        heading, text = f"Newton-CG iter = {n_iter}", "max |gradient| <= tol: {} <= {}"
    checks = [(text, np.max(np.abs(at.gradient)), tol)]
    if name == "newton-cholesky":
        checks.append(("2. Newton decrement {} <= {}", decrement, tol))
    if decrement / gap > at.loss:
        checks.append(("Newton decrement {} <= {}", decrement, gap * at.loss))
    say: Callable[[str], None] = print if verbose else lambda _text: None
    say(f"{heading}\n  Check Convergence")
    for text, value, most in checks:
        say(f"    {text.format(value, most)} {value <= most}")
        if not value <= most:
            return False
    say(f"  Solver did converge at loss = {at.loss}.")
    return True


def take_step(
    loss_and_gradient: LossAndGradient, at: Point, steps: StepSolver, eps: float,
    most: float = math.inf,
) -> tuple[Point | None, float]:  # fmt: skip
    """Return where a step leads, and half the squared Newton decrement, −g · step / 2.

    It leads to the first point at its whole, half … length that goes down enough, to None if none
    does or the decrement is not below `most`. Enough is a share of the slope g · step (Armijo), or
    where rounding hides the loss's change a fall of Σ |g|. A singular H raises LinAlgError.
    """
    step = steps.step(at.theta, at.gradient)
    slope = float(at.gradient @ step)
    for length in STEP_LENGTHS if slope <= 0 and -slope / 2 < most else []:
        theta = at.theta + length * step
        ahead = Point(theta, *loss_and_gradient(theta))
        gain = ahead.loss - at.loss
        if gain <= length * SUFFICIENT_DECREASE * slope or (
            abs(gain) <= abs(at.loss) * (16 * eps)
            and np.abs(ahead.gradient).sum() < np.abs(at.gradient).sum()
        ):
            return ahead, -slope / 2
    return None, -slope / 2


def last_step(
    steps: StepSolver, before: tuple[Point, float] | None, at: Point, tol: float, gap: float
) -> Floats | None:
    """Return where the next step leads, if the gradient there is within tol by all likelihood.

    Near the minimum Newton's steps converge quadratically: after one that leaves a share of the
    gradient, and of the Newton decrement's root, the next leaves a smaller one. What the step
    promises is little of the loss then. ``before`` is the point before and what its step promised.
    """
    size = float(np.max(np.abs(at.gradient)))
    share = 1.0 if before is None else size / float(np.max(np.abs(before[0].gradient)))
    if size * share > tol or (before is not None and share > QUADRATIC):
        return None
    try:
        step = steps.step(at.theta, at.gradient)
    except LinAlgError:
        return None
    decrement = -float(at.gradient @ step) / 2
    if not 0 <= decrement <= min(gap, QUADRATIC**2) * at.loss:
        return None
    if before is not None:
        share = max(share, math.sqrt(decrement / before[1]))
        if size * share > tol or share > QUADRATIC:
            return None
    return at.theta + step


def finish(
    loss_and_gradient: LossAndGradient, start: Floats, steps: StepSolver, *, max_iter: int,
    tol: float, eps: float,
) -> tuple[Point, int]:  # fmt: skip
    """Return where the gradient is within tol, or no step goes down, and the steps taken."""
    at = Point(start, *loss_and_gradient(start))
    for n_steps in range(max_iter):
        if np.max(np.abs(at.gradient)) <= tol:
            return at, n_steps
        try:
            ahead, _ = take_step(loss_and_gradient, at, steps, eps)
        except LinAlgError:
            ahead = None
        if ahead is None:
            return at, n_steps
        at = ahead
    return at, max_iter


def allowed_gap(params: LinearParams, alpha: float, tol: float) -> Callable[[Floats], float]:
    """Return the largest decrease that the last Newton step may promise, as a function of theta.

    It is relative to the loss at theta, to which the step leads, and proportional to tol²; at the
    default tol, where scikit-learn's iterations suffice, the whole loss. It is unlimited where the
    penalty is below the rounding of log K: on separable classes steps then shrink the loss forever.
    """
    gap, rounding = _gap_and_rounding(params, tol)

    def at(theta: Floats) -> float:
        weights = theta[: params.n_weights]
        return math.inf if alpha / 2 * float(weights @ weights) <= rounding else gap

    return at


def _gap_and_rounding(params: LinearParams, tol: float) -> tuple[float, float]:
    """Return the gap relative to the loss, and the rounding that a penalty may be below."""
    gap = max((tol / DEFAULT_TOL) ** 2, 16 * precision(params.rows.X.dtype))
    return gap, precision(np.float64) * math.log(max(params.n_outputs, 2))


def kernel_limits(params: LinearParams, *, name: str, max_iter: int, tol: float) -> kernel.Limits:
    """Return the rule of `has_converged` as the kernel reads it."""
    cg = name == "newton-cg"
    gap, rounding = _gap_and_rounding(params, tol)
    return kernel.Limits(
        tol, math.inf, math.inf if cg else tol, math.inf, gap, rounding,
        precision(params.rows.X.dtype), SURELY_REGULAR, 0.0, cg, max_iter,
    )  # fmt: skip


def minimise_in_kernel(
    objective: Objective, params: LinearParams, start: Floats, limits: kernel.Limits
) -> tuple[Floats, int, bool]:
    """Return where the kernel's steps lead, their number, and whether they converged there.

    It takes those of two classes on few rows and features, and ends where `minimise` has to decide.
    """
    batch, rows = objective.short_call, params.rows
    is_small = start.size <= MOST_IN_KERNEL and objective.seconds * start.size < LONGEST_IN_KERNEL
    if batch is None or not is_small or rows.sparse or params.n_outputs > 1:
        return start, 0, False
    D, dtype, end = params.n_features, rows.X.dtype, start.copy()
    width, blocks = panel_width(D, 1, dtype), kernel.allocate(D, start.size, dtype)
    n_steps = kernel.minimise(start, batch, params.scale, width, limits, blocks, end)
    objective.loss = None
    return (end, n_steps, True) if n_steps >= 0 else (end, -1 - n_steps, False)


def newton_polish(
    params: LinearParams, alpha: float, tol: float, loss_and_gradient: LossAndGradient,
    precise: LossAndGradient | None = None,
) -> Polish | None:  # fmt: skip
    """Return what polishes a fit by L-BFGS to tol, or None where L-BFGS's result is final.

    That is so where tol is not tight, so that the iterations are scikit-learn's; without a penalty,
    since there may be no optimum; and for sparse rows, for which steps are solved roughly only. The
    steps end after one that promised a fall within the gap, relative to the loss, and before one
    that promises no less than the last or does not go down, which is due to rounding. Given a loss
    that is `precise` near the minimum they take that, until its gradient is within tol, too.
    """
    if tol > TIGHT_TOL or alpha == 0 or params.rows.sparse:
        return None
    eps, gap_at = float(np.finfo(params.rows.X.dtype).eps), allowed_gap(params, alpha, tol)

    def polish(result: Any) -> Iterator[tuple[Floats, float]]:
        gap = gap_at(result.x)
        if math.isinf(gap):
            return
        # What the loss may be above its least. A bias has no penalty, but follows the weights: to
        # take its gradient out of the way changes theirs by it times the features' means, over rows
        # that depend on the parameters. The root mean square of the rows stands for these.
        size = float(np.linalg.norm(result.jac[: params.n_weights]))
        if params.fit_bias:
            X = params.rows.X
            square = float(np.vdot(X, X)) / len(X)
            size += np.sqrt(square) * float(np.linalg.norm(result.jac[params.n_weights :]))
        if precise is None and size * size / (2 * alpha) <= gap / NEARER * result.fun:
            return
        steps, start = newton_steps(params, alpha, tol), params.centred(result.x)
        evaluate = precise or loss_and_gradient
        at, decrement = Point(start, *evaluate(start)), math.inf
        while decrement > gap * at.loss or (precise and np.max(np.abs(at.gradient)) > tol):
            try:
                ahead, decrement = take_step(evaluate, at, steps, eps, most=decrement)
            except LinAlgError:
                return
            if ahead is None:
                return
            at = ahead
            yield at.theta, at.loss

    return polish
