"""A user's file checked before a run begins: its classes, its features, what cannot be used."""

import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastlogit.benchmark.data_file import formats, text
from fastlogit.benchmark.data_file.description import DataFile, ReadOptions, Request
from fastlogit.benchmark.data_file.loading import digest, divide, encode, numeric
from fastlogit.benchmark.text import pluralize
from fastlogit.names import check_name, listed

if TYPE_CHECKING:
    import pandas as pd

# Names that a target often has: such a column is proposed, never taken.
_LIKELY = re.compile("outcome|species|surviv|diagnos|result|churn|default|fraud|type|status")
_MOST_CLASSES, _FEW_CLASSES = 100, 10
_LARGEST = 1e150  # squares of larger numbers, which scaling needs, are not finite
_FEW_TEXTS = 5  # among numbers they are marks for missing values, more are another notation
_IDENTIFIER = r"(?=.*\d)(?!\d+[-/.:]\d)\S{1,40}"  # with a number, without a blank, and no date
_KINDS = {
    "numbers": "numbers", "numeric": "other numbers", "datetime": "dates",
    "low_cardinality": "categories, one-hot encoded", "high_cardinality": "texts of many values",
    "missing": "missing values are imputed",
}  # fmt: skip
_DETECT = ReadOptions()


def describe(
    path: str | os.PathLike[str], target: str | None = None, *, drop: Iterable[str] = (),
    options: ReadOptions = _DETECT, force: bool = False, command: Iterable[str] = ("bench", "run"),
) -> DataFile:  # fmt: skip
    """Read a file once, and say what it holds or raise ValueError that says why it is of no use.

    The target is the column, in an NPZ file the array, of the classes; if none is given, the one
    called target, label, class or y. With `force` every value of it is a class, rows of a class
    with one row are left out, and columns of numbers and a few texts are columns of text. Where
    options help the last line of an error is the command that has them, with the words of this one.
    """
    options = replace(options, na=tuple(options.na))
    request = Request(Path(path), target, tuple(drop), options, force, tuple(command))
    is_text, name = formats.kind_of(request.path) == "csv", request.path.name
    if options != ReadOptions() and not is_text:
        raise ValueError(f"{name} is no CSV file: leave --sep and the like out")
    try:
        sha256 = digest(request.path)
        is_parquet = formats.kind_of(request.path) == "parquet"
        arguments, findings = formats.sample_of(request.path) if is_parquet else ({}, [])
        if is_text:
            arguments, findings = text.detect(request)
        frame = formats.read(request.path, target, **arguments)
        if is_text:
            frame = _with_class_none(request, frame, arguments, findings)
    except (OSError, EOFError, zlib.error) as error:  # the last two of a gzip file cut short
        raise ValueError(
            f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not len(frame):
        raise ValueError(f"{name} has no rows")
    if frame.shape[1] < 2:
        sep = next((sep for sep in ";|, " if sep in frame.columns[0]), "tab")
        only = f"{name} has one column only, {frame.columns[0]!r}"
        raise request.refusal(f"{only}. Perhaps its delimiter is another", "--sep", sep)
    file = _checked(request, frame, arguments, sha256)
    parts = divide(file, frame)
    encoded, _, kinds = encode(parts)
    kinds |= {"missing": list(parts.X.columns[parts.X.isna().any() | parts.X_test.isna().any()])}
    findings += file.findings
    findings += [
        f"{_KINDS.get(kind, kind)}: {pluralize(len(names), 'column')} ({listed(names)})"
        for kind, names in kinds.items() if names
    ]  # fmt: skip
    return replace(file, n_features=encoded.shape[1], findings=tuple(findings))


def _with_class_none(
    request: Request, frame: "pd.DataFrame", arguments: text.Arguments, findings: list[str]
) -> "pd.DataFrame":
    """Return a text file's columns, a class named None not missing. OUT: arguments, findings."""
    target, *others = [request.target] if request.target else _named_targets(frame) or [""]
    if others or target not in frame or "None" in request.options.na:
        return frame
    values = frame[target].dropna()
    if not 0 < len(values) < len(frame) or not all(isinstance(value, str) for value in values):
        return frame
    given = {"keep_default_na": False, "na_values": (*text.MISSING, *request.options.na)}
    again = text.read_frame(request.path, **arguments | given)
    if not (again[target] == "None").any():
        return frame
    arguments |= given
    findings.append("'None' is a class; with --na None it is a missing value")
    return again


def _checked(
    request: Request, frame: "pd.DataFrame", arguments: text.Arguments, sha256: str
) -> DataFile:
    """Return the description but for the features."""
    path = request.path
    for name in request.drop:
        check_name("column", name, [each for each in frame.columns if each != request.target])
    kept = frame.drop(columns=list(request.drop))
    _check_values(request, kept)
    target = _find_target(request, kept)
    y, found = _find_classes(request, kept[target])
    X = kept.drop(columns=target)
    other = _find_other(X)  # of all rows: what counts them does so in the file
    X = X.loc[y.index]
    found += [f"left out: {name} ({why})" for name, why in other.items()]
    X = X.drop(columns=list(other))
    if not X.shape[1]:
        raise ValueError(f"{path.name} has no column beside the target to train on")
    formats.check_fits(path.name, *X.shape)
    numbers, counts = _find_numbers(request, X, arguments), y.value_counts().sort_index()
    return DataFile(
        path.absolute(), target, request.drop, request.options, sha256, path.stat().st_size, 0,
        tuple(map(str, counts.index)), tuple(map(int, counts)),
        (f"target: the column {target!r}", *found), arguments=tuple(arguments.items()),
        as_numbers=tuple(numbers), left_out=(*request.drop, *other), drop_single=request.force,
        target_dtype=y.dtype.name if y.dtype.kind in "iub" else "str",
    )  # fmt: skip


def _named_targets(frame: "pd.DataFrame") -> list[str]:
    return [name for name in frame.columns if name.strip().lower() in formats.TARGET_NAMES]


def _find_target(request: Request, frame: "pd.DataFrame") -> str:
    """Return the column that names the classes; without one raise ValueError that proposes some."""
    names = list(frame.columns)
    if request.target is not None:
        check_name("column", request.target, names)
        return request.target
    suited = _named_targets(frame)
    if len(suited) == 1:
        return suited[0]
    counts = frame[names[::-1]].nunique().sort_values(kind="stable")
    counts = counts[(counts >= 2) & (counts <= max(2, min(30, len(frame) // 5)))]
    likely = suited or sorted(counts.index, key=lambda name: not _LIKELY.search(name.lower()))
    raise request.refusal(
        f"{request.path.name} has {'several columns' if suited else 'no column'} named target, "
        f"label, class or y, so --target must name the one to predict. Its columns: "
        f"{listed(names, 30)}. "
        + (f"Those that could hold classes: {listed(likely)}. " if likely else "")
        + "For example", "--target", likely[0] if likely else names[-1],
    )  # fmt: skip


def _find_classes(request: Request, target: "pd.Series[Any]") -> tuple["pd.Series[Any]", list[str]]:
    """Return each row's class, and findings; refuse what is a quantity or has one class."""
    what, missing = f"the target {target.name!r} of {request.path.name}", int(target.isna().sum())
    target = target.dropna()
    if target.dtype.kind == "f" and (target % 1 == 0).all() and (abs(target) < 2**53).all():
        target = target.astype(np.int64)
    is_number, counts = target.dtype.kind in "iuf", target.value_counts()
    few = min(_MOST_CLASSES, len(target) // 10) if is_number else len(target) // 4
    many = target.dtype.kind == "f" or len(counts) > max(_FEW_CLASSES, few)
    if many and not request.force:
        raise request.refusal(
            f"{what} has {len(counts):,} different values in {len(target):,} rows, such as "
            f"{target.iloc[0]}: a quantity or an identifier, and this is classification. To take "
            "each value as a class", "--force",
        )  # fmt: skip
    single = [str(name) for name in counts.index[counts < 2]]
    if single and not request.force:
        raise request.refusal(
            f"{what} has one row only for {listed(single)}; every class needs two, one to train on "
            "and one to test. To leave such rows out", "--force",
        )  # fmt: skip
    target = target[target.map(counts) > 1]
    if target.nunique() < 2:
        classes = f"only one class, {target.iloc[0]}" if len(target) else "no class with two rows"
        raise ValueError(f"{what} has {classes}: no classification")
    left_out = {"without a target": missing, "of a class with one": len(single)}
    found = [f"left out: {pluralize(n, 'row')} {why}" for why, n in left_out.items() if n]
    return target if target.dtype.kind in "iub" else target.astype(str), found


def _find_other(frame: "pd.DataFrame") -> dict[str, str]:
    """Return the columns that are no features, and why."""

    def identifies(name: str) -> bool:
        column = frame[name]
        text = column.dtype.kind == "O" and not column.hasnans and column.is_unique
        return text and bool(column.astype(str).str.fullmatch(_IDENTIFIER).all())

    is_number = numeric(frame)
    steps = np.diff(frame.loc[:, is_number].to_numpy(np.float64), axis=0)
    counting = (steps == 1).all(axis=0) & (len(frame) > 2)
    nameless = frame.columns.str.fullmatch(r"Unnamed: \d+|__index_level_\d+__")
    found = {name: "an identifier" for name in frame.columns[~is_number] if identifies(name)}
    found |= dict.fromkeys(frame.columns[is_number][counting], "counts the rows")
    return found | dict.fromkeys(frame.columns[nameless], "without a name")


def _find_numbers(request: Request, frame: "pd.DataFrame", arguments: text.Arguments) -> list[str]:
    """Return the columns of text that hold numbers; refuse those that hold a few texts beside."""
    import pandas as pd

    whole, problems, marks = [], [], dict[str, None]()
    for name in frame.columns[~numeric(frame)]:
        values = frame[name].dropna()
        if not pd.api.types.is_string_dtype(values.dtype):
            continue
        texts = values.astype(str).str.replace(arguments.get("decimal", "."), ".", regex=False)
        numbers = pd.to_numeric(texts, errors="coerce")
        others = values[numbers.isna()]
        few = min(_FEW_TEXTS, numbers.nunique() / 3)
        if not len(others):
            whole.append(name)
        elif others.nunique() <= few and 2 * len(others) <= len(values):
            counts = others.value_counts().items()
            rows = [f"{text!r} in {pluralize(n, 'row')}" for text, n in counts]
            problems.append(f"{name} ({', '.join(rows)}, first in row {others.index[0] + 1:,})")
            marks |= dict.fromkeys(others.unique())
    if problems and not request.force:
        more = [word for text in marks for word in ("--na", text)]
        raise request.refusal(
            f"columns of numbers in {request.path.name} hold texts too: {listed(problems, 5)}. "
            "In a CSV file --na counts a text as missing; with --force they are columns of text. "
            "For example", *(["--force"] if request.path.suffix == ".parquet" else more),
        )  # fmt: skip
    return whole


def _check_values(request: Request, frame: "pd.DataFrame") -> None:
    """Raise ValueError that names the columns whose values can be neither scaled nor encoded."""
    is_number, problems = numeric(frame), {}
    too_large = np.abs(frame.loc[:, is_number].to_numpy(np.float64)) > _LARGEST
    for i in np.flatnonzero(too_large.any(axis=0)).tolist():
        name, row = frame.columns[is_number][i], int(np.argmax(too_large[:, i]))
        problems[name] = f"{frame[name].iloc[row]:g} in row {row + 1:,}"
    for name in frame.columns[~is_number]:
        for value in frame[name].dropna().head(1):
            if not isinstance(value, (str, bool, int, float, Decimal, date)):
                problems[name] = f"values of the type {type(value).__name__}"
    if problems:
        shown = [f"{name} ({why})" for name, why in problems.items()]
        raise request.refusal(
            f"columns of {request.path.name} hold what no model can be trained on: "
            f"{listed(shown, 5)}. To leave them out",
            *(word for name in problems for word in ("--drop", name)),
        )
