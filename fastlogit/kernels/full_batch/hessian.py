"""Second derivatives of the linear models' mean loss: the Hessian, and its product with a vector.

Shapes: n rows, B of them in a block, D features, K outputs (1 for two classes), C classes kept, P
pairs of them. X (n, D), weight (n,) or empty for unit weights, Wt (K, D), b (K,), curvature (B, K).

With the logits z = W x + b of a row and its weight w, ∂L/∂zₖ = w (pₖ − yₖ) (see softmax.py and
logistic.py), and as ∂pₖ/∂zₗ = pₖ ([k = l] − pₗ),

    ∂²L/∂zₖ∂zₗ = w pₖ ([k = l] − pₗ)          two classes, one output: w p (1 − p)

Since ∂zₖ/∂wₖ = x and ∂zₖ/∂bₖ = 1, with v the row's second derivative above over Σ w,

    ∂²L/∂wₖ∂wₗ = Σ_rows v x xᵀ      ∂²L/∂wₖ∂bₗ = Σ_rows v x      ∂²L/∂bₖ∂bₗ = Σ_rows v

The first is symmetric in the classes and in the features: pairs k ≤ l are computed, for features
i ≤ j up to whole panels of them. A panel's columns of all pairs, v x, are adjacent, so that few
pairs or few features still make a wide product.

Along the direction (V, u) of the parameters the logits of a row change by ż = V x + u, and the
gradient in them by

    d(w (pₖ − yₖ)) = w Σₗ pₖ ([k = l] − pₗ) żₗ = w pₖ (żₖ − Σₗ pₗ żₗ)      K > 1
    d(w (p − y))   = w p (1 − p) ż                                        one output

so that the Hessian's product with (V, u) is what the gradient is, with these in place of w (p − y):
Pearlmutter, Fast exact multiplication by the Hessian (1994). What depends on the parameters alone,
w p (1 − p) or P, is stored between products as the curvature.
"""

import functools
from collections import namedtuple
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import Decorator, inline, kernel
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.codegen.tiles import dots, product, weighted_product
from fastlogit.kernels.layers import elementary
from fastlogit.kernels.layers.output_losses import softmax_proba
from fastlogit.kernels.training.epoch import BLOCK_ROWS, calls

# Pairs whose columns are processed together, so that a block of them stays in cache.
PAIRS_AT_ONCE = 16

# Workspace: curvature (B, K), pairs (B, P), scaled (B · 16 · width,) unless P is 1, squares, border
# (P, D). squares holds the sums v xᵢ xⱼ of each group of pairs and panel of features: the panel's
# rows i, in each the group's pairs, in each the panel's features j. It and the border are a
# block's. Their totals, and the corner (P,), are summed in float64: in float32 the smallest
# eigenvalues of the Hessian would be those of rounding.
HessianBuffers = namedtuple(
    "HessianBuffers", "curvature pairs scaled squares border total_squares total_border corner"
)


def hessian_buffers(n_features: int, n_outputs: int, n_kept: int, dtype: Any) -> HessianBuffers:
    """Allocate the workspace for the Hessian of n_kept of the classes."""
    blocks, totals = _shapes(n_features, n_outputs, n_kept, dtype)
    arrays = [np.empty(shape, dtype) for shape in blocks]
    if n_outputs == 1:
        arrays[0] = arrays[1]
    return HessianBuffers(*arrays, *[np.empty(shape) for shape in totals])


def blocks_for_one_output(n_features: int, dtype: Any) -> tuple[Any, Any]:
    """Allocate the workspace for one output in two blocks: a call takes 0.4 µs for each array."""
    n_rows_block, n_totals = _sizes_for_one_output(n_features, dtype)
    return np.empty(n_rows_block, dtype), np.empty(n_totals)


@functools.lru_cache(64)
def _sizes_for_one_output(n_features: int, dtype: Any) -> tuple[int, int]:
    shapes, totals = _shapes(n_features, 1, 1, dtype)
    of_rows, of_totals = [[int(np.prod(shape)) for shape in kind] for kind in (shapes[1:], totals)]
    return sum(of_rows), sum(of_totals)


@inline
def views_for_one_output(n_features, of_rows, totals):
    """Return the workspace in those blocks."""
    pairs, squares = part(of_rows, 0, (BLOCK_ROWS, 1)), totals.size - n_features - 1
    return HessianBuffers(
        pairs, pairs, part(of_rows, 0, (0,)), part(of_rows, BLOCK_ROWS, (squares,)),
        part(of_rows, BLOCK_ROWS + squares, (1, n_features)),
        part(totals, 0, (squares,)), part(totals, squares, (1, n_features)),
        part(totals, squares + n_features, (1,)),
    )  # fmt: skip


@functools.lru_cache(64)
def _shapes(n_features: int, n_outputs: int, n_kept: int, dtype: Any) -> tuple[Any, Any]:
    """Return the shapes of the arrays of the rows' dtype, and of those in float64."""
    n_pairs = n_kept * (n_kept + 1) // 2
    width = panel_width(n_features, n_pairs, dtype)
    ends = [min(first + width, n_features) for first in range(0, n_features, width)]
    squares = n_pairs * sum(end * (end - first) for first, end in pairwise([0, *ends]))
    scaled = BLOCK_ROWS * min(n_pairs, PAIRS_AT_ONCE) * width if n_pairs > 1 else 0
    shapes = (BLOCK_ROWS, n_outputs), (BLOCK_ROWS, n_pairs), scaled, squares, (n_pairs, n_features)
    totals = squares, (n_pairs, n_features), n_pairs
    return shapes, totals


def panel_width(n_features: int, n_pairs: int, dtype: Any) -> int:
    """Return how many features a panel has: as few as still fill the tiles of a product."""
    return min(n_features, 128 // np.dtype(dtype).itemsize if n_pairs == 1 else 16)


def in_calls(work: Callable[..., tuple[int, float]]) -> Decorator:
    """Jit a function called for slices of the rows; work returns their number and multiply-adds."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        jitted = entry_point(function)

        @functools.wraps(function)
        def call(*args: Any) -> None:
            for first, last in calls(*work(*args)):
                jitted(first, last, *args)

        call.entry_point = jitted  # type: ignore[attr-defined]
        return call

    return decorate


@in_calls(lambda Wt, _b, X, *rest: (len(X), Wt.size + rest[-1].size / 2))
def hessian(first, last, Wt, b, X, weight, scale, width, same, other, buffers, out):
    """Fill the mean loss's Hessian in the kept classes' weights, then biases. OUT: buffers, out."""
    fill_hessian(first, last, Wt, b, X, weight, scale, width, same, other, buffers, out)


@inline
def fill_hessian(first, last, Wt, b, X, weight, scale, width, same, other, buffers, out):
    """Fill the Hessian in calls of some rows each, see hessian. OUT: buffers, out."""
    # scale is 1 / Σ w, width that of the panels. out is (C D, C D), or (C D + C, C D + C) with the
    # biases. A penalty adds `same` to the second derivative of a weight, `other` to that in the
    # weights of one feature for two classes.
    total_squares, total_border = buffers.total_squares, buffers.total_border.reshape(-1)
    if first == 0:
        total_squares[:], total_border[:], buffers.corner[:] = 0, 0, 0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        X_block, weight_block = X[start:stop], weight[start:stop]
        curvature, pairs = buffers.curvature[: stop - start], buffers.pairs[: stop - start]
        fill_block(Wt, b, X_block, weight_block, scale, curvature)
        fill_pairs(curvature, weight_block, scale, pairs)
        sum_squares(X_block, pairs, width, buffers.scaled, buffers.squares)
        n_pairs, features = buffers.border.shape
        product(
            pairs, 1, n_pairs, X_block, features, buffers.border, -1, features, n_pairs, features,
            stop - start, buffers.border, features,
        )  # fmt: skip
        add_rows(pairs, buffers.corner)
        add(buffers.squares, total_squares)
        add(buffers.border.reshape(-1), total_border)
    if last == X.shape[0]:
        spread(width, same, other, buffers, out)


@kernel
def fill_block(Wt, b, X, weight, scale, curvature):
    """Fill what second derivatives need: w p (1 − p) of one output, or P. OUT: curvature (B, K)."""
    dots(X, Wt, b, X.shape[0], Wt.shape[0], X.shape[1], curvature)
    curve_logits(weight, scale, curvature)


@kernel
def curve_logits(weight, scale, curvature):
    """Replace the logits by w p (1 − p) of one output, or by P. OUT: curvature (B, K)."""
    if curvature.shape[1] > 1:
        softmax_proba(curvature, curvature)
        return
    values, scalar = curvature.reshape(-1), curvature.dtype.type
    one, scale = scalar(1), scalar(scale)
    for i in range(values.size):  # p (1 − p) = e / (1 + e)², which cannot overflow
        e = elementary.exp(-abs(values[i]))
        values[i] = e / ((one + e) * (one + e)) * scale
    for i in range(weight.size):
        values[i] *= weight[i]


@kernel
def fill_pairs(curvature, weight, scale, pairs):
    """Fill v of the pairs k ≤ l, row by row of their triangle. OUT: pairs (B, P)."""
    rows, n_pairs = pairs.shape
    classes, one, scale = kept_classes(n_pairs), pairs.dtype.type(1), pairs.dtype.type(scale)
    if curvature.shape[1] == 1:  # they are one array
        return
    for i in range(rows):
        w = weight[i] * scale if weight.size > 0 else scale
        pair = 0
        for k in range(classes):
            p = curvature[i, k] * w
            pairs[i, pair] = p * (one - curvature[i, k])
            for m in range(k + 1, classes):
                pairs[i, pair + m - k] = -p * curvature[i, m]
            pair += classes - k


@kernel
def kept_classes(n_pairs):
    """Return C of P = C (C + 1) / 2."""
    return int(np.sqrt(2 * n_pairs))  # C² < 2 P < (C + 1)²


@kernel
def add(values, totals):
    """Add the values to the totals. OUT: totals."""
    for i in range(values.size):
        totals[i] += np.float64(values[i])


@kernel
def add_rows(pairs, totals):
    """Add the pairs' sums over a block's rows, in float64. OUT: totals (P,)."""
    rows, n_pairs = pairs.shape
    values = pairs.reshape(-1)
    for pair in range(n_pairs):
        whole = rows - rows % 4  # each addition waits for the one before: four sums, in turn
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for i in range(0, whole, 4):
            place = i * n_pairs + pair
            a += np.float64(values[place])
            b += np.float64(values[place + n_pairs])
            c += np.float64(values[place + 2 * n_pairs])
            d += np.float64(values[place + 3 * n_pairs])
        for i in range(whole, rows):
            a += np.float64(values[i * n_pairs + pair])
        totals[pair] += (a + b) + (c + d)


@kernel
def sum_squares(X, pairs, width, scaled, squares):
    """Fill Σ v xᵢ xⱼ of a block's rows. OUT: squares, scaled."""
    (rows, features), n_pairs, place = X.shape, pairs.shape[1], 0
    if n_pairs == 1:  # without a copy of scaled columns, 0.65 of the time
        for first in range(0, features, width):
            end = min(first + width, features)
            sums = squares[place : place + end * (end - first)]
            weighted_product(X, features, pairs, first, end, end - first, rows, sums)
            place += sums.size
        return
    for first_pair in range(0, n_pairs, PAIRS_AT_ONCE):
        count = min(n_pairs - first_pair, PAIRS_AT_ONCE)
        for first in range(0, features, width):
            end = min(first + width, features)
            columns = count * (end - first)
            scale_columns(X, pairs, first, end, first_pair, count, scaled)
            sums = squares[place : place + end * columns]
            product(
                X, 1, features, scaled, columns, sums, -1, columns, end, columns, rows, sums,
                columns,
            )  # fmt: skip
            place += sums.size


@kernel
def scale_columns(X, pairs, first, end, first_pair, count, scaled):
    """Fill v x of the features first to end, pair by pair. OUT: scaled (B, count · width)."""
    width, place = end - first, 0
    for i in range(X.shape[0]):
        x = X[i, first:end]
        for pair in range(first_pair, first_pair + count):
            v = pairs[i, pair]
            target = scaled[place : place + width]
            for j in range(width):
                target[j] = v * x[j]
            place += width


@inline
def spread(width, same, other, buffers, out):
    """Write the totals to all their places in the Hessian. OUT: out."""
    n_pairs, features = buffers.border.shape
    classes, pair = kept_classes(n_pairs), 0
    for k in range(classes):
        for m in range(k, classes):
            row, column, biases = k * features, m * features, classes * features
            diagonal = same if k == m else other
            spread_squares(
                buffers.total_squares, pair, n_pairs, features, width, diagonal, row, column, out
            )
            if out.shape[0] > biases:
                border = buffers.total_border[pair]
                spread_border(border, row, biases + m, out)
                spread_border(border, column, biases + k, out)
                corner = buffers.corner[pair]
                out[biases + k, biases + m] = out[biases + m, biases + k] = corner
            pair += 1


@kernel
def spread_squares(squares, pair, n_pairs, features, width, diagonal, row, column, out):
    """Write a pair's Σ v xᵢ xⱼ at row and column and mirrored, with the penalty added. OUT: out."""
    first_pair = pair - pair % PAIRS_AT_ONCE
    count = min(n_pairs - first_pair, PAIRS_AT_ONCE)
    place = squares.size // n_pairs * first_pair
    for first in range(0, features, width):
        end = min(first + width, features)
        size = end * count * (end - first)
        panel = squares[place : place + size].reshape(end, count, end - first)
        for i in range(end):
            for step in range(max(i - first, 0), end - first):
                j, value = first + step, panel[i, pair - first_pair, step]
                if i == j:
                    value += diagonal
                out[row + i, column + j] = out[column + j, row + i] = value
                out[row + j, column + i] = out[column + i, row + j] = value
        place += size


@kernel
def spread_border(border, row, column, out):
    """Write Σ v x (D,) to the column and to the row of a bias. OUT: out."""
    for j in range(border.size):
        out[row + j, column] = out[column, row + j] = border[j]


@in_calls(lambda Wt, _b, X, *_: (len(X), Wt.size))
def fill_curvature(first, last, Wt, b, X, weight, scale, curvature):
    """Fill what products at these parameters need: w p (1 − p) or P. OUT: curvature (n, K)."""
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        fill_block(Wt, b, X[start:stop], weight[start:stop], scale, curvature[start:stop])


@in_calls(lambda curvature, X, *_: (len(X), 2 * X.shape[1] * curvature.shape[1]))
def hessian_product(first, last, curvature, X, weight, scale, V, u, changes, out_V, out_u):
    """Fill the Hessian's product with (V, u), like (Wt, b), without a penalty. OUT: last three."""
    # Rows are processed len(changes) at a time, a power of two up to BLOCK_ROWS or all of them.
    (outputs, features), rows_at_once = V.shape, changes.shape[0]
    if first == 0:
        out_u[:] = 0
    for start in range(first, last, rows_at_once):
        stop = min(start + rows_at_once, last)
        rows, init_start = stop - start, 0 if start > 0 else -1
        X_block, block = X[start:stop], changes[:rows]
        dots(X_block, V, u, rows, outputs, features, block)
        change_gradient(curvature[start:stop], weight[start:stop], scale, block, out_u)
        product(
            block, 1, outputs, X_block, features, out_V, init_start, features, outputs, features,
            rows, out_V, features,
        )  # fmt: skip


@kernel
def change_gradient(curvature, weight, scale, changes, out_u):
    """Replace ż by the change of the gradient. OUT: changes (B, K), out_u gains their sums."""
    (rows, outputs), proba, scale = changes.shape, curvature, changes.dtype.type(scale)
    if outputs == 1:
        values, factors, total = changes.reshape(-1), curvature.reshape(-1), out_u[0]
        for i in range(rows):
            values[i] *= factors[i]
            total += values[i]
        out_u[0] = total
        return
    for i in range(rows):
        w = weight[i] * scale if weight.size > 0 else scale
        mean = changes.dtype.type(0)
        for k in range(outputs):
            mean += proba[i, k] * changes[i, k]
        for k in range(outputs):
            changes[i, k] = w * proba[i, k] * (changes[i, k] - mean)
            out_u[k] += changes[i, k]
