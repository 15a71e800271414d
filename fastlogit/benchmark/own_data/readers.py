"""A file's columns and its target, whatever the format."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from fastlogit.benchmark.own_data.limits import check_fits
from fastlogit.names import check_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDINGS", "Table", "ending", "read"]

# Names that say what a column is for.
_TARGET_NAMES = ("target", "label", "class", "y")

_DELIMITERS = ",;\t|"

# What pandas calls a row index that it wrote into a Parquet file.
_ARROW_INDEX = "__index_level_0__"


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes
    ----------
    features : DataFrame
        The columns that are not the target.
    target : Series
        What names the classes.
    target_name : str
        Its name; empty in a format that has one place for it.
    notes : tuple of str
        What was left out or chosen on the way.
    named : bool
        Whether its columns have names, by which some can be left out.
    """

    features: pd.DataFrame
    target: pd.Series[Any]
    target_name: str
    notes: tuple[str, ...] = ()
    named: bool = True


def ending(path: Path) -> str:
    """Give the ending that says a file's format, without the one of its compression.

    Raises
    ------
    ValueError
        If no reader knows it.
    """
    endings = [part.lower() for part in path.suffixes[-2:]]
    if endings and endings[-1] == ".gz":
        endings.pop()
        known = {name for name in ENDINGS if ENDINGS[name] in (_delimited, _svmlight)}
    else:
        known = set(ENDINGS)
    if endings and endings[-1] in known:
        return endings[-1]
    raise ValueError(
        f"{path.name} has no ending of a format that can be read; there are {', '.join(ENDINGS)}, "
        "and .gz after those that are text"
    )


def read(path: Path, target: str | None, drop: tuple[str, ...]) -> Table:
    """Read a file.

    Parameters
    ----------
    path : Path
        The file; its ending says the format.
    target : str or None
        The column, in an NPZ file the array, that names the classes; None takes the only one that
        is called target, label, class or y.
    drop : tuple of str
        Columns to leave out.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is not what its ending says, or has no such column.
    """
    reader = ENDINGS[ending(path)]
    with _reasons(path):
        return reader(path, target, drop)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Say of which file it is that a library complains."""
    from pandas.errors import ParserError, ParserWarning

    try:
        with warnings.catch_warnings():
            # Rows longer than the header would lose their last fields.
            warnings.simplefilter("error", ParserWarning)
            yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text ({error.reason}); save it in that encoding"
        ) from error
    except ParserWarning as error:
        raise ValueError(f"the rows of {path.name} have more fields than its header") from error
    except ParserError as error:
        raise ValueError(f"{path.name} is not a table: {str(error).strip()}") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path.name} is not a whole gzip file: {error}") from error


def _delimited(path: Path, target: str | None, drop: tuple[str, ...]) -> Table:
    import pandas as pd

    with _opened(path) as stream:
        delimiter, names = _header(stream, path)
    frame = pd.read_csv(
        path,
        sep=delimiter,
        names=names,
        header=0,
        index_col=False,
        skipinitialspace=True,
        # In pieces, a column that changes its kind half-way would be numbers and text mixed.
        low_memory=False,
        encoding="utf-8",
    )
    if frame.empty:
        raise ValueError(f"{path.name} has a header and no rows")
    return _split_off_target(frame, path, target, drop)


def _opened(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(stream: TextIO, path: Path) -> tuple[str, list[str]]:
    """Give the delimiter that makes the most of the first line, and the names in it."""
    names: list[str] = []
    delimiter = ","
    for candidate in _DELIMITERS:
        stream.seek(0)
        fields = next(csv.reader(stream, delimiter=candidate, skipinitialspace=True), [])
        if len(fields) > len(names):
            names, delimiter = fields, candidate
    if not any(names):
        raise ValueError(f"{path.name} is empty or begins with an empty line")
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"the first line of {path.name} holds numbers ({', '.join(names[:3])} ...); "
            "it must hold the columns' names"
        )
    return delimiter, _unique([name.strip() for name in names], path)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unique(names: list[str], path: Path) -> list[str]:
    for name in names:
        if names.count(name) > 1 and name:
            raise ValueError(f"{path.name} has {names.count(name)} columns named {name!r}")
    for position, name in enumerate(names[1:], start=2):
        if not name:
            raise ValueError(f"column {position} of {path.name} has no name")
    return names


def _parquet(path: Path, target: str | None, drop: tuple[str, ...]) -> Table:
    if importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            f"reading {path.name} needs pyarrow, which is not installed; "
            'install it with: pip install "fastlogit[parquet]"'
        )
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path.name} is not a Parquet file: {error}") from error
    _unique(list(table.column_names), path)
    # What pandas noted in the file would make an index of some columns, the target perhaps.
    frame = table.to_pandas(ignore_metadata=True)
    if not len(frame):
        raise ValueError(f"{path.name} has no rows")
    return _split_off_target(frame.rename(columns={_ARROW_INDEX: ""}), path, target, drop)


def _split_off_target(
    frame: pd.DataFrame, path: Path, target: str | None, drop: tuple[str, ...]
) -> Table:
    names = [name for name in frame.columns if name]
    for name in drop:
        check_name("column", name.strip(), names)
    notes = []
    if target is None:
        target = _target_among(names, path, "column")
        notes.append(f"the target is the column {target!r}, by its name")
    target = target.strip()
    check_name("column", target, names)
    dropped = {name.strip() for name in drop}
    if target in dropped:
        raise ValueError(f"the column {target!r} is the target and cannot be left out")
    if dropped:
        notes.append(f"left out as asked: {', '.join(sorted(dropped))}")
    if "" in frame.columns:
        notes.append("left out: the first column, a row index without a name")
    features = frame.drop(columns=[target, *dropped, ""], errors="ignore")
    return Table(features, frame[target], target, tuple(notes))


def _target_among(names: list[str], path: Path, kind: str) -> str:
    """Give the only one of the names that says what it is for."""
    suited = [name for name in names if name.lower() in _TARGET_NAMES]
    if len(suited) != 1:
        listed = ", ".join(names[:30]) + (" ..." if len(names) > 30 else "")
        raise ValueError(
            f"which {kind} of {path.name} names the classes? Say it with --target; "
            f"there are {listed or 'none'}"
        )
    return suited[0]


def _npz(path: Path, target: str | None, drop: tuple[str, ...]) -> Table:
    import pandas as pd

    _no_columns_to_drop(path, drop)
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is not an NPZ file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            # In the byte order of the machine: pandas knows no other.
            arrays = {
                name: array.astype(array.dtype.newbyteorder("="), copy=False)
                for name, array in archive.items()
            }
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    X, y, name = _arrays(arrays, path, target)
    names = [str(position) for position in range(X.shape[1])]
    return Table(pd.DataFrame(X, columns=names), pd.Series(y), name, named=False)


def _arrays(
    arrays: dict[str, Any], path: Path, target: str | None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]:
    held = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items())
    name = _target_among([*arrays], path, "array") if target is None else target
    check_name("array", name, arrays)
    tables = [other for other in arrays if other != name and arrays[other].ndim == 2]
    if "X" in tables:
        tables = ["X"]
    if len(tables) != 1:
        raise ValueError(
            f"{path.name} must have the rows in an array X of two dimensions; it holds {held}"
        )
    X, y = arrays[tables[0]], arrays[name]
    if y.shape != (len(X),):
        raise ValueError(
            f"the array {name!r} of {path.name} has shape {y.shape}; for the {len(X)} rows of "
            f"{tables[0]!r} it must be ({len(X)},)"
        )
    for given in (tables[0], name):
        fields = arrays[given].dtype.names
        if fields:
            raise ValueError(
                f"the array {given!r} of {path.name} has fields ({', '.join(fields)}); it must be "
                "of plain values"
            )
    if not X.size:
        raise ValueError(f"{path.name} has no rows: {tables[0]!r} has shape {X.shape}")
    return X, y, name


def _svmlight(path: Path, target: str | None, drop: tuple[str, ...]) -> Table:
    import pandas as pd
    from sklearn.datasets import load_svmlight_file

    _no_columns_to_drop(path, drop)
    if target is not None:
        raise ValueError(
            f"{path.name} has its labels at the start of each line; --target {target!r} is for "
            "formats with named columns"
        )
    try:
        X, y = load_svmlight_file(str(path))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path.name} is not in svmlight's format: {error}") from error
    if not X.shape[0] or not X.shape[1]:
        raise ValueError(f"{path.name} has no rows or no features")
    check_fits(path.name, *X.shape)
    names = [str(position) for position in range(X.shape[1])]
    return Table(pd.DataFrame(X.toarray(order="F"), columns=names), pd.Series(y), "", named=False)


def _no_columns_to_drop(path: Path, drop: tuple[str, ...]) -> None:
    if drop:
        raise ValueError(f"{path.name} has no named columns, so {drop[0]!r} cannot be left out")


_Reader = Callable[[Path, str | None, tuple[str, ...]], Table]

ENDINGS: dict[str, _Reader] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".parquet": _parquet,
    ".npz": _npz,
    ".svm": _svmlight,
    ".svmlight": _svmlight,
    ".libsvm": _svmlight,
}
