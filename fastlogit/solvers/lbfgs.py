"""A model's loss over all rows, minimised by SciPy's L-BFGS-B."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
from scipy.optimize import minimize

from fastlogit.models import Floats
from fastlogit.solvers.convergence import lbfgs_not_converged, warn
from fastlogit.training.objective import Objective

# Given SciPy's result, the parameters and values of further iterations.
Polish = Callable[[Any], Iterable[tuple[Floats, float]]]


def minimise(
    objective: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    *,
    max_iter: int,
    tol: float,
    advice: Callable[[], str],
    refine: int = 0,
    callback: Callable[[Floats], bool] | None = None,
    polish: Polish | None = None,
    **options: Any,
) -> tuple[Floats, float, int]:
    """Return where the objective is least, its value there, and the iterations taken.

    Warns with a ConvergenceWarning when it stops before the gradient is within tol.

    Parameters
    ----------
    objective : callable
        Loss and gradient at flat parameters.
    start : ndarray of shape (P,)
        Where to begin.
    max_iter : int
        Iterations at most.
    tol : float
        Of the gradient's largest element.
    advice : callable
        Returns the end of the warning.
    refine : int
        Further iterations at most where the loss no longer falls by ftol but the gradient is not
        within tol yet. They never warn, since what they work on is little above rounding.
    callback : callable or None
        Called with the parameters after each iteration; a true value ends the fit, as it is.
    polish : callable or None
        Called where it has converged; its steps are taken while iterations are left.
    **options : Any
        More of L-BFGS-B's options.
    """
    options["gtol"] = tol
    parts = LossThenGradient(objective)
    stopped = False

    def after_iteration(theta: Floats) -> None:
        nonlocal stopped
        stopped = callback is not None and callback(theta)
        if stopped:
            raise StopIteration

    def run(start: Floats, **more: Any) -> Any:
        return minimize(
            parts.loss, start, method="L-BFGS-B", jac=parts.gradient, options=options | more,
            callback=None if callback is None else after_iteration,
        )  # fmt: skip

    result = run(start, maxiter=max_iter)
    n_iter = min(int(result.nit), max_iter)
    converged = bool(result.success)
    if not (converged or stopped):
        warn(lbfgs_not_converged(result, n_iter, max_iter) + advice())
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


class LossThenGradient:
    """An objective's loss, and after it the gradient that was computed with it.

    SciPy asks for both at the same parameters. With ``jac=True`` it keeps a copy of these and
    compares with it, which on few rows takes a quarter of an iteration's time.

    Parameters
    ----------
    objective : callable
        Loss and gradient at flat parameters.
    """

    def __init__(self, objective: Callable[[Floats], tuple[float, Floats]]) -> None:
        self._objective = objective

    def loss(self, theta: Floats) -> float:
        """Return the loss at theta."""
        loss, self._gradient = self._objective(theta)
        return loss

    def gradient(self, _theta: Floats) -> Floats:
        """Return the gradient where the loss was last asked for."""
        return self._gradient


def weights_only(objective: Objective) -> Callable[[Floats], tuple[float, Floats]]:
    """Return the objective as a function of the weights alone, all biases 0."""
    n_weights = objective.params.n_weights

    def evaluate(weights: Floats) -> tuple[float, Floats]:
        objective.params.flat[:n_weights] = weights
        loss = objective.evaluate()
        return loss, objective.gradient.flat[:n_weights].astype(np.float64)

    return evaluate
