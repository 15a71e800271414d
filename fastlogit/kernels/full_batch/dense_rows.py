"""Linear models by the rows of a dense X, for solvers that work on single columns of it.

Shapes: n rows, D features, K outputs (1 for two classes). X (n, D), Wt (K, D), b (K,), logits and
residual (K, n), class by class. The gradient is flat, in float64: the weights (K, D) class by
class, then the biases (K,) if they are free. See columns.py.
"""

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.codegen.tiles import dots, product
from fastlogit.kernels.full_batch.columns import block_loss, copy_block, fill_residual
from fastlogit.kernels.training.epoch import BLOCK_ROWS

# A part of a column of so many rows is several cache lines; 16 rows take 1.2 of the time.
TAKEN_ROWS = 64


@entry_point
def loss_and_gradient(X, Wt, b, y, weight, scale, work, sums, logits, residual, gradient):
    """Return Σ w loss · scale; its gradient. OUT: work (256 K,), sums (K D,), and the last three.

    The sums of a block are of X's dtype, their totals in float64.
    """
    (n, D), K, loss = X.shape, b.size, 0.0
    gradient[:] = 0.0
    for start in range(0, n, BLOCK_ROWS):
        count = min(n - start, BLOCK_ROWS)
        block, rows = part(work, 0, (count, K)), part(X, start * D, (count, D))
        dots(rows, Wt, b, count, K, D, block)
        for i in range(count):
            for k in range(K):
                logits[k, start + i] = block[i, k]
        loss += block_loss(block, y, weight, start, scale)
        fill_residual(block, start, residual)
        product(block, 1, K, rows, D, sums, -1, D, K, D, count, sums, D)
        for place in range(sums.size):
            gradient[place] += np.float64(sums[place])
        if gradient.size > K * D:
            for i in range(count):
                for k in range(K):
                    gradient[K * D + k] += np.float64(block[i, k])
    return loss


@entry_point
def loss_along(logits, changes, length, y, weight, scale, work):
    """Return Σ w loss · scale at logits + length · changes, both (K, n). OUT: work (256 K,)."""
    (K, n), loss = logits.shape, 0.0
    factor = logits.dtype.type(length)
    for start in range(0, n, BLOCK_ROWS):
        count = min(n - start, BLOCK_ROWS)
        block = part(work, 0, (count, K))
        copy_block(logits, start, block)
        for i in range(count):
            for k in range(K):
                block[i, k] += factor * changes[k, start + i]
        loss += block_loss(block, y, weight, start, scale)
    return loss


@entry_point
def take_columns(X, features, columns):
    """Copy those columns of X. OUT: their rows of columns (D, n), of any dtype."""
    n = X.shape[0]
    for first in range(0, n, TAKEN_ROWS):
        last = min(first + TAKEN_ROWS, n)
        for j in range(features.size):
            feature = features[j]
            for i in range(first, last):
                columns[feature, i] = X[i, feature]
