"""What partitions of rows need besides training: rows from columns, and sums over columns."""

import numpy as np

from fastlogit.kernels.codegen.linking import entry_point

# Rows that are interleaved at once: their part of X stays in cache.
BLOCK_ROWS = 64


@entry_point
def interleave(columns, X):
    """Copy columns (D, n) to the columns of X. OUT: X (n, D)."""
    for first in range(0, X.shape[0], BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, X.shape[0])
        for j in range(X.shape[1]):
            for i in range(first, last):
                X[i, j] = columns[j, i]


@entry_point
def column_moments(X, shift, sums, squares):
    """Add Σ (x − shift) and Σ (x − shift)² of X (n, D). OUT: sums, squares (D,), float64."""
    # Shifted by a row, the variance of a column with a large mean loses no digits.
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            distance = np.float64(X[i, j]) - shift[j]
            sums[j] += distance
            squares[j] += distance * distance
