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

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from fastlogit.kernels.full_batch.coordinate_descent import descend
from fastlogit.models import Floats
from fastlogit.solvers import LossAndGradient
from fastlogit.solvers.newton import STEP_LENGTHS, Point
from fastlogit.solvers.newton_steps import factorised

# Share of the promised fall.
SUFFICIENT_DECREASE = 1e-4
# Sweeps of coordinate descent at a time, and rounds of them and a solve at most.
SWEEPS = 50
MOST_ROUNDS = 20
# Of several classes, sweeps between two shifts, and shifts in a round. Without shifts, steps at
# 20,000 x 200 x 10 and C = 10 end after 20 to 1,000 sweeps and 20 solves of 0.15 s, with them after
# 4 to 21 sweeps of 2 ms.
SWEEPS_TO_SHIFT, SHIFTS = 20, 3
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
        return violations(at.theta, at.gradient, self.strength)


def violations(theta: Floats, gradient: Floats, strength: Floats) -> Floats:
    """Return the size of each element of the subgradient of least norm."""
    at_zero = np.maximum(np.abs(gradient) - strength, 0)
    elsewhere = np.abs(gradient + strength * np.sign(theta))
    return np.where(theta == 0, at_zero, elsewhere)


def model_step(
    H: Floats, gradient: Floats, theta: Floats, strength: Floats, tol: float,
    ridge: float = RIDGE, shift: Callable[[Floats, Floats], None] | None = None,
) -> Floats:  # fmt: skip
    """Return what minimises the model of Hessian H, to within tol of a subgradient of 0.

    A shift moves the step along what H does not curve.
    """
    step, slope = np.zeros(theta.size), np.empty(theta.size)
    sweeps, shifts = (SWEEPS, 1) if shift is None else (SWEEPS_TO_SHIFT, SHIFTS)
    for n_round in range(1, MOST_ROUNDS * shifts + 1):
        if descend(H, gradient, theta, strength, tol, sweeps, step, slope) < sweeps:
            break
        if shift is not None:
            shift(theta, step)
        if n_round % shifts == 0:
            solve_for_signs(H, gradient, theta, strength, step, ridge)
    return step


def shift_classes(
    theta: Floats, step: Floats, n_features: int, n_outputs: int, strength: float, alpha: float
) -> None:
    """Move each feature's weights of all classes alike to where their penalty is least. OUT: step.

    Probabilities stay, so that H knows no more of it than α, and of Σ λ |w − m| + α/2 (w − m)² over
    the K classes coordinate descent, a weight at a time, takes hundreds of sweeps. The least is at
    the median of the weights and of w̄ + λ (K − 2 i) / (α K), i = 0 … K (Li and Osher, A new median
    formula with applications to PDE based denoising, 2009); without L2 at any between the middle
    two of the weights, of which the one nearest to 0 shifts least.
    """
    K, before = n_outputs, theta[: n_outputs * n_features].reshape(n_outputs, -1)
    part = step[: K * n_features].reshape(K, -1)
    weights = np.sort(before + part, axis=0)
    if alpha > 0:
        steps = strength / (alpha * K) * (K - 2.0 * np.arange(K + 1))
        points = np.concatenate([weights, weights.mean(axis=0) + steps[:, None]])
        middle = np.sort(points, axis=0)[K]
    else:
        middle = np.clip(0.0, weights[(K - 1) // 2], weights[K // 2])
    ahead = before + part - middle
    part[...] = np.where(ahead == 0, -before, part - middle)


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
