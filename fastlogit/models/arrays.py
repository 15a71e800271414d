"""What the kernels are handed: parameters in one block of memory, and rows of data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.kernels.codegen.arrays import aligned
from fastlogit.kernels.layers.sparse import csr
from fastlogit.kernels.training.epoch import Data

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]
Shapes = tuple[tuple[int, ...], ...]


class LayerParams(NamedTuple):
    """Parameters of a model of one layer: W (D, K), b (K,)."""

    W: Floats
    b: Floats


class NetworkParams(NamedTuple):
    """Parameters of a network: W1 (D, H), b1 (H,), W2 (H, K), b2 (K,)."""

    W1: Floats
    b1: Floats
    W2: Floats
    b2: Floats


class FlatParams:
    """A model's parameters in one block: all weights, then all biases.

    An optimizer is one loop over ``flat``. Its views ``public`` are weights (fan_in, fan_out) and
    biases (fan_out,); of ``named``, a backend's, the output weights may be ``transposed``.
    """

    def __init__(
        self, shapes: Shapes, dtype: Any, flat: Floats | None = None, *, transposed: bool = False
    ) -> None:
        self.n_weights, size, self._places = _layout(shapes, transposed)
        self._transposed = transposed
        if flat is None:
            flat = aligned((size,), dtype)
        self.flat: Floats = flat

    @cached_property
    def public(self) -> LayerParams | NetworkParams:
        """Views of the parameters, in the public shapes."""
        views = self.parts(self.flat)
        return (LayerParams if len(views) == 2 else NetworkParams)(*views)

    @cached_property
    def named(self) -> tuple[Floats, ...]:
        """Views of the parameters, as a backend takes them."""
        *views, W, b = self.public
        return (*views, W.T if self._transposed else W, b)

    def parts(self, block: Floats) -> list[Floats]:
        """Return views of a block that is laid out like this one, in the public shapes."""
        views = [
            block[place] if len(shape) == 1 else block[place].reshape(shape)
            for place, shape in self._places
        ]
        if self._transposed:
            views[-2] = views[-2].T
        return views

    def assign(self, params: Sequence[Floats]) -> None:
        """Copy the values of arrays of the same shapes."""
        for view, values in zip(self.public, params, strict=True):
            view[...] = values

    def copies(self) -> Any:
        """Return the parameters as arrays of their own, in the public shapes."""
        return type(self.public)(*[view.copy() for view in self.public])


@lru_cache(256)
def _layout(shapes: Shapes, transposed: bool) -> tuple[int, int, list[tuple[slice, Any]]]:
    """Return how many weights and parameters a block has, and the place and shape of each array."""
    sizes = [math.prod(shape) for shape in shapes]
    starts = [0, sum(sizes[::2])]  # of the next weight matrix, of the next bias
    places = []
    for i, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        layout = shape[::-1] if transposed and i == len(shapes) - 2 else shape
        places.append((slice(starts[i % 2], starts[i % 2] + size), layout))
        starts[i % 2] += size
    return sum(sizes[::2]), sum(sizes), places


def arrange(params: Sequence[Floats], *, transposed: bool) -> tuple[Floats, ...]:
    """Return parameters in the public shapes as those in ``FlatParams.named``, contiguous."""
    *hidden, W, b = params
    arrays = [*hidden, W.T if transposed else W, b]
    return tuple([as_writable_view(np.ascontiguousarray(array)) for array in arrays])


@dataclass
class Rows:
    """Rows of one dtype: X an array or a csr_array, contiguous; weight is empty for none."""

    X: Any
    y: Indices
    weight: Floats

    def __post_init__(self) -> None:
        """Make one compiled signature serve writable and read-only arrays alike."""
        self.y, self.weight = as_writable_view(self.y), as_writable_view(self.weight)
        self.sparse = type(self.X) is not np.ndarray and bool(issparse(self.X))
        self._for_kernels = matrix_for_kernels(self.X) if self.sparse else as_writable_view(self.X)
        if not self.sparse:
            self.X = self._for_kernels

    @property
    def density(self) -> float:
        """Share of X's elements that are worked on."""
        return self.X.nnz / math.prod(self.X.shape) if self.sparse else 1.0

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights, which their loss is divided by."""
        return float(self.weight.sum(dtype=np.float64) if self.weight.size else self.y.size)

    @property
    def row_bytes(self) -> float:
        """Average size of a row of X."""
        stored = sum([a.nbytes for a in self._for_kernels]) if self.sparse else self.X.nbytes
        return float(stored) / self.y.size

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
    # Compiled code would test whether a signed index counts from the end.
    narrow = X.indices.dtype.itemsize == 4
    indices = X.indices.view(np.uint32) if narrow else X.indices.astype(np.uint32)
    indptr = X.indptr.astype(np.int64, copy=False)
    return as_writable_view(X.data), as_writable_view(indices), as_writable_view(indptr)


class _WritableView:
    """Memory of a read-only array, described as writable, kept alive by the arrays that view it."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {"data": (array.ctypes.data, False)}


def as_writable_view(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or if it is read-only a view of its memory that NumPy calls writable.

    Numba would compile every kernel twice. Kernels write to their OUT arguments alone.
    """
    return array if array.flags.writeable else np.asarray(_WritableView(array))
