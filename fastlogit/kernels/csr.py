"""Sparse rows as the kernels know them, and how a model's text becomes code for them.

A Csr stands where dense rows are an array. The models are written over the names of the maps of
:mod:`fastlogit.kernels.linear_maps`; for sparse rows the same text is compiled with the maps of
those names in :mod:`fastlogit.kernels.sparse_maps`. So each form is compiled only where it is used.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from fastlogit.kernels import sparse_maps
from fastlogit.kernels.jit import inlined
from fastlogit.kernels.layout import part, rows_from
from fastlogit.kernels.options import KERNEL_OPTIONS


class Csr(NamedTuple):
    """Rows by their non-zeros: those of row i are data[indptr[i]:indptr[i + 1]].

    data (nnz,), indices (nnz,) uint32, their columns in any order, one perhaps several times;
    indptr (n + 1,) int64. scaling (4,) float64: see :mod:`fastlogit.kernels.sparse_maps`.
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


@cache
def over_sparse_rows(function: Any) -> Any:
    """Return a model's function with the maps for sparse rows in the place of those for dense."""
    plain: Callable[..., Any] = getattr(function, "py_func", function)
    maps = {name: getattr(sparse_maps, name) for name in sparse_maps.MAPS}
    names = plain.__globals__ | maps
    return inlined(FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__))


@overload(rows_from, jit_options=KERNEL_OPTIONS, inline="always")
def _rows_from(X, start, n_rows):
    return _sparse_rows_from if is_csr(X) else None


def _sparse_rows_from(X, start, n_rows):
    return Csr(X.data, X.indices, part(X.indptr, start, (n_rows + 1,)), X.scaling)
