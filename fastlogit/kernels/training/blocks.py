"""A batch's rows, processed in blocks that stay in cache."""

from typing import Any, NamedTuple

import numpy as np

from fastlogit.kernels.codegen import dispatch
from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, VECTOR_BYTES, prefetch_row
from fastlogit.kernels.layers.dense import PANEL_BYTES

BLOCK_ROWS = 256
# Multiply-adds of a jitted call, 0.1 to 1 second: between two calls, Python sees Ctrl-C.
CALL_MULTIPLY_ADDS = 1 << 29
# Cost of a row besides its products, in multiply-adds.
ROW_MULTIPLY_ADDS = 64
# A batch whose weights sum to less, the smallest normal number of their dtype, is skipped.
LEAST_WEIGHT_F32 = float(np.finfo(np.float32).tiny)
LEAST_WEIGHT_F64 = float(np.finfo(np.float64).tiny)


class Rows(NamedTuple):
    """Numbers of a block's rows in X, then of those that come next; in_order: 0, 1, 2, ..."""

    numbers: Any
    in_order: Any


class Buffers(NamedTuple):
    """Workspace of a thread: the model's own, and the labels and weights of a block's rows.

    numbers are 0, 1, 2, ... for the rows of a block that lie in order.
    """

    work: Any
    numbers: Any
    y: Any
    weight: Any


def allocate(params: Any, n_rows: int, sparse: bool = False) -> Buffers:
    """Allocate a thread's buffers for batches of up to n_rows rows; sparse ones are not copied."""
    rows, dtype = min(n_rows, BLOCK_ROWS), params[0].dtype
    work = workspace(params, rows, sparse)
    return Buffers(work, np.arange(rows), np.empty(rows, np.intp), np.empty(rows, dtype))


def workspace(params: Any, rows: int, sparse: bool) -> tuple[Any, ...]:
    """Allocate a model's own: logits and padded weights, or for a network A, dA, logits, X's rows.

    A network whose first layer is large has a panel besides, see dense.by_panels.
    """
    outputs, dtype = params[-1].size, params[0].dtype
    shapes: list[tuple[int, ...]]
    if len(params) == 2:
        lanes = VECTOR_BYTES // dtype.itemsize
        padded = 0 if sparse else -(-params[0].shape[1] // lanes) * lanes
        shapes = [(rows, outputs), (outputs, padded)]
    else:
        n_features, n_hidden = params[0].shape
        n_features = 0 if sparse else n_features
        shapes = [(rows, width) for width in (n_hidden, n_hidden, outputs, n_features)]
        largest = 0 if sparse else max(n_features, rows) * n_hidden * dtype.itemsize
        shapes.append((PANEL_BYTES // dtype.itemsize if largest > PANEL_BYTES else 0,))
    return tuple(np.empty(shape, dtype) for shape in shapes)


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


@inline
def mean_scale(weight, order, first, last):
    """Return one over the sum of the rows' weights, or 0 where that would overflow their dtype."""
    if weight.size == 0:
        return 1.0 / (last - first)
    least = LEAST_WEIGHT_F32 if weight.itemsize == 4 else LEAST_WEIGHT_F64
    total = 0.0
    for i in range(first, last):
        total += np.float64(weight[order[i] if order.size > 0 else i])
    return 1.0 / total if total >= least else 0.0


@inline
def sum_blocks(model, params, data, order, first, last, scale, accumulate, loss, grads, buffers):
    """Return loss plus Σ w loss · scale over rows order[first:last]. OUT: grads, its gradient."""
    X, y, weight = data
    work, numbers, y_rows, weight_rows = buffers
    in_order = order.size == 0
    for start in range(first, last, BLOCK_ROWS):
        n_rows = min(last - start, BLOCK_ROWS)
        n_weights = n_rows if weight.size > 0 else 0
        if in_order:
            X_block = rows_from(X, start, n_rows)
            rows = Rows(part(numbers, 0, (n_rows,)), True)
            y_block, weight_block = part(y, start, (n_rows,)), part(weight, start, (n_weights,))
        else:
            X_block, rows = X, Rows(part(order, start, (order.size - start,)), False)
            y_block, weight_block = part(y_rows, 0, (n_rows,)), part(weight_rows, 0, (n_weights,))
            gather_labels(y, weight, rows.numbers, y_block, weight_block)
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
