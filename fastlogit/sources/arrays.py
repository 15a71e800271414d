"""Sources of arrays: in memory, mapped from files, or SciPy's CSR; and several sources in one."""

import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastlogit.models import Indices
from fastlogit.sources.base import Partition, Source, cut_rows, default_partition_rows, shared


class ArraySource(Source):
    """Rows of an array (n, D) or a csr_array, whose partitions are views where dtypes allow it."""

    def __init__(
        self, X: Any, y: Any = None, weight: Any = None, partition_rows: int | None = None,
        feature_names: tuple[str, ...] | None = None,
    ) -> None:  # fmt: skip
        # Numba knows no subclass of arrays.
        self._X: Any = X if issparse(X) else np.asarray(X)
        self._given = X
        self._y, self._weight, self.feature_names = y, weight, feature_names
        self.dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        self.sparse, (n_rows, self.n_features) = bool(issparse(X)), X.shape
        self.has_target, self.has_weight = y is not None, weight is not None
        row_bytes = X.data.nbytes * 1.5 / max(n_rows, 1) if self.sparse else None
        size = partition_rows or default_partition_rows(self.n_features, self.dtype, row_bytes)
        self._ranges = cut_rows(n_rows, size)
        self.partition_rows = tuple(map(len, self._ranges))
        self.in_place = True

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices."""
        for index in indices:
            rows = self._ranges[index]
            yield self._part(slice(rows.start, rows.stop))
            release(self._given, rows)

    def take(self, rows: Indices) -> Partition:
        """Return copies of rows by their number."""
        return self._part(rows)

    def _part(self, rows: Any) -> Partition:
        y, weight, is_slice = self._y, self._weight, isinstance(rows, slice)
        # X[rows] takes three times as long for an array of numbers.
        X = self._X[rows] if is_slice or self.sparse else self._X.take(rows, axis=0)
        return Partition(
            X if self.sparse else np.ascontiguousarray(X, self.dtype),
            None if y is None else np.asarray(y[rows]),
            None if weight is None else np.asarray(weight[rows], self.dtype),
        )


def release(X: Any, rows: range) -> None:
    """Let rows of a mapped file leave the process; the system keeps them while it has room."""
    # What is written to a copy-on-write mapping would be lost.
    may_leave = isinstance(X, np.memmap) and X.mode != "c" and X.flags.c_contiguous
    mapping: Any = X.base if may_leave else None
    if isinstance(mapping, mmap.mmap) and hasattr(mapping, "madvise"):  # not on Windows
        start, row = X.offset % mmap.ALLOCATIONGRANULARITY, X.strides[0]
        first = -(-(start + rows.start * row) // mmap.PAGESIZE) * mmap.PAGESIZE
        size = start + rows.stop * row - first
        if size > 0:
            mapping.madvise(mmap.MADV_DONTNEED, first, size)


class ConcatenatedSource(Source):
    """The partitions of several sources, one source after the other."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = list(sources)
        for name in ("n_features", "feature_names", "dtype", "sparse", "has_target", "has_weight"):
            setattr(self, name, shared(name, [getattr(source, name) for source in sources]))
        self.partition_rows = tuple([n for source in sources for n in source.partition_rows])
        self._first = np.cumsum([0, *(source.n_partitions for source in sources)]).tolist()

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices."""
        for number, run in groupby(indices, lambda index: bisect_right(self._first, index) - 1):
            yield from self._sources[number].read([i - self._first[number] for i in run])

    def runs(self) -> list[range]:
        """Return the runs of all sources."""
        return [
            range(run.start + first, run.stop + first)
            for first, source in zip(self._first, self._sources, strict=False)
            for run in source.runs()
        ]
