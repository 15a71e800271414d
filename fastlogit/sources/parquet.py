"""Parquet files as a source: a row group, or a part of a large one, is a partition."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from fastlogit.sources.arrow import Columns, describe, regroup, to_partitions
from fastlogit.sources.base import (
    Partition,
    Source,
    cut_rows,
    default_partition_rows,
    read_ahead,
    stamp,
)


class Piece(NamedTuple):
    """A partition: which part, of so many rows, of which row group of which file."""

    file: int
    row_group: int
    part: int
    rows: int


class ParquetSource(Source):
    """Row groups of files of one schema; of a large one, parts that are read in their order."""

    def __init__(
        self, paths: Sequence[Path], columns: Columns, partition_rows: int | None = None
    ) -> None:
        self._paths, self._columns = list(paths), columns
        describe(self, columns)
        size = partition_rows or default_partition_rows(self.n_features, self.dtype)
        self._size, self._pieces = size, []
        self._stamps = [stamp(path) for path in paths]
        for number, path in enumerate(paths):
            metadata = open_file(path).metadata
            for group in range(metadata.num_row_groups):
                parts = cut_rows(metadata.row_group(group).num_rows, size)
                self._pieces += [
                    Piece(number, group, part, len(rows)) for part, rows in enumerate(parts)
                ]
        self.partition_rows = tuple([piece.rows for piece in self._pieces])

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices, which a thread decodes ahead."""
        return to_partitions(read_ahead(self._decoded(indices)), self._columns)

    def _decoded(self, indices: Sequence[int]) -> Iterator[list[Any]]:
        """Yield the record batches of partitions; one pass serves rising parts of a row group."""
        for (number, group), run in groupby(indices, lambda i: self._pieces[i][:2]):
            path = self._paths[number]
            if stamp(path) != self._stamps[number]:
                raise ValueError(f"{str(path)!r} has changed since it was scanned; scan it anew")
            try:
                yield from self._decoded_group(open_file(path), group, run)
            except (OSError, ArrowException) as error:
                raise OSError(f"{str(path)!r} cannot be read: {error}") from error

    def _decoded_group(self, file: Any, group: int, indices: Iterable[int]) -> Iterator[list[Any]]:
        parts, at = self._parts(file, group), 0
        for index in indices:
            part = self._pieces[index].part
            if part < at:
                parts, at = self._parts(file, group), 0
            while at <= part:  # those before it are skipped
                batches, at = next(parts), at + 1
            yield batches

    def _parts(self, file: Any, group: int) -> Iterator[list[Any]]:
        n_rows = file.metadata.row_group(group).num_rows
        batches = file.iter_batches(
            batch_size=self._size, row_groups=[group], columns=self._columns.names
        )
        return regroup(batches, map(len, cut_rows(n_rows, self._size)))

    def runs(self) -> list[range]:
        """Return the parts of each row group."""
        groups = groupby(range(len(self._pieces)), lambda i: self._pieces[i][:2])
        indices = [list(run) for _, run in groups]
        return [range(run[0], run[-1] + 1) for run in indices]


def open_file(path: Path) -> Any:
    """Return a Parquet file that is read in small pieces: pre-buffering holds whole row groups."""
    return pq.ParquetFile(path, pre_buffer=False, memory_map=False, buffer_size=1 << 16)
