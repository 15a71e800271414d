"""Sums over columns against NumPy."""

import numpy as np
import pytest

from fastlogit.kernels.full_batch.moments import column_moments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_add_up(dtype):
    X = np.random.default_rng(0).normal(1e3, 1, size=(500, 7)).astype(dtype)
    shift, sums, squares = X[0].astype(float), np.zeros(7), np.zeros(7)
    for part in (X[:123], X[123:]):
        column_moments(part, shift, sums, squares)
    wide = X.astype(float) - shift
    np.testing.assert_allclose(sums, wide.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(squares, (wide**2).sum(axis=0), rtol=1e-12)
