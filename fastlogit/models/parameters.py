"""A model's parameters in one block of memory, and how it is laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlogit.kernels.codegen.simd import CACHE_LINE

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

    The optimizer then is one loop over ``flat`` that knows no model, and the penalty one over
    ``flat[:n_weights]``. Its views are ``public``, weights (fan_in, fan_out) and biases (fan_out,),
    and ``named``, what a backend computes with: an output layer's weights may be ``transposed``.
    """

    def __init__(
        self, shapes: Shapes, dtype: Any, flat: Floats | None = None, *, transposed: bool = False
    ) -> None:
        self.n_weights, size, self._places = _layout(shapes, transposed)
        self._transposed = transposed
        self.flat: Floats = _zeros(size, dtype) if flat is None else flat
        views = self.parts(self.flat)
        self.public = (LayerParams if len(shapes) == 2 else NetworkParams)(*views)
        if transposed:
            views[-2] = views[-2].T
        self.named = tuple(views)

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


@lru_cache(256)
def _layout(
    shapes: Shapes, transposed: bool
) -> tuple[int, int, tuple[tuple[int, int, tuple[int, ...]], ...]]:
    """Return how many weights and parameters a block has, and each one's start, end and shape."""
    sizes = [math.prod(shape) for shape in shapes]
    starts = [0, sum(sizes[::2])]  # of the next weight matrix, of the next bias
    places = []
    for i, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        layout = shape[::-1] if transposed and i == len(shapes) - 2 else shape
        places.append((starts[i % 2], starts[i % 2] + size, layout))
        starts[i % 2] += size
    return sum(sizes[::2]), sum(sizes), tuple(places)


def _zeros(size: int, dtype: Any) -> Floats:
    """Return zeros that begin with a cache line.

    Vectors that straddle two lines are read and written in two parts: a step of one row on
    (64, 256, 10) takes 0.74 of the time, of 32 rows 0.94.
    """
    per_line = CACHE_LINE // np.dtype(dtype).itemsize
    zeros = np.zeros(size + per_line, dtype)
    address = zeros.__array_interface__["data"][0] // zeros.itemsize
    return zeros[-address % per_line :][:size]


def arrange(params: Sequence[Floats], *, transposed: bool) -> tuple[Floats, ...]:
    """Return parameters in the public shapes as those in ``FlatParams.named``."""
    arrays = list(params)
    if transposed:
        arrays[-2] = np.ascontiguousarray(arrays[-2].T)
    return tuple(arrays)
