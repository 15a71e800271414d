"""Training rows in Dask's collections: what their metadata tells, and a task for each partition."""

from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
from dask import delayed
from dask.delayed import Delayed
from pandas.api.types import is_bool_dtype, is_numeric_dtype

ALLOWED = "a Dask array or dataframe"


class DaskRows:
    """X, y and sample_weight, divided into the partitions of X."""

    def __init__(self, X: Any, y: Any, sample_weight: Any = None) -> None:
        X = matrix(X)
        self.columns: list[Any] | None = None
        self.feature_names: tuple[str, ...] | None = None
        if isinstance(X, da.Array):
            self.n_features, self.dtype = X.shape[1], dtype_of([X.dtype], "X")
        else:
            self.columns = list(X.columns)
            self.n_features = len(self.columns)
            self.dtype = dtype_of([number_type(X, i) for i in range(self.n_features)], "X")
            if all(isinstance(name, str) for name in self.columns):
                self.feature_names = tuple(self.columns)
        self._kind = delayed((self.dtype, self.columns), traverse=False)
        self._X = blocks(X)
        self.n_partitions = len(self._X)
        self.partition_rows = [1] * self.n_partitions  # if unknown
        if isinstance(X, da.Array) and not np.isnan(X.chunks[0]).any():
            self.partition_rows = list(X.chunks[0])
        self._y = self._vector("y", y, X)
        self._weight: Sequence[Any] = [None] * self.n_partitions
        if sample_weight is not None:
            self._weight = self._vector("sample_weight", sample_weight, X)

    def _vector(self, name: str, value: Any, X: Any) -> list[Delayed]:
        """Return the blocks of y or of the weights, as many as of X."""
        if not isinstance(value, da.Array | dd.Series | dd.DataFrame):
            kind = "None" if value is None else type(value).__name__
            raise TypeError(f"{name} must be a Dask array or series, like X, got {kind}")
        if value.ndim > 1 and (value.ndim > 2 or value.shape[1] != 1):
            raise ValueError(f"{name} of shape {value.shape} must be (rows,), or have one column")
        if isinstance(value, da.Array) and isinstance(X, da.Array):
            value = divided_like(name, value, X)
        parts = blocks(value)
        if len(parts) != self.n_partitions:
            raise ValueError(
                f"{name} has {len(parts)} partitions, X has {self.n_partitions}: rows must be "
                "divided alike, as by repartition or rechunk"
            )
        return parts

    def task(self, function: Callable[..., Any], key: int, *first: Any) -> Delayed:
        """Return a new task, of a function of some first arguments, a partition's number and it."""
        part = self._X[key], self._y[key], self._weight[key]
        return delayed(function, pure=False)(*first, key, self._kind, *part)


def divided_like(name: str, value: Any, X: Any) -> Any:
    """Return an array with the chunks of X, as far as both are known."""
    if np.isnan(value.shape[0]) or np.isnan(X.shape[0]) or value.chunks[0] == X.chunks[0]:
        return value
    if len(value) != len(X):
        raise ValueError(f"{name} has {len(value)} rows, X has {len(X)}")
    return value.rechunk({0: X.chunks[0]})


def matrix(X: Any) -> Any:
    """Return X as a collection of which every block has all columns."""
    if isinstance(X, da.Array):
        if X.ndim != 2 or np.isnan(X.shape[1]):
            raise ValueError(f"X of shape {X.shape} must be (rows, features), the latter known")
        return X if X.numblocks[1] == 1 else X.rechunk({1: -1})
    if isinstance(X, dd.DataFrame):
        return X
    raise TypeError(f"X must be {ALLOWED}, got {type(X).__module__}.{type(X).__name__}")


def blocks(value: Any) -> list[Delayed]:
    """Return the blocks of rows of a collection as tasks."""
    parts: Any = value.to_delayed()
    return parts.reshape(-1).tolist() if isinstance(value, da.Array) else list(parts)


def number_type(X: Any, column: int) -> Any:
    """Return the NumPy dtype of a dataframe's column of numbers."""
    kind: Any = X.dtypes.iloc[column]
    if not (is_numeric_dtype(kind) or is_bool_dtype(kind)):
        raise ValueError(
            f"column {X.columns[column]!r} of X is of type {kind}, must be numbers; encode it first"
        )
    return getattr(kind, "numpy_dtype", kind)


def dtype_of(kinds: Sequence[Any], name: str) -> np.dtype[Any]:
    """Return float32 if NumPy finds it the common dtype of the columns, else float64."""
    for kind in kinds:
        if np.dtype(kind).kind not in "fiubO":
            raise TypeError(f"{name} of dtype {kind} must hold real numbers")
    return np.dtype(np.float32 if np.result_type(*kinds) == np.float32 else np.float64)
