"""The table of all results, cell by cell, as the page shows and sorts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.table import duration, outcome

if TYPE_CHECKING:
    from fastlogit.benchmark.report.findings import Findings, Row

__all__ = ["AXIS_NAMES", "Field", "all_results", "columns"]

AXIS_NAMES = {"solver": "Solver", "batch_size": "Batch", "dtype": "Type", "threads": "Threads"}
_VERDICTS = {"win": "▲ faster", "loss": "▼ slower", "even": "= even", "": ""}


@dataclass(frozen=True)
class Field:
    """What stands in a cell of the table, and the number it is sorted by if it is one."""

    text: str
    value: float | None = None
    kind: str = ""


def columns(findings: Findings) -> list[tuple[str, bool]]:
    """Name the columns, and say which hold numbers."""
    axes = [(AXIS_NAMES[axis], axis in ("batch_size", "threads")) for axis in findings.varying]
    numbers = ("Time a row", "GFLOP/s", "Of limit", f"× {BASELINE}", "95 %")
    last = ("First call", "To target", "Peak memory")
    return [
        ("Model", False),
        ("Data set", False),
        *axes,
        ("Contender", False),
        *((name, True) for name in numbers),
        ("Verdict", False),
        *((name, True) for name in last),
    ]


def all_results(findings: Findings, tiny: set[str]) -> list[list[Field]]:
    """Give a row a cell and contender, failures among them."""
    return [_fields(row, findings, tiny) for row in findings.cells.to_dict("records")]


def _fields(row: Row, findings: Findings, tiny: set[str]) -> list[Field]:
    mark = " †" if row["dataset"] in tiny else ""
    head = [Field(row["model"]), Field(row["dataset"] + mark)]
    head += [_axis(row[axis]) for axis in findings.varying]
    head.append(Field(row["impl"]))
    if row["status"] != "ok":
        blank = Field("")
        return [*head, *[blank] * 5, Field(row["status"], kind=row["status"]), *[blank] * 3]
    seconds = 1 / row["samples_per_s"]  # missing where an iteration is no pass over the rows
    return [
        *head,
        _seconds(seconds),
        _number(row["gflop_s"], "{:#.3g}"),
        _share(row["limit_fraction"]),
        _number(row["speedup_vs_numpy"], "{:.2f}×"),
        _span(row),
        _verdict(row),
        _seconds(row["compile_s"]),
        _seconds(row["time_to_target_s"]),
        _bytes(row["rss_peak_bytes"]),
    ]


def _bytes(value: float) -> Field:
    small = value < 1e6
    return _number(value, "{:.0f} kB" if small else "{:.0f} MB", 1e3 if small else 1e6)


def _axis(value: Any) -> Field:
    return Field(str(value), None if isinstance(value, str) else float(value))


def _number(value: float, form: str, scale: float = 1.0) -> Field:
    return Field("") if pd.isna(value) else Field(form.format(value / scale), float(value))


def _share(value: float | None) -> Field:
    if pd.isna(value):
        return Field("")
    return Field(f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %", float(value))


def _seconds(value: float) -> Field:
    return Field("") if pd.isna(value) else Field(duration(value), float(value))


def _span(row: Row) -> Field:
    low, high = row["speedup_low"], row["speedup_high"]
    return Field("") if pd.isna(low) else Field(f"{low:.2f}–{high:.2f}", float(low))


def _verdict(row: Row) -> Field:
    if row["division"] == "open":
        return Field("open", kind="open")
    kind = outcome(row["speedup_low"], row["speedup_high"])
    return Field(_VERDICTS[kind], kind=kind)
