"""A linear model's loss over all rows plus an L1 penalty, by proximal Newton steps.

Shapes: flat parameters θ (P,), the weights of all classes first, the biases (if free) after them.

F(θ) = f(θ) + Σ λ |θ| with a smooth convex f and λ (P,), which is 0 for biases. A step d minimises
the model of F at θ that keeps its penalty,

    g · d + d · H d / 2 + Σ λ |θ + d|

with the gradient g and the Hessian H of f; then d is halved until F falls by a share of what the
model without its quadratic term promises (Yuan, Ho and Lin, An improved GLMNET for L1-regularized
logistic regression, 2012).

At the optimum the subgradient of least norm is 0: g + λ sign(θ) where θ is not 0, and where it is,
what of |g| is above λ. Its largest element, relative to the penalty's strength, is what a fit stops
at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from fastlogit.kernels.full_batch.coordinate_descent import descend
from fastlogit.kernels.full_batch.hessian import hessian, hessian_buffers, panel_width
from fastlogit.models import Floats
from fastlogit.solvers.convergence import warn
from fastlogit.solvers.newton import LossAndGradient
from fastlogit.solvers.newton_steps import LinearParams, factorised

# Share of the promised fall, and halvings at most, of a step.
SUFFICIENT_DECREASE = 1e-4
MOST_HALVINGS = 20
# Sweeps of coordinate descent at a time, and rounds of them and a solve at most.
SWEEPS = 50
MOST_ROUNDS = 20


@dataclass
class Penalised:
    """F: f by ``smooth``, and λ by ``strength``, one for each parameter."""

    smooth: LossAndGradient
    strength: Floats

    def penalty(self, theta: Floats) -> float:
        """Return Σ λ |θ|."""
        return float(self.strength @ np.abs(theta))

    def subgradient(self, theta: Floats, gradient: Floats) -> Floats:
        """Return F's subgradient of least norm."""
        at_zero = np.copysign(np.maximum(np.abs(gradient) - self.strength, 0), gradient)
        return np.where(theta == 0, at_zero, gradient + self.strength * np.sign(theta))


def minimise(
    problem: Penalised,
    start: Floats,
    model: QuadraticModel,
    *,
    max_iter: int,
    tol: float,
    unit: float,
    eps: float,
    verbose: int = 0,
) -> tuple[Floats, int]:
    """Return where F is least, and the iterations taken.

    Warns with a ConvergenceWarning when it stops by max_iter.

    Parameters
    ----------
    problem : Penalised
        F.
    start : ndarray of shape (P,)
        Where to begin, in float64.
    model : QuadraticModel
        Solves for the steps.
    max_iter : int
        Steps at most.
    tol : float
        Of the subgradient's largest element, in the unit.
    unit : float
        Strength of the whole penalty, L2 included.
    eps : float
        Machine precision of the loss. Where F falls by no more, rounding ends the fit.
    verbose : int
        Whether to print a line for each step.
    """
    theta, (loss, gradient) = start, problem.smooth(start)
    for n_iter in range(max_iter):
        far = float(np.max(np.abs(problem.subgradient(theta, gradient)))) / unit
        if far <= tol:
            return theta, n_iter
        step = model.step(theta, gradient, problem.strength, unit * far * min(0.1, far))
        found = search_line(problem, theta, step, loss, gradient, eps)
        if found is None:
            return theta, n_iter
        theta, loss, gradient = found
        if verbose:
            print(f"step {n_iter + 1}: objective {loss + problem.penalty(theta):.8g}")
    warn("The max_iter was reached which means the coef_ did not converge")
    return theta, max_iter


def search_line(
    problem: Penalised, theta: Floats, step: Floats, loss: float, gradient: Floats, eps: float
) -> tuple[Floats, float, Floats] | None:
    """Return the first of θ + step, θ + step / 2 … where F falls enough, None if it is rounding.

    Where rounding hides whether F falls, the whole step is right if it brings the subgradient down.
    """
    before = problem.penalty(theta)
    promised = float(gradient @ step) + problem.penalty(theta + step) - before
    hidden = eps * (abs(loss) + before)
    length = 1.0
    for _ in range(MOST_HALVINGS + 1):
        ahead = theta + length * step
        new_loss, new_gradient = problem.smooth(ahead)
        fall = new_loss + problem.penalty(ahead) - loss - before
        if fall <= SUFFICIENT_DECREASE * length * promised and fall < -hidden:
            return ahead, new_loss, new_gradient
        if abs(fall) <= hidden:
            now, then = (
                problem.subgradient(ahead, new_gradient),
                problem.subgradient(theta, gradient),
            )
            return (ahead, new_loss, new_gradient) if abs(now).max() < abs(then).max() else None
        length /= 2
    return None


class QuadraticModel:
    """Minimises the model of F by coordinate descent, and exactly where that is slow.

    Parameters
    ----------
    params : LinearParams
        The linear model and its data.
    alpha : float
        Factor of an L2 penalty, which is part of f.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        D, K, dtype = params.n_features, params.n_outputs, params.rows.X.dtype
        self._buffers = hessian_buffers(D, K, K, dtype)
        self._width = panel_width(D, self._buffers.border.shape[0], dtype)
        size = K * (D + params.fit_bias)
        self._hessian, self._step, self._slope = np.empty((size, size)), *np.empty((2, size))

    def step(self, theta: Floats, gradient: Floats, strength: Floats, tol: float) -> Floats:
        """Return the step at θ, to within tol of a subgradient of 0."""
        params, rows, H, d = self._params, self._params.rows, self._hessian, self._step
        hessian(
            *params.split(theta), rows.X, rows.weight, params.scale, self._width, self._alpha, 0.0,
            self._buffers, H,
        )  # fmt: skip
        gradient = gradient.astype(np.float64)
        d[:] = 0
        for _ in range(MOST_ROUNDS):
            if descend(H, gradient, theta, strength, tol, SWEEPS, d, self._slope) < SWEEPS:
                break
            solve_for_signs(H, gradient, theta, strength, d)
        step: Floats = d.copy()
        return step


def solve_for_signs(
    H: Floats, gradient: Floats, theta: Floats, strength: Floats, step: Floats
) -> None:
    """Move to the model's minimum in what is not 0, or as far as no sign changes. OUT: step.

    A weight that would be the first to change its sign becomes 0.
    """
    ahead = theta + step
    free = np.flatnonzero((ahead != 0) | (strength == 0))
    ahead, penalised = ahead[free], strength[free] > 0
    slope = gradient[free] + H[free] @ step + strength[free] * np.sign(ahead)
    matrix = H[np.ix_(free, free)]
    # Softmax's H is singular along a shift of all biases, and collinear features make it so too.
    matrix[np.diag_indices(free.size)] += 1e-12 * matrix.trace()
    factor, info = factorised(matrix)
    if info != 0:
        return
    move = -lapack.dpotrs(factor, slope, lower=1)[0]
    crossing = penalised & (np.sign(ahead + move) != np.sign(ahead))
    if not crossing.any():
        step[free] += move
        return
    shares = np.where(crossing, -ahead / np.where(crossing, move, 1), np.inf)
    first = int(np.argmin(shares))
    step[free] += shares[first] * move
    step[free[first]] = -theta[free[first]]
