"""Parquet files as a source: a row group, or a part of a large one, is a partition."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from fastlogit.sources.arrow import Columns, Place, describe, regroup, to_partitions
from fastlogit.sources.base import (
    Partition,
    Source,
    cut_rows,
    default_partition_rows,
    read_ahead,
    stamp,
)

# Bytes of X up to which a row group is decoded as a whole, column by column. With PyArrow's batches
# a pass takes 1.03 to 1.15 times the CPU: each reads a part of every column, beyond any cache.
MOST_AT_ONCE = 1 << 25


class Piece(NamedTuple):
    """A partition: which part, of which row group of which file, and which row of it is first."""

    file: int
    row_group: int
    part: int
    rows: int
    first: int


class Run(NamedTuple):
    """Parts of a row group of a file that are read one after the other."""

    file: int
    row_group: int
    parts: list[int]


class ParquetSource(Source):
    """Row groups of files of one schema; of a large one, parts that are read in their order."""

    def __init__(
        self, paths: Sequence[Path], columns: Columns, partition_rows: int | None = None
    ) -> None:
        self._paths, self._columns = list(paths), columns
        describe(self, columns)
        size = partition_rows or default_partition_rows(self.n_features, self.dtype)
        self._size = size
        self._pieces: list[Piece] = []
        self._group_rows: dict[tuple[int, int], int] = {}
        self._stamps = [stamp(path) for path in paths]
        for number, path in enumerate(paths):
            metadata, start = open_file(path).metadata, 0
            for group in range(metadata.num_row_groups):
                n_rows = metadata.row_group(group).num_rows
                self._group_rows[number, group] = n_rows
                self._pieces += [
                    Piece(number, group, part, len(rows), start + rows.start)
                    for part, rows in enumerate(cut_rows(n_rows, size))
                ]
                start += n_rows
        self.partition_rows = tuple([piece.rows for piece in self._pieces])

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices, which threads decode ahead."""
        pieces = [self._pieces[index] for index in indices]
        places = (Place(str(self._paths[piece.file]), piece.first) for piece in pieces)
        return to_partitions(read_ahead(self._decoded(indices)), self._columns, places)

    def _decoded(self, indices: Sequence[int]) -> Iterator[list[Any]]:
        """Yield the record batches of partitions; one pass serves rising parts of a row group."""
        groups = groupby(indices, lambda i: self._pieces[i][:2])
        runs = [
            Run(file, row_group, [self._pieces[i].part for i in run])
            for (file, row_group), run in groups
        ]
        names = self._columns.names
        half = len(names) // 2
        with ThreadPoolExecutor(1, "fastlogit-decode") as pool:

            def begin(run: Run | None) -> Any:
                if run is None or not self._is_read_at_once(run):
                    return None
                return pool.submit(self._read_columns, run, names[:half])

            ahead = begin(runs[0] if runs else None)
            for run, following in zip_longest(runs, runs[1:]):
                if ahead is None:
                    ahead = begin(following)
                    yield from self._decoded_in_batches(run)
                    continue
                # Of two row groups that are held at once, one is half a group.
                columns = ahead.result() | self._read_columns(run, names[half:])
                table = pa.table(columns)
                ahead = begin(following)
                for part in run.parts:
                    yield table.slice(part * self._size, self._size).to_batches()
                del columns, table

    def _is_read_at_once(self, run: Run) -> bool:
        """Return whether a row group is decoded as a whole: it is small, and most of it needed."""
        n_rows = self._group_rows[run.file, run.row_group]
        is_small = n_rows * self.n_features * int(self.dtype.itemsize) <= MOST_AT_ONCE
        return is_small and 2 * len(run.parts) * self._size >= n_rows

    def _read_columns(self, run: Run, names: Sequence[str]) -> dict[str, Any]:
        """Return columns of a row group."""
        with self._opened(run.file) as file:
            table = file.read_row_group(run.row_group, columns=names)
        return {name: table.column(name) for name in names}

    def _decoded_in_batches(self, run: Run) -> Iterator[list[Any]]:
        with self._opened(run.file) as file:
            parts, at = self._parts(file, run.row_group), 0
            for part in run.parts:
                if part < at:
                    parts, at = self._parts(file, run.row_group), 0
                while at <= part:  # those before it are skipped
                    batches, at = next(parts), at + 1
                yield batches

    @contextmanager
    def _opened(self, number: int) -> Iterator[Any]:
        """Open a file that is as it was; an error of reading it names it."""
        path = self._paths[number]
        if stamp(path) != self._stamps[number]:
            raise ValueError(f"{str(path)!r} has changed since it was scanned; scan it anew")
        try:
            yield open_file(path)
        except (OSError, ArrowException) as error:
            raise OSError(f"{str(path)!r} cannot be read: {error}") from error

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
