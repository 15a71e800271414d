"""All columns of a file, whatever its format."""

import glob
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.benchmark import machine
from fastlogit.benchmark.data_file import text
from fastlogit.benchmark.data_file.description import require
from fastlogit.names import check_name

if TYPE_CHECKING:
    import pandas as pd

# Elements of a Parquet file from which on a run reads a sample, and of that.
_LARGE, _SAMPLED = 1 << 25, 1 << 21
TARGET_NAMES = ("target", "label", "class", "y")

_KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".data"), "csv"),
    **dict.fromkeys((".svm", ".svmlight", ".libsvm"), "svm"), ".parquet": "parquet", ".npz": "npz",
}  # fmt: skip


def kind_of(path: Path) -> str:
    """Return a file's format by its ending: csv, svm, parquet or npz."""
    packed = path.suffix.lower() == ".gz"
    kind = _KINDS.get((path.with_suffix("") if packed else path).suffix.lower())
    if kind is None or (packed and kind in ("parquet", "npz")):
        raise ValueError(
            f"{path.name} has no ending of a format that can be read; there are "
            f"{', '.join(_KINDS)}, and .gz after those that are text"
        )
    return kind


def read(path: Path, target: str | None, **arguments: Any) -> "pd.DataFrame":
    """Return all columns of a file, a text file's as the arguments say."""
    kind = kind_of(path)
    if kind == "csv":
        return text.read_frame(path, **arguments)
    if kind == "npz":
        (_, X), (name, y) = read_arrays(path, target).items()
        return _framed(path, X, name, y)
    return _parquet(path, **arguments) if kind == "parquet" else _svmlight(path)


def check_fits(name: str, n_rows: int, n_features: int) -> None:
    """Raise ValueError where rows in float64 take more than a quarter of the memory."""
    limit, needed = (machine.memory_bytes() or 2**33) // 4, n_rows * n_features * 8
    if needed > limit:
        raise ValueError(
            f"{name} has {n_rows:,} rows of {n_features:,} features, {needed / 2**30:.1f} GiB as a "
            f"dense array; the limit is a quarter of the memory, {limit / 2**30:.1f} GiB"
        )


def sample_of(path: Path) -> tuple[dict[str, int], list[str]]:
    """Return how many rows of a large Parquet file to read, as an argument, and what to say."""
    with _duckdb(path) as connection:
        file = connection.read_parquet(glob.escape(str(path)))
        ((n_rows,),), n_columns = file.aggregate("count(*)").fetchall(), len(file.columns)
    if n_rows * n_columns <= _LARGE:
        return {}, []
    rows = _SAMPLED // n_columns
    return {"sample": rows}, [f"a large file: measured on a sample of its {n_rows:,} rows"]


def query(path: str, sample: int | None) -> str:
    """Return what reads a Parquet file's rows, or a sample of them, by one thread always alike."""
    name = glob.escape(path).replace("'", "''")
    chosen = f" USING SAMPLE reservoir({sample} ROWS) REPEATABLE (0)" if sample else ""
    return f"FROM read_parquet('{name}'){chosen}"


def _parquet(path: Path, sample: int | None = None) -> "pd.DataFrame":
    with _duckdb(path) as connection:
        if sample:
            connection.sql("SET threads = 1")
        frame: pd.DataFrame = connection.sql(query(str(path), sample)).df()
        return frame.copy()  # of one piece, as a text file's


@contextmanager
def _duckdb(path: Path) -> Iterator[Any]:
    """Connect to DuckDB; an error names the file."""
    duckdb = require("duckdb", f"reading {path.name}")
    try:
        with duckdb.connect() as connection:
            yield connection
    except duckdb.Error as error:
        raise ValueError(f"{path.name} cannot be read as a Parquet file: {error}") from error


def read_arrays(path: Path, target: str | None) -> dict[str, NDArray[Any]]:
    """Return an NPZ file's array of rows and then that of their classes, by their names."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            # macOS adds files that only look like arrays.
            names = [name for name in archive.files if not name.startswith("__MACOSX/")]
            arrays = {name: archive[name] for name in names}
        shapes = {name: array.shape for name, array in arrays.items()}
    except (zipfile.BadZipFile, ValueError, AttributeError, TypeError, EOFError) as error:
        raise ValueError(f"{path.name} is not an NPZ file of plain arrays: {error}") from error
    y = target or next((name for name in names if name.lower() in TARGET_NAMES), "y")
    check_name("array", y, names)
    tables = [name for name in names if len(shapes[name]) == 2 and name != y]
    tables = ["X"] if "X" in tables else tables
    if len(tables) != 1 or shapes[y] != shapes[tables[0]][:1]:
        raise ValueError(
            f"{path.name} holds {', '.join(f'{name} {shapes[name]}' for name in names)}; it must "
            "hold one array X of shape (n_samples, n_features), and y or --target (n_samples,)"
        )
    return {name: arrays[name] for name in (tables[0], y)}


def _svmlight(path: Path) -> "pd.DataFrame":
    from sklearn.datasets import load_svmlight_file

    try:
        X, y = load_svmlight_file(str(path))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path.name} is not in svmlight's format: {error}") from error
    check_fits(path.name, *X.shape)
    return _framed(path, X.toarray(), "y", y)


def _framed(path: Path, X: NDArray[Any], name: str, y: NDArray[Any]) -> "pd.DataFrame":
    import pandas as pd

    # pandas knows no other byte order than the machine's.
    X, y = (array.astype(array.dtype.newbyteorder("="), copy=False) for array in (X, y))
    if X.dtype.kind not in "biuf" or y.dtype.kind not in "biufUS" or not X.size:
        found = f"X of shape {X.shape} and dtype {X.dtype}, and y of dtype {y.dtype}"
        raise ValueError(f"{path.name} holds {found}: no rows of numbers with their classes")
    frame = pd.DataFrame(X).add_prefix("column")
    frame.insert(0, name, y)
    return frame
