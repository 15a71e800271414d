"""Passes over the partitions of a source: what each computes, and the order of its sums.

A pass computes something of each partition and adds it up in a tree: the sum over neighbouring
partitions is that over their first half plus that over the second. The tree depends on the number
of partitions alone. So whoever computes a part of it, the sum of all is the same bits.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastlogit.models import Floats, Indices, Rows
from fastlogit.models.checks import class_indices
from fastlogit.sources import Labels, Partition, Source
from fastlogit.training.row_stream import RowStream, run_epoch
from fastlogit.training.trainer import Trainer

# Seconds between two lines on a pass.
REPORT_SECONDS = 1.0
Result = TypeVar("Result")


class Work(Protocol[Result]):
    """What a pass computes of a partition, and how two results are added."""

    def __call__(self, index: int, data: Any, /) -> Result:
        """Return the result of a partition, given as it is or as Rows."""

    def add(self, total: Result, part: Result, /) -> Result:
        """Return the sum of two results; the first may be changed."""


@dataclass(frozen=True)
class Encoder:
    """Makes Rows of partitions: class indices, weights times those of the classes, if any."""

    classes: NDArray[Any]
    class_weight: Floats | None
    dtype: Any

    def __call__(self, part: Partition) -> Rows:
        """Return a partition's rows."""
        X, y, weight = part
        indices = self._indices(y) if isinstance(y, Labels) else class_indices(self.classes, y)
        if self.class_weight is not None:
            by_class = self.class_weight[indices]
            weight = by_class if weight is None else weight * by_class
        weight = np.empty(0, self.dtype) if weight is None else weight.astype(self.dtype)
        return Rows(X.astype(self.dtype, copy=False), indices, weight)

    def _indices(self, y: Labels) -> Indices:
        """Return class indices; a value without rows, an unused category, need not be a class."""
        try:
            by_value = class_indices(self.classes, y.values)
        except ValueError:  # to count first would take 1.4 times as long
            used = np.flatnonzero(np.bincount(y.codes, minlength=len(y.values)))
            by_value = np.zeros(len(y.values), np.intp)
            by_value[used] = class_indices(self.classes, y.values[used])
        return by_value.take(y.codes)


def halves(span: range) -> tuple[range, range]:
    """Return the neighbouring partitions whose sums add up to that over a span of them."""
    middle = (span.start + span.stop) // 2
    return range(span.start, middle), range(middle, span.stop)


def sum_in_tree(work: Work[Result], span: range, data: Iterator[Any]) -> Result:
    """Return the sum over neighbouring partitions, given their data in their order."""
    if len(span) == 1:
        return work(span.start, next(data))
    first, second = halves(span)
    total = sum_in_tree(work, first, data)
    return work.add(total, sum_in_tree(work, second, data))


class Passes(Protocol):
    """Partitions somewhere, over which passes run."""

    n_passes: int
    n_partitions: int
    n_features: int
    feature_names: tuple[str, ...] | None
    starts: list[int] | None
    in_place: bool

    def run(self, work: Work[Result], encoder: Encoder | None, n_bytes: int, /) -> Result:
        """Return the sum, of so many bytes, of what work computes of all partitions."""

    def run_epoch(
        self, trainer: Trainer, encoder: Encoder, generator: Any, losses: NDArray[np.float64]
    ) -> Iterator[int]:
        """Train on all rows once; yield 1 unless training diverged. OUT: losses (1,)."""


class LocalPasses:
    """Passes in this process over a source, of which the next partitions are read ahead."""

    def __init__(self, source: Source, *, verbose: bool = False) -> None:
        self.source, self._verbose, self.n_passes = source, verbose, 0
        self.n_partitions, self.n_features = source.n_partitions, source.n_features
        self.feature_names = source.feature_names
        self.starts: list[int] | None = source.starts
        self.in_place = source.in_place

    def run(self, work: Work[Result], encoder: Encoder | None, _n_bytes: int, /) -> Result:
        """Return the sum of what work computes of all partitions."""
        span = range(self.n_partitions)
        return sum_in_tree(work, span, map(self._counted(encoder), self.source.read(span)))

    def run_epoch(
        self, trainer: Trainer, encoder: Encoder, generator: Any, losses: NDArray[np.float64]
    ) -> Iterator[int]:
        """Train on all rows once."""
        encode = self._counted(encoder)
        return run_epoch(
            trainer, RowStream(self.source, encode, trainer.batch_size, generator), losses
        )

    def _counted(self, encoder: Encoder | None) -> Callable[[Partition], Any]:
        """Begin a pass; return what encodes a partition, and if verbose prints the progress."""
        self.n_passes += 1
        encode: Callable[[Partition], Any] = encoder or (lambda part: part)
        if not self._verbose:
            return encode
        progress = PassProgress(self.n_passes, self.source.n_rows)

        def encode_and_report(part: Partition) -> Any:
            progress.advance(part.X.shape[0])
            return encode(part)

        return encode_and_report


class PassProgress:
    """Prints a line on stderr each second of a pass, and at its end: rows, rate, time left."""

    def __init__(self, number: int, n_rows: int) -> None:
        self._name, self._n_rows, self._done = f"pass {number}", n_rows, 0
        self._began = self._last = time.perf_counter()

    def advance(self, n_rows: int) -> None:
        """Record that so many more rows are done."""
        self._done += n_rows
        now = time.perf_counter()
        if now - self._last < REPORT_SECONDS and self._done < self._n_rows:
            return
        self._last, seconds = now, max(now - self._began, 1e-9)
        rate = self._done / seconds
        text = f"{self._name}: {self._done:,} of {self._n_rows:,} rows, {rate:,.0f} rows/s"
        if rest := self._n_rows - self._done:
            text += f", {rest / rate:.0f} s left"
        print(f"fastlogit: {text}", file=sys.stderr, flush=True)
