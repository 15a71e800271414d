"""Runs read back from disk: by path, by id, by the beginning of one, or the latest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlogit.benchmark.results import (
    CURVE_COLUMNS,
    SCHEMA_VERSION,
    CurvePoint,
    Timing,
    read_curves,
    read_timings,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LATEST", "StoredRun", "load_run"]

# The name that stands for the youngest run there is.
LATEST = "latest"

_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class StoredRun:
    """A run as its directory holds it, whether it came to its end or not.

    Attributes
    ----------
    directory : Path
        Where its files are.
    facts : dict
        What run.json says.
    timings : DataFrame
        The rows of timings.csv; half a row that a killed run left is not among them.
    curves : DataFrame
        The rows of curves.csv; none if the run has no such file.
    """

    directory: Path
    facts: dict[str, Any]
    timings: pd.DataFrame
    curves: pd.DataFrame

    @property
    def summary(self) -> pd.DataFrame:
        """The summary derived anew, so that an interrupted run has one too."""
        from fastlogit.benchmark.summary import summarise

        facts = self.facts
        return summarise(
            self.timings,
            facts.get("calibration", ()),
            facts.get("gather_s"),
            self.curves,
            facts.get("target_loss"),
        )


def load_run(name: str, out: Path = Path("results")) -> StoredRun:
    """Read a run that was stored earlier.

    Parameters
    ----------
    name : str
        A run's directory, the id of a run in `out`, the beginning of an id that no other run
        shares, or ``"latest"``.
    out : Path, default=Path("results")
        The directory that holds the runs.

    Returns
    -------
    StoredRun
        The run, from its partial files where it did not come to its end.

    Raises
    ------
    ValueError
        If there is no such run, if several begin with `name`, or if its files cannot be read,
        are of another schema version, have other columns, or text where a number belongs.
    """
    import pandas as pd

    directory = _find(name, out)
    try:
        return StoredRun(
            directory,
            _read_facts(directory / "run.json"),
            _numeric(directory / "timings.csv", read_timings, Timing),
            _numeric(directory / "curves.csv", _curves, CurvePoint),
        )
    except (OSError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(f"cannot read the run {name!r}: {error}") from error


def _find(name: str, out: Path) -> Path:
    for directory in (out / name, Path(name)):
        if (directory / "run.json").is_file():
            return directory
    found = {path.parent.name: path.parent for path in sorted(out.glob("*/run.json"))}
    if name == LATEST:
        # By the time in its id: a copy by another name, such as a reference, is nobody's latest.
        matches = list(filter(_RUN_ID.fullmatch, found))[-1:]
    else:
        matches = [known for known in found if name and known.startswith(name)]
    if len(matches) == 1:
        return found[matches[0]]
    if matches:
        raise ValueError(f"{name!r} is the beginning of {len(matches)} runs: {', '.join(matches)}")
    kind = "a directory without a run.json" if name and Path(name).is_dir() else "no run"
    there_are = f"there are {', '.join(found)}" if found else "there is none"
    raise ValueError(f"{name!r} is {kind}; in {str(out)!r} {there_are}")


def _written(path: Path) -> Path:
    """Give the file, or its partial form if the run did not come to its end."""
    return path if path.exists() else path.with_name(path.name + ".partial")


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    version = facts.get("schema_version") if isinstance(facts, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(f"{path} has schema version {version}, not {SCHEMA_VERSION}")
    return dict(facts)


def _numeric(
    path: Path, read: Callable[[Path], pd.DataFrame], row: type[Timing | CurvePoint]
) -> pd.DataFrame:
    """Read a table of these rows, if there are numbers wherever they belong."""
    import pandas as pd

    frame = read(_written(path))
    for field in fields(row):
        number = str(field.type).startswith(("int", "float"))
        if number and len(frame) and not pd.api.types.is_numeric_dtype(frame[field.name]):
            values = frame[field.name].dropna()
            wrong = values[pd.to_numeric(values, errors="coerce").isna()]
            raise ValueError(
                f"{path} has {wrong.iloc[0]!r} in the column {field.name!r}, where numbers belong"
            )
    return frame


def _curves(path: Path) -> pd.DataFrame:
    import pandas as pd

    return read_curves(path) if path.exists() else pd.DataFrame(columns=list(CURVE_COLUMNS))
