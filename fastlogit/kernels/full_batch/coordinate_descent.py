"""Coordinate descent on a quadratic with an L1 penalty.

Shapes: M coordinates. H (M, M) symmetric and positive semidefinite, gradient g, start x, penalty λ
per coordinate, step d and slope q, all (M,) in float64.

The quadratic is g · d + d · H d / 2 + Σ λ |x + d|. In one coordinate, the others held, it is least
where, with the slope q = g + H d,

    x + d = soft(x + d − q / H_jj, λ / H_jj)      soft(z, t) = sign(z) max(|z| − t, 0)

(Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010). A sweep over all coordinates decides which are not 0; sweeps over those alone follow
until they converge. The gain left in a coordinate is measured by H_jj times its move, the distance
of the subgradient there from 0.
"""

from fastlogit.kernels.codegen.compile import kernel
from fastlogit.kernels.codegen.linking import entry_point


@entry_point
def descend(H, gradient, x, penalty, tol, max_sweeps, step, slope):
    """Continue from step to a subgradient within tol of 0; return the sweeps. OUT: step, slope."""
    for j in range(slope.size):
        slope[j] = gradient[j]
    for j in range(step.size):
        if step[j] != 0.0:
            for i in range(slope.size):
                slope[i] += step[j] * H[j, i]
    sweeps = 0
    while sweeps < max_sweeps:
        sweeps += 1
        if sweep(H, x, penalty, False, step, slope) <= tol:
            break
        while sweeps < max_sweeps:
            sweeps += 1
            if sweep(H, x, penalty, True, step, slope) <= 0.1 * tol:
                break
    return sweeps


@kernel
def sweep(H, x, penalty, only_nonzero, step, slope):
    """Move every coordinate to its minimum; return the largest gain. OUT: step, slope."""
    largest = 0.0
    for j in range(step.size):
        bend, value = H[j, j], x[j] + step[j]
        if bend <= 0.0 or (only_nonzero and value == 0.0 and penalty[j] > 0.0):
            continue
        move = best_move(value, slope[j], bend, penalty[j])
        if move != 0.0:
            step[j] = moved(x[j], step[j], move)
            for i in range(slope.size):
                slope[i] += move * H[j, i]
            largest = max(largest, bend * abs(move))
    return largest


@kernel
def best_move(value, slope, bend, penalty):
    """Return what leads from a value of x + d to the minimum."""
    target = value - slope / bend
    size = max(abs(target) - penalty / bend, 0.0)
    return (size if target > 0.0 else -size) - value


@kernel
def moved(x, step, move):
    """Return step + move, exactly −x where their sum is to be 0."""
    return -x if x + step + move == 0.0 else step + move
