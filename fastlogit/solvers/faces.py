"""A quadratic with an L1 penalty, minimised in what is not 0 by conjugate gradients.

Shapes: n rows, M columns of X, P parameters: the weights of these and the bias, if it is free.

Coordinate descent soon finds which weights are not 0, and then is slow where columns are alike: if
all have a common part, as counts have, the curvature along their sum is many times that of each.
On the face of parameters that keep their signs the model is a quadratic,

    q(d) = g · d + α/2 ‖d‖² + ‖A d‖² / 2 + Σ λ |x + d|

with A the columns times √(v p (1 − p)), and conjugate gradients with the diagonal as preconditioner
minimise it: directions that are few cost an iteration each. Weights that would change their sign
become 0, and coordinate descent goes on from there. An iteration costs what a sweep does.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastlogit.models import Floats, Indices

# The slope is left this share of what it may be.
SHARE = 0.3


class Model(NamedTuple):
    """q at the parameters x: products A d and Aᵀ u, curvatures with α, gradient and strengths."""

    times: Callable[[Indices, Floats], Floats]
    dots: Callable[[Indices, Floats], Floats]
    bend: Floats
    ridge: Floats
    gradient: Floats
    x: Floats
    strength: Floats

    def value(self, step: Floats, changes: Floats) -> float:
        """Return q at a step that changes A d to these."""
        smooth = self.gradient @ step + 0.5 * (self.ridge * step) @ step
        smooth += 0.5 * sum_of_squares(changes)
        return float(smooth + self.strength @ np.abs(self.x + step))


def minimise(model: Model, tol: float, most_products: int, step: Floats, changes: Floats) -> bool:
    """Move towards where q is least on the face. OUT: step (P,), changes A d (n,).

    Return whether q's slope there was within tol already. A sweep's moves, each of which leaves
    less, may add up to much more.
    """
    value = model.x + step
    free = np.flatnonzero(((value != 0) | (model.strength == 0)) & (model.bend > 0))
    slope = model.gradient + model.ridge * step + model.strength * np.sign(value)
    residual = -(slope[free] + model.dots(free, changes))
    if np.abs(residual).max(initial=0) <= tol:
        return True
    move, image = solve(model, free, residual, SHARE * tol, most_products)
    value, before = value[free], model.value(step, changes)
    crosses = (model.strength[free] > 0) & (np.sign(value + move) != np.sign(value))
    shares = np.where(crosses, -value / np.where(crosses, move, 1), np.inf)
    # Where all that cross become 0, q may rise: then the move ends where the first of them does.
    for share in 1.0, float(shares.min(initial=1)):
        ahead, zeros = step.copy(), free[shares <= share]
        ahead[free] += share * move
        back = -model.x[zeros] - ahead[zeros]
        ahead[zeros] = -model.x[zeros]
        moved = changes + changes.dtype.type(share) * image + model.times(zeros, back)
        if model.value(ahead, moved) < before:
            step[:], changes[:] = ahead, moved
            break
    return False


def solve(
    model: Model, free: Indices, residual: Floats, tol: float, most_products: int
) -> tuple[Floats, Floats]:
    """Return the move m of the free parameters where H m = residual, to within tol, and A m."""
    bend, ridge, move = model.bend[free], model.ridge[free], np.zeros(free.size)
    image = model.times(free[:0], move[:0])  # zeros of the products' dtype
    direction, before = np.zeros(free.size), np.inf
    for _ in range(most_products):
        if np.abs(residual).max(initial=0) <= tol:
            break
        z = residual / bend
        rz = float(residual @ z)
        direction = z + rz / before * direction
        product, before = model.times(free, direction), rz
        length = rz / (float(direction @ (ridge * direction)) + sum_of_squares(product))
        move += length * direction
        image += product.dtype.type(length) * product
        residual = residual - length * (ridge * direction + model.dots(free, product))
    return move, image


def sum_of_squares(values: Floats) -> float:
    """Return ‖values‖² in float64."""
    wide = values.astype(np.float64, copy=False)
    return float(wide @ wide)
