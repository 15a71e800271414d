"""Second derivatives of the linear models' mean loss: the Hessian, and its product with a vector.

Shapes: n rows, B of them in a block, D features, K outputs (1 for two classes), C classes kept, P
pairs of them. X (n, D), weight (n,) or empty for unit weights, Wt (K, D), b (K,), logits (B, K).

With the logits z = W x + b of a row and its weight w, ∂L/∂zₖ = w (pₖ − yₖ) (see softmax.py and
logistic.py), and as ∂pₖ/∂zₗ = pₖ ([k = l] − pₗ),

    ∂²L/∂zₖ∂zₗ = w pₖ ([k = l] − pₗ)          two classes, one output: w p (1 − p)

Since ∂zₖ/∂wₖ = x and ∂zₖ/∂bₖ = 1, with v the row's second derivative above over Σ w,

    ∂²L/∂wₖ∂wₗ = Σ_rows v x xᵀ      ∂²L/∂wₖ∂bₗ = Σ_rows v x      ∂²L/∂bₖ∂bₗ = Σ_rows v

The first is symmetric in the classes and in the features: pairs k ≤ l are computed, for features
i ≤ j up to whole panels of them. A panel's columns of all pairs, v x, are adjacent, so that few
pairs or few features still make a wide product.
"""

from typing import Any, NamedTuple

import numpy as np

from fastlogit.kernels.codegen.compile import inline, kernel
from fastlogit.kernels.codegen.entry_points import entry_point
from fastlogit.kernels.codegen.tiles import dots, product
from fastlogit.kernels.layers import elementary
from fastlogit.kernels.layers.output_losses import softmax_proba
from fastlogit.kernels.training.blocks import BLOCK_ROWS, calls

# Pairs whose columns are processed together, so that a block of them stays in cache.
PAIRS_AT_ONCE = 16


class HessianBuffers(NamedTuple):
    """Workspace: logits (B, K), pairs (B, P), scaled (B · 16 · width,), squares, border (P, D).

    squares holds the sums v xᵢ xⱼ of each group of pairs and panel of features: the panel's rows
    i, in each the group's pairs, in each the panel's features j. It and the border are a block's;
    their totals, and the corner (P,), are summed in float64: in float32 the
    smallest eigenvalues of the Hessian would be those of rounding.
    """

    logits: Any
    pairs: Any
    scaled: Any
    squares: Any
    border: Any
    total_squares: Any
    total_border: Any
    corner: Any


def hessian_buffers(n_features: int, n_outputs: int, n_kept: int, dtype: Any) -> HessianBuffers:
    """Allocate the workspace for the Hessian of n_kept of the classes."""
    n_pairs = n_kept * (n_kept + 1) // 2
    width = panel_width(n_features, n_pairs, dtype)
    ends = [min(first + width, n_features) for first in range(0, n_features, width)]
    squares = sum(end * (end - first) for first, end in zip([0, *ends], ends, strict=False))
    return HessianBuffers(
        np.empty((BLOCK_ROWS, n_outputs), dtype),
        np.empty((BLOCK_ROWS, n_pairs), dtype),
        np.empty(BLOCK_ROWS * min(n_pairs, PAIRS_AT_ONCE) * width, dtype),
        np.empty(squares * n_pairs, dtype),
        np.empty((n_pairs, n_features), dtype),
        np.empty(squares * n_pairs),
        np.empty((n_pairs, n_features)),
        np.empty(n_pairs),
    )


def panel_width(n_features: int, n_pairs: int, dtype: Any) -> int:
    """Return how many features a panel has: as few as still fill the tiles of a product."""
    return min(n_features, 128 // np.dtype(dtype).itemsize if n_pairs == 1 else 16)


def hessian(
    Wt: Any, b: Any, X: Any, weight: Any, scale: float, width: int, same: float, other: float,
    buffers: HessianBuffers, out: Any,
) -> None:  # fmt: skip
    """Fill the Hessian of the mean loss in the kept classes' weights, then in their biases.

    scale is one over the sum of the weights, width that of the panels. out is (C D, C D) without
    the biases, else (C D + C, C D + C). A penalty adds `same` to the second derivative of a weight,
    `other` to that in the weights of one feature for two classes. OUT: out, buffers.
    """
    features, pairs = X.shape[1], buffers.corner.size
    for first, last in calls(len(X), features * (Wt.shape[0] + pairs * features / 2)):
        add_curvature(
            Wt, b, X, weight, scale, width, same, other, buffers, first, last, out
        )  # fmt: skip


@entry_point
def add_curvature(Wt, b, X, weight, scale, width, same, other, buffers, first, last, out):
    """Add rows first to last to the sums; fill the Hessian after the last. OUT: out, buffers."""
    total_squares, total_border = buffers.total_squares, buffers.total_border.reshape(-1)
    if first == 0:
        total_squares[:], total_border[:], buffers.corner[:] = 0, 0, 0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        X_block, rows = X[start:stop], stop - start
        logits, pairs = buffers.logits[:rows], buffers.pairs[:rows]
        dots(X_block, Wt, b, rows, Wt.shape[0], X.shape[1], logits)
        pair_curvature(logits, weight[start:stop], scale, pairs)
        sum_squares(X_block, pairs, width, buffers.scaled, buffers.squares)
        sum_border(X_block, pairs, buffers.border, buffers.corner)
        add(buffers.squares, total_squares)
        add(buffers.border.reshape(-1), total_border)
    if last == X.shape[0]:
        spread(width, same, other, buffers, out)


@kernel
def pair_curvature(logits, weight, scale, pairs):
    """Fill v of the pairs k ≤ l, row by row of their triangle. OUT: pairs (B, P), logits."""
    scale = logits.dtype.type(scale)
    if logits.shape[1] == 1:
        logistic_curvature(logits.reshape(-1), weight, scale, pairs.reshape(-1))
    else:
        softmax_curvature(logits, weight, scale, pairs)


@kernel
def logistic_curvature(logits, weight, scale, curvature):
    """Fill w p (1 − p), as e / (1 + e)² with e = e^−|z|, which cannot overflow. OUT: curvature."""
    one = logits.dtype.type(1)
    for i in range(logits.size):
        e = elementary.exp(-abs(logits[i]))
        curvature[i] = e / ((one + e) * (one + e)) * scale
    for i in range(weight.size):
        curvature[i] *= weight[i]


@kernel
def softmax_curvature(logits, weight, scale, pairs):
    """Fill w pₖ ([k = l] − pₗ) of the pairs, row by row of their triangle. OUT: pairs, logits."""
    rows, n_pairs = pairs.shape
    classes = kept_classes(n_pairs)
    one = logits.dtype.type(1)
    softmax_proba(logits, logits)
    for i in range(rows):
        w = weight[i] * scale if weight.size > 0 else scale
        pair = 0
        for k in range(classes):
            p = logits[i, k] * w
            pairs[i, pair] = p * (one - logits[i, k])
            for m in range(k + 1, classes):
                pairs[i, pair + m - k] = -p * logits[i, m]
            pair += classes - k


@kernel
def kept_classes(n_pairs):
    """Return C of P = C (C + 1) / 2."""
    count = 1
    while count * (count + 1) // 2 < n_pairs:
        count += 1
    return count


@kernel
def add(values, totals):
    """Add the values to the totals. OUT: totals."""
    for i in range(values.size):
        totals[i] += np.float64(values[i])


@kernel
def sum_squares(X, pairs, width, scaled, squares):
    """Fill Σ v xᵢ xⱼ of a block's rows. OUT: squares, scaled."""
    rows, features = X.shape
    n_pairs = pairs.shape[1]
    place = 0
    for first_pair in range(0, n_pairs, PAIRS_AT_ONCE):
        count = min(n_pairs - first_pair, PAIRS_AT_ONCE)
        for first in range(0, features, width):
            end = min(first + width, features)
            columns = count * (end - first)
            scale_columns(X, pairs, first, end, first_pair, count, scaled)
            size = end * columns
            sums, block = squares[place : place + size], scaled[: rows * columns]
            product(
                X, 1, features, block, columns, sums, -1, columns, end, columns, rows, sums, columns
            )
            place += size


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


@kernel
def sum_border(X, pairs, border, corner):
    """Fill Σ v x and add Σ v of a block's rows. OUT: border (P, D), corner (P,)."""
    rows, features = X.shape
    n_pairs = pairs.shape[1]
    product(
        pairs, 1, n_pairs, X, features, border, -1, features, n_pairs, features, rows, border,
        features,
    )  # fmt: skip
    for i in range(rows):
        for pair in range(n_pairs):
            corner[pair] += np.float64(pairs[i, pair])


@inline
def spread(width, same, other, buffers, out):
    """Write the totals to all their places in the Hessian. OUT: out."""
    n_pairs, features = buffers.border.shape
    classes = kept_classes(n_pairs)
    place = 0
    for first_pair in range(0, n_pairs, PAIRS_AT_ONCE):
        count = min(n_pairs - first_pair, PAIRS_AT_ONCE)
        for first in range(0, features, width):
            end = min(first + width, features)
            size = end * count * (end - first)
            panel = buffers.total_squares[place : place + size].reshape(end, count, end - first)
            spread_panel(panel, first_pair, first, features, classes, same, other, out)
            place += size
    if out.shape[0] > classes * features:
        spread_border(buffers.total_border, buffers.corner, classes, out)


@kernel
def spread_panel(panel, first_pair, first, features, classes, same, other, out):
    """Write a group's panel, (end, count, end − first). OUT: out."""
    end, count, width = panel.shape
    pair = 0
    for k in range(classes):
        for m in range(k, classes):
            at, row, column = pair - first_pair, k * features, m * features
            pair += 1
            for i in range(end if 0 <= at < count else 0):
                for step in range(max(i - first, 0), width):
                    j, value = first + step, panel[i, at, step]
                    if i == j:
                        value += same if k == m else other
                    out[row + i, column + j] = out[column + j, row + i] = value
                    out[row + j, column + i] = out[column + i, row + j] = value


@kernel
def spread_border(border, corner, classes, out):
    """Write the rows and columns of the biases. OUT: out."""
    features = border.shape[1]
    biases = classes * features
    pair = 0
    for k in range(classes):
        for m in range(k, classes):
            for j in range(features):
                value = border[pair, j]
                out[k * features + j, biases + m] = out[biases + m, k * features + j] = value
                out[m * features + j, biases + k] = out[biases + k, m * features + j] = value
            out[biases + k, biases + m] = out[biases + m, biases + k] = corner[pair]
            pair += 1
