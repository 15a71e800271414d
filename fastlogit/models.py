"""The four models as data: names, shapes, initial values, and which code computes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.kernels import epoch as jitted_epoch
from fastlogit.kernels import logistic, mlp_logistic, mlp_softmax, softmax
from fastlogit.kernels.blocks import allocate
from fastlogit.kernels.csr import csr
from fastlogit.kernels.epoch import Data
from fastlogit.kernels.simd import CACHE_LINE
from fastlogit.reference import epoch as plain_epoch
from fastlogit.reference import logistic as reference_logistic
from fastlogit.reference import mlp_logistic as reference_mlp_logistic
from fastlogit.reference import mlp_softmax as reference_mlp_softmax
from fastlogit.reference import softmax as reference_softmax

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]
Shapes = tuple[tuple[int, ...], ...]

# Where a backend's entry points are: run_batches and predict_proba.
BACKENDS: dict[str, ModuleType] = {"numba": jitted_epoch, "numpy": plain_epoch}


@dataclass(frozen=True)
class Model:
    """One of the four models.

    Attributes
    ----------
    name : str
        What the public functions and the command line call it.
    binary : bool
        Whether it has one output for two classes.
    has_hidden : bool
        Whether it has a hidden layer.
    params_types : dict
        Named tuple of the parameters for each backend; its fields are the parameters' names.
    """

    name: str
    binary: bool
    has_hidden: bool
    params_types: dict[str, Any]

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs K: 1 for a binary model, else one a class."""
        return 1 if self.binary else n_classes

    def shapes(self, n_features: int, n_hidden: int | None, n_outputs: int) -> Shapes:
        """Return the parameters' shapes: a weight matrix and a bias vector a layer."""
        if n_hidden is None:
            return (n_features, n_outputs), (n_outputs,)
        return (n_features, n_hidden), (n_hidden,), (n_hidden, n_outputs), (n_outputs,)

    def initial_params(
        self,
        n_features: int,
        n_hidden: int | None,
        n_outputs: int,
        dtype: Any,
        random_state: Any,
    ) -> tuple[Floats, ...]:
        """Draw parameters uniformly from ±√(2 / (fan_in + fan_out)), a layer's bias included.

        Glorot and Bengio (2010), with the factor that suits a sigmoid. They are drawn in float64 in
        the order of the parameters, then cast, as scikit-learn's MLPClassifier does.
        """
        params: list[Floats] = []
        for shape in self.shapes(n_features, n_hidden, n_outputs):
            if len(shape) == 2:
                bound = np.sqrt(2 / sum(shape))
            params.append(random_state.uniform(-bound, bound, shape).astype(dtype))
        return tuple(params)

    def named(self, params: Sequence[Floats], backend: str, sparse: bool = False) -> Any:
        """Return parameters as the backend wants them: see :class:`FlatParams`."""
        arrays = [unlocked(array) for array in params]
        if is_transposed(backend, arrays, sparse):
            arrays[-2] = np.ascontiguousarray(arrays[-2].T)
        return self.params_types[backend](*arrays)

    def buffers(self, named: Any, n_rows: int, backend: str, sparse: bool = False) -> Any:
        """Return a thread's workspace for up to n_rows rows."""
        return allocate(named, n_rows, sparse) if backend == "numba" else None

    def flops_per_sample(self, n_features: int, n_hidden: int | None, n_outputs: int) -> int:
        """Count the matrix products' flops of one training row, a multiply-add as two.

        Forward and weight gradient cost 2 · fan_in · fan_out each; a network adds the gradient of
        the hidden layer.
        """
        if n_hidden is None:
            return 4 * n_features * n_outputs
        return 4 * n_features * n_hidden + 6 * n_hidden * n_outputs


def _model(name: str, jitted: Any, plain: Any, params_name: str) -> Model:
    return Model(
        name,
        binary=name.endswith("logistic"),
        has_hidden=name.startswith("mlp"),
        params_types={"numba": getattr(jitted, params_name), "numpy": getattr(plain, params_name)},
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _model("logistic", logistic, reference_logistic, "LogisticParams"),
        _model("softmax", softmax, reference_softmax, "SoftmaxParams"),
        _model("mlp-logistic", mlp_logistic, reference_mlp_logistic, "MLPLogisticParams"),
        _model("mlp-softmax", mlp_softmax, reference_mlp_softmax, "MLPSoftmaxParams"),
    )
}


@lru_cache(256)
def _layout(
    shapes: Shapes, transposed: bool
) -> tuple[int, int, tuple[tuple[int, int, tuple[int, ...]], ...]]:
    """Return how many weights and parameters a block has, and each one's start, end and shape."""
    sizes = [math.prod(shape) for shape in shapes]
    starts = {0: 0, 1: sum(sizes[::2])}  # of the next weight matrix, of the next bias
    places = []
    for i, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        layout = shape[::-1] if transposed and i == len(shapes) - 2 else shape
        places.append((starts[i % 2], starts[i % 2] + size, layout))
        starts[i % 2] += size
    return sum(sizes[::2]), sum(sizes), tuple(places)


def is_transposed(backend: str, params: Sequence[Any], sparse: bool) -> bool:
    """Return whether the backend keeps an output layer's weights transposed.

    The kernels do, unless it sees sparse rows: a non-zero's weights are to lie together.
    """
    return backend == "numba" and not (sparse and len(params) == 2)


def _zeros(size: int, dtype: Any) -> Floats:
    """Return zeros that begin with a cache line.

    Vectors that straddle two lines are read and written in two parts: a step of one row on
    (64, 256, 10) takes 0.74 of the time, of 32 rows 0.94.
    """
    per_line = CACHE_LINE // np.dtype(dtype).itemsize
    zeros = np.zeros(size + per_line, dtype)
    address = zeros.__array_interface__["data"][0] // zeros.itemsize
    return zeros[-address % per_line :][:size]


class FlatParams:
    """A model's parameters in one block: all weights, then all biases.

    The optimizer then is one loop over ``flat`` that knows no model, and the penalty one over
    ``flat[:n_weights]``. All are views of the block: ``named`` the backend's own arrays, ``public``
    weights (fan_in, fan_out) and biases (fan_out,) alike for all backends. The kernels keep an
    output layer's weights transposed, see :func:`is_transposed`.
    """

    def __init__(
        self, model: Model, backend: str, shapes: Shapes, dtype: Any, flat: Floats | None = None,
        *, sparse: bool = False,
    ) -> None:  # fmt: skip
        transposed = is_transposed(backend, shapes, sparse)
        self.n_weights, size, self._places = _layout(shapes, transposed)
        self._transposed = transposed
        self.flat: Floats = _zeros(size, dtype) if flat is None else flat
        views = self.parts(self.flat)
        self.public = model.params_types["numpy"](*views)
        if transposed:
            views[-2] = views[-2].T
        self.named = model.params_types[backend](*views)

    def parts(self, block: Floats) -> list[Floats]:
        """Return views of a block that is laid out like this one, in the public shapes."""
        views = [block[start:stop].reshape(shape) for start, stop, shape in self._places]
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
        self.y, self.weight = unlocked(self.y), unlocked(self.weight)
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

    def data(self, backend: str) -> Data:
        """Return the rows as the backend wants them, with a scaling of their own if sparse."""
        X = csr(*self._for_kernels) if self.sparse and backend == "numba" else self.X
        return Data(X, self.y, self.weight)


def matrix_for_kernels(X: Any) -> Any:
    """Return X as a writable array, or the three arrays of a Csr."""
    if not issparse(X):
        return unlocked(X)
    # Of an index that is signed the compiled code would ask whether it counts from the end.
    narrow = X.indices.dtype.itemsize == 4
    indices = X.indices.view(np.uint32) if narrow else X.indices.astype(np.uint32)
    return unlocked(X.data), unlocked(indices), unlocked(X.indptr.astype(np.int64, copy=False))


class _Unlocked:
    """Memory of a read-only array, described as writable, kept alive by the arrays that view it."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = dict(array.__array_interface__)
        self.__array_interface__["data"] = (array.ctypes.data, False)


def unlocked(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or if it is read-only a view of its memory that NumPy calls writable.

    Numba types read-only arrays apart and would compile every kernel twice. Kernels write to
    nothing but their OUT arguments, which these are not.
    """
    return array if array.flags.writeable else np.asarray(_Unlocked(array))
