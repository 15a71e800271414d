"""A user's file checked before a run begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fastlogit.benchmark.own_data.columns import encode
from fastlogit.benchmark.own_data.readers import ending, read
from fastlogit.benchmark.own_data.source import Source, digest

__all__ = ["describe"]


def describe(
    path: str | os.PathLike[str], target: str | None = None, drop: Iterable[str] = ()
) -> Source:
    """Read a file once, and say what it holds or why it cannot be used.

    Parameters
    ----------
    path : path-like
        A file that ends in .csv, .tsv, .parquet, .npz, .svm, .svmlight or .libsvm; .gz may follow
        where it is text.
    target : str, optional
        The column that names the classes, in an NPZ file the array. Without it the only one called
        target, label, class or y is taken.
    drop : iterable of str, optional
        Columns to leave out.

    Returns
    -------
    Source
        The file's description.

    Raises
    ------
    ValueError
        If the file cannot be opened, is not what its ending says, or holds what cannot be trained
        on: missing or infinite values, free text, dates, a target that is a quantity. The message
        names every such column.
    """
    path = Path(path)
    ending(path)
    drop = tuple(drop)
    try:
        path = path.absolute()
        size, sha256 = path.stat().st_size, digest(path)
        if not size:
            raise ValueError(f"{path.name} is empty")
        table = read(path, target, drop)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    encoded = encode(table, path.name)
    return Source(
        path=path,
        target=table.target_name,
        drop=drop,
        sha256=sha256,
        size_bytes=size,
        n_features=encoded.n_features,
        classes=encoded.classes,
        class_rows=tuple(np.bincount(encoded.y).tolist()),
        notes=encoded.notes,
    )
