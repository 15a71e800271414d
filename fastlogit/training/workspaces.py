"""Workspaces that are kept from call to call: on few rows, to allocate them takes a third of one.

A workspace has one user at a time, who takes it and may release it; a thread that finds none makes
another. What it holds is whatever its last user left there.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np

from fastlogit.kernels.training.epoch import State
from fastlogit.models import FlatParams
from fastlogit.models.arrays import Shapes
from fastlogit.models.table import Backend
from fastlogit.training.threads import ThreadPool, workspace

# How many are kept in all, and the size of one.
MOST, MOST_BYTES = 8, 1 << 20

Kept = TypeVar("Kept")
_kept: dict[Hashable, Any] = {}


def take(key: Hashable, make: Callable[[], Kept]) -> Kept:
    """Return what is kept under the key, else a new one."""
    kept: Kept | None = _kept.pop(key, None)
    return make() if kept is None else kept


def give_back(key: Hashable, kept: object) -> None:
    """Keep what is no longer used, in the place of the one kept longest if there are many."""
    _kept[key] = kept
    if len(_kept) > MOST:
        _kept.pop(next(iter(_kept), None), None)


class Workspace:
    """Parameters, gradients and buffers of these shapes, for batches of up to n_rows rows."""

    def __init__(
        self, code: Backend, shapes: Shapes, dtype: np.dtype[Any], n_rows: int, sparse: bool
    ) -> None:
        self._key = code.name, shapes, dtype, n_rows, sparse
        transposed = code.transposes(len(shapes), sparse)
        self.params = FlatParams(shapes, dtype, transposed=transposed)
        theta = self.params.flat
        self.gradients = workspace(theta, n_rows)
        values = self.gradients.values
        self.gradient = FlatParams(shapes, dtype, values[0], transposed=transposed)
        # For evaluations, after which no step is taken.
        self.state = State(theta, np.empty((0, theta.size), dtype), np.zeros(1, np.int64))
        self._allocate = partial(code.allocate, self.params.named, n_rows, sparse)
        self._alone = ThreadPool(1, self._allocate)
        buffers = self._alone.alone.buffers
        arrays = [values, *(buffers.work if code.jitted else buffers)]
        self._is_small = sum([array.nbytes for array in arrays]) <= MOST_BYTES

    @classmethod
    def take(
        cls, code: Backend, shapes: Shapes, dtype: np.dtype[Any], n_rows: int, sparse: bool
    ) -> Self:
        """Return one that is kept, else a new one."""
        kept: Self | None = _kept.pop((code.name, shapes, dtype, n_rows, sparse), None)
        return cls(code, shapes, dtype, n_rows, sparse) if kept is None else kept

    def threads(self, n_threads: int) -> ThreadPool:
        """Return so many threads, of which each has its buffers."""
        return self._alone if n_threads == 1 else ThreadPool(n_threads, self._allocate)

    def release(self) -> None:
        """Keep it for the next user if it is small."""
        if self._is_small:
            give_back(self._key, self)
