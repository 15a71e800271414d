"""Sparse rows, and the products of the layer that sees them, called through ``dispatch``.

Shapes: X a Csr of n rows and D features, numbers of its rows, W (D, H), b (H,), out and d_out
(B, H). The weights that see sparse rows are (D, H) in every model, never transposed: a non-zero
is multiplied with H adjacent weights. Columns may come in any order and repeat, since the products
are linear in the non-zeros.

The weights may be held as s V, V in the place of W, so that a penalty that shrinks all of them is a
product of two numbers (:mod:`fastlogit.kernels.training.in_place_sgd`). scaling of a Csr holds
s, the factor of X in the forward product; r, that in the gradient; Σ V²; and whether that is kept:

    out = s X V + b        V += r Xᵀ d_out        Σ V² gains Σ (V' − V)(V' + V) of what changes
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastlogit.kernels.codegen import row_products
from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import KERNEL_OPTIONS, compiled_as, inline, kernel
from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_part
from fastlogit.kernels.layers.dense import add_rows

FORWARD, BACKWARD, SQUARES, TRACKED = range(4)

# Rows by their non-zeros: those of row i are data[indptr[i]:indptr[i + 1]].
# data (nnz,), indices (nnz,) uint32, indptr (n + 1,) int64, scaling (4,) float64.
Csr = namedtuple("Csr", "data indices indptr scaling")


def csr(data: Any, indices: Any, indptr: Any) -> Csr:
    """Return sparse rows that are multiplied as they are."""
    return Csr(data, indices, indptr, np.array([1.0, 1.0, 0.0, 0.0]))


def is_csr(X: Any) -> bool:
    """Return whether X, an array or a named tuple or Numba's type of one, is a Csr."""
    return isinstance(X, Csr) or getattr(X, "instance_class", None) is Csr


@compiled_as(is_csr, jit_options=KERNEL_OPTIONS, inline="always")
def _is_csr(X):
    found = is_csr(X)
    return lambda X: found  # noqa: ARG005


def row_bytes(X: Any) -> int:
    """Return the size of a row of an array, 0 for sparse ones: they are not read twice."""
    return 0 if is_csr(X) else X.shape[1] * X.itemsize


@compiled_as(row_bytes, jit_options=KERNEL_OPTIONS, inline="always")
def _row_bytes(X):
    if is_csr(X):
        return lambda X: 0  # noqa: ARG005
    return lambda X: X.shape[1] * X.itemsize


@compiled_as(rows_from, jit_options=KERNEL_OPTIONS, inline="always")
def _rows_from(X, start, n_rows):
    def sparse_rows(X, start, n_rows):
        return Csr(X.data, X.indices, part(X.indptr, start, (n_rows + 1,)), X.scaling)

    return sparse_rows if is_csr(X) else None


@inline
def linear_forward(X, rows, W, b, out):
    """Compute out = s X W + b on the given rows. OUT: out."""
    far = X.data.size * X.data.itemsize > NEAR_BYTES
    csr_product(X.data, X.indices, X.indptr, rows, far, X.scaling[FORWARD], W, b, out)


@inline
def linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = r Xᵀ d_out on the given rows, and grad_b = Σ_rows d_out. OUT: both."""
    hidden_backward(X, rows, d_out, accumulate, grad_W, grad_W)
    add_rows(d_out, accumulate, grad_b)


@inline
def hidden_forward(X, rows, W, b, panel, out):
    """Compute what linear_forward does: rows are not copied. OUT: out."""
    linear_forward(X, rows, W, b, out)


@inline
def hidden_backward(X, rows, d_out, accumulate, panel, grad_W):
    """Compute grad_W = r Xᵀ d_out on the given rows. OUT: grad_W."""
    if not accumulate:
        clear(grad_W)
    add_csr_product(X.data, X.indices, X.indptr, rows, d_out, X.scaling, grad_W)


@compiled_once
def clear(array):
    """Set all elements to 0. OUT: array."""
    array[...] = 0


@compiled_once
def csr_product(data, indices, indptr, numbers, far, factor, W, b, out):
    """Compute out = factor X W + b on rows of those numbers; prefetch later ones. OUT: out."""
    width, scale, w = b.size, out.dtype.type(factor), part(W, 0, (W.size,))
    for i in range(out.shape[0]):
        if far:
            start, count = row_of(indptr, numbers[min(i + PREFETCH_ROWS, numbers.size - 1)])
            prefetch_part(data, start, count)
            prefetch_part(indices, start, count)
        start, count = row_of(indptr, numbers[i])
        values, columns = part(data, start, (count,)), part(indices, start, (count,))
        if width == 1:
            total = out.dtype.type(0)
            for p in range(count):
                total += values[p] * w[columns[p]]
            out[i, 0] = scale * total + b[0]
            continue
        out_row = part(out, i * width, (width,))
        row_products.sparse_row_product(values, columns, count, W, width, out_row)
        for h in range(width):
            out_row[h] = scale * out_row[h] + b[h]


@kernel
def row_of(indptr, row):
    """Return where a row begins, and its number of non-zeros."""
    return indptr[row], indptr[row + 1] - indptr[row]


@compiled_once
def add_csr_product(data, indices, indptr, numbers, d_out, scaling, W):
    """Add r Xᵀ d_out on the rows of those numbers; update Σ W² if tracked. OUT: W, scaling."""
    width, tracked = d_out.shape[1], scaling[TRACKED] != 0
    squares, w = part(scaling, SQUARES, (1,)), part(W, 0, (W.size,))
    for i in range(d_out.shape[0]):
        start, count = row_of(indptr, numbers[i])
        values, columns = part(data, start, (count,)), part(indices, start, (count,))
        d, factor = part(d_out, i * width, (width,)), scaling[BACKWARD]
        if width > 1:
            row_products.add_sparse_row(
                values, columns, count, factor, d, width, tracked, squares, W
            )
            continue
        step = w.dtype.type(factor) * d[0]
        if tracked:
            squares[0] += add_tracked(values, columns, step, w)
        else:
            for p in range(count):
                w[columns[p]] += step * values[p]


@kernel
def add_tracked(values, columns, factor, w):
    """Add factor times the values to w[columns]; return the increase of Σ w². OUT: w."""
    # Four independent sums take 0.6 of the time of one.
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    whole = values.size // 4 * 4
    for p in range(0, whole, 4):
        first += gained(w, columns[p], factor * values[p])
        second += gained(w, columns[p + 1], factor * values[p + 1])
        third += gained(w, columns[p + 2], factor * values[p + 2])
        fourth += gained(w, columns[p + 3], factor * values[p + 3])
    for p in range(whole, values.size):
        first += gained(w, columns[p], factor * values[p])
    return (first + second) + (third + fourth)


@kernel
def gained(w, i, step):
    """Add the step to w[i]; return the increase of its square. OUT: w."""
    before, after = np.float64(w[i]), w[i] + step
    w[i] = after
    return (np.float64(after) - before) * (np.float64(after) + before)
