"""A row-major copy of a source on disk: passes after the first read it without decoding."""

import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastlogit.sources.arrays import ArraySource
from fastlogit.sources.base import Labels, Partition, Source

# What a cache directory holds. The first names what was copied and is written last.
DESCRIPTION, ROWS, CODES, VALUES, WEIGHTS = (
    "description.json", "X.npy", "codes.npy", "values.npy", "weight.npy"
)  # fmt: skip
VERSION = 1


class CachedSource(ArraySource):
    """Rows that were copied to a directory, mapped into memory."""

    def __init__(self, directory: Path) -> None:
        description = read_description(directory)
        if description is None:
            raise ValueError(f"cache={str(directory)!r} holds no complete cache of a source")
        arrays = {name: directory / name for name in (ROWS, CODES, VALUES, WEIGHTS)}
        try:
            X = np.load(arrays[ROWS], mmap_mode="r")
            codes = np.load(arrays[CODES], mmap_mode="r") if arrays[CODES].exists() else None
            weight = np.load(arrays[WEIGHTS], mmap_mode="r") if arrays[WEIGHTS].exists() else None
            self._values: Any = None if codes is None else np.load(arrays[VALUES])
        except (OSError, ValueError, EOFError) as error:
            text = f"cache={str(directory)!r} is damaged, remove it: {error}"
            raise ValueError(text) from error
        names = description["feature_names"]
        super().__init__(X, codes, weight, feature_names=None if names is None else tuple(names))
        ends = np.cumsum([0, *description["partition_rows"]]).tolist()
        self._ranges = [range(*pair) for pair in pairwise(ends)]
        self.partition_rows = tuple(description["partition_rows"])
        self._directory = directory

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the directory's name instead of the rows."""
        return CachedSource, (self._directory,)

    def _part(self, rows: Any) -> Partition:
        part = super()._part(rows)
        codes: Any = part.y
        return part if codes is None else part._replace(y=Labels(self._values, codes))


def read_description(directory: Path) -> Any:
    """Return what a directory is a cache of, None if it is no cache."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text())
    except (OSError, ValueError):
        return None
    is_ours = isinstance(description, dict) and description.get("version") == VERSION
    return description if is_ours else None


def cached(source: Source, directory: Path, origin: Any) -> CachedSource:
    """Return a source's copy in a directory, made now unless it is there.

    The origin says what is copied, as JSON; None, as for a stream, is never the same twice.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        return opened(directory, origin)
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        write(source, source.stream(), partial, origin)
        partial.chmod(0o755)
        try:
            partial.replace(directory)  # an empty directory may be there
        except OSError:
            if read_description(directory) is None:
                raise
            shutil.rmtree(partial)  # another process was first
            return opened(directory, origin)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return CachedSource(directory)


def opened(directory: Path, origin: Any) -> CachedSource:
    """Return the cache in a directory after a check that it is of the origin."""
    found = read_description(directory)
    if found is None or origin is None or found["origin"] != json.loads(json.dumps(origin)):
        what = "no cache of fastlogit" if found is None else "a cache of other data"
        raise ValueError(
            f"cache={str(directory)!r} holds {what}; remove it, or name another directory"
        )
    return CachedSource(directory)


def spooled(source: Source) -> CachedSource:
    """Return a source's copy in a temporary directory, which goes with it."""
    directory = Path(tempfile.mkdtemp(prefix="fastlogit-"))
    finalize = weakref.finalize(source, shutil.rmtree, directory, ignore_errors=True)
    try:
        write(source, source.stream(), directory, None)
    except BaseException:
        finalize()
        raise
    return CachedSource(directory)


def write(source: Source, parts: Iterable[Partition], directory: Path, origin: Any) -> None:
    """Write the partitions to files of a directory."""
    sizes, codes_of = [], Codes()
    with RowsFile(directory / ROWS, source.dtype, source.n_features) as X_file, \
            RowsFile(directory / CODES, np.int32) as y_file, \
            RowsFile(directory / WEIGHTS, source.dtype) as weight_file:  # fmt: skip
        for part in parts:
            X_file.append(part.X)
            sizes.append(len(part.X))
            if part.y is not None:
                y_file.append(codes_of(part.y))
            if part.weight is not None:
                weight_file.append(part.weight)
    if not sizes:
        raise ValueError("data has no rows")
    if source.has_target:
        np.save(directory / VALUES, codes_of.values())
    names = source.feature_names
    description = {
        "version": VERSION, "origin": origin, "partition_rows": sizes,
        "feature_names": None if names is None else list(names),
    }  # fmt: skip
    (directory / DESCRIPTION).write_text(json.dumps(description))


class Codes:
    """Positions of labels in the list of all distinct labels so far."""

    def __init__(self) -> None:
        self._positions: dict[Any, int] = {}

    def __call__(self, y: Any) -> Any:
        """Return the labels' positions; new ones are added."""
        if not isinstance(y, Labels):
            y = Labels(*np.unique(y, return_inverse=True))
        if np.asarray(y.values.tolist()).dtype.kind == "O":
            kind = type(y.values.tolist()[0]).__name__
            raise ValueError(f"the target has labels of type {kind}, must have text or integers")
        positions = self._positions
        found = [positions.setdefault(label, len(positions)) for label in y.values.tolist()]
        return np.asarray(found, np.int32)[y.codes]

    def values(self) -> Any:
        """Return the distinct labels."""
        return np.asarray(list(self._positions))


class RowsFile:
    """An ``.npy`` file that grows by rows; without any it is not left behind."""

    def __init__(self, path: Path, dtype: Any, n_columns: int | None = None) -> None:
        self._path, self._dtype, self._n_rows = path, np.dtype(dtype), 0
        self._tail = () if n_columns is None else (n_columns,)

    def __enter__(self) -> "RowsFile":
        """Open the file and leave room for the header."""
        self._file = self._path.open("w+b")
        self._write_header(1 << 62)  # as long as that of any number of rows
        return self

    def _write_header(self, n_rows: int) -> None:
        shape, kind = (n_rows, *self._tail), np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: Any) -> None:
        """Append rows."""
        rows = np.ascontiguousarray(rows, self._dtype)
        with naming(self._path):
            self._file.write(memoryview(rows).cast("B"))
        self._n_rows += len(rows)

    def __exit__(self, kind: Any, *error: object) -> None:
        """Write the header anew, with the number of rows, unless there was an error."""
        try:
            if kind is None:
                with naming(self._path):
                    self._file.seek(0)
                    self._write_header(self._n_rows)
                    self._file.flush()
        finally:
            with suppress(OSError):  # of what a full disk did not take
                self._file.close()
        if self._n_rows == 0:
            self._path.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error of writing to it, as of a full disk, which names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
