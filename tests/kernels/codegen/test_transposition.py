"""Rows from columns against NumPy's transposition."""

import itertools

import numpy as np
import pytest

from fastlogit.kernels.codegen import transposition


@pytest.fixture(params=["jitted", "plain"])
def columns_to_rows(request):
    if request.param == "jitted":
        return transposition.columns_to_rows
    return lambda columns, X: transposition.transposed_columns(X, columns, *X.shape)


@pytest.mark.parametrize("n_columns", [1, 7, 8, 16, 17, 33])
def test_columns_to_rows(columns_to_rows, n_columns, dtype):
    for n_rows, offset in itertools.product((1, 5, 8, 16, 17, 100), (0, 3)):
        columns = np.random.default_rng(n_rows).normal(size=(n_columns, n_rows + 3)).astype(dtype)
        columns = columns[:, offset : offset + n_rows]
        block = np.full((n_rows + 2, n_columns), 7, dtype)
        columns_to_rows(np.array([column.ctypes.data for column in columns]), block[1:-1])
        np.testing.assert_array_equal(block[1:-1], columns.T)
        assert (block[[0, -1]] == 7).all()
