"""``scan``: one source of whatever holds the rows."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastlogit.models.checks import array_of, compressed, integer
from fastlogit.sources.arrays import ArraySource, ConcatenatedSource
from fastlogit.sources.base import Source, stamp
from fastlogit.sources.cache import CachedSource, cached, read_description

ALLOWED = (
    "the path of a Parquet file, of a directory of such or of an .npy file, an array, a SciPy "
    "sparse matrix, a table, stream or lazy frame with Arrow's interface, or a list of these"
)


def scan(
    data: Any, *, target: Any = None, weight: Any = None, columns: Sequence[str] | None = None,
    partition_rows: int | None = None, cache: str | Path | None = None,
) -> Source:  # fmt: skip
    """Return rows as a source for ``fit``, ``predict`` and :func:`train`, without loading them.

    Parameters
    ----------
    data : path, array, table, stream or list of such
        The path of a Parquet file, a directory of Parquet files (those hidden by a leading "." or
        "_" are left out), an ``.npy`` file or a directory that ``cache`` has filled; an array or
        NumPy memmap (n, D); a SciPy sparse matrix; anything with ``__arrow_c_stream__`` (a table or
        reader of PyArrow, a pandas or polars frame, a relation of DuckDB), or a polars LazyFrame. A
        list is read one item after the other.
    target : str or array_like of shape (n,), optional
        Name of the column of the labels, or for arrays the labels, which may be an ``.npy`` path;
        for a list of arrays a list.
    weight : str or array_like of shape (n,), optional
        The rows' weights, likewise.
    columns : sequence of str, optional
        Columns of X, by default all but target and weight. They must be numbers: float32 if all of
        them are, else float64. pandas' unnamed index is none of them unless named here. Keys that
        only the names of directories hold (``year=2024``) are not read: with such directories the
        columns must be named.
    partition_rows : int, optional
        Rows of a partition at most, by default about 8 MB of them. A row group of a Parquet file is
        cut if it has more. The bits of a fit depend on the partitions, not on how they are read.
    cache : path, optional
        Directory for a row-major copy of data, which later passes, and later calls for the same
        files, read instead. A stream that is read more than once is copied to a temporary directory
        without it.

    Returns
    -------
    Source
        Iterable over its partitions, (X, y, weight) each.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its value and what is allowed.
    ImportError
        If Parquet and Arrow data are given without PyArrow (``pip install "fastlogit[parquet]"``).

    Examples
    --------
    >>> import numpy as np, fastlogit
    >>> X, y = np.random.default_rng(0).normal(size=(1000, 3)), np.arange(1000) % 2
    >>> source = fastlogit.scan(X, target=y, partition_rows=400)
    >>> source.partition_rows
    (400, 400, 200)
    >>> fastlogit.LogisticRegression().fit(source).coef_.shape
    (1, 3)
    """
    if partition_rows is not None:
        partition_rows = integer("partition_rows", partition_rows, 1)
    if not isinstance(cache, str | Path | None):
        raise TypeError(f"cache={cache!r} must be the path of a directory, or None")
    if isinstance(data, list | tuple):
        source = _scan_list(data, target, weight, columns, partition_rows)
    else:
        source = _scan_one(data, target, weight, columns, partition_rows)
    if cache is None:
        return source
    if source.sparse:
        raise ValueError(f"cache={str(cache)!r} must be None for sparse data, which lie in memory")
    return cached(source, Path(cache), _origin(data, target, weight, columns, partition_rows))


def _scan_list(
    data: Sequence[Any], target: Any, weight: Any, columns: Any, partition_rows: int | None
) -> Source:
    if not data:
        raise ValueError(f"data is an empty list, must be {ALLOWED}")
    per_item: list[list[Any]] = []
    for name, given in (("target", target), ("weight", weight)):
        if given is None or isinstance(given, str):
            per_item.append([given] * len(data))
        elif isinstance(given, list | tuple) and len(given) == len(data):
            per_item.append(list(given))
        else:
            text = f"{name} must be the name of a column, or a list of {len(data)}, like data"
            raise ValueError(f"{text}, got {type(given).__name__}")
    return ConcatenatedSource(
        [
            _scan_one(item, y, w, columns, partition_rows)
            for item, y, w in zip(data, *per_item, strict=True)
        ]
    )


def _scan_one(
    data: Any, target: Any, weight: Any, columns: Any, partition_rows: int | None
) -> Source:
    if isinstance(data, Source):
        refuse(target=target, weight=weight, columns=columns, partition_rows=partition_rows)
        return data
    if isinstance(data, str | Path):
        path = Path(data)
        if not path.exists():
            raise FileNotFoundError(f"data={str(data)!r}: there is no such file or directory")
        if path.is_dir() and read_description(path) is not None:
            refuse(target=target, weight=weight, columns=columns, partition_rows=partition_rows)
            return CachedSource(path)
        if path.suffix != ".npy":
            return _scan_parquet(path, target, weight, columns, partition_rows)
        data = _mapped("data", path)
    if isinstance(data, np.ndarray) or issparse(data):
        refuse(columns=columns)
        return _scan_array(data, target, weight, partition_rows)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "collect_batches"):
        need_pyarrow()
        from fastlogit.sources.arrow import scan_arrow

        return scan_arrow(data, target, weight, columns, partition_rows)
    raise TypeError(f"data of type {type(data).__name__} must be {ALLOWED}")


def _scan_array(data: Any, target: Any, weight: Any, partition_rows: int | None) -> Source:
    for name, given in (("data", data), ("target", target), ("weight", weight)):
        if np.ma.isMaskedArray(given):
            raise TypeError(f"{name} is a masked array, whose mask would be lost; leave it out")
    X = array_of("data", data, may_be_sparse=True)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"data of shape {X.shape} must be (rows, features), of at least 1 each")
    if issparse(X):
        X = compressed("data", X, np.float32 if X.dtype == np.float32 else np.float64)
    vectors: list[Any] = []
    for name, given in (("target", target), ("weight", weight)):
        if isinstance(given, str | Path):
            if Path(given).suffix != ".npy":
                raise ValueError(
                    f"{name}={str(given)!r} must be an array or an .npy file, like data"
                )
            given = _mapped(name, given)
        given = given if given is None else np.asarray(given)
        if given is not None and name == "weight":
            array_of(name, given)
        if given is not None and given.shape != X.shape[:1]:
            raise ValueError(f"{name} of shape {given.shape} must have shape {X.shape[:1]}")
        vectors.append(given)
    y, w = vectors
    return ArraySource(data if isinstance(data, np.memmap) else X, y, w, partition_rows)


def _mapped(name: str, path: str | Path) -> Any:
    """Return an .npy file's array, mapped into memory; errors name the argument."""
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        text = f"{name}={str(path)!r} is no .npy file of numbers or texts"
        raise ValueError(f"{text}: {error}") from None


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a directory, without hidden ones, or the file itself."""
    if not path.is_dir():
        return [path]
    found = [file for file in sorted(path.rglob("*.parquet")) if file.is_file()]
    return [f for f in found if not any(p[0] in "._" for p in f.relative_to(path).parts)]


def _scan_parquet(
    path: Path, target: Any, weight: Any, columns: Any, partition_rows: int | None
) -> Source:
    need_pyarrow()
    from pyarrow.lib import ArrowInvalid

    from fastlogit.sources.arrow import choose_columns
    from fastlogit.sources.parquet import ParquetSource, open_file

    paths = parquet_files(path)
    if not paths:
        raise ValueError(f"data={str(path)!r} is a directory without .parquet files")
    refuse_keys(path, paths, target, weight, columns)
    chosen = []
    for one in paths:
        try:
            schema = open_file(one).schema_arrow
        except ArrowInvalid as error:
            raise ValueError(f"data={str(one)!r} is no Parquet file: {error}") from None
        chosen.append(choose_columns(schema, target, weight, columns))
    for one, other in zip(paths, chosen, strict=True):
        if other != chosen[0]:
            raise ValueError(f"the columns of {str(one)!r} differ from those of {str(paths[0])!r}")
    return ParquetSource(paths, chosen[0], partition_rows)


def refuse_keys(
    directory: Path, paths: Sequence[Path], target: Any, weight: Any, columns: Any
) -> None:
    """Raise ValueError if what is to be read may be keys in the names of directories."""
    folders = {folder for path in paths for folder in path.relative_to(directory).parts[:-1]}
    keys = {folder.partition("=")[0]: folder for folder in sorted(folders) if "=" in folder}
    given = [target, weight, *(columns if isinstance(columns, Iterable) else [])]
    named = {name for name in given if isinstance(name, str)} & keys.keys()
    if keys and (columns is None or named):
        key = min(named or keys)
        raise ValueError(
            f"data={str(directory)!r} has directories such as {keys[key]!r}, whose key {key!r} is "
            "in their names alone, which are not read; name the columns of the files in columns=, "
            "or write the key into the files"
        )


def need_pyarrow() -> None:
    """Raise an ImportError that says what to install, if PyArrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        text = 'Parquet and Arrow data need PyArrow: pip install "fastlogit[parquet]"'
        raise ImportError(text) from error


def refuse(**arguments: Any) -> None:
    """Raise ValueError for an argument that is given where data leave nothing to choose."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name}={value!r:.40} must be None for data of this kind")


def _origin(*arguments: Any) -> Any:
    """Return what a cache is a copy of, None if that cannot be told apart from other data."""
    described: list[Any] = []
    for value in arguments:
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            if isinstance(item, str | Path) and Path(item).exists():
                path = Path(item).resolve()
                described += [[str(file), *stamp(file)] for file in parquet_files(path)]
            elif item is None or isinstance(item, str | int):
                described.append(item)
            else:
                return None
        described.append(len(items))
    return described
