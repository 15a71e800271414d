"""Columns of any kind made into numbers, or refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.benchmark.own_data.limits import check_fits
from fastlogit.benchmark.own_data.readers import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Column", "Encoded", "encode"]

# More values of a text than this are a name, a number of an order or a sentence, not a category.
_MOST_VALUES, _FEW_VALUES = 100, 10
# Squares of larger numbers, which scaling needs, are not finite.
_LARGEST = 1e150


@dataclass(frozen=True)
class Column:
    """One column of the file as numbers.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        The numbers, or with `n_values` the index of each row's value.
    n_values : int
        How many values a text column has; 0 for numbers.
    """

    values: NDArray[Any]
    n_values: int = 0

    @property
    def width(self) -> int:
        """Features it becomes: one, or one a value where there are more than two."""
        return self.n_values if self.n_values > 2 else 1


@dataclass(frozen=True)
class Encoded:
    """A whole file as numbers.

    Attributes
    ----------
    columns : tuple of Column
        In the file's order.
    y : ndarray of shape (n_rows,), dtype intp
        Class indices.
    classes : tuple of str
        What each index stands for.
    notes : tuple of str
        What was done to the columns.
    """

    columns: tuple[Column, ...]
    y: NDArray[np.intp]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n_features(self) -> int:
        """Features of all columns together."""
        return sum(column.width for column in self.columns)


class _RefusedError(ValueError):
    """What is wrong with a column, to be said together with what is wrong with others."""


def encode(table: Table, name: str) -> Encoded:
    """Make numbers of a table.

    Parameters
    ----------
    table : Table
        What the file holds.
    name : str
        What to call it in messages.

    Raises
    ------
    ValueError
        With everything that keeps the columns from being used, each by its name.
    """
    refused: list[str] = []
    columns: list[Column] = []
    kinds: dict[str, list[str]] = {"two": [], "one-hot": [], "constant": [], "counter": []}
    for label in table.features.columns:
        try:
            column, kind, note = _encode_column(table.features[label])
        except _RefusedError as error:
            refused.append(f"column {label!r} {error}")
            continue
        if column is not None:
            columns.append(column)
        if kind:
            kinds[kind].append(f"{label}{note}")
    remedy = "; --drop COLUMN leaves one out" if refused and table.named else ""
    try:
        y, classes = _encode_target(table.target)
    except _RefusedError as error:
        what = f"the target {table.target_name!r}" if table.target_name else "the target"
        refused.insert(0, f"{what} {error}")
    if refused:
        raise ValueError(f"cannot train on {name}: {_listed(refused, 6, '; ')}{remedy}")
    if not columns:
        raise ValueError(f"cannot train on {name}: no column is left beside the target")
    encoded = Encoded(tuple(columns), y, classes, (*table.notes, *_notes(kinds, columns)))
    check_fits(name, len(y), encoded.n_features)
    return encoded


def _notes(kinds: dict[str, list[str]], columns: Sequence[Column]) -> list[str]:
    numbers = sum(column.n_values == 0 for column in columns)
    said = {
        "one-hot": "one-hot encoded: ",
        "two": "two values, as 0 and 1: ",
        "constant": "left out, the same in every row: ",
        "counter": "left out, it only counts the rows: ",
    }
    notes = [text + _listed(kinds[kind], 8) for kind, text in said.items() if kinds[kind]]
    if numbers:
        plural = "s of numbers are" if numbers > 1 else " of numbers is"
        notes.append(
            f"{numbers:,} column{plural} scaled to mean 0 and standard deviation 1 in the "
            "training rows"
        )
    return notes


def _listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    rest = f"{separator}and {len(names) - most:,} more" if len(names) > most else ""
    return separator.join(names[:most]) + rest


def _encode_column(series: pd.Series[Any]) -> tuple[Column | None, str, str]:
    """Give a column as numbers, or None to leave it out; the kind of note and what it adds."""
    series = _plain(series)
    if series.dtype.kind in "biuf":
        return _encode_numbers(series)
    codes, values = _codes(series)
    if len(values) == 1:
        return None, "constant", ""
    numbers = _as_numbers(values)
    if not np.isnan(numbers).any():
        return _encode_numbers(_series(numbers[codes]))
    texts = values[np.isnan(numbers)]
    if _are_dates(texts):
        raise _RefusedError(f"holds dates or times such as {texts[0]!r}; make numbers of them")
    limit = min(_MOST_VALUES, max(_FEW_VALUES, len(series) // 2))
    if len(values) > limit:
        raise _RefusedError(_why_too_many(values, texts, limit))
    if len(values) == 2:
        return Column(codes, 2), "two", f" ({values[0]}, {values[1]})"
    return Column(codes, len(values)), "one-hot", f" ({len(values)} values)"


def _series(values: NDArray[Any]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values)


def _plain(series: pd.Series[Any]) -> pd.Series[Any]:
    """Give a column as NumPy numbers or as text, without missing values, or refuse it."""
    import pandas as pd

    missing = int(series.isna().sum())
    if missing:
        raise _RefusedError(
            f"misses {missing:,} of {len(series):,} values (empty, NA, NaN, None or null)"
        )
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _plain(series.astype(dtype.categories.dtype))
    if pd.api.types.is_complex_dtype(dtype):
        raise _RefusedError("holds complex numbers")
    if pd.api.types.is_bool_dtype(dtype):
        return series.astype(np.bool_)
    if pd.api.types.is_numeric_dtype(dtype):
        return series if isinstance(dtype, np.dtype) else series.astype(np.float64)
    if pd.api.types.is_datetime64_any_dtype(dtype) or dtype.kind == "m":
        raise _RefusedError("holds dates or times; make numbers of them")
    kinds = set(map(type, series))
    if kinds <= {int, Decimal}:  # integers of more than 64 bits, Parquet's decimals
        try:
            return series.astype(np.float64)
        except OverflowError:
            raise _RefusedError("has integers too large for any number") from None
    if kinds != {str}:
        named = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _RefusedError(f"holds values of the type {named}")
    return series


def _encode_numbers(series: pd.Series[Any]) -> tuple[Column | None, str, str]:
    values = series.to_numpy()
    if values.dtype == np.bool_:
        if (values == values[0]).all():
            return None, "constant", ""
        return Column(values.astype(np.int8), 2), "two", " (False, True)"
    infinite = len(values) - int(np.isfinite(values).sum())
    if infinite:
        raise _RefusedError(f"has {infinite:,} infinite values")
    low, high = values.min(), values.max()
    largest = max(float(low), float(high), key=abs)
    if abs(largest) > _LARGEST:
        raise _RefusedError(f"has values up to {largest:g}; beyond {_LARGEST:g} none can be scaled")
    if low == high:
        return None, "constant", ""
    # Two rows and less would be called a counter by chance.
    if len(values) > 2 and (np.diff(values) == 1).all():
        return None, "counter", ""
    return Column(values), "", ""


def _codes(series: pd.Series[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Give each row's index into the sorted values, and these."""
    import pandas as pd

    codes, values = pd.factorize(series, sort=True)
    return codes.astype(np.intp, copy=False), np.asarray(values)


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Give texts as numbers, NaN where one is none."""
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), dtype=np.float64)


def _are_dates(texts: NDArray[Any]) -> bool:
    import pandas as pd

    some = pd.Series(texts[:100])
    dates = pd.to_datetime(some, errors="coerce", format="ISO8601", utc=True)
    return bool(dates.notna().all())


def _why_too_many(values: NDArray[Any], texts: NDArray[Any], limit: int) -> str:
    if len(texts) < len(values) / 2:
        return f"mixes numbers with text such as {texts[0]!r}"
    points = _as_numbers(np.array([value.replace(",", ".", 1) for value in values]))
    if not np.isnan(points).any():
        return f"has numbers with a comma such as {texts[0]!r}; write them with a point"
    return (
        f"has {len(values):,} different texts, more than {limit}: an identifier or free text, such "
        f"as {_shortened(texts[0])!r}"
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."


def _encode_target(series: pd.Series[Any]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Give class indices, and the classes in sorted order."""
    series = _plain(series)
    if series.dtype.kind == "f":
        series = _whole_numbers(series)
    y, values = _codes(series)
    rows = np.bincount(y, minlength=len(values))
    if len(values) == 1:
        raise _RefusedError(f"has one class only, {values[0]!s}")
    if len(values) > max(_FEW_VALUES, len(y) // 10) and len(values) > 2:
        raise _RefusedError(
            f"has {len(values):,} different values in {len(y):,} rows: a quantity or an "
            "identifier, and this is classification"
        )
    if rows.min() < 2:
        single = [str(value) for value in values[rows < 2]]
        raise _RefusedError(
            f"has a single row for {_listed([repr(value) for value in single], 5)}; every class "
            "needs two, one to train on and one to test"
        )
    return y, tuple(str(value) for value in values)


def _whole_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    values = series.to_numpy()
    fractions = values[values != np.trunc(values)]
    if len(fractions) or not np.isfinite(values).all():
        example = fractions[0] if len(fractions) else values[~np.isfinite(values)][0]
        raise _RefusedError(
            f"has numbers such as {example:g}, a quantity: this is classification, where the "
            "target names classes by texts, whole numbers or true and false"
        )
    if np.abs(values).max() > 2**53:
        raise _RefusedError(f"has values up to {np.abs(values).max():g}, too large to name classes")
    return series.astype(np.int64)
