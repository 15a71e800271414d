"""A model's parameters in one block of memory, and how it is laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.kernels.codegen.simd import CACHE_LINE

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]
Shapes = tuple[tuple[int, ...], ...]


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
        self, model: Any, backend: str, shapes: Shapes, dtype: Any, flat: Floats | None = None,
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
