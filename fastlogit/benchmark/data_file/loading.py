"""A described file's rows: divided as the file has them, or encoded as numbers."""

import hashlib
import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastlogit.benchmark.data_file import formats
from fastlogit.benchmark.data_file.description import DataFile, require

if TYPE_CHECKING:
    import pandas as pd


class Parts(NamedTuple):
    """Training and test rows: data frames and labels of `frames`, numbers and indices of `load`."""

    X: Any
    y: NDArray[Any]
    X_test: Any
    y_test: NDArray[Any]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def numeric(frame: "pd.DataFrame") -> NDArray[np.bool_]:
    """Return which columns hold numbers or truth values; NaN is a missing one."""
    return np.array([isinstance(t, np.dtype) and t.kind in "biuf" for t in frame.dtypes], bool)


def frames(file: DataFile) -> Parts:
    """Read a file and divide its rows, always alike; raise ValueError if it has changed."""
    if digest(file.path) != file.sha256:
        raise ValueError(f"{file.path.name} has changed since the run began")
    return divide(file, formats.read(file.path, file.target, **dict(file.arguments)))


def divide(file: DataFile, data: "pd.DataFrame") -> Parts:
    """Do with a file's columns what its preparation says, and divide the rows."""
    from sklearn.model_selection import train_test_split

    data, target = data.dropna(subset=[file.target]), file.target
    if file.drop_single:
        data = data[data[target].map(data[target].value_counts()) > 1]
    y: Any = data[target]
    X, y = data.drop(columns=[target, *file.left_out]), y.astype(file.target_dtype)
    if names := list(file.as_numbers):
        mark = re.escape(dict(file.arguments).get("decimal", "."))
        X[names] = X[names].replace(mark, ".", regex=True).astype(np.float64)
    X = X.astype(np.float64) if numeric(X).all() else X
    X_train, X_test, y_train, y_test = train_test_split(
        X, y.to_numpy(), test_size=file.n_test, random_state=0, stratify=y
    )
    return Parts(X_train, y_train, X_test, y_test)


def load(file: DataFile, *, dtype: DTypeLike, seed: int) -> Parts:  # noqa: ARG001
    """Return a file's rows as numbers, imputed and scaled by the training rows, alike by seed."""
    X, y, X_test, y_test = _encoded(file)
    return Parts(np.ascontiguousarray(X, dtype), y, np.ascontiguousarray(X_test, dtype), y_test)


# The cases of a run come from one file.
@lru_cache(maxsize=1)
def _encoded(file: DataFile) -> Parts:
    divided = frames(file)
    X, X_test, _ = encode(divided)
    classes = np.unique(np.concatenate([divided.y, divided.y_test]))
    y, y_test = (np.searchsorted(classes, labels) for labels in (divided.y, divided.y_test))
    return Parts(X, y, X_test, y_test)


def encode(divided: Parts) -> tuple[NDArray[Any], NDArray[Any], dict[str, list[str]]]:
    """Return both parts as numbers, and the columns of each kind.

    Columns of numbers pass skrub by, which takes milliseconds for each of what may be thousands.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frames, is_number = (divided.X, divided.X_test), numeric(divided.X)
    train, test = (X.loc[:, is_number].to_numpy(np.float64) for X in frames)
    kinds = {"numbers": list(divided.X.columns[is_number])}
    imputer = SimpleImputer(add_indicator=True, keep_empty_features=True)
    steps = make_pipeline(imputer, StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that no training row has, and the like
        if not is_number.all():
            skrub = require("skrub", "encoding columns that are no numbers")
            encoder = skrub.TableVectorizer(high_cardinality=skrub.StringEncoder(random_state=0))
            others, others_test = (X.loc[:, ~is_number] for X in frames)
            train = np.hstack([train, encoder.fit_transform(others)]).astype(np.float64)
            test = np.hstack([test, encoder.transform(others_test)]).astype(np.float64)
            kinds |= {kind: list(columns) for kind, columns in encoder.kind_to_columns_.items()}
        return steps.fit_transform(train), steps.transform(test), kinds
