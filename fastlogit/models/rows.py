"""Rows of data in the form that the kernels take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.kernels.layers.sparse import csr
from fastlogit.kernels.training.epoch import Data
from fastlogit.models.parameters import Floats, Indices


@dataclass
class Rows:
    """Rows as the kernels want them: of one dtype, an empty weight for none.

    X is a contiguous array, or a csr_array whose arrays are.
    """

    X: Any
    y: Indices
    weight: Floats

    def __post_init__(self) -> None:
        """Make one compiled signature serve writable and read-only arrays alike."""
        self.y, self.weight = as_writable_view(self.y), as_writable_view(self.weight)
        self.sparse = bool(issparse(self.X))
        self._for_kernels = matrix_for_kernels(self.X)
        if not self.sparse:
            self.X = self._for_kernels

    @property
    def density(self) -> float:
        """Share of X's elements that are worked on."""
        return self.X.nnz / math.prod(self.X.shape) if self.sparse else 1.0

    def multiply_adds(self, n_weights: int) -> float:
        """Estimate what a training row costs, forward and back; a non-zero costs four times."""
        return 3 * n_weights * (min(4 * self.density, 1) if self.sparse else 1)

    def data(self, *, jitted: bool) -> Data:
        """Return the rows as a backend takes them, sparse ones with a scaling of their own."""
        X = csr(*self._for_kernels) if self.sparse and jitted else self.X
        return Data(X, self.y, self.weight)


def matrix_for_kernels(X: Any) -> Any:
    """Return X as a writable array, or the three arrays of a Csr."""
    if not issparse(X):
        return as_writable_view(X)
    # Of an index that is signed the compiled code would ask whether it counts from the end.
    narrow = X.indices.dtype.itemsize == 4
    indices = X.indices.view(np.uint32) if narrow else X.indices.astype(np.uint32)
    return (
        as_writable_view(X.data),
        as_writable_view(indices),
        as_writable_view(X.indptr.astype(np.int64, copy=False)),
    )


class _WritableView:
    """Memory of a read-only array, described as writable, kept alive by the arrays that view it."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = dict(array.__array_interface__)
        self.__array_interface__["data"] = (array.ctypes.data, False)


def as_writable_view(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or if it is read-only a view of its memory that NumPy calls writable.

    Numba types read-only arrays apart and would compile every kernel twice. Kernels write to
    nothing but their OUT arguments, which these are not.
    """
    return array if array.flags.writeable else np.asarray(_WritableView(array))
