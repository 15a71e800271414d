"""Dual coordinate descent for the logistic model with an L2 penalty.

Shapes: n rows, D features. X (n, D) dense or a Csr, w (D,), b (1,); of the rows sign, bound, square
and u, all (n,).

With the signs s = ±1 of the labels and the bounds c = C · weight the problem and its dual are

    min over w:  ‖w‖² / 2 + Σ c log(1 + e^(−s x · w))
    min over 0 < a < c:  ‖Σ a s x‖² / 2 + Σ a log a + (c − a) log(c − a)        w = Σ a s x

(Yu, Huang and Lin, Dual coordinate descent methods for logistic regression and maximum entropy
models, 2011). In one row's a, the others held, the derivative q (a' − a) + m + log(a' / (c − a')),
with q = ‖x‖² and the margin m = s x · w, is 0 at the minimum. In the logit u = −log(a / (c − a)),
so that a = c σ(−u), that is

    φ(u) = u − m − q (c σ(−u) − a) = 0        φ' = 1 + q c σ(u) σ(−u)

which needs no logarithm, and in which no a rounds to a bound. u is held in the place of a; at the
optimum it is the row's margin. To the duality gap a row adds c times the Bregman divergence of
log(1 + e^−z) from u to m. That and the one from m to u sum to (σ(−u) − σ(−m)) (m − u), of which
half is taken: it agrees up to the third order.

A bias with the penalty (b − centre)² / 2r is the weight of a feature √r: b = centre + r Σ a s.
"""

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import chosen_by_type, kernel
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.codegen.row_products import add_row, row_dot, rows_dot
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_part, prefetch_row
from fastlogit.kernels.layers import elementary
from fastlogit.kernels.layers.sparse import is_csr, row_of

# Newton's steps for a row at most, and where they end: φ relative to the first, and to u.
ROW_STEPS = 40
ROW_RESIDUAL = 0.01
LEAST_RESIDUAL = 1e-14
LONG_ROW_BYTES = 4096
# u of a row whose a is 0: c times σ(−u) is lost in any sum with another row's.
UNSEEN = 40.0


@entry_point
def descend(X, order, sign, bound, bias_square, sums, square, u, w, b):
    """Update rows in that order; return the gap that they had and the largest |u − m|. OUT: last 5.

    w is D elements, of dense rows with zeros after them up to whole vectors. A square below 0 is
    computed, for which sums (D,) are 0.
    """
    gap, largest, last = 0.0, 0.0, order.size - 1
    for i in range(order.size):
        row, c = order[i], bound[order[i]]
        prefetch(X, order[min(i + PREFETCH_ROWS, last)])
        m = sign[row] * (np.float64(times_row(X, row, w)) + b[0])
        if square[row] < 0.0:
            square[row] = row_square(X, row, sums)
        before, p = u[row], elementary.sigmoid(-u[row])
        gap += 0.5 * c * (p - elementary.sigmoid(-m)) * (m - before)
        largest = max(largest, abs(before - m))
        u[row] = solve_row(before, m, square[row] + bias_square, c)
        move = sign[row] * c * (elementary.sigmoid(-u[row]) - p)
        b[0] += bias_square * move
        add_to_row(X, row, w.dtype.type(move), w)
    return gap, largest


@kernel
def solve_row(u, m, q, c):
    """Return where φ is 0, from u on, by Newton's method between bounds."""
    a = c * elementary.sigmoid(-u)
    low, high = m - q * a, m + q * (c - a)
    enough = ROW_RESIDUAL * abs(u - m) + LEAST_RESIDUAL * (1.0 + abs(u))
    u = min(max(u, low), high)
    for _ in range(ROW_STEPS):
        p = elementary.sigmoid(-u)
        phi = u - m - q * (c * p - a)
        if abs(phi) <= enough:
            break
        if phi < 0.0:
            low = u
        else:
            high = u
        u -= phi / (1.0 + q * c * p * (1.0 - p))
        if not low < u < high:
            u = 0.5 * (low + high)
    return u


def _prefetch_dense(X, row):
    # The CPU itself prefetches the rest of a long row.
    if X.size * X.itemsize > NEAR_BYTES and X.shape[1] * X.itemsize <= LONG_ROW_BYTES:
        prefetch_row(X, row)


def _prefetch_sparse(X, row):
    start, count = row_of(X.indptr, row)
    prefetch_part(X.data, start, count)
    prefetch_part(X.indices, start, count)


def _times_sparse_row(X, row, w):
    start, count = row_of(X.indptr, row)
    values, columns = part(X.data, start, (count,)), part(X.indices, start, (count,))
    total = w.dtype.type(0)
    for p in range(count):
        total += values[p] * w[columns[p]]
    return total


def _add_to_sparse_row(X, row, factor, w):
    start, count = row_of(X.indptr, row)
    values, columns = part(X.data, start, (count,)), part(X.indices, start, (count,))
    for p in range(count):
        w[columns[p]] += factor * values[p]


def _sparse_row_square(X, row, sums):
    """Return ‖x‖², where columns may repeat by sums (D,) of theirs. OUT: sums, 0 again."""
    start, count = row_of(X.indptr, row)
    values, columns = part(X.data, start, (count,)), part(X.indices, start, (count,))
    total, in_order = 0.0, True
    for p in range(count):
        total += np.float64(values[p]) * np.float64(values[p])
        in_order &= p == 0 or columns[p] > columns[max(p - 1, 0)]
    if in_order:
        return total
    total = 0.0
    for p in range(count):
        sums[columns[p]] += np.float64(values[p])
    for p in range(count):
        total += np.float64(values[p]) * sums[columns[p]]
    for p in range(count):
        sums[columns[p]] = 0.0
    return total


def _by_rows(dense, sparse):
    return chosen_by_type(lambda _name, X, *_: sparse if is_csr(X) else dense)(dense)


prefetch = _by_rows(_prefetch_dense, _prefetch_sparse)
times_row = _by_rows(lambda X, row, w: row_dot(X, row, w), _times_sparse_row)
add_to_row = _by_rows(lambda X, row, factor, w: add_row(X, row, factor, w), _add_to_sparse_row)
row_square = _by_rows(
    lambda X, row, sums: np.float64(rows_dot(X, row, row)),  # noqa: ARG005
    _sparse_row_square,
)
