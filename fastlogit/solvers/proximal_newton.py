"""A linear model's loss over all rows plus an L1 penalty, by proximal Newton steps.

Shapes: flat parameters θ (P,), the weights of all classes first, the biases (if free) after them.

F(θ) = f(θ) + Σ λ |θ| with a smooth convex f and λ (P,), which is 0 for biases. A step d minimises
the model of F at θ that keeps its penalty,

    g · d + d · H d / 2 + Σ λ |θ + d|

with the gradient g and the Hessian H of f; then d is halved until F falls by a share of what the
model without its quadratic term promises (Yuan, Ho and Lin, An improved GLMNET for L1-regularized
logistic regression, 2012). The subgradient of F of least norm is g + λ sign(θ) where θ is not 0,
and the excess of |g| over λ where it is.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from fastlogit.kernels.full_batch.coordinate_descent import descend
from fastlogit.models import Floats
from fastlogit.solvers import LossAndGradient, StepAt
from fastlogit.solvers.newton import STEP_LENGTHS, Point
from fastlogit.solvers.newton_steps import Hessian, LinearParams, factorised

# Share of the promised fall.
SUFFICIENT_DECREASE = 1e-4
# Sweeps of coordinate descent at a time, and rounds of them and a solve at most.
SWEEPS = 50
MOST_ROUNDS = 20
# Added to a Hessian's diagonal, relative to the trace, to keep it regular.
RIDGE = 1e-12


class Penalised(NamedTuple):
    """F: f by ``smooth``, and λ by ``strength``, one for each parameter."""

    smooth: LossAndGradient
    strength: Floats

    def penalty(self, theta: Floats) -> float:
        """Return Σ λ |θ|."""
        return float(self.strength @ np.abs(theta))

    def violations(self, at: Point) -> Floats:
        """Return the size of each element of F's subgradient of least norm."""
        at_zero = np.maximum(np.abs(at.gradient) - self.strength, 0)
        elsewhere = np.abs(at.gradient + self.strength * np.sign(at.theta))
        return np.where(at.theta == 0, at_zero, elsewhere)


def quadratic_steps(params: LinearParams, alpha: float) -> StepAt:
    """Return what minimises the model of F, with an L2 penalty of factor alpha in f."""
    hessian = Hessian(params, params.n_outputs, params.n_outputs)

    def step(theta: Floats, gradient: Floats, strength: Floats, tol: float) -> Floats:
        """Return the step at θ, to within tol of a subgradient of 0, by coordinate descent."""
        Wt, b = params.split(theta)
        H = hessian.fill(Wt, b, params.rows.weight, params.scale, alpha, 0.0)
        return model_step(H, gradient.astype(np.float64), theta, strength, tol)

    return step


def model_step(
    H: Floats, gradient: Floats, theta: Floats, strength: Floats, tol: float, ridge: float = RIDGE
) -> Floats:
    """Return what minimises the model of Hessian H, to within tol of a subgradient of 0."""
    step, slope = np.zeros(theta.size), np.empty(theta.size)
    for _ in range(MOST_ROUNDS):
        if descend(H, gradient, theta, strength, tol, SWEEPS, step, slope) < SWEEPS:
            break
        solve_for_signs(H, gradient, theta, strength, step, ridge)
    return step


def search_line(
    problem: Penalised, at: Point, step: Floats, eps: float, stretch: float = 1.0
) -> Point | None:
    """Return the first of θ + step, θ + step / 2 … where F falls enough, None if it is rounding.

    A stretch above 1 is tried before. Where rounding hides whether F falls, the subgradient has to.
    """
    before = problem.penalty(at.theta)
    promised = float(at.gradient @ step) + problem.penalty(at.theta + step) - before
    hidden = eps * (abs(at.loss) + before)
    for length in [stretch, *STEP_LENGTHS][stretch == 1 :]:
        theta = at.theta + length * step
        ahead = Point(theta, *problem.smooth(theta))
        fall = ahead.loss + problem.penalty(theta) - at.loss - before
        if fall <= SUFFICIENT_DECREASE * length * promised and fall < -hidden:
            return ahead
        if abs(fall) <= hidden:
            nearer = problem.violations(ahead).max() < problem.violations(at).max()
            return ahead if nearer else None
    return None


def solve_for_signs(
    H: Floats, gradient: Floats, theta: Floats, strength: Floats, step: Floats, ridge: float = RIDGE
) -> None:
    """Move to the minimum in what is not 0, or until the first weight becomes 0. OUT: step.

    The ridge, relative to H's trace, keeps the matrix regular.
    """
    ahead = theta + step
    free = np.flatnonzero((ahead != 0) | (strength == 0))
    ahead, penalised = ahead[free], strength[free] > 0
    slope = gradient[free] + H[free] @ step + strength[free] * np.sign(ahead)
    matrix = H[np.ix_(free, free)]
    # Softmax's H is singular along a shift of all biases, and collinear features make it so too.
    matrix[np.diag_indices(free.size)] += ridge * matrix.trace()
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
