"""Rows in partitions of a fixed schema, which are read one by one and again by their index."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastlogit.models import Floats, Indices

# Partitions read ahead of the one that is worked on.
READ_AHEAD = 2
# What a partition takes in memory unless the caller says otherwise, row by row.
PARTITION_BYTES = 1 << 23
# What to do where rows are to be chosen, or changed.
LOAD = "load its rows, or a sample of them"
Item = TypeVar("Item")


class Labels(NamedTuple):
    """Labels of rows as positions, codes (n,), in an array of distinct values."""

    values: NDArray[Any]
    codes: NDArray[Any]


class Partition(NamedTuple):
    """Rows X (n, D), an array or a csr_array, their labels and weights, None if there are none."""

    X: Any
    y: NDArray[Any] | Labels | None
    weight: Floats | None


class Source(ABC):
    """Rows of numbers in partitions, with labels and weights, such as :func:`scan` returns.

    Iterating yields each partition as (X, y, weight), read ahead in a thread. Partitions keep their
    boundaries, on which alone the bits of a fit depend.

    Attributes
    ----------
    dtype : dtype
        float32 or float64, of X.
    n_features : int
        D.
    feature_names : tuple of str or None
        Names of the columns of X.
    partition_rows : tuple of int
        Rows of each partition.
    has_target, has_weight, sparse : bool
        Whether partitions have labels and weights, and whether X is a csr_array.
    """

    dtype: np.dtype[Any]
    n_features: int
    feature_names: tuple[str, ...] | None = None
    partition_rows: tuple[int, ...]
    has_target: bool
    has_weight: bool
    sparse: bool = False
    # Whether all rows lie in memory or are mapped into it, so that they can be taken one by one.
    in_place: bool = False

    @property
    def n_rows(self) -> int:
        """Number of rows of all partitions."""
        return sum(self.partition_rows)

    @property
    def n_partitions(self) -> int:
        """Number of partitions."""
        return len(self.partition_rows)

    @property
    def starts(self) -> list[int]:
        """Row of the whole at which each partition begins."""
        return [0, *accumulate(self.partition_rows)][:-1]

    @property
    def shape(self) -> tuple[int, int]:
        """(n, D)."""
        return self.n_rows, self.n_features

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices; neighbours in the order of the file are faster."""

    def stream(self) -> Iterator[Partition]:
        """Yield all partitions once, also where they can be read only once."""
        return iter(self)

    def runs(self) -> list[range]:
        """Return the partitions in runs that had better be read one after the other."""
        return [range(i, i + 1) for i in range(self.n_partitions)]

    def take(self, rows: Indices) -> Partition:
        """Return rows by their number, of a source that is ``in_place``."""
        raise NotImplementedError(f"{type(self).__name__} reads whole partitions")

    def __iter__(self) -> Iterator[Partition]:
        """Yield all partitions in their order."""
        return self.read(range(self.n_partitions))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Raise TypeError, where NumPy would make an array of one object."""
        raise TypeError(
            f"{self!r} is no array. fit, partial_fit, predict and score of fastlogit's "
            "LogisticRegression and MLPClassifier take it as X, without y, and so does train. "
            f"Searches, cross-validation, transformers and other meta-estimators do not: {LOAD}"
        )

    def __len__(self) -> int:
        """Return the number of partitions."""
        return self.n_partitions

    def __repr__(self) -> str:
        """Return what there is to read."""
        (n, D), parts = self.shape, self.n_partitions
        return f"<{type(self).__name__} of {n:,} rows x {D} features in {parts} partitions>"


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, of which a thread makes the next while the caller works on one.

    An item that is yielded is held by its reader alone.
    """
    with ThreadPoolExecutor(1, "fastlogit-read-ahead") as pool:
        ahead = deque(pool.submit(next, items, None) for _ in range(READ_AHEAD))
        while True:
            if (item := ahead.popleft().result()) is None:
                return
            ahead.append(pool.submit(next, items, None))
            made = [item]
            del item
            yield made.pop()


def stamp(path: Path) -> tuple[int, int]:
    """Return a file's size and when it was written, by which it is known to be the same."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def default_partition_rows(n_features: int, dtype: Any, row_bytes: float | None = None) -> int:
    """Return the largest power of two of rows, 256 at least, that takes at most PARTITION_BYTES."""
    row_bytes = row_bytes or n_features * np.dtype(dtype).itemsize
    rows = int(PARTITION_BYTES / max(row_bytes, 1))
    return 1 << (max(rows, 256).bit_length() - 1)


def cut_rows(n_rows: int, partition_rows: int) -> list[range]:
    """Return the rows of each partition, all of the same size but the last."""
    starts = range(0, n_rows, partition_rows)
    return [range(start, min(start + partition_rows, n_rows)) for start in starts]


def shared(name: str, values: Iterable[Item]) -> Item:
    """Return the value that all parts of a source have; raise ValueError if they differ."""
    first, *others = values
    for number, other in enumerate(others, 1):
        if other != first:
            raise ValueError(f"data[{number}] has {name} {other}, data[0] has {first}")
    return first
