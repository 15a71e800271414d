"""The files of a run: one directory each, never overwritten, complete only once renamed.

Rows are appended to ``timings.csv.partial`` and ``curves.csv.partial``, all of a visit to a cell at
once, and are on the disk before the next begins, so that a killed run keeps what it had measured.
When the run is through the rows are settled, and the files get their own names. An empty field
means missing.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastlogit.benchmark.appended import AppendedTable, replace_file, rows_of, text_of
from fastlogit.benchmark.complete import Standing, remaining, settled, whole_visits
from fastlogit.benchmark.lock import DirectoryLock
from fastlogit.benchmark.rounds import Visit, rounds
from fastlogit.benchmark.schema import (
    CURVE_COLUMNS,
    SCHEMA_VERSION,
    TIMING_COLUMNS,
    CurvePoint,
    Status,
    Timing,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CURVE_COLUMNS",
    "SCHEMA_VERSION",
    "TIMING_COLUMNS",
    "CurvePoint",
    "RunFiles",
    "Status",
    "Timing",
    "read_curves",
    "read_facts",
    "read_timings",
]


class RunFiles:
    """The directory of one run, open for writing.

    Parameters
    ----------
    out : Path
        The directory that holds the runs; made if it does not exist.
    facts : dict
        What run.json says about the run from its beginning.

    Attributes
    ----------
    directory : Path
        The run's own.
    run_id : str
        Its name.
    facts : dict
        What run.json says now.
    cells : dict of str to Standing
        How far the cells have come of which there are rows.

    Raises
    ------
    OSError
        If the directory or a file in it cannot be written; here and in every method.
    """

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        self._hold(_new_directory(out))
        run = {"schema_version": SCHEMA_VERSION, "run_id": self.run_id, "status": "running"}
        self._open(run | facts)
        self._write_facts()

    @classmethod
    def reopen(cls, directory: Path) -> Self:
        """Open a run that did not come to its end, cut back to its last whole visit of a cell.

        Parameters
        ----------
        directory : Path
            The run's.

        Raises
        ------
        BlockingIOError
            If another process is writing the run.
        ValueError
            If the run is complete, or its files have other columns.
        """
        files = cls.__new__(cls)
        files._hold(directory)
        try:
            facts = read_facts(directory)
            if facts.get("status") == "complete":
                raise ValueError(f"{directory} is complete")
            files._open(facts)
            files._cut_back()
            files.note(status="running")
        except BaseException:
            files._lock.release()
            raise
        return files

    def _hold(self, directory: Path) -> None:
        self.directory = directory
        self.run_id = directory.name
        self._lock = DirectoryLock(directory)

    def _open(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.cells: dict[str, Standing] = {}
        self._timings = AppendedTable(self.directory / "timings.csv", TIMING_COLUMNS)
        try:
            self._curves = AppendedTable(self.directory / "curves.csv", CURVE_COLUMNS)
        except BaseException:
            self._timings.close()
            raise

    def _cut_back(self) -> None:
        config = self.facts["config"]
        parts = rounds(config["repeats"], config["repeats_per_round"])
        rows, self.cells = whole_visits(self._timings.rows(), config["impls"], parts)
        self._timings.replace(rows)
        self._curves.replace(row for row in self._curves.rows() if row["cell_id"] in self.cells)

    def left(self, visits: Iterable[Visit]) -> list[Visit]:
        """Give those of the visits that are still to be made, without those who are out."""
        return remaining(visits, self.cells)

    def __enter__(self) -> Self:
        """Give itself; the tables are open from the start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the tables; without an error, give them their final names."""
        try:
            if kind is None:
                self._timings.replace(settled(self._timings.rows()))
                self._curves.finish()
                self._timings.finish()
                self.note(status="complete")
            else:
                with suppress(OSError):  # the first error says more, perhaps of the same disk
                    self.note(status="interrupted" if kind is KeyboardInterrupt else "failed")
        finally:
            self.close()

    def close(self) -> None:
        """Close the tables as they are, and let other processes at them."""
        self._curves.close()
        self._timings.close()
        self._lock.release()

    def append(self, timings: Sequence[Timing], curve: Iterable[CurvePoint] = ()) -> None:
        """Write what a visit to a cell gave to the disk.

        A visit whose timings are there is whole, so these come last. Whoever fails in a later
        round has no curve any longer.
        """
        failed = {(row.cell_id, row.impl) for row in timings if row.status != "ok"}
        points = self._curves.rows() if failed else []
        kept = [point for point in points if (point["cell_id"], point["impl"]) not in failed]
        if len(kept) < len(points):
            self._curves.replace(kept)
        self._curves.append(curve)
        self._timings.append(timings)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a derived table whole, so that a file by its name is never half of one."""
        text = table.to_csv(index=False, lineterminator="\n")
        replace_file(self.directory / name, text.encode())

    def note(self, **facts: Any) -> None:
        """Add to run.json."""
        self.facts.update(facts)
        self._write_facts()

    def _write_facts(self) -> None:
        text = json.dumps(self.facts, indent=2, default=str) + "\n"
        replace_file(self.directory / "run.json", text.encode())

    @property
    def timings(self) -> Path:
        """Where the rows are once the run is complete."""
        return self._timings.path

    @property
    def rows_path(self) -> Path:
        """Where the rows are now: timings.csv, or its partial file before the run is through."""
        return self._timings.present

    @property
    def curves_path(self) -> Path:
        """Where the points of the curves are now."""
        return self._curves.present


def read_facts(directory: Path) -> dict[str, Any]:
    """Read a run's run.json.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it does not hold an object.
    """
    facts = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    if not isinstance(facts, dict):
        raise ValueError(f"{directory / 'run.json'} does not hold an object")
    return facts


def _new_directory(out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        directory = out / f"{stamp}-{secrets.token_hex(2)}"
        try:
            directory.mkdir()
        except FileExistsError:
            continue
        return directory


def read_timings(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a timings.csv of this schema version, or its partial file as if the run had ended.

    Raises
    ------
    ValueError
        If the file has other columns or comes from another schema version: such files are
        refused rather than mixed.
    """
    frame = _read(Path(path), TIMING_COLUMNS, {"verified": "str"})
    versions = set(frame["schema_version"]) - {SCHEMA_VERSION}
    if versions:
        raise ValueError(f"{path} has schema version {versions.pop()}, not {SCHEMA_VERSION}")
    return frame


def read_curves(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a curves.csv (or its partial file).

    Raises
    ------
    ValueError
        If the file has other columns.
    """
    return _read(Path(path), CURVE_COLUMNS)


def _read(
    path: Path, columns: tuple[str, ...], dtype: dict[str, str] | None = None
) -> pd.DataFrame:
    import pandas as pd

    # A killed run may have left half a row, the only one without an end of line.
    whole, end, _ = path.read_bytes().rpartition(b"\n")
    if not end:
        return pd.DataFrame(columns=list(columns))
    text = whole + end
    lines = text.splitlines(keepends=True)
    if columns == TIMING_COLUMNS and path.suffix == ".partial" and lines[0] == text_of([], columns):
        text = text_of(settled(rows_of(lines, columns)), columns)
    frame = pd.read_csv(BytesIO(text), keep_default_na=False, na_values=[""], dtype=dtype)
    if tuple(frame.columns) != columns:
        raise ValueError(f"{path} has other columns than schema version {SCHEMA_VERSION}")
    return frame
