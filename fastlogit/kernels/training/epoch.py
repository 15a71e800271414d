"""The entry points: the batches of an epoch, and probabilities.

A batch of all rows without a step after it is the loss over the data and its gradient.

Rows are processed in blocks that stay in cache. The blocks of a large batch are divided into
groups, whose number depends on the batch's rows alone; each group has its own gradient, and these
are added in their order. So threads may share the groups, and the bits do not depend on the number
of threads.
All state lives in the arguments: a slice of an epoch's batches is a call like any other.
"""

from typing import Any, NamedTuple

from fastlogit.kernels.codegen import dispatch
from fastlogit.kernels.codegen.arrays import flat_views, part, rows_from
from fastlogit.kernels.codegen.barrier import wait
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once, entry_point
from fastlogit.kernels.layers.sparse import is_csr
from fastlogit.kernels.training.blocks import BLOCK_ROWS, Rows, mean_scale, sum_blocks
from fastlogit.kernels.training.optimizers import l2_penalty, update

MAX_GROUPS = 8
# Batches of one row that are trained on in one loop.
CHAIN_ROWS = 1024
ALL_BLOCKS = 1 << 62
# Elements of a cache line, or two: no two threads write to one.
SHARED_ELEMENTS = 16


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
    """How a step is taken: the optimizer's address or NO_STEP, its settings, the penalty α/2 ‖w‖².

    The first n_weights elements of theta are penalised. With alpha_by_row α is divided by the sum
    of a batch's weights. A step of plain gradient descent may be taken in place: the gradient of a
    batch of one block, times −η, is summed into theta itself.
    """

    optimizer: Any
    settings: Any
    n_weights: Any
    alpha: Any
    alpha_by_row: Any
    in_place: Any


class Span(NamedTuple):
    """What one call processes: the batches first_batch to last_batch, numbered through the epochs.

    Of a batch that is too large for one call it is one batch, and of each group of its blocks those
    from first_block to last_block, numbered in the group.
    """

    first_batch: Any
    last_batch: Any
    first_block: Any = 0
    last_block: Any = ALL_BLOCKS


class Team(NamedTuple):
    """One of the threads that run the same call: its number, how many they are, their barrier."""

    thread: Any
    n_threads: Any
    barrier: Any
    buffers: Any


@entry_point
def run_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Train on the batches of the span; the step of one that is cut follows its last blocks.

    Epoch e takes its rows in the order orders[e] (E, n), or in their own if orders has no columns.
    A batch's loss is from before its step, and includes the penalty. A batch whose weights sum to
    next to zero is skipped. losses[e] gains the batch's share of the epoch's mean loss, rows / n of
    its own. OUT: state, losses (and params, which are state's theta); gradients, of which the first
    ends as that of the last batch unless steps are taken in place.
    """
    n_rows = data.y.size
    batches = (n_rows + batch_size - 1) // batch_size
    unweighted_rows = batch_size == 1 and data.weight.size == 0 and orders.shape[1] > 0
    if unweighted_rows and rule.in_place and not is_csr(data.X):
        run_rows(team, model, params, state, rule, data, orders, span, losses)
        return
    theta = Gradients(part(state.theta, 0, (1, state.theta.size)), gradients.losses)
    epoch, last = span.first_batch // batches, span.first_batch % batches * batch_size
    for _ in range(span.first_batch, span.last_batch):
        if last == n_rows:
            epoch, last = epoch + 1, 0
        first, last = last, min(last + batch_size, n_rows)
        order = part(orders, epoch * orders.shape[1], (orders.shape[1],))
        scale = mean_scale(data.weight, order, first, last)
        if scale == 0:
            continue
        in_place = rule.in_place and last - first <= BLOCK_ROWS
        factor = -rule.settings[0] if in_place else 1.0
        share_groups(
            team, model, params, theta if in_place else gradients, in_place, data, order, first,
            last, factor * scale, span,
        )  # fmt: skip
        if span.last_block < blocks_of_group(gradients, last - first):
            return
        if not wait(team.barrier, team.n_threads):
            return
        n_groups = group_count(gradients, last - first)
        if n_groups > 1:
            add_groups(gradients.values, n_groups, team.thread, team.n_threads)
            if not wait(team.barrier, team.n_threads):
                return
        if team.thread == 0:
            loss = step(state, gradients, rule, in_place, n_groups, scale)
            losses[epoch] += loss / factor * ((last - first) / n_rows)
        if not wait(team.barrier, team.n_threads):
            return


@inline
def run_rows(team, model, params, state, rule, data, orders, span, losses):
    """Train on batches of one row, see single_row_sgd. OUT: params, state, losses.

    An epoch is trained in chains of CHAIN_ROWS rows, each one call, and a span ends where a chain
    does: so no bit depends on where that is.
    """
    n_rows, first = data.y.size, span.first_batch
    while first < span.last_batch and team.thread == 0:
        epoch = first // n_rows
        begun = first - epoch * n_rows
        end = epoch * n_rows + min((begun // CHAIN_ROWS + 1) * CHAIN_ROWS, n_rows)
        count = min(end, span.last_batch) - first
        order = part(orders, first, (count,))
        loss = dispatch.train_rows(
            model, params, data.X, data.y, order, rule.settings[0], team.buffers.work
        )
        losses[epoch] += loss / n_rows
        state.steps[0] += count
        first += count


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
def group_count(gradients, n_rows):
    """Return the number of groups that the blocks of n_rows rows are divided into."""
    return min((n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, gradients.losses.size)


@inline
def blocks_of_group(gradients, n_rows):
    """Return the number of blocks in the largest group of n_rows rows."""
    blocks, n_groups = (n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, group_count(gradients, n_rows)
    return (blocks + n_groups - 1) // n_groups


@inline
def share_groups(team, model, params, gradients, accumulate, data, order, first, last, scale, span):
    """Compute this thread's share of the groups of rows order[first:last]. OUT: gradients.

    With accumulate a group's gradient is added to its array; after the first block always.
    """
    n_groups = group_count(gradients, last - first)
    blocks = (last - first + BLOCK_ROWS - 1) // BLOCK_ROWS
    for group in range(team.thread, n_groups, team.n_threads):
        first_block, end = group * blocks // n_groups, (group + 1) * blocks // n_groups
        start = first + min(first_block + span.first_block, end) * BLOCK_ROWS
        stop = min(first + min(first_block + span.last_block, end) * BLOCK_ROWS, last)
        continues = span.first_block > 0
        P = gradients.values.shape[1]
        grads = flat_views(params, part(gradients.values, group * P, (P,)))
        gradients.losses[group] = sum_blocks(
            model, params, data, order, start, stop, scale, accumulate or continues,
            gradients.losses[group] if continues else 0.0, grads, team.buffers,
        )  # fmt: skip


@compiled_once
def add_groups(values, n_groups, thread, n_threads):
    """Sum a thread's share of the elements over all groups, in their order. OUT: values[0]."""
    lines = (values.shape[1] + SHARED_ELEMENTS - 1) // SHARED_ELEMENTS
    first = lines * thread // n_threads * SHARED_ELEMENTS
    last = min(lines * (thread + 1) // n_threads * SHARED_ELEMENTS, values.shape[1])
    for group in range(1, n_groups):
        for i in range(first, last):
            values[0, i] += values[group, i]


@entry_point
def predict_proba(buffers, model, params, X, proba):
    """Fill the rows' class probabilities. OUT: proba (n, max(K, 2))."""
    n_rows, columns = proba.shape
    for first in range(0, n_rows, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n_rows - first)
        dispatch.predict_proba(
            model, params, rows_from(X, first, rows), Rows(part(buffers.numbers, 0, (rows,)), True),
            part(proba, first * columns, (rows, columns)), buffers.work,
        )  # fmt: skip
