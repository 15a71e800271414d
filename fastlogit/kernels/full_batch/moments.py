"""Sums over the rows of each column of X, from which its mean and variance follow."""

import numpy as np

from fastlogit.kernels.codegen.linking import entry_point


@entry_point
def column_moments(X, shift, sums, squares):
    """Add Σ (x − shift) and Σ (x − shift)² of X (n, D). OUT: sums, squares (D,), float64."""
    # Shifted by a row, the variance of a column with a large mean loses no digits.
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            distance = np.float64(X[i, j]) - shift[j]
            sums[j] += distance
            squares[j] += distance * distance
