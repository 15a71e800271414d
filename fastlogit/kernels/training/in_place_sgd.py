"""Plain gradient descent with its steps taken in place: by one row each, and over sparse rows.

A backward function with ``accumulate``, called with −η times the loss's scale and with the
parameters in the place of their gradient, adds −η g to them: the step of plain gradient descent,
without storing a gradient. Batches that are processed at once take their step so (``in_place`` in
:mod:`fastlogit.kernels.training.epoch`).

With one row per step the first layer goes further. The pass that adds −η g of this row to its
weights multiplies the new ones with the next row while they are in a register: ``row_products`` has
the two ``update_and_forward``. So a loop computes the first row's output once, by an update of 0,
and then alternates between the loss of a row and such an update.

A step of logistic regression is a chain in which each link waits for the last: logit, σ, update,
next logit. Step i adds d xᵢ to w and d to b, so the next logit needs only a multiply-add after d is
known, since xᵢ₊₁ · xᵢ and the logit before the step do not depend on it:

    zᵢ₊₁ = (w + d xᵢ) · xᵢ₊₁ + b + d = (w · xᵢ₊₁ + b) + d (xᵢ · xᵢ₊₁ + 1)

On 64 float32 features that takes a step from 39 ns to 20; through the epoch's loop it was 92.

Shapes: X (n, D), y (n,), order of row numbers. Each function trains on the rows in that order and
returns the sum of their losses, each from before the row's step.

Over sparse rows a step costs as much as its non-zeros: of the first layer only the weights of a
non-zero's column change. The penalty would change all of them: with W ← W − η (g + α W) every
weight shrinks by c = 1 − η α. Held as W = s V, they shrink by s' = c s, and

    W' = c s V − η g = s' (V − η g / s')

The penalty's part of the loss, α/2 ‖W‖² = α/2 s² Σ V², needs Σ V², which is updated in float64 as
elements of V change. s is multiplied into V when it becomes very small or large, and at the end of
every epoch, after which Python may read the weights; Σ V² is recomputed whenever that is done. A
second layer is small: it shrinks by a copy of what it was before the step, W' = W − η g − η α W.
"""

import numpy as np

from fastlogit.kernels import dispatch
from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline, kernel
from fastlogit.kernels.codegen.linking import compiled_once, entry_point
from fastlogit.kernels.codegen.logistic_steps import logistic_steps
from fastlogit.kernels.codegen.row_products import (
    add_row,
    row_dot,
    rows_dot,
    update_and_forward_hidden,
    update_and_forward_linear,
)
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_row
from fastlogit.kernels.layers import elementary
from fastlogit.kernels.layers.output_losses import softmax_loss_by_class
from fastlogit.kernels.layers.sparse import BACKWARD, FORWARD, SQUARES, TRACKED, clear
from fastlogit.kernels.training.epoch import BLOCK_ROWS, mean_scale, rows_of_epoch, sum_blocks

# s stays in between, and V in the range of float32.
LEAST_SCALE, MOST_SCALE = 1e-6, 1e6
# A step may shrink the weights to no less: g / s' has to be finite. What is left is rounding.
LEAST_SHRINK = 1e-12
# Rows of a batch that a loop over batches takes.
FEW_ROWS = 8


@compiled_once
def logistic_rows(X, y, order, learning_rate, padded, w, b) -> float:
    """Train logistic regression. OUT: padded (D up to whole vectors, or more,), w (D,), b (1,)."""
    one, far = w.dtype.type(1), X.size * X.itemsize > NEAR_BYTES
    rate, bias = w.dtype.type(learning_rate), b[0]
    copy_vector(w, padded)
    loss, last = 0.0, order.size - 1
    z = row_dot(X, order[0], padded) + bias
    for i in range(order.size):
        row, following = order[i], order[min(i + 1, last)]
        if far:
            prefetch_row(X, order[min(i + PREFETCH_ROWS, last)])
            prefetch_row(y, order[min(i + PREFETCH_ROWS, last)])
        before = row_dot(X, following, padded) + bias
        overlap = rows_dot(X, row, following) + one
        u = -z if y[row] == 1 else z
        loss += np.float64(elementary.softplus(u))
        d = rate / (one + elementary.exp(-u))  # learning rate times σ(u)
        d = d if y[row] == 1 else -d
        bias += d
        add_row(X, row, d, padded)
        z = before + d * overlap
    copy_vector(padded, w)
    b[0] = bias
    return loss


@compiled_once
def logistic_batches(X, y, order, batch_size, learning_rate, padded, w, b) -> float:
    """Train logistic regression by batches of up to 8 rows. OUT: as of logistic_rows."""
    copy_vector(w, padded)
    far = X.size * X.itemsize > NEAR_BYTES
    loss = logistic_steps(
        X, y, order, order.size, order.size, batch_size, learning_rate, X.shape[1], far, padded, b
    )
    copy_vector(padded, w)
    return loss


@kernel
def copy_vector(source, target):
    """Copy the elements that both have, and set others to 0. OUT: target."""
    for j in range(target.size):
        target[j] = source[j] if j < source.size else target.dtype.type(0)


@inline
def softmax_rows(model, params, X, y, order, batch_size, learning_rate, work):
    """Train softmax regression, by weights padded to whole vectors. OUT: params, work."""
    (Wt, b), logits, padded = params, part(work[0], 0, (1, params[1].size)), work[1]
    (outputs, pitch), fan_in = padded.shape, X.shape[1]
    by_class, unit_weight = part(logits, 0, (outputs, 1)), part(logits, 0, (0,))
    loss, last, far = 0.0, order.size - 1, X.size * X.itemsize > NEAR_BYTES
    copy_columns(Wt, padded)
    clear(logits)  # an update of 0
    update_and_forward_linear(X, order[0], order[0], padded, pitch, b, fan_in, outputs, logits)
    for i in range(order.size):
        if far:
            prefetch_row(X, order[min(i + PREFETCH_ROWS, last)])
        row, following = order[i], order[min(i + 1, last)]
        loss += softmax_loss_by_class(by_class, part(y, row, (1,)), unit_weight, -learning_rate)
        update_and_forward_linear(X, row, following, padded, pitch, b, fan_in, outputs, logits)
    copy_columns(padded, Wt)
    return loss / -learning_rate


@inline
def network_rows(model, params, X, y, order, batch_size, learning_rate, work):
    """Train a network, of which work holds the hidden layer and its gradient. OUT: params, work."""
    W1, b1, _W2t, _b2 = params
    fan_in, fan_out = W1.shape
    hidden, d_hidden = rows_from(work[0], 0, 1), rows_from(work[1], 0, 1)
    unit_weight = part(hidden, 0, (0,))
    loss, last, far = 0.0, order.size - 1, X.size * X.itemsize > NEAR_BYTES
    clear(d_hidden)  # an update of 0
    update_and_forward_hidden(X, order[0], order[0], d_hidden, W1, b1, fan_in, fan_out, hidden)
    for i in range(order.size):
        if far:
            prefetch_row(X, order[min(i + PREFETCH_ROWS, last)])
        row, following = order[i], order[min(i + 1, last)]
        loss += dispatch.loss_and_hidden_gradient(
            model, params, part(y, row, (1,)), unit_weight, -learning_rate, True, params, work
        )
        update_and_forward_hidden(X, row, following, d_hidden, W1, b1, fan_in, fan_out, hidden)
    return loss / -learning_rate


@compiled_once
def copy_columns(source, target):
    """Copy the columns that both have, and set others to 0. OUT: target."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[i, j] if j < source.shape[1] else 0


@entry_point
def run_sparse_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Do what epoch.run_batches does, by one thread, in place, by batches of one block at most."""
    # OUT: state, losses (and params, which are state's theta); gradients and data.X.scaling.
    n_rows = rows_of_epoch(data, orders)
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
        squares = 0.0
        for i in range(before.size):
            before[i] = second_layer[i]
            squares += np.float64(second_layer[i]) * np.float64(second_layer[i])
        penalty = 0.5 * alpha * (scaled_squares(first_layer, scaling) + squares)
        scaling[BACKWARD] = 1.0 / (scaling[FORWARD] * shrink)
    total = sum_blocks(
        model, params, data, order, first, last, BLOCK_ROWS, factor, True, 0.0, params, team.buffers
    )
    if rule.alpha > 0:
        scaling[FORWARD] *= shrink
        change = before.dtype.type(-rate * alpha)
        for i in range(before.size):
            second_layer[i] += change * before[i]
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
