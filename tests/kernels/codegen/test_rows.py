"""Rows as operands, at widths around the vectors' and their multiples."""

import numpy as np
import pytest

from fastlogit.kernels.codegen import rows

WIDTHS = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 300]
ACCURACY = {np.float32: 1e-6, np.float64: 2e-15}


@pytest.fixture(scope="module")
def calls(jit):
    row_dot, rows_dot, add_row = rows.row_dot, rows.rows_dot, rows.add_row

    @jit
    def add(X, row, factor, w):
        add_row(X, row, factor, w)

    return jit(lambda X, row, w: row_dot(X, row, w)), jit(lambda X, i, j: rows_dot(X, i, j)), add


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_as_operands(calls, width, dtype):
    rng = np.random.default_rng(width)
    X = rng.normal(size=(5, width)).astype(dtype)
    w = np.zeros(width + 16, dtype)
    w[:width] = rng.normal(size=width)
    wide_X, wide_w = X.astype(float), w[:width].astype(float)
    for dot, between, add in (calls, (rows.row_dot, rows.rows_dot, rows.add_row)):
        # The last row: what lies behind it is not the array's.
        for row, other in ((4, 4), (2, 0), (4, 1)):
            terms = ACCURACY[dtype] * (np.abs(X[row]) @ np.abs(w[:width]) + 1)
            assert abs(dot(X, row, w) - wide_X[row] @ wide_w) <= terms
            terms = ACCURACY[dtype] * (np.abs(X[row]) @ np.abs(X[other]) + 1)
            assert abs(between(X, row, other) - wide_X[row] @ wide_X[other]) <= terms
        changed = w.copy()
        add(X, 4, dtype(0.5), changed)
        np.testing.assert_allclose(changed[:width], wide_w + 0.5 * wide_X[4], rtol=ACCURACY[dtype])
        assert not changed[width:].any(), "the zeros that the next dot counts on"
