"""A sparse row times several outputs' weights, compiled and plain, against NumPy in float64."""

import numpy as np
import pytest

from fastlogit.kernels.codegen import sparse_rows

ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}
WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65, 130]
D = 11


@pytest.fixture(params=["jitted", "plain"])
def call(request, jit):
    """Give a primitive as a function that Python can call, or as the plain one that it is."""
    return jit if request.param == "jitted" else lambda function: function


def draw(width, dtype, count=23):
    rng = np.random.default_rng(width)
    W, values, d = (rng.normal(size=shape).astype(dtype) for shape in ((D, width), count, width))
    columns = rng.integers(1, D - 1, size=count).astype(np.uint32)  # some of them repeat
    return W, values, columns, d


@pytest.mark.parametrize("width", WIDTHS)
def test_row_product(call, width, dtype):
    product = sparse_rows.row_product
    run = call(lambda v, c, W, width, out: product(v, c, v.size, W, width, out))
    W, values, columns, _ = draw(width, dtype)
    for count in (0, 1, 23):
        block = np.full(width + 64, 7, dtype)
        out = block[32 : 32 + width]
        run(values[:count], columns[:count], W, width, out)
        terms = np.abs(values[:count].astype(float)) @ np.abs(W[columns[:count]])
        expected = values[:count].astype(float) @ W[columns[:count]]
        assert (np.abs(out - expected) <= ACCURACY[dtype] * terms).all()
        assert (block[:32] == 7).all()
        assert (block[32 + width :] == 7).all()


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_add_row(call, width, dtype, tracked):
    add = sparse_rows.add_row_tracked if tracked else sparse_rows.add_row
    run = call(
        lambda v, c, factor, d, width, squares, W: add(v, c, v.size, factor, d, width, squares, W)
    )
    start, values, columns, d = draw(width, dtype)
    expected = start.astype(float)
    np.add.at(expected, columns, 0.3 * values.astype(float)[:, None] * d)
    W, squares = start.copy(), np.array([5.0])
    run(values, columns, 0.3, d, width, squares, W)
    np.testing.assert_allclose(W, expected, rtol=0, atol=20 * ACCURACY[dtype])
    untouched = np.setdiff1d(np.arange(D), columns)
    assert untouched.size >= 2  # the first and the last, the neighbours of what is written
    assert np.array_equal(W[untouched], start[untouched])
    sums = [float(np.square(array.astype(float)).sum()) for array in (start, W)]
    gain = sums[1] - sums[0] if tracked else 0
    assert squares[0] - 5 == pytest.approx(gain, rel=0, abs=20 * ACCURACY[dtype] * sum(sums))
