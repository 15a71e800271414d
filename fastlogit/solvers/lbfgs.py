"""A model's loss over all rows, minimised by SciPy's L-BFGS-B."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
from scipy.optimize import minimize

from fastlogit.models import Floats
from fastlogit.solvers import LossAndGradient, warn
from fastlogit.training.objective import Objective

# What the rounding of a loss may come to, in units of its dtype's precision.
ROUNDINGS = 16
# Given SciPy's result, the parameters and values of further iterations.
Polish = Callable[[Any], Iterable[tuple[Floats, float]]]
SCALING = "https://scikit-learn.org/stable/modules/preprocessing.html"


def minimise(
    objective: LossAndGradient, start: Floats, *, max_iter: int, tol: float,
    advice: Callable[[], str], refine: int = 0, callback: Callable[[Floats], bool] | None = None,
    polish: Polish | None = None, **options: Any,
) -> tuple[Floats, float, int]:  # fmt: skip
    """Return where the objective is least, its value there, and the iterations taken.

    A fit that stops early warns, and the advice ends the warning. Where the loss no longer falls by
    ftol, but the gradient's largest element is above tol, at most `refine` more iterations follow;
    they never warn, being little above rounding. After convergence the steps of polish follow,
    while iterations are left. The callback gets the parameters after each iteration; a true value
    ends the fit. The options are L-BFGS-B's.
    """
    options["gtol"] = tol
    gradient, stopped, resolved = start, False, ResolvedLoss()

    # SciPy asks for the loss, then for the gradient at the same parameters. With jac=True it keeps
    # a copy of these and compares with it, which on few rows takes a quarter of an iteration.
    def loss(theta: Floats) -> float:
        nonlocal gradient
        value, gradient = objective(theta)
        return resolved(theta, value, gradient)

    def after_iteration(theta: Floats) -> None:
        nonlocal stopped
        stopped = callback is not None and callback(theta)
        if stopped:
            raise StopIteration

    def run(start: Floats, **more: Any) -> Any:
        return minimize(
            loss, start, method="L-BFGS-B", jac=lambda _theta: gradient, options=options | more,
            callback=None if callback is None else after_iteration,
        )  # fmt: skip

    result = run(start, maxiter=max_iter)
    n_iter, converged = min(int(result.nit), max_iter), bool(result.success)
    if not (converged or stopped):  # in scikit-learn's words
        more = "\nIncrease the number of iterations to improve the convergence (max_iter={})."
        warn(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
            f"{result.message}\n{more.format(max_iter) if n_iter == max_iter else ''}\n"
            f"\nYou might also want to scale the data as shown in:\n    {SCALING}\n"
            f"The gradient's largest element is {np.max(np.abs(result.jac)):.0e}.{advice()}"
        )
    refine = min(refine, max_iter - n_iter)
    if converged and refine > 0 and np.max(np.abs(result.jac)) > tol:
        further = run(result.x, maxiter=refine, ftol=0)
        if np.max(np.abs(further.jac)) < np.max(np.abs(result.jac)):
            result, n_iter = further, n_iter + int(further.nit)
    end = result.x, float(result.fun)
    if polish is not None and converged and not stopped:
        for end in islice(polish(result), max_iter - n_iter):
            n_iter += 1
            if callback is not None and callback(end[0]):
                break
    return *end, n_iter


class ResolvedLoss:
    """A loss as L-BFGS's line search needs it: of a float32 gradient, finer than rounding shows.

    Near the minimum the loss falls by less than its own rounding and that of the parameters: what
    trial points seem to gain is noise, and the search tries dozens. The gradient still tells: from
    the last point x₀ to x the loss changes by ∫ g · dx, next to (g₀ + g) · (x − x₀) / 2. Changes
    that rounding may hide are replaced by that, within the rounding. On 2,000 rows of 30 features
    at tol 1e-7 a fit takes 13 evaluations, as in float64, for 78 that end at 7 times the tol.
    """

    def __init__(self) -> None:
        self._last: tuple[Floats, float, Floats] | None = None

    def __call__(self, theta: Floats, loss: float, gradient: Floats) -> float:
        """Return the loss at theta, to be compared with that of the last call."""
        if gradient.dtype == np.float64:
            return loss
        rounding = ROUNDINGS * float(np.finfo(gradient.dtype).eps) * abs(loss)
        if self._last is not None and abs(loss - self._last[1]) <= rounding:
            start, before, slope = self._last
            expected = before + (slope + gradient.astype(np.float64)) @ (theta - start) / 2
            loss = min(max(float(expected), loss - rounding), loss + rounding)
        self._last = theta.copy(), loss, gradient.astype(np.float64)
        return loss


def weights_only(objective: Objective) -> LossAndGradient:
    """Return the objective as a function of the weights alone, all biases 0."""
    n_weights = objective.params.n_weights

    def evaluate(weights: Floats) -> tuple[float, Floats]:
        objective.params.flat[:n_weights] = weights
        loss = objective.evaluate()
        return loss, objective.gradient.flat[:n_weights].copy()

    return evaluate
