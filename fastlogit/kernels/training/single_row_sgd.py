"""Plain gradient descent by one row per step: the fused update.

A backward function with ``accumulate``, called with −η times the loss's scale and with the
parameters in the place of their gradient, adds −η g to them: the step of plain gradient descent,
without storing a gradient. Batches of one block take their step in that way (``in_place`` in
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
"""

import numpy as np

from fastlogit.kernels.codegen import dispatch
from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.codegen.row_products import (
    add_row,
    row_dot,
    rows_dot,
    update_and_forward_hidden,
    update_and_forward_linear,
)
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_row
from fastlogit.kernels.layers import elementary
from fastlogit.kernels.layers.output_losses import softmax_loss
from fastlogit.kernels.layers.sparse import clear


@compiled_once
def logistic_rows(X, y, order, learning_rate, padded, w, b) -> float:
    """Train logistic regression. OUT: w (D,), b (1,).

    padded (D up to whole vectors, or more,) is workspace.
    """
    one, far = w.dtype.type(1), X.size * X.itemsize > NEAR_BYTES
    rate, bias = w.dtype.type(learning_rate), b[0]
    for j in range(padded.size):
        padded[j] = w[j] if j < w.size else w.dtype.type(0)
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
    for j in range(w.size):
        w[j] = padded[j]
    b[0] = bias
    return loss


@inline
def softmax_rows(Wt, b, X, y, order, learning_rate, work):
    """Train softmax regression, whose weights are padded to whole vectors. OUT: Wt, b, work."""
    logits, padded = rows_from(work[0], 0, 1), work[1]
    (outputs, pitch), fan_in = padded.shape, X.shape[1]
    unit_weight = part(logits, 0, (0,))
    loss, last, far = 0.0, order.size - 1, X.size * X.itemsize > NEAR_BYTES
    copy_columns(Wt, padded)
    clear(logits)  # an update of 0
    update_and_forward_linear(X, order[0], order[0], padded, pitch, b, fan_in, outputs, logits)
    for i in range(order.size):
        if far:
            prefetch_row(X, order[min(i + PREFETCH_ROWS, last)])
        row, following = order[i], order[min(i + 1, last)]
        loss += softmax_loss(logits, part(y, row, (1,)), unit_weight, -learning_rate)
        update_and_forward_linear(X, row, following, padded, pitch, b, fan_in, outputs, logits)
    copy_columns(padded, Wt)
    return loss / -learning_rate


@inline
def network_rows(model, params, X, y, order, learning_rate, work):
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
