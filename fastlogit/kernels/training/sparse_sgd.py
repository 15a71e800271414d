"""Plain gradient descent over sparse rows, a step at the cost of its non-zeros.

A step with rate η adds −η times the batch's gradient to the weights in place, so of the first layer
only those of a non-zero's column change. The penalty would change all of them: with W ← W − η (g
+ α W) every weight shrinks by c = 1 − η α. Held as W = s V, they shrink by s' = c s, and

    W' = c s V − η g = s' (V − η g / s')

The penalty's part of the loss, α/2 ‖W‖² = α/2 s² Σ V², needs Σ V², which is updated in float64 as
elements of V change. s is multiplied into V when it becomes very small or large, and at the end of
every epoch, after which Python may read the weights; Σ V² is recomputed whenever that is done. A
second layer is small: it shrinks by a copy of what it was before the step, W' = W − η g − η α W.
"""

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once, entry_point
from fastlogit.kernels.layers.sparse import BACKWARD, FORWARD, SQUARES, TRACKED
from fastlogit.kernels.training.blocks import mean_scale, sum_blocks

# s stays in between, and V in the range of float32.
LEAST_SCALE, MOST_SCALE = 1e-6, 1e6
# A step may shrink the weights to no less: g / s' has to be finite. What is left is rounding.
LEAST_SHRINK = 1e-12


@entry_point
def run_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Do what :func:`fastlogit.kernels.training.epoch.run_batches` does, by one thread, in place.

    A batch is one block at most; within an epoch params are scaled. OUT: state, losses (and params,
    which are state's theta); gradients and data.X.scaling are workspace.
    """
    n_rows = data.y.size
    batches = (n_rows + batch_size - 1) // batch_size
    epoch, last = span.first_batch // batches, span.first_batch % batches * batch_size
    for _ in range(span.first_batch, span.last_batch):
        if last == n_rows:
            epoch, last = epoch + 1, 0
        first, last = last, min(last + batch_size, n_rows)
        order = part(orders, epoch * orders.shape[1], (orders.shape[1],))
        scale = mean_scale(data.weight, order, first, last)
        if scale != 0:
            loss = take_step(
                team, model, params, state, gradients, rule, data, order, first, last, scale
            )
            losses[epoch] += loss * ((last - first) / n_rows)
        if last == n_rows:
            unscale(part(state.theta, 0, (params[0].size,)), data.X.scaling)


@inline
def take_step(team, model, params, state, gradients, rule, data, order, first, last, scale):
    """Step by the rows order[first:last]; return their loss. OUT: params, state."""
    scaling, rate, factor = data.X.scaling, rule.settings[0], -rule.settings[0] * scale
    alpha = rule.alpha * scale if rule.alpha_by_row else rule.alpha
    n_first = params[0].size
    first_layer = part(state.theta, 0, (n_first,))
    second_layer = part(state.theta, n_first, (rule.n_weights - n_first,))
    before = part(gradients.values, 0, (rule.n_weights - n_first,))
    shrink, penalty = 1.0 - rate * alpha, 0.0
    if rule.alpha > 0:
        shrink = max(shrink, LEAST_SHRINK) if shrink >= 0 else min(shrink, -LEAST_SHRINK)
        penalty = 0.5 * alpha * (scaled_squares(first_layer, scaling) + copy(second_layer, before))
        scaling[BACKWARD] = 1.0 / (scaling[FORWARD] * shrink)
    total = sum_blocks(
        model, params, data, order, first, last, factor, True, 0.0, params, team.buffers
    )
    if rule.alpha > 0:
        scaling[FORWARD] *= shrink
        add_scaled(before, -rate * alpha, second_layer)
    state.steps[0] += 1
    return total / -rate + penalty


@compiled_once
def scaled_squares(V, scaling) -> float:
    """Return s² Σ V², tracked from now on, with s in its range. OUT: V, scaling."""
    s = scaling[FORWARD]
    if scaling[TRACKED] == 0 or not LEAST_SCALE <= abs(s) <= MOST_SCALE:
        factor, total = V.dtype.type(s), 0.0
        for i in range(V.size):
            V[i] *= factor
            total += np.float64(V[i]) * np.float64(V[i])
        scaling[FORWARD], scaling[SQUARES], scaling[TRACKED] = 1.0, total, 1.0
    return scaling[FORWARD] * scaling[FORWARD] * scaling[SQUARES]


@compiled_once
def unscale(V, scaling):
    """Multiply s into V: these are the weights. OUT: V, scaling."""
    if scaling[TRACKED] != 0:
        factor = V.dtype.type(scaling[FORWARD])
        for i in range(V.size):
            V[i] *= factor
    scaling[FORWARD], scaling[BACKWARD], scaling[TRACKED] = 1.0, 1.0, 0.0


@compiled_once
def copy(weights, copied) -> float:
    """Copy the weights; return the sum of their squares. OUT: copied."""
    total = 0.0
    for i in range(weights.size):
        copied[i] = weights[i]
        total += np.float64(weights[i]) * np.float64(weights[i])
    return total


@compiled_once
def add_scaled(values, factor, total):
    """Add factor times the values. OUT: total."""
    scale = total.dtype.type(factor)
    for i in range(total.size):
        total[i] += scale * values[i]
