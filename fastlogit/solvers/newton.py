"""Newton's method for a loss over all rows, by scikit-learn's rules.

A step solves H step = −g with the gradient g and the Hessian H of the penalised mean loss at θ, the
flat parameters (P,); a backtracking line search then decides how far to go along it (Nocedal and
Wright, Numerical Optimization, 2006, chapter 3). What solves for the steps is an argument: see
:mod:`fastlogit.solvers.newton_steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import LinAlgWarning

from fastlogit.models import Floats
from fastlogit.solvers.convergence import warn

# Of scikit-learn's line search: Armijo's constant, and halvings at most.
SUFFICIENT_DECREASE = 1 / 2**11
MOST_HALVINGS = 20

LossAndGradient = Callable[[Floats], tuple[float, Floats]]


class StepSolver(Protocol):
    """Solves for Newton's steps."""

    def step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return the step at theta; raise LinAlgError where the Hessian is singular."""


def minimise(
    loss_and_gradient: LossAndGradient,
    start: Floats,
    steps: StepSolver,
    fallback: Callable[[Floats, int], tuple[Floats, int]],
    *,
    max_iter: int,
    tol: float,
    eps: float,
    name: str,
    gap: Callable[[Floats], float] = lambda _theta: np.inf,
    verbose: int = 0,
) -> tuple[Floats, int]:
    """Return where the loss is least, and the iterations taken.

    It has converged where the gradient's largest element is at most tol, and half the squared
    Newton decrement, −g · step, at most the gap allowed; with the name "newton-cholesky" at most
    tol too, after a step at least. Where the Hessian is singular or no step goes down, the fallback
    takes the rest of the iterations, with a warning.

    Parameters
    ----------
    loss_and_gradient : callable
        The objective at flat parameters.
    start : ndarray of shape (P,)
        Where to begin, in float64.
    steps : StepSolver
        Solves for the steps.
    fallback : callable
        Minimises by L-BFGS from given parameters with so many iterations at most; returns where it
        came, and the iterations taken.
    max_iter : int
        Steps at most.
    tol : float
        See above.
    eps : float
        Machine precision of the loss.
    name : {"newton-cholesky", "newton-cg"}
        scikit-learn's solver whose rule to stop this is.
    gap : callable
        What the last step, to given parameters, may have promised that the loss falls by, relative
        to it.
    verbose : int
        Whether to print, as scikit-learn does, what is asked after each step.
    """
    theta, (loss, gradient) = start, loss_and_gradient(start)
    stops = Stop(name, tol, verbose)
    if name == "newton-cg" and stops(0, gradient, 0.0, loss):
        return theta, 0
    for n_iter in range(1, max_iter + 1):
        try:
            step = steps.step(theta, gradient)
        except LinAlgError as error:
            warn(_SINGULAR.format(name=name, n_iter=n_iter, error=error), LinAlgWarning)
            break
        slope = float(gradient @ step)
        found = search_line(loss_and_gradient, theta, step, loss, gradient, slope, 16 * eps)
        if found is None:
            warn(_NO_DESCENT.format(name=name, n_iter=n_iter))
            break
        theta, loss, gradient = found
        if stops(n_iter, gradient, -slope / 2, loss, gap(theta)):
            return theta, n_iter
    else:
        warn(_TOO_FEW.format(name=name, loss=loss, max_iter=max_iter))
        return theta, max_iter
    theta, further = fallback(theta, max_iter - n_iter)
    return theta, n_iter - 1 + further


@dataclass(frozen=True)
class Stop:
    """Whether a fit has converged, by the arguments of :func:`minimise`."""

    name: str
    tol: float
    verbose: int

    def __call__(
        self, n_iter: int, gradient: Floats, decrement: float, loss: float, gap: float = np.inf
    ) -> bool:
        """Answer after so many steps, the last of which promised the decrement."""
        largest, tol = np.max(np.abs(gradient)), self.tol
        if self.name == "newton-cg":
            heading = f"Newton-CG iter = {n_iter}"
            checks = [("max |gradient| <= tol: {} <= {}", largest, tol)]
        else:
            heading = f"Newton iter={n_iter}"
            checks = [
                ("1. max |gradient| {} <= {}", largest, tol),
                ("2. Newton decrement {} <= {}", decrement, tol),
            ]
        if decrement / gap > loss:
            checks.append(("Newton decrement {} <= {}", decrement, gap * loss))
        first_failed = next((i for i, (_, x, most) in enumerate(checks) if not x <= most), None)
        if self.verbose:
            print(f"{heading}\n  Check Convergence")
            for text, x, most in checks[: None if first_failed is None else first_failed + 1]:
                print(f"    {text.format(x, most)} {x <= most}")
            if first_failed is None:
                print(f"  Solver did converge at loss = {loss}.")
        return first_failed is None


def polish_steps(
    loss_and_gradient: LossAndGradient, theta: Floats, steps: StepSolver, *, gap: float, eps: float
) -> Iterator[tuple[Floats, float]]:
    """Yield parameters, and the loss there, of steps that finish what another method left.

    They end after a step that promised a fall within the gap, relative to the loss, and before one
    that promises no less than the last or does not go down: what is left then is rounding. The
    method has converged by its own rule, so that is no fault. The arguments are those of
    :func:`minimise`.
    """
    loss, gradient = loss_and_gradient(theta)
    decrement = np.inf
    while decrement > gap * loss:
        try:
            step = steps.step(theta, gradient)
        except LinAlgError:
            return
        slope = float(gradient @ step)
        found = None
        if -slope / 2 < decrement:
            found = search_line(loss_and_gradient, theta, step, loss, gradient, slope, 16 * eps)
        if found is None:
            return
        theta, loss, gradient = found
        decrement = -slope / 2
        yield theta, loss


_TOO_FEW = (
    "{name} failed to converge at loss = {loss}. Increase the number of iterations.\n"
    "Newton solver did not converge after {max_iter} iterations."
)


_SINGULAR = (
    "{name} found a singular or very ill-conditioned Hessian matrix at iteration {n_iter}. It will "
    "now resort to lbfgs instead. Collinear features of X or too little penalty cause it.\n{error}"
)
_NO_DESCENT = (
    "Line search of {name} at iteration {n_iter} did not converge. It will now resort to lbfgs "
    "instead."
)


def search_line(
    loss_and_gradient: LossAndGradient,
    theta: Floats,
    step: Floats,
    loss: float,
    gradient: Floats,
    slope: float,
    eps: float,
) -> tuple[Floats, float, Floats] | None:
    """Return the first of theta + step, theta + step / 2 … that goes down enough, None if none.

    That is the loss falling by at least a share of the slope, g · step, that the tangent promises
    (Armijo), or where rounding hides what the loss does, the gradient's sum of sizes falling.
    """
    length = 1.0
    for _ in range(MOST_HALVINGS + 1 if slope <= 0 else 0):
        ahead = theta + length * step
        new_loss, new_gradient = loss_and_gradient(ahead)
        gain = new_loss - loss
        if gain <= length * SUFFICIENT_DECREASE * slope or (
            abs(gain) <= abs(loss) * eps and np.abs(new_gradient).sum() < np.abs(gradient).sum()
        ):
            return ahead, new_loss, new_gradient
        length /= 2
    return None
