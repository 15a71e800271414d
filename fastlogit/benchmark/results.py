"""The files of a run: one directory each, never overwritten, complete only once renamed.

Rows are appended to ``timings.csv.partial`` and flushed, so that a killed run keeps what it had
measured; the file gets its own name when the run is through. An empty field means missing.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CURVE_COLUMNS",
    "SCHEMA_VERSION",
    "TIMING_COLUMNS",
    "CurvePoint",
    "RunFiles",
    "Timing",
    "read_timings",
]

SCHEMA_VERSION = 1

Status = Literal["ok", "unsupported", "failed-verification", "failed"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One row of timings.csv: one timed repeat of a contender, or the failure of one.

    The fields are the columns, in order; results/README.md says what each holds.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    cell_id: str
    model: str
    dataset: str
    n_samples: int | None = None
    n_features: int | None = None
    n_hidden: int | None = None
    n_classes: int | None = None
    impl: str
    impl_version: str
    division: str
    solver: str
    batch_size: int
    dtype: str
    threads: int
    epochs: int
    seed: int
    repeat: int | None = None
    order_index: int | None = None
    time_s: float | None = None
    compile_s: float | None = None
    prep_s: float | None = None
    samples: int | None = None
    flops: int | None = None
    rss_peak_bytes: int | None = None
    loss_final: float | None = None
    loss_ref: float | None = None
    loss_rel_err: float | None = None
    verified: bool | None = None
    status: Status
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One row of curves.csv: how good a contender was after an epoch of a case.

    The fields are the columns, in order; results/README.md says what each holds.
    """

    cell_id: str
    impl: str
    seed: int
    epoch: int
    elapsed_s: float
    train_loss: float
    test_accuracy: float | None


TIMING_COLUMNS = tuple(field.name for field in fields(Timing))
CURVE_COLUMNS = tuple(field.name for field in fields(CurvePoint))


class RunFiles:
    """The directory of one run, open for writing.

    Parameters
    ----------
    out : Path
        The directory that holds the runs; made if it does not exist.
    facts : dict
        What run.json says about the run from its beginning.

    Raises
    ------
    OSError
        If the directory or a file in it cannot be written.
    """

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        self.directory = _new_directory(out)
        self.run_id = self.directory.name
        self.timings = self.directory / "timings.csv"
        self._facts = {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": "running",
            **facts,
        }
        self._write_facts()
        self._stream = self._partial.open("x", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._stream, TIMING_COLUMNS, lineterminator="\n")
        self._writer.writeheader()
        self._stream.flush()

    @property
    def _partial(self) -> Path:
        return self.timings.with_name(self.timings.name + ".partial")

    def __enter__(self) -> Self:
        """Give itself; the table is open from the start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the table; without an error, give it its final name."""
        self._stream.close()
        if kind is None:
            self._partial.rename(self.timings)
            self.note(status="complete")
        else:
            self.note(status="interrupted" if kind is KeyboardInterrupt else "failed")

    def append(self, rows: Iterable[Timing]) -> None:
        """Write rows out, to the disk's own memory at least."""
        for row in rows:
            self._writer.writerow(_plain(row))
        self._stream.flush()

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a derived table whole, so that a file by its name is never half of one."""
        scratch = self.directory / f"{name}.partial"
        table.to_csv(scratch, index=False, lineterminator="\n")
        scratch.rename(self.directory / name)

    def note(self, **facts: Any) -> None:
        """Add to run.json."""
        self._facts.update(facts)
        self._write_facts()

    def _write_facts(self) -> None:
        target = self.directory / "run.json"
        scratch = target.with_name(target.name + ".partial")
        scratch.write_text(json.dumps(self._facts, indent=2) + "\n", encoding="utf-8")
        scratch.replace(target)

    @property
    def rows_path(self) -> Path:
        """Where the rows are now: timings.csv, or its partial file before the run is through."""
        return self.timings if self.timings.exists() else self._partial


def _plain(row: Timing) -> dict[str, Any]:
    """Spell booleans the way run.json does; csv itself writes None as an empty field."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in asdict(row).items()
    }


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
    """Read a timings.csv (or its partial file) of this schema version.

    Raises
    ------
    ValueError
        If the file has other columns or comes from another schema version: such files are
        refused rather than mixed.
    """
    import pandas as pd

    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"verified": "str"})
    if tuple(frame.columns) != TIMING_COLUMNS:
        raise ValueError(f"{path} has other columns than schema version {SCHEMA_VERSION}")
    versions = set(frame["schema_version"]) - {SCHEMA_VERSION}
    if versions:
        raise ValueError(f"{path} has schema version {versions.pop()}, not {SCHEMA_VERSION}")
    # A killed run may have left half a row; its status, near the end, is then not one.
    return frame[frame["status"].isin(get_args(Status))]
