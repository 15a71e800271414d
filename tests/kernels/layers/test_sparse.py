"""Sparse rows as jitted code knows them, and their products against SciPy's in float64."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastlogit.kernels.codegen.arrays import rows_from
from fastlogit.kernels.layers import sparse as sparse_layers
from fastlogit.kernels.layers.sparse import (
    BACKWARD,
    FORWARD,
    SQUARES,
    TRACKED,
    Csr,
    csr,
    is_csr,
    row_bytes,
)

ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}
WIDTHS = [1, 2, 3, 7, 8, 17, 64]


@pytest.fixture
def rows():
    indices = np.array([0, 2, 1], np.uint32)
    return csr(np.array([1.0, 2.0, 3.0]), indices, np.array([0, 2, 2, 3]))


def test_is_csr(rows, jit):
    for function in (is_csr, jit(lambda X: is_csr(X))):
        assert function(rows)
        assert not function(np.eye(2))
        assert not function(tuple(rows))
    assert not is_csr(None)


def test_row_bytes(rows, jit):
    for function in (row_bytes, jit(lambda X: row_bytes(X))):
        assert function(np.ones((3, 5), np.float32)) == 20
        assert function(rows) == 0


def test_rows_from(jit, rows):
    def first(X, start, n_rows):
        part = rows_from(X, start, n_rows)
        return part.data[part.indptr[0]] * 10 + part.indptr.size

    for function in (first, jit(first)):
        assert function(rows, 0, 2) == 10 + 3
        assert function(rows, 2, 1) == 30 + 2


def test_rows_from_dense(jit):
    X = np.arange(12.0).reshape(4, 3)
    jitted = jit(lambda X, start, n_rows: rows_from(X, start, n_rows).sum())
    assert jitted(X, 1, 2) == rows_from(X, 1, 2).sum() == X[1:3].sum()


def test_a_csr_is_a_tuple_of_arrays(rows):
    assert Csr._fields == ("data", "indices", "indptr", "scaling")
    assert rows.scaling.tolist() == [1, 1, 0, 0]
    assert csr(*rows[:3]).scaling is not rows.scaling  # each training has its own


@pytest.fixture(scope="module")
def products(jit):
    """Return the primitives as functions that Python can call."""
    product, add = sparse_layers.csr_product, sparse_layers.add_csr_product

    def call_product(X, numbers, far, W, b, out):
        product(X.data, X.indices, X.indptr, numbers, far, X.scaling[FORWARD], W, b, out)

    def call_add(X, numbers, d_out, W):
        add(X.data, X.indices, X.indptr, numbers, d_out, X.scaling, W)

    return SimpleNamespace(product=jit(call_product), add=jit(call_add))


def draw(n, width, dtype, seed=0):
    """Draw rows of 0 to width non-zeros in any order, columns that repeat and zeros among them."""
    rng = np.random.default_rng([n, width, seed])
    counts = rng.integers(0, width + 1, n)
    counts[0] = 0
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = rng.integers(width, size=indptr[-1]).astype(np.uint32)
    data = (rng.normal(size=indptr[-1]) * (rng.random(indptr[-1]) > 0.1)).astype(dtype)
    dense = np.zeros((n, width))
    for row, (start, stop) in enumerate(itertools.pairwise(indptr)):
        np.add.at(dense[row], indices[start:stop], data[start:stop].astype(float))
    return csr(data, indices, indptr), dense


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("outputs", WIDTHS)
def test_csr_product(products, outputs, far, dtype):
    for n, width in itertools.product((1, 5, 40), (1, 6, 50)):
        X, dense = draw(n, width, dtype)
        rng = np.random.default_rng(0)
        W, b = (rng.normal(size=shape).astype(dtype) for shape in ((width, outputs), outputs))
        numbers = rng.integers(n, size=13)
        out = np.full((9, outputs), np.nan, dtype)  # the rows after them are the next batch's
        X.scaling[FORWARD] = 0.3
        products.product(X, numbers, far, W, b, out)
        expected = 0.3 * dense[numbers[:9]] @ W + b
        terms = np.abs(dense[numbers[:9]]) @ np.abs(W) + np.abs(b)
        assert (np.abs(out - expected) <= 8 * ACCURACY[dtype] * terms + 1e-30).all()


@pytest.mark.parametrize("outputs", WIDTHS)
def test_add_csr_product(products, outputs, dtype):
    for n, width in itertools.product((1, 5, 40), (1, 6, 50)):
        X, dense = draw(n, width, dtype)
        rng = np.random.default_rng(0)
        start = rng.normal(size=(width, outputs)).astype(dtype)
        d_out, numbers = rng.normal(size=(9, outputs)).astype(dtype), rng.integers(n, size=13)
        expected = start + 0.3 * dense[numbers[:9]].T @ d_out.astype(float)
        plain, tracked = start.copy(), start.copy()
        X.scaling[BACKWARD] = 0.3
        products.add(X, numbers, d_out, plain)
        assert X.scaling[SQUARES] == 0
        X.scaling[TRACKED] = 1
        products.add(X, numbers, d_out, tracked)
        scale = np.abs(start).max() + np.abs(dense[numbers[:9]]).T @ np.abs(d_out)
        for W in (plain, tracked):
            assert (np.abs(W - expected) <= 8 * ACCURACY[dtype] * scale).all()
        squares = [float(np.square(W.astype(float)).sum()) for W in (start, tracked)]
        gain, tolerance = squares[1] - squares[0], 10 * ACCURACY[dtype] * squares[1]
        assert X.scaling[SQUARES] == pytest.approx(gain, rel=0, abs=tolerance)


def test_they_are_scipys(products, dtype):
    rng = np.random.default_rng(0)
    X = sparse.random_array((30, 20), density=0.2, rng=rng, dtype=dtype).tocsr()
    ours = csr(X.data, X.indices.astype(np.uint32), X.indptr.astype(np.int64))
    W, d_out = rng.normal(size=(2, 20, 4)).astype(dtype)
    out, grad = np.empty((20, 4), dtype), np.zeros((20, 4), dtype)
    numbers = np.arange(20)
    products.product(ours, numbers, False, W, np.zeros(4, dtype), out)
    products.add(ours, numbers, d_out, grad)
    np.testing.assert_allclose(out, X[:20] @ W, rtol=0, atol=10 * ACCURACY[dtype])
    np.testing.assert_allclose(grad, X[:20].T @ d_out, rtol=0, atol=10 * ACCURACY[dtype])
