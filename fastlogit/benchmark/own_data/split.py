"""A described file read, divided and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.benchmark.own_data.columns import Column, Encoded, encode
from fastlogit.benchmark.own_data.readers import read
from fastlogit.benchmark.own_data.source import Source, digest, test_rows

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["Parts", "load"]


@dataclass(frozen=True)
class Parts:
    """The rows to train on and those held out.

    Attributes
    ----------
    X, y : ndarray of shape (n_train, n_features) and (n_train,)
        C-contiguous rows and class indices, in the file's order.
    X_test, y_test : ndarray of shape (n_test, n_features) and (n_test,)
        The same of the rows held out.
    """

    X: NDArray[Any]
    y: NDArray[np.intp]
    X_test: NDArray[Any]
    y_test: NDArray[np.intp]


def load(source: Source, *, dtype: DTypeLike, seed: int) -> Parts:
    """Read a file, hold a fifth of each class out and scale.

    Numbers get mean 0 and standard deviation 1 by the training rows alone; texts and truth values
    become 0 and 1. A column that is the same in all training rows is 0 in both parts.

    Parameters
    ----------
    source : Source
        The file, as `describe` found it.
    dtype : float32 or float64
        The type of the rows.
    seed : int
        Chooses the rows held out.

    Raises
    ------
    OSError
        If the file cannot be opened any more.
    ValueError
        If it has changed since it was described.
    """
    if digest(source.path) != source.sha256:
        raise ValueError(f"{source.path.name} has changed since the run began")
    encoded = _encoded(source.path, source.target, source.drop, source.sha256)
    train, test = _divide(encoded.y, seed)
    X = np.empty((len(train), encoded.n_features), dtype)
    X_test = np.empty((len(test), encoded.n_features), dtype)
    position = 0
    for column in encoded.columns:
        slots = slice(position, position + column.width)
        _fill(column, train, test, X[:, slots], X_test[:, slots])
        position += column.width
    return Parts(X, encoded.y[train], X_test, encoded.y[test])


# The cases of a run come from one file.
@lru_cache(maxsize=1)
def _encoded(path: Path, target: str, drop: tuple[str, ...], sha256: str) -> Encoded:  # noqa: ARG001
    return encode(read(path, target or None, drop), path.name)


def _divide(y: NDArray[np.intp], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the rows to train on and those to hold out, each in rising order."""
    rng = np.random.default_rng([seed, 1])  # not the stream that the rows' order is drawn from
    held_out = np.zeros(len(y), np.bool_)
    for rows in _rows_by_class(y):
        held_out[rng.permutation(rows)[: test_rows(len(rows))]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _rows_by_class(y: NDArray[np.intp]) -> Sequence[NDArray[np.intp]]:
    order = np.argsort(y, kind="stable")
    return np.split(order, np.cumsum(np.bincount(y))[:-1])


def _fill(
    column: Column,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    X: NDArray[Any],
    X_test: NDArray[Any],
) -> None:
    """Write one column's features into both parts; X and X_test are OUT."""
    for rows, out in ((train, X), (test, X_test)):
        values = column.values[rows]
        if column.n_values > 2:
            out[...] = values[:, np.newaxis] == np.arange(column.n_values)
        else:
            out[:, 0] = values
    if column.n_values == 0:
        _standardise(column.values, train, test, X[:, 0], X_test[:, 0])


def _standardise(
    values: NDArray[Any],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    out: NDArray[Any],
    out_test: NDArray[Any],
) -> None:
    ours = values[train].astype(np.float64)
    mean, scale = ours.mean(), ours.std()
    # Tested on the values: the standard deviation of equal values is often 1e-17, not 0.
    if scale == 0 or (ours == ours[0]).all():
        out[...] = out_test[...] = 0
        return
    out[...] = (ours - mean) / scale
    out_test[...] = (values[test].astype(np.float64) - mean) / scale
