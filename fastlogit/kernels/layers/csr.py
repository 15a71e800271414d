"""Sparse rows as the kernels know them: a Csr stands where dense rows are an array."""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.options import KERNEL_OPTIONS


class Csr(NamedTuple):
    """Rows by their non-zeros: those of row i are data[indptr[i]:indptr[i + 1]].

    data (nnz,), indices (nnz,) uint32, their columns in any order, one perhaps several times;
    indptr (n + 1,) int64. scaling (4,) float64: see :mod:`fastlogit.kernels.layers.sparse`.
    """

    data: Any
    indices: Any
    indptr: Any
    scaling: Any


def csr(data: Any, indices: Any, indptr: Any) -> Csr:
    """Return sparse rows that are multiplied as they are."""
    return Csr(data, indices, indptr, np.array([1.0, 1.0, 0.0, 0.0]))


def is_csr(X: Any) -> bool:
    """Return whether X, an array or a named tuple or Numba's type of one, is a Csr."""
    return isinstance(X, Csr) or getattr(X, "instance_class", None) is Csr


@overload(is_csr, jit_options=KERNEL_OPTIONS, inline="always")
def _is_csr(X):
    return _yes if is_csr(X) else _no


def _yes(X):
    return True


def _no(X):
    return False


@overload(rows_from, jit_options=KERNEL_OPTIONS, inline="always")
def _rows_from(X, start, n_rows):
    return _sparse_rows_from if is_csr(X) else None


def _sparse_rows_from(X, start, n_rows):
    return Csr(X.data, X.indices, part(X.indptr, start, (n_rows + 1,)), X.scaling)
