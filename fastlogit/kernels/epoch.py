"""The entry points: batches of an epoch, the gradient over all rows, probabilities.

Rows are worked on in blocks that stay in cache. The blocks of a large batch fall into groups, whose
number follows from the batch's rows alone; each group has a gradient of its own, and they are added
up in their order. So threads may share the groups, and the bits do not depend on how many they are.
All state lives in the arguments: a slice of an epoch's batches is a call like any other.
"""

from typing import Any, NamedTuple

import numpy as np

from fastlogit.kernels import per_model
from fastlogit.kernels.barrier import wait
from fastlogit.kernels.jit import entry, inlined, kernel
from fastlogit.kernels.layout import flat_views
from fastlogit.kernels.optimizers import l2_penalty, update
from fastlogit.kernels.simd import prefetch_row

BLOCK_ROWS = 256
MAX_GROUPS = 8
PREFETCH_ROWS = 12
# A batch whose weights sum to less is passed over: one over it would overflow in float32.
LEAST_WEIGHT = 1.2e-38


class Data(NamedTuple):
    """X (n, D), y (n,), weight (n,) or empty for unit weights."""

    X: Any
    y: Any
    weight: Any


class State(NamedTuple):
    """What training changes: theta (P,), moments (M, P), steps (1,).

    theta holds the weights, then the biases; the model's parameters are views of it.
    """

    theta: Any
    moments: Any
    steps: Any


class Gradients(NamedTuple):
    """Workspace of the groups: values (G, P) laid out as theta, and losses (G,)."""

    values: Any
    losses: Any


class Rule(NamedTuple):
    """How a step is taken: the optimizer's number and settings, and the penalty α/2 ‖w‖².

    The first n_weights elements of theta are penalised. With alpha_by_row α is divided by the sum
    of a batch's weights.
    """

    optimizer: Any
    settings: Any
    n_weights: Any
    alpha: Any
    alpha_by_row: Any


class Buffers(NamedTuple):
    """Workspace of a thread: the model's own, and a block's gathered rows."""

    work: Any
    X: Any
    y: Any
    weight: Any


class Team(NamedTuple):
    """One thread's place among those that run the same call: its number, theirs, the barrier."""

    thread: Any
    n_threads: Any
    barrier: Any
    buffers: Any


def allocate(params: Any, n_features: int, n_rows: int) -> Buffers:
    """Allocate a thread's buffers for batches of up to n_rows rows."""
    rows, dtype = min(n_rows, BLOCK_ROWS), params[0].dtype
    return Buffers(
        workspace(params, rows),
        np.empty((rows, n_features), dtype),
        np.empty(rows, np.intp),
        np.empty(rows, dtype),
    )


def workspace(params: Any, rows: int) -> tuple[Any, ...]:
    """Allocate a model's own workspace for a block: A and dA of a hidden layer, then the logits."""
    *hidden, outputs = (b.size for b in params[1::2])
    widths = [*hidden, *hidden, outputs]
    return tuple(np.empty((rows, width), params[0].dtype) for width in widths)


@entry
def run_batches(
    team, params, state, gradients, rule, data, orders, batch_size, first_batch, last_batch, losses
):
    """Train on batches first_batch to last_batch, numbered through the epochs.

    Epoch e takes its rows in the order orders[e] (E, n), or as they lie if orders has no columns.
    A batch's loss is that before its step, and includes the penalty. A batch whose weights sum to
    next to zero is passed over. losses[e] gains the batch's share of the epoch's mean loss, rows /
    n of its own. OUT: state, losses (and params, which are state's theta); gradients as workspace.
    """
    n_rows = data.y.size
    batches = (n_rows + batch_size - 1) // batch_size
    gradient, n_weights = gradients.values[0], rule.n_weights
    for batch in range(first_batch, last_batch):
        epoch = batch // batches
        order = orders[epoch if orders.shape[1] > 0 else 0]
        first = (batch - epoch * batches) * batch_size
        last = min(first + batch_size, n_rows)
        scale = mean_scale(data.weight, order, first, last)
        if scale == 0:
            continue
        share_groups(team, params, gradients, data, order, first, last, scale)
        if not wait(team.barrier, team.n_threads):
            return
        if team.thread == 0:
            loss = add_groups(gradients, group_count(gradients, last - first))
            if rule.alpha > 0:
                alpha = rule.alpha * scale if rule.alpha_by_row else rule.alpha
                loss += l2_penalty(state.theta[:n_weights], alpha, gradient[:n_weights])
            update(rule.optimizer, state.theta, gradient, state.moments, state.steps, rule.settings)
            losses[epoch] += loss * (last - first) / n_rows
        if not wait(team.barrier, team.n_threads):
            return


@entry
def loss_and_gradient(team, params, gradients, data):
    """Return the mean loss over all rows, without a penalty. OUT: gradients, the first of them."""
    as_they_lie = data.y[:0]
    n_rows = data.y.size
    scale = mean_scale(data.weight, as_they_lie, 0, n_rows)
    share_groups(team, params, gradients, data, as_they_lie, 0, n_rows, scale)
    if wait(team.barrier, team.n_threads) and team.thread == 0:
        return add_groups(gradients, group_count(gradients, n_rows))
    return 0.0


@inlined
def group_count(gradients, n_rows):
    """Return how many groups the blocks of so many rows fall into."""
    return min((n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, gradients.losses.size)


@inlined
def share_groups(team, params, gradients, data, order, first, last, scale):
    """Work out this thread's share of the groups of rows order[first:last]. OUT: gradients."""
    n_groups = group_count(gradients, last - first)
    blocks = (last - first + BLOCK_ROWS - 1) // BLOCK_ROWS
    for group in range(team.thread, n_groups, team.n_threads):
        start = first + group * blocks // n_groups * BLOCK_ROWS
        stop = min(first + (group + 1) * blocks // n_groups * BLOCK_ROWS, last)
        grads = flat_views(params, gradients.values[group])
        gradients.losses[group] = sum_blocks(
            params, data, order, start, stop, scale, grads, team.buffers
        )


@kernel
def add_groups(gradients, n_groups):
    """Add the groups up in their order; return their loss. OUT: gradients, the first of them."""
    total = gradients.values[0]
    loss = gradients.losses[0]
    for group in range(1, n_groups):
        values = gradients.values[group]
        for i in range(total.size):
            total[i] += values[i]
        loss += gradients.losses[group]
    return loss


@entry
def predict_proba(buffers, params, X, proba):
    """Fill the rows' class probabilities. OUT: proba (n, max(K, 2))."""
    for first in range(0, X.shape[0], BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, X.shape[0])
        per_model.predict_proba(params, X[first:last], proba[first:last], buffers.work)


@inlined
def mean_scale(weight, order, first, last):
    """Return one over the sum of the rows' weights, or 0 where that sum is next to 0."""
    if weight.size == 0:
        return 1.0 / (last - first)
    total = 0.0
    for i in range(first, last):
        total += np.float64(weight[order[i] if order.size > 0 else i])
    return 1.0 / total if total >= LEAST_WEIGHT else 0.0


@inlined
def sum_blocks(params, data, order, first, last, scale, grads, buffers):
    """Return Σ w loss · scale over rows order[first:last]. OUT: grads, its gradient."""
    X, y, weight = data
    work, X_rows, y_rows, weight_rows = buffers
    loss = 0.0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        if order.size > 0:
            gather(X, y, weight, order, start, stop, X_rows, y_rows, weight_rows)
            X_block, y_block = X_rows[: stop - start], y_rows[: stop - start]
            weight_block = weight_rows[: stop - start if weight.size > 0 else 0]
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
