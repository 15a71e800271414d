"""The entry points: the batches of an epoch, probabilities and classes.

A batch of all rows without a step after it is the loss over the data and its gradient.

Rows are processed in blocks that stay in cache. The blocks of a large batch are divided into
groups, whose number depends on the batch's rows alone; each group has its own gradient, and these
are added in their order. So threads may share the groups, and the bits do not depend on the number
of threads. All state is in the arguments: a slice of an epoch's batches is a call like any other.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastlogit.kernels import dispatch
from fastlogit.kernels.codegen.arrays import aligned, flat_views, part, rows_from
from fastlogit.kernels.codegen.barrier import (
    begin_round,
    end_rounds,
    finish_item,
    is_past,
    take_item,
    wait_for_items,
)
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once, entry_point
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, VECTOR_BYTES, prefetch_row
from fastlogit.kernels.layers.dense import PANEL_BYTES
from fastlogit.kernels.layers.output_losses import shape_by_class
from fastlogit.kernels.layers.sparse import is_csr, row_bytes
from fastlogit.kernels.training.optimizers import l2_penalty, update

BLOCK_ROWS = 256
# A linear model reads a block's rows twice, which is faster from a core's cache: of 3,000 rows of
# 2,000 features, blocks of at most this size take 0.67 of the time in float64 and 0.79 in float32.
CACHED_BYTES = 1 << 20
# A network goes through a block's rows, A and dA several times. If its weights are few, rows that
# stay in L1 cache with them are processed at once: of 256 rows on (30, 32, 2) that takes 0.92 of
# the time, on (64, 64, 10) 0.97, but on (64, 256, 10), whose weights do not stay there, 1.02.
FEW_WEIGHTS_BYTES, NEAREST_ROWS_BYTES = 1 << 15, 1 << 16
ROWS_UNIT = 8
MAX_GROUPS = 8
# Batches of a few rows that one loop trains on: a span ends where such a chain does, so that no bit
# depends on where that is.
CHAIN_BATCHES = 1024
ALL_BLOCKS = 1 << 48
# Multiply-adds of a jitted call, 0.1 to 1 second: between two calls, Python sees Ctrl-C.
CALL_MULTIPLY_ADDS = 1 << 29
# Cost of a row besides its products, in multiply-adds.
ROW_MULTIPLY_ADDS = 64
# A batch whose weights sum to less, the smallest normal number of their dtype, is skipped.
LEAST_WEIGHT_F32 = float(np.finfo(np.float32).tiny)
LEAST_WEIGHT_F64 = float(np.finfo(np.float64).tiny)

# X (n, D), y (n,), weight (n,) or empty for unit weights.
Data = namedtuple("Data", "X y weight")
# Workspace of a thread: the model's own (logits and padded weights, or for a network A, dA, logits,
# and where its first layer is large a panel, see dense.by_panels), 0, 1, 2, ... as the numbers of a
# block's rows that lie in order, and the labels and weights of those that do not.
Buffers = namedtuple("Buffers", "work numbers y weight")
# One of the threads that run the same call: its number, how many they are, their barrier.
Team = namedtuple("Team", "thread n_threads barrier buffers")
# Workspace of the groups: values (G, P) laid out as theta, and losses (G,).
Gradients = namedtuple("Gradients", "values losses")
# What training changes: theta (P,), the weights and then the biases, of which the model's
# parameters are views; moments (M, P), steps (1,).
State = namedtuple("State", "theta moments steps")
# How a step is taken: the optimizer's address or NO_STEP, its settings, the penalty α/2 ‖w‖² of the
# first n_weights elements of theta. With alpha_by_row α is divided by the sum of a batch's weights.
# A step of plain gradient descent may be taken in place: the gradient of rows that are processed at
# once, times −η, is summed into theta itself.
Rule = namedtuple("Rule", "optimizer settings n_weights alpha alpha_by_row in_place")
# What one call processes: the batches first_batch to last_batch, numbered through the epochs. Of a
# batch that is too large for one call it is one batch, and of each group of its blocks those from
# first_block to last_block, numbered in the group.
Span = namedtuple("Span", "first_batch last_batch first_block last_block", defaults=(0, ALL_BLOCKS))


def allocate(params: Any, n_rows: int, sparse: bool = False) -> Buffers:
    """Allocate a thread's buffers for batches of up to n_rows rows; sparse ones are not copied."""
    rows, outputs, dtype = min(n_rows, BLOCK_ROWS), params[-1].size, params[0].dtype
    shapes: list[tuple[int, ...]]
    by_class = shape_by_class(outputs, max(rows, 2))  # whole vectors
    if len(params) == 2:
        lanes = VECTOR_BYTES // dtype.itemsize
        padded = 0 if sparse else -(-params[0].shape[1] // lanes) * lanes
        shapes = [by_class, (outputs, padded)]
    else:
        n_features, n_hidden = params[0].shape
        n_features = 0 if sparse else n_features
        shapes = [(by_class[1], n_hidden), (rows, n_hidden), by_class]
        largest = 0 if sparse else max(n_features, rows) * n_hidden * dtype.itemsize
        shapes.append((PANEL_BYTES // dtype.itemsize if largest > PANEL_BYTES else 0,))
    work = tuple([aligned(shape, dtype) for shape in shapes])
    return Buffers(work, np.arange(rows), np.empty(rows, np.intp), np.empty(rows, dtype))


def blocks_a_call(multiply_adds: float) -> int:
    """Return how many blocks one jitted call processes, given the multiply-adds per row."""
    block = BLOCK_ROWS * (ROW_MULTIPLY_ADDS + multiply_adds)
    return max(int(CALL_MULTIPLY_ADDS / block), 1)


def calls(n_rows: int, multiply_adds: float) -> list[tuple[int, int]]:
    """Return the first row and the end of each jitted call over n_rows rows, in whole blocks."""
    if n_rows <= BLOCK_ROWS:
        return [(0, n_rows)]
    step = blocks_a_call(multiply_adds) * BLOCK_ROWS
    return [(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


@entry_point
def run_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Train on the batches of the span, see train_on_batches. OUT: as there."""
    train_on_batches(
        team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
    )


@inline
def train_on_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Train on the batches of the span; the step of one that is cut follows its last blocks.

    Epoch e takes the rows orders[e] (E, n), or all in their own order if orders has no columns.
    losses[e] gains rows / n of the batch's loss, from before its step and with the penalty. A batch
    whose weights sum to next to zero is skipped. OUT: state, losses (and params, which are theta);
    gradients, of which the first is at last the last batch's unless steps are taken in place.
    """
    n_rows = rows_of_epoch(data, orders)
    batches = (n_rows + batch_size - 1) // batch_size
    few_rows = batch_size <= dispatch.most_rows(model) and orders.shape[1] > 0
    if few_rows and data.weight.size == 0 and rule.in_place and not is_csr(data.X):
        run_rows(team, model, params, state, rule, data, orders, batch_size, span, losses)
        return
    theta = Gradients(part(state.theta, 0, (1, state.theta.size)), gradients.losses)
    epoch, last = span.first_batch // batches, span.first_batch % batches * batch_size
    for number in range(1, span.last_batch - span.first_batch + 1):
        if last == n_rows:
            epoch, last = epoch + 1, 0
        first, last = last, min(last + batch_size, n_rows)
        if team.thread > 0 and is_past(team.barrier, number):
            continue
        order = part(orders, epoch * orders.shape[1], (orders.shape[1],))
        scale = mean_scale(data.weight, order, first, last)
        if scale == 0:
            continue
        in_place = rule.in_place and last - first <= most_in_place(params, data.X, last - first)
        factor = -rule.settings[0] if in_place else 1.0
        share_groups(
            team, model, params, theta if in_place else gradients, in_place, data, order, first,
            last, factor * scale, span, number,
        )  # fmt: skip
        if team.thread > 0:
            continue
        n_groups = group_count(gradients, last - first)
        if team.n_threads > 1 and not wait_for_items(team.barrier, n_groups):
            break
        if span.last_block * n_groups * BLOCK_ROWS < last - first:  # the largest group has more
            break
        if n_groups > 1:
            add_groups(gradients.values, n_groups)
        loss = step(state, gradients, rule, in_place, n_groups, scale)
        losses[epoch] += loss / factor * ((last - first) / n_rows)
    if team.thread == 0 and team.n_threads > 1:
        end_rounds(team.barrier)


@inline
def rows_of_epoch(data, orders):
    """Return n, the number of rows that an epoch takes."""
    return orders.shape[1] if orders.shape[1] > 0 else data.y.size


@inline
def run_rows(team, model, params, state, rule, data, orders, batch_size, span, losses):
    """Train on batches of a few rows in chains, see in_place_sgd. OUT: params, state, losses."""
    n_rows, first = rows_of_epoch(data, orders), span.first_batch
    batches = (n_rows + batch_size - 1) // batch_size
    while first < span.last_batch and team.thread == 0:
        epoch = first // batches
        begun = first - epoch * batches
        end = min((begun // CHAIN_BATCHES + 1) * CHAIN_BATCHES, batches)
        end = min(end, span.last_batch - epoch * batches)
        start, stop = begun * batch_size, min(end * batch_size, n_rows)
        order = part(orders, epoch * n_rows + start, (stop - start,))
        loss = dispatch.train_rows(
            model, params, data.X, data.y, order, batch_size, rule.settings[0], team.buffers.work
        )
        losses[epoch] += loss / n_rows
        state.steps[0] += end - begun
        first = epoch * batches + end


@inline
def step(state, gradients, rule, in_place, n_groups, scale):
    """Take the optimizer's step if not taken in place; return the loss. OUT: state, gradients."""
    if in_place:
        state.steps[0] += 1
        return gradients.losses[0]
    loss = 0.0
    for group in range(n_groups):
        loss += gradients.losses[group]
    theta, weights = state.theta, (rule.n_weights,)
    gradient = part(gradients.values, 0, theta.shape)
    if rule.alpha > 0:
        alpha = rule.alpha * scale if rule.alpha_by_row else rule.alpha
        loss += l2_penalty(part(theta, 0, weights), alpha, part(gradient, 0, weights))
    update(rule.optimizer, theta, gradient, state.moments, state.steps, rule.settings)
    return loss


@inline
def rows_at_once(params, X, n_rows):
    """Return how many of a batch's rows are processed at once, so that they stay in the cache."""
    rows, n_bytes, most = min(n_rows, BLOCK_ROWS), row_bytes(X), CACHED_BYTES
    if len(params) == 4:
        W1, W2t = params[0], params[2]
        most = NEAREST_ROWS_BYTES
        n_bytes += 2 * W1.shape[1] * W1.itemsize
        if (W1.size + W2t.size) * W1.itemsize > FEW_WEIGHTS_BYTES:
            return BLOCK_ROWS
    while rows > 1 and rows * n_bytes > most:
        rows = (rows + 1) // 2  # of a whole block, a part that no call cuts
    return rows if rows < ROWS_UNIT else (rows + ROWS_UNIT - 1) // ROWS_UNIT * ROWS_UNIT


@inline
def most_in_place(params, X, n_rows):
    """Return of how many rows, of n_rows, the gradient may be summed into the parameters."""
    return BLOCK_ROWS if len(params) == 2 else rows_at_once(params, X, n_rows)


@inline
def group_count(gradients, n_rows):
    """Return the number of groups that the blocks of n_rows rows are divided into."""
    return min((n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, gradients.losses.size)


@inline
def share_groups(
    team, model, params, gradients, accumulate, data, order, first, last, scale, span, number
):
    """Compute groups of order[first:last], as they are free; add if accumulate. OUT: gradients."""
    n_groups = group_count(gradients, last - first)
    blocks = (last - first + BLOCK_ROWS - 1) // BLOCK_ROWS
    # A step that is taken in place is by the gradient before it.
    at_once = BLOCK_ROWS if accumulate else rows_at_once(params, data.X, last - first)
    if team.thread == 0 and team.n_threads > 1:
        begin_round(team.barrier, number)
    group = next_group(team, number, n_groups, -1)
    while group < n_groups:
        first_block, end = group * blocks // n_groups, (group + 1) * blocks // n_groups
        start = first + min(first_block + span.first_block, end) * BLOCK_ROWS
        stop = min(first + min(first_block + span.last_block, end) * BLOCK_ROWS, last)
        continues = span.first_block > 0
        P = gradients.values.shape[1]
        grads = flat_views(params, part(gradients.values, group * P, (P,)))
        gradients.losses[group] = sum_blocks(
            model, params, data, order, start, stop, at_once, scale, accumulate or continues,
            gradients.losses[group] if continues else 0.0, grads, team.buffers,
        )  # fmt: skip
        if team.n_threads > 1:
            finish_item(team.barrier)
        group = next_group(team, number, n_groups, group)


@inline
def next_group(team, number, n_groups, group):
    """Return the group to compute after that one, n_groups or more if there is none."""
    if team.n_threads == 1:
        return group + 1
    return take_item(team.barrier, team.thread, number, n_groups)


@compiled_once
def add_groups(values, n_groups):
    """Sum the groups' gradients, in their order. OUT: values[0]."""
    for group in range(1, n_groups):
        for i in range(values.shape[1]):
            values[0, i] += values[group, i]


@inline
def mean_scale(weight, order, first, last):
    """Return one over the sum of the rows' weights, or 0 where that would overflow their dtype."""
    if weight.size == 0:
        return 1.0 / (last - first)
    least, total = LEAST_WEIGHT_F32 if weight.itemsize == 4 else LEAST_WEIGHT_F64, 0.0
    for i in range(first, last):
        total += np.float64(weight[order[i] if order.size > 0 else i])
    return 1.0 / total if total >= least else 0.0


@inline
def sum_blocks(
    model, params, data, order, first, last, rows_at_once, scale, accumulate, loss, grads, buffers
):
    """Return loss plus Σ w loss · scale over rows order[first:last]. OUT: grads, its gradient."""
    X, y, weight = data
    work, numbers, y_rows, weight_rows = buffers
    in_order = order.size == 0
    for start in range(first, last, rows_at_once):
        n_rows = min(last - start, rows_at_once)
        n_weights = n_rows if weight.size > 0 else 0
        if in_order:
            X_block = rows_from(X, start, n_rows)
            rows = part(numbers, 0, (n_rows,))
            y_block, weight_block = part(y, start, (n_rows,)), part(weight, start, (n_weights,))
        else:
            # Numbers of the block's rows, and then of those that come next.
            X_block, rows = X, part(order, start, (order.size - start,))
            y_block, weight_block = part(y_rows, 0, (n_rows,)), part(weight_rows, 0, (n_weights,))
            gather_labels(y, weight, rows, y_block, weight_block)
        loss += dispatch.loss_and_gradient(
            model, params, X_block, rows, y_block, weight_block, scale,
            accumulate or start > first, grads, work,
        )  # fmt: skip
    return loss


@compiled_once
def gather_labels(y, weight, numbers, y_rows, weight_rows):
    """Copy the labels and weights of the rows of those numbers. OUT: y_rows, weight_rows."""
    if y.size * y.itemsize > NEAR_BYTES:
        for i in range(y_rows.size):
            prefetch_row(y, numbers[min(i + PREFETCH_ROWS, numbers.size - 1)])
    for i in range(y_rows.size):
        y_rows[i] = y[numbers[i]]
    for i in range(weight_rows.size):
        weight_rows[i] = weight[numbers[i]]


@entry_point
def predict_proba(buffers, model, params, X, proba):
    """Fill the rows' class probabilities. OUT: proba (n, max(K, 2))."""
    n_rows, columns = proba.shape
    for first in range(0, n_rows, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n_rows - first)
        dispatch.predict_proba(
            model, params, rows_from(X, first, rows), part(buffers.numbers, 0, (rows,)),
            part(proba, first * columns, (rows, columns)), buffers.work,
        )  # fmt: skip


@entry_point
def predict_classes(buffers, model, params, X, classes):
    """Fill the most probable classes; return 0, or NaN if a logit is not finite. OUT: classes."""
    check = 0.0
    for first in range(0, classes.size, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, classes.size - first)
        check += dispatch.predict_classes(
            model, params, rows_from(X, first, rows), part(buffers.numbers, 0, (rows,)),
            part(classes, first, (rows,)), buffers.work,
        )  # fmt: skip
    return check
