"""The register-tile products with the strides and offsets that their callers use, and others."""

import itertools

import numpy as np
import pytest

from fastlogit.kernels.codegen import tiles

SIZES = [(1, 1, 1), (2, 3, 5), (6, 16, 4), (7, 17, 9), (13, 33, 3), (5, 8, 65), (8, 31, 1)]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}


@pytest.fixture(scope="module")
def run_product(jit):
    product = tiles.product

    @jit
    def call(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
        product(
            a, a_row, a_inner, b, columns, init, init_start, init_row, rows, columns, inner, c,
            columns,
        )  # fmt: skip

    return call


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rows", "columns", "inner"), SIZES)
def test_both_layouts_and_every_start(run_product, rows, columns, inner, transposed, dtype):
    rng = np.random.default_rng([rows, columns, inner])
    a = rng.normal(size=(inner, rows) if transposed else (rows, inner)).astype(dtype)
    b = rng.normal(size=(inner, columns)).astype(dtype)
    a_row, a_inner = (1, rows) if transposed else (inner, 1)
    left = (a.T if transposed else a).astype(float)
    init = rng.normal(size=3 + rows * (columns + 2)).astype(dtype)
    # From zero; one row for all; rows apart by more than their length, from an offset.
    for start, stride in ((-1, 0), (-rows * columns, columns), (0, 0), (3, columns + 2)):
        c = np.full((rows, columns), np.nan, dtype)
        run_product(a, a_row, a_inner, b, init, start, stride, rows, columns, inner, c)
        expected = left @ b
        if start >= 0:
            places = start + stride * np.arange(rows)[:, None] + np.arange(columns)
            expected = expected + init[places]
        terms = np.abs(left) @ np.abs(b) + 3
        assert (np.abs(c - expected) <= ACCURACY[dtype] * terms).all(), (start, stride)


def test_sums_in_place(run_product, dtype):
    """With c as its own start the product is added to what c holds, as gradients are."""
    for rows, columns, inner in itertools.product((1, 6, 7, 19), (1, 8, 9, 33), (1, 4)):
        rng = np.random.default_rng([rows, columns, inner])
        a = rng.integers(-9, 9, (rows, inner)).astype(dtype)
        b = rng.integers(-9, 9, (inner, columns)).astype(dtype)
        before = rng.integers(-9, 9, (rows, columns)).astype(dtype)
        c = before.copy()
        run_product(a, inner, 1, b, c, 0, columns, rows, columns, inner, c)
        # Small integers are exact in any order.
        assert np.array_equal(c, before + a @ b)


def test_the_python_body_is_the_meaning(run_product, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 5)).astype(dtype), rng.normal(size=(5, 9)).astype(dtype)
    init = rng.normal(size=9).astype(dtype)
    jitted, plain = np.empty((7, 9), dtype), np.empty((7, 9), dtype)
    for call, c in ((run_product, jitted), (tiles.product, plain)):
        strides = (9,) if call is tiles.product else ()
        call(a, 5, 1, b, *strides, init, 0, 0, 7, 9, 5, c, *strides)
    np.testing.assert_allclose(jitted, plain, atol=10 * ACCURACY[dtype])


@pytest.fixture(scope="module")
def run_dots(jit):
    dots = tiles.dots

    @jit
    def call(a, b, bias, rows, outputs, inner, c):
        dots(a, b, bias, rows, outputs, inner, c)

    return call


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 7, 10, 17])
def test_dots(run_dots, outputs, dtype):
    for rows, inner in itertools.product((1, 2, 3, 4, 5, 9), (1, 2, 7, 8, 9, 31, 33, 65, 200)):
        rng = np.random.default_rng([rows, outputs, inner])
        a = rng.normal(size=(rows, inner)).astype(dtype)
        b = rng.normal(size=(outputs, inner)).astype(dtype)
        bias = rng.normal(size=outputs).astype(dtype)
        jitted, plain = np.full((2, rows, outputs), np.nan, dtype)
        run_dots(a, b, bias, rows, outputs, inner, jitted)
        tiles.dots(a, b, bias, rows, outputs, inner, plain)
        expected = a.astype(float) @ b.T.astype(float) + bias
        terms = np.abs(a) @ np.abs(b).T + np.abs(bias)
        for c in (jitted, plain):
            assert (np.abs(c - expected) <= ACCURACY[dtype] * terms).all(), (rows, inner)


@pytest.mark.parametrize("outputs", [1, 2, 3, 10, 17])
@pytest.mark.parametrize("far", [0, 1])
def test_dots_of_rows(jit, outputs, far, dtype):
    of_rows = tiles.dots_of_rows
    call = jit(
        lambda X, rows, known, far, b, bias, n, outputs, inner, c: of_rows(
            X, rows, known, far, b, bias, n, outputs, inner, c
        )
    )
    for rows, inner in itertools.product((1, 3, 7, 8, 9, 21), (1, 7, 16, 33, 130)):
        rng = np.random.default_rng([rows, outputs, inner])
        X = rng.normal(size=(40, inner)).astype(dtype)
        numbers = rng.integers(40, size=30)
        b = rng.normal(size=(outputs, inner)).astype(dtype)
        bias = rng.normal(size=outputs).astype(dtype)
        jitted, plain = np.full((2, rows, outputs), np.nan, dtype)
        call(X, numbers, numbers.size, far, b, bias, rows, outputs, inner, jitted)
        tiles.dots_of_rows(X, numbers, numbers.size, far, b, bias, rows, outputs, inner, plain)
        chosen = X[numbers[:rows]]
        expected = chosen.astype(float) @ b.T.astype(float) + bias
        terms = np.abs(chosen) @ np.abs(b).T + np.abs(bias)
        for c in (jitted, plain):
            assert (np.abs(c - expected) <= ACCURACY[dtype] * terms).all(), (rows, inner)


@pytest.mark.parametrize("start", [-1, 0])
@pytest.mark.parametrize("outputs", [1, 2, 3, 10, 17])
def test_product_with_rows(jit, outputs, start, dtype):
    with_rows = tiles.product_with_rows
    call = jit(
        lambda a, a_row, a_inner, X, x_row, rows, start, outputs, columns, inner, c: with_rows(
            a, a_row, a_inner, X, x_row, rows, start, outputs, columns, inner, c
        )
    )
    for rows, columns in itertools.product((1, 3, 8, 21), (1, 7, 16, 33, 130)):
        rng = np.random.default_rng([rows, outputs, columns])
        x_row = columns + 4 * (rows % 2)
        X = rng.integers(-9, 9, (40, x_row)).astype(dtype)
        a = rng.integers(-9, 9, (rows, outputs)).astype(dtype)
        before = rng.integers(-9, 9, (outputs, x_row)).astype(dtype)
        numbers = rng.integers(40, size=rows + 5)
        product = a.T @ X[numbers[:rows], :columns]
        expected = before.copy()
        expected[:, :columns] = product + (before[:, :columns] if start == 0 else 0)
        for run in (call, tiles.product_with_rows):
            c = before.copy()
            run(a, 1, outputs, X, x_row, numbers, start, outputs, columns, rows, c)
            assert np.array_equal(c, expected)  # small integers are exact in any order
            c, by_output = before.copy(), a.T.copy()
            run(by_output, rows, 1, X, x_row, numbers, start, outputs, columns, rows, c)
            assert np.array_equal(c, expected)


@pytest.mark.parametrize("far", [0, 1])
@pytest.mark.parametrize(("rows", "columns", "inner"), [*SIZES, (12, 33, 7), (23, 16, 40)])
def test_rows_product(jit, rows, columns, inner, far, dtype):
    product = tiles.rows_product
    call = jit(
        lambda X, numbers, far, b, bias, rows, columns, inner, c: product(
            X, numbers, numbers.size, far, inner, b, columns, bias, rows, columns, inner, c, columns
        )
    )
    rng = np.random.default_rng([rows, columns, inner])
    X, b = rng.normal(size=(40, inner)).astype(dtype), rng.normal(size=(inner, columns))
    b, bias = b.astype(dtype), rng.normal(size=columns).astype(dtype)
    numbers, c = rng.integers(40, size=rows + 3), np.full((rows, columns), np.nan, dtype)
    call(X, numbers, far, b, bias, rows, columns, inner, c)
    chosen = X[numbers[:rows]].astype(float)
    terms = np.abs(chosen) @ np.abs(b) + np.abs(bias)
    assert (np.abs(c - (chosen @ b + bias)) <= ACCURACY[dtype] * terms).all()


@pytest.mark.parametrize("start", [-1, 0])
@pytest.mark.parametrize(("rows", "columns", "inner"), [*SIZES, (12, 33, 7), (23, 16, 40)])
def test_transposed_product(jit, rows, columns, inner, start, dtype):
    product = tiles.transposed_product
    call = jit(
        lambda X, numbers, b, start, rows, columns, inner, c: product(
            X, numbers, rows, b, columns, start, rows, columns, inner, c, columns
        )
    )
    rng = np.random.default_rng([rows, columns, inner])
    X = rng.integers(-9, 9, (40, rows)).astype(dtype)
    b = rng.integers(-9, 9, (inner, columns)).astype(dtype)
    before, numbers = rng.integers(-9, 9, (rows, columns)), rng.integers(40, size=inner + 3)
    c = before.astype(dtype)
    call(X, numbers, b, start, rows, columns, inner, c)
    product_alone = X[numbers[:inner]].T @ b
    assert np.array_equal(c, product_alone + (before if start == 0 else 0))  # exact


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("columns", [1, 16, 17, 33])
def test_weighted_product(jit, columns, first, dtype):
    product = tiles.weighted_product
    call = jit(
        lambda X, stride, v, first, rows, columns, inner, c: product(
            X, stride, v, first, rows, columns, inner, c
        )
    )
    for inner, width in itertools.product((1, 3, 40), (first + columns, first + columns + 3)):
        rng, rows = np.random.default_rng([inner, width]), first + columns
        X = rng.normal(size=(inner, width)).astype(dtype)
        weights = rng.uniform(size=(inner, 1)).astype(dtype)
        results = [np.full(rows * columns + 2, 7, dtype) for _ in range(2)]
        for function, c in zip((call, product), results, strict=True):
            function(X, width, weights, first, rows, columns, inner, c[1:-1])
            assert c[0] == c[-1] == 7
        wide = X.astype(float)
        weighted = weights * wide[:, first : first + columns]
        terms = np.abs(wide[:, :rows]).T @ np.abs(weighted)
        for c in results:
            error = np.abs(c[1:-1].reshape(rows, columns) - wide[:, :rows].T @ weighted)
            assert (error <= inner * np.finfo(dtype).eps * terms).all()
