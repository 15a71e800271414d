"""Sparse rows as jitted code knows them."""

import numpy as np
import pytest

from fastlogit.kernels.codegen.arrays import rows_from
from fastlogit.kernels.layers.csr import Csr, csr, is_csr


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
