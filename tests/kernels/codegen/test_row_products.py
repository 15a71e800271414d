"""Products with single rows, compiled and plain, against NumPy in float64."""

import numpy as np
import pytest

from fastlogit.kernels.codegen import row_products

ACCURACY = {np.float32: 1e-6, np.float64: 2e-15}
# Widths of dense rows, around the vectors' and their multiples.
WIDTHS = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 300]
# (features, outputs): single ones, whole vectors of either dtype, one more and one less.
SIZES = [(1, 1), (4, 16), (3, 17), (16, 7), (33, 5), (5, 100), (64, 130), (2, 263)]
# Outputs that a sparse row meets, and the number of features.
OUTPUTS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65, 130]
SPARSE_ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}
D = 11


PLAIN = row_products.row_dot, row_products.rows_dot, row_products.add_row


@pytest.fixture(scope="module")
def dense_calls(jit):
    row_dot, rows_dot, add_row = PLAIN

    @jit
    def add(X, row, factor, w):
        add_row(X, row, factor, w)

    return jit(lambda X, row, w: row_dot(X, row, w)), jit(lambda X, i, j: rows_dot(X, i, j)), add


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_as_operands(dense_calls, width, dtype):
    rng = np.random.default_rng(width)
    X = rng.normal(size=(5, width)).astype(dtype)
    w = np.zeros(width + 16, dtype)
    w[:width] = rng.normal(size=width)
    wide_X, wide_w = X.astype(float), w[:width].astype(float)
    for dot, between, add in (dense_calls, PLAIN):
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


@pytest.fixture(scope="module")
def hidden_update(jit):
    update = row_products.update_and_forward_hidden

    @jit
    def call(X, row, following, d, W, b, out):
        update(X, row, following, d, W, b, W.shape[0], W.shape[1], out)

    return call


@pytest.fixture(scope="module")
def linear_update(jit):
    update = row_products.update_and_forward_linear

    @jit
    def call(X, row, following, Wt, b, out):
        update(X, row, following, Wt, Wt.shape[1], b, X.shape[1], b.size, out)

    return call


def close(actual, expected, dtype):
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=40 * ACCURACY[dtype] * scale)


@pytest.mark.parametrize(("row", "following"), [(2, 4), (0, 0), (4, 1)])
@pytest.mark.parametrize(("fan_in", "fan_out"), SIZES)
def test_update_and_forward_hidden(hidden_update, fan_in, fan_out, row, following, dtype):
    rng = np.random.default_rng([fan_in, fan_out, row])
    X, W = rng.normal(size=(5, fan_in)).astype(dtype), rng.normal(size=(fan_in, fan_out))
    d, b = rng.normal(size=(1, fan_out)).astype(dtype), rng.normal(size=fan_out)
    updated, bias = W + np.outer(X[row], d), b.copy()  # which the caller has updated
    W, b, out = W.astype(dtype), b.astype(dtype), np.full((1, fan_out), np.nan, dtype)
    hidden_update(X, row, following, d, W, b, out)
    close(W, updated, dtype)
    close(b, bias, dtype)
    close(out[0], X[following].astype(float) @ updated + bias, dtype)


@pytest.mark.parametrize(("row", "following"), [(2, 4), (0, 0), (4, 1)])
@pytest.mark.parametrize(("fan_in", "outputs"), SIZES)
def test_update_and_forward_linear(linear_update, fan_in, outputs, row, following, dtype):
    rng = np.random.default_rng([fan_in, outputs, row])
    X, Wt = rng.normal(size=(5, fan_in)).astype(dtype), rng.normal(size=(outputs, fan_in))
    out, b = rng.normal(size=(1, outputs)).astype(dtype), rng.normal(size=outputs)
    updated, bias = Wt + np.outer(out, X[row]), b + out[0]
    padded, b = np.zeros((outputs, -(-fan_in // 16) * 16), dtype), b.astype(dtype)
    padded[:, :fan_in] = Wt
    linear_update(X, row, following, padded, b, out)
    close(padded[:, :fan_in], updated, dtype)
    assert not padded[:, fan_in:].any()
    close(b, bias, dtype)
    close(out[0], updated @ X[following].astype(float) + bias, dtype)


@pytest.fixture(params=["jitted", "plain"])
def call(request, jit):
    """Return a primitive as a function that Python can call, or as the plain one that it is."""
    return jit if request.param == "jitted" else lambda function: function


def draw_sparse(width, dtype, count=23):
    rng = np.random.default_rng(width)
    W, values, d = (rng.normal(size=shape).astype(dtype) for shape in ((D, width), count, width))
    columns = rng.integers(1, D - 1, size=count).astype(np.uint32)  # some of them repeat
    return W, values, columns, d


@pytest.mark.parametrize("width", OUTPUTS)
def test_sparse_row_product(call, width, dtype):
    product = row_products.sparse_row_product
    run = call(lambda v, c, W, width, out: product(v, c, v.size, W, width, out))
    W, values, columns, _ = draw_sparse(width, dtype)
    for count in (0, 1, 23):
        block = np.full(width + 64, 7, dtype)
        out = block[32 : 32 + width]
        run(values[:count], columns[:count], W, width, out)
        terms = np.abs(values[:count].astype(float)) @ np.abs(W[columns[:count]])
        expected = values[:count].astype(float) @ W[columns[:count]]
        assert (np.abs(out - expected) <= SPARSE_ACCURACY[dtype] * terms).all()
        assert (block[:32] == 7).all()
        assert (block[32 + width :] == 7).all()


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("width", OUTPUTS)
def test_add_sparse_row(call, width, dtype, tracked):
    add = row_products.add_sparse_row
    run = call(
        lambda v, c, factor, d, width, tracked, squares, W: add(
            v, c, v.size, factor, d, width, tracked, squares, W
        )
    )
    start, values, columns, d = draw_sparse(width, dtype)
    expected = start.astype(float)
    np.add.at(expected, columns, 0.3 * values.astype(float)[:, None] * d)
    W, squares = start.copy(), np.array([5.0])
    run(values, columns, 0.3, d, width, tracked, squares, W)
    np.testing.assert_allclose(W, expected, rtol=0, atol=20 * SPARSE_ACCURACY[dtype])
    untouched = np.setdiff1d(np.arange(D), columns)
    assert untouched.size >= 2  # the first and the last, the neighbours of what is written
    assert np.array_equal(W[untouched], start[untouched])
    sums = [float(np.square(array.astype(float)).sum()) for array in (start, W)]
    gain = sums[1] - sums[0] if tracked else 0
    assert squares[0] - 5 == pytest.approx(gain, rel=0, abs=20 * SPARSE_ACCURACY[dtype] * sum(sums))
