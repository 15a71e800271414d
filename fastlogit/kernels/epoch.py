"""The entry points: batches of an epoch, the gradient over all rows, probabilities.

X (n, D), y (n,), weight (n,) or empty for unit weights; an order holds row indices, or is empty for
the rows as they lie. params and grads are a model's named tuple, views of the flat theta and grad
(P,), whose first n_weights elements are the weights and whose rest are the biases.

Rows are worked on in blocks that stay in cache; a batch larger than a block sums its blocks'
gradients. All state lives in the arguments, so a slice of an epoch's batches is a call like any
other.
"""

import numpy as np

from fastlogit.kernels import per_model
from fastlogit.kernels.jit import allocator, entry, kernel
from fastlogit.kernels.optimizers import l2_penalty, update
from fastlogit.kernels.simd import prefetch_row

BLOCK_ROWS = 256
PREFETCH_ROWS = 12


@entry
def run_batches(
    params, grads, theta, grad, n_weights, moments, steps, optimizer, settings,
    X, y, weight, orders, batch_size, first_batch, last_batch, alpha, alpha_by_row, losses,
):  # fmt: skip
    """Train on batches first_batch to last_batch, numbered through the epochs.

    Epoch e takes its rows in the order orders[e] (E, n), or as they lie if orders has no columns.
    A batch's loss is that before its step, and includes the penalty α/2 ‖w‖²; with alpha_by_row
    α is divided by the sum of the batch's weights. A batch whose weights sum to zero is passed
    over. losses[e] gains the batch's share of the epoch's mean loss, rows / n of its own.
    OUT: theta, moments, steps, losses (and params, which are theta); grad and grads as workspace.
    """
    buffers = allocate(params, X, weight, orders.shape[1] > 0, min(batch_size, y.size))
    _run_batches(
        params, grads, theta, grad, n_weights, moments, steps, optimizer, settings,
        X, y, weight, orders, batch_size, first_batch, last_batch, alpha, alpha_by_row, losses,
        buffers,
    )  # fmt: skip


@kernel
def _run_batches(
    params, grads, theta, grad, n_weights, moments, steps, optimizer, settings,
    X, y, weight, orders, batch_size, first_batch, last_batch, alpha, alpha_by_row, losses,
    buffers,
):  # fmt: skip
    n_rows = y.size
    batches = (n_rows + batch_size - 1) // batch_size
    for batch in range(first_batch, last_batch):
        epoch = batch // batches
        order = orders[epoch if orders.shape[1] > 0 else 0]
        first = (batch - epoch * batches) * batch_size
        last = min(first + batch_size, n_rows)
        scale = mean_scale(weight, order, first, last)
        if scale == 0:
            continue
        loss = sum_blocks(params, X, y, weight, order, first, last, scale, grads, buffers)
        if alpha > 0:
            batch_alpha = alpha * scale if alpha_by_row else alpha
            loss += l2_penalty(theta[:n_weights], batch_alpha, grad[:n_weights])
        update(optimizer, theta, grad, moments, steps, settings)
        losses[epoch] += loss * (last - first) / n_rows


@entry
def loss_and_gradient(params, grads, X, y, weight):
    """Return the mean loss over all rows, without a penalty. OUT: grads."""
    order = np.empty(0, np.intp)
    buffers = allocate(params, X, weight, False, X.shape[0])
    scale = mean_scale(weight, order, 0, X.shape[0])
    return sum_blocks(params, X, y, weight, order, 0, X.shape[0], scale, grads, buffers)


@entry
def predict_proba(params, X, proba):
    """Fill the rows' class probabilities. OUT: proba (n, max(K, 2))."""
    _predict_proba(params, X, proba, per_model.workspace(params, min(BLOCK_ROWS, X.shape[0])))


@kernel
def _predict_proba(params, X, proba, work):
    for first in range(0, X.shape[0], BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, X.shape[0])
        per_model.predict_proba(params, X[first:last], proba[first:last], work)


@allocator
def allocate(params, X, weight, by_order, rows):
    """Allocate a block's workspace: the model's own, and the gathered rows' X, y and weight."""
    rows = min(rows, BLOCK_ROWS)
    gathered = rows if by_order else 0
    return (
        per_model.workspace(params, rows),
        np.empty((gathered, X.shape[1]), X.dtype),
        np.empty(gathered, np.intp),
        np.empty(gathered if weight.size > 0 else 0, X.dtype),
    )


@kernel
def mean_scale(weight, order, first, last):
    """Return one over the sum of the rows' weights, or 0 where that sum is 0."""
    if weight.size == 0:
        return 1.0 / (last - first)
    total = 0.0
    for i in range(first, last):
        total += weight[order[i] if order.size > 0 else i]
    return 1.0 / total if total > 0 else 0.0


@kernel
def sum_blocks(params, X, y, weight, order, first, last, scale, grads, buffers):
    """Return Σ w loss · scale over rows order[first:last]. OUT: grads, its gradient."""
    work, X_rows, y_rows, weight_rows = buffers
    loss = 0.0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        if order.size > 0:
            gather(X, y, weight, order, start, stop, X_rows, y_rows, weight_rows)
            X_block, y_block = X_rows[: stop - start], y_rows[: stop - start]
            weight_block = weight_rows[: stop - start]
        else:
            X_block, y_block, weight_block = X[start:stop], y[start:stop], weight[start:stop]
        loss += per_model.loss_and_gradient(
            params, X_block, y_block, weight_block, scale, start > first, grads, work
        )
    return loss


@kernel
def gather(X, y, weight, order, start, stop, X_rows, y_rows, weight_rows):
    """Copy rows order[start:stop]. OUT: X_rows, y_rows, weight_rows.

    Rows further on in the order, those of the next batch too, are asked for while these are
    copied: rows in random order come from memory, and the CPU cannot foresee them.
    """
    last = order.size - 1
    for i in range(start, stop):
        ahead = order[min(i + PREFETCH_ROWS, last)]
        prefetch_row(X, ahead)
        prefetch_row(y, ahead)
        row = order[i]
        y_rows[i - start] = y[row]
        for j in range(X.shape[1]):
            X_rows[i - start, j] = X[row, j]
    if weight.size > 0:
        for i in range(start, stop):
            weight_rows[i - start] = weight[order[i]]
