"""Arrow tables and streams as partitions: columns of numbers row by row, labels, weights."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, count, repeat
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlogit.kernels.codegen.transposition import columns_to_rows
from fastlogit.models import Floats, Indices
from fastlogit.sources.base import (
    Labels,
    Partition,
    Source,
    cut_rows,
    default_partition_rows,
    read_ahead,
)
from fastlogit.sources.cache import spooled

# Names that pandas gives an index without one in a Parquet file.
PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class Columns(NamedTuple):
    """Which columns are X, the labels and the weights, and the dtype of X."""

    features: tuple[str, ...]
    target: str | None
    weight: str | None
    dtype: np.dtype[Any]

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return [*self.features, *(name for name in (self.target, self.weight) if name is not None)]


def choose_columns(
    schema: Any, target: str | None, weight: str | None, columns: Sequence[str] | None
) -> Columns:
    """Return which columns of an Arrow schema to read: by default all others are X."""
    names, counts = list(schema.names), Counter(schema.names)
    given = {"target": target, "weight": weight}
    chosen = check_names(target, weight, columns)
    for argument, name in (*given.items(), *(("columns", name) for name in chosen or ())):
        if name is not None and counts[name] != 1:
            held = "several of that name" if name in counts else ", ".join(map(repr, names[:20]))
            raise ValueError(f"{argument}={name!r} must name one column of data, which has {held}")
    features = chosen or [
        name for name in names if name not in given.values() and not PANDAS_INDEX.match(name)
    ]
    if taken := [name for name in features if name in given.values()]:
        raise ValueError(f"columns names {taken[0]!r}, which is the target or the weight")
    if doubled := [name for name, count in Counter(features).items() if count > 1]:
        raise ValueError(f"X has two columns of the name {doubled[0]!r}; rename or leave out one")
    if target is not None and pa.types.is_nested(kind := schema.field(target).type):
        raise ValueError(f"target={target!r} is of type {kind}, must be text, booleans or integers")
    if not features:
        raise ValueError("data has no column besides the target and the weight")
    kinds = []
    for name in [*features, *([weight] if weight is not None else [])]:
        kind = schema.field(name).type
        if not (is_number(kind) or pa.types.is_boolean(kind)):
            raise ValueError(
                f"column {name!r} of data is of type {kind}, X and weights must be numbers; name "
                "those to read in columns=, or encode the others first"
            )
        kinds.append(np.float64 if pa.types.is_decimal(kind) else kind.to_pandas_dtype())
    is_single = np.result_type(*kinds[: len(features)]) == np.float32
    dtype = np.dtype(np.float32 if is_single else np.float64)
    return Columns(tuple(features), target, weight, dtype)


def check_names(target: Any, weight: Any, columns: Any) -> list[str] | None:
    """Return columns as a list; raise an error for arguments that are no names of columns."""
    for name, given in (("target", target), ("weight", weight)):
        if given is not None and not isinstance(given, str):
            kind = type(given).__name__
            raise TypeError(f"{name} must be the name of a column of data, got {kind}")
    if target is not None and target == weight:
        raise ValueError(f"target={target!r} and weight={weight!r} must be two columns")
    if columns is None:
        return None
    names = [] if isinstance(columns, str) or not isinstance(columns, Iterable) else [*columns]
    if not names:
        raise ValueError(f"columns={columns!r} must be a list of names, of one at least")
    return names


def is_number(kind: Any) -> bool:
    """Return whether an Arrow type is of integers, floats or decimals."""
    is_decimal = pa.types.is_decimal(kind)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or is_decimal)


class Place(NamedTuple):
    """Where rows come from, for errors: what they are in, and the row of it that is the first."""

    name: str
    first: int


def to_partitions(
    groups: Iterable[Sequence[Any]], columns: Columns, places: Iterable[Place]
) -> Iterator[Partition]:
    """Yield the rows of each group of record batches; a missing number becomes NaN."""
    places = iter(places)
    for batches in groups:
        made = [to_partition(batches, columns, next(places))]
        del batches  # they may hold all of a row group
        yield made.pop()


def to_partition(batches: Sequence[Any], columns: Columns, place: Place) -> Partition:
    """Return the rows of record batches as one partition."""
    y = weight = None
    stops = [*accumulate(batch.num_rows for batch in batches)]
    X = np.empty((stops[-1] if stops else 0, len(columns.features)), columns.dtype)
    for batch, stop in zip(batches, stops, strict=True):
        numbers = [numbers_of(batch.column(name), columns.dtype) for name in columns.features]
        addresses = np.array([c.__array_interface__["data"][0] for c in numbers], np.int64)
        columns_to_rows(addresses, X[stop - batch.num_rows : stop])
    if columns.target is not None:
        y = labels(pa.chunked_array([batch.column(columns.target) for batch in batches]), place)
    if columns.weight is not None:
        parts = [numbers_of(batch.column(columns.weight), columns.dtype) for batch in batches]
        weight = np.concatenate([*parts, np.empty(0, columns.dtype)])
    return Partition(X, y, weight)


def numbers_of(column: Any, dtype: np.dtype[Any]) -> Floats:
    """Return an Arrow array of numbers as NumPy's, contiguous; in place if it is of that dtype."""
    has_all = column.null_count == 0 and len(column) > 0
    if (
        has_all
        and column.type.bit_width == 8 * dtype.itemsize
        and pa.types.is_floating(column.type)
    ):
        _validity, values = column.buffers()  # in half the time that to_numpy takes
        return np.frombuffer(values, dtype, len(column), column.offset * dtype.itemsize)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    # PyArrow copies what may have missing numbers, unless it is told that it has none.
    in_place = has_all and not pa.types.is_boolean(column.type)
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=in_place), dtype)


def labels(column: Any, place: Place) -> Any:
    """Return a chunked array of labels as NumPy's, or as Labels if they are no numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind) and any(c.dictionary.null_count for c in column.chunks):
        column, kind = column.cast(kind.value_type), kind.value_type
    if column.null_count:
        row = place.first + pc.index(pc.is_null(column), True).as_py()
        raise ValueError(f"the target is missing in row {row} of {place.name}; leave such rows out")
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if pa.types.is_boolean(kind) or is_number(kind):
        return column.to_numpy()
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    values = column.chunk(0).dictionary if column.num_chunks else pa.array([])
    return Labels(np.asarray(values.to_pylist()), np.concatenate(codes or [np.empty(0, np.intp)]))


def regroup(batches: Iterable[Any], sizes: Iterable[int]) -> Iterator[list[Any]]:
    """Yield slices of record batches, of so many rows in all each; the last may have fewer."""
    batches, rest = iter(batches), None
    for size in sizes:
        group: list[Any] = []
        missing = size
        while missing > 0:
            batch = rest if rest is not None else next(batches, None)
            if batch is None:
                break
            rest = batch.slice(missing) if batch.num_rows > missing else None
            batch = batch.slice(0, missing)
            if batch.num_rows:
                group.append(batch)
                missing -= batch.num_rows
        if not group:
            return
        yield group


class TableSource(Source):
    """An Arrow table in memory, whose columns a partition interleaves."""

    def __init__(self, table: Any, columns: Columns, partition_rows: int | None = None) -> None:
        self._table, self._columns = table.select(columns.names), columns
        describe(self, columns)
        size = partition_rows or default_partition_rows(self.n_features, self.dtype)
        self._ranges = cut_rows(table.num_rows, size)
        self.partition_rows = tuple(map(len, self._ranges))

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices."""
        ranges = [self._ranges[index] for index in indices]
        groups = (self._table.slice(rows.start, len(rows)).to_batches() for rows in ranges)
        places = (Place("the table", rows.start) for rows in ranges)
        return to_partitions(groups, self._columns, places)


def describe(source: Source, columns: Columns) -> None:
    """Set a source's attributes that follow from its columns."""
    source.dtype, source.feature_names = columns.dtype, columns.features
    source.n_features = len(columns.features)
    source.has_target = columns.target is not None
    source.has_weight = columns.weight is not None


class StreamSource(Source):
    """An Arrow stream: it is read once as it comes, or from a temporary copy on disk."""

    def __init__(
        self, batches: Callable[[], Iterable[Any]], columns: Columns,
        partition_rows: int | None = None,
    ) -> None:  # fmt: skip
        self._batches, self._columns = batches, columns
        describe(self, columns)
        self._size = partition_rows or default_partition_rows(self.n_features, self.dtype)
        self._copy: Source | None = None
        self._is_read, self._lock = False, Lock()

    def stream(self) -> Iterator[Partition]:
        """Yield the partitions as they come."""
        if self._copy is not None:
            return iter(self._copy)
        if self._is_read:
            raise ValueError(
                "data is a stream that has been read; pass a new one, or scan it with cache="
            )
        self._is_read = True
        groups = read_ahead(regroup(self._batches(), repeat(self._size)))
        places = (Place("the stream", first) for first in count(0, self._size))
        return to_partitions(groups, self._columns, places)

    def _readable(self) -> Source:
        with self._lock:  # threads may share the source
            if self._copy is None:
                self._copy = spooled(self)
            return self._copy

    def __repr__(self) -> str:
        """Return what there is to read, of which the rows are not counted yet."""
        if self._copy is not None:
            return super().__repr__()
        return f"<StreamSource of {self.n_features} features>"

    def __reduce__(self) -> Any:
        """Raise TypeError: neither a stream nor its temporary copy outlives the process."""
        raise TypeError("a source of a stream cannot be pickled; scan it with cache=")

    @property
    def partition_rows(self) -> tuple[int, ...]:  # type: ignore[override]
        """Rows of each partition, for which the stream is copied."""
        return self._readable().partition_rows

    @property
    def in_place(self) -> bool:  # type: ignore[override]
        """True: the copy is mapped."""
        return True

    def read(self, indices: Sequence[int]) -> Iterator[Partition]:
        """Yield the partitions of those indices."""
        return self._readable().read(indices)

    def take(self, rows: Indices) -> Partition:
        """Return copies of rows by their number."""
        return self._readable().take(rows)


def scan_arrow(
    data: Any, target: Any, weight: Any, columns: Any, partition_rows: int | None
) -> Source:
    """Return a source of a table in memory, of a stream or of a polars LazyFrame."""
    if (table := in_memory(data)) is not None:
        chosen = choose_columns(table.schema, target, weight, columns)
        return TableSource(table, chosen, partition_rows)
    if hasattr(data, "collect_batches"):
        schema = pa.table(data.head(0).collect()).schema

        def batches() -> Iterator[Any]:
            for frame in data.collect_batches(maintain_order=True):
                yield from pa.table(frame).to_batches()

    else:
        try:
            reader = pa.RecordBatchReader.from_stream(data)
        except pa.ArrowInvalid:  # of a single column
            name = type(data).__name__
            raise TypeError(f"data of type {name} must be a table, with named columns") from None
        schema = reader.schema

        def batches() -> Iterator[Any]:
            return iter(reader)

    chosen = choose_columns(schema, target, weight, columns)
    return StreamSource(batches, chosen, partition_rows)


def in_memory(data: Any) -> Any:
    """Return a table that lies in memory as Arrow's, None for any other data."""
    if type(data).__module__.startswith("pandas") and hasattr(data, "columns"):
        return pa.Table.from_pandas(data, preserve_index=False)
    is_frame = type(data).__name__ == "DataFrame"  # of polars and others
    return pa.table(data) if is_frame or isinstance(data, pa.Table | pa.RecordBatch) else None
