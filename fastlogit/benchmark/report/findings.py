"""What a run shows, as tables: everything the page and the README say is drawn from these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.summary import begun_at_target, first_calls, paired_ratio, times_to_target
from fastlogit.benchmark.table import outcome, outcome_to_target

if TYPE_CHECKING:
    from fastlogit.benchmark.runs import StoredRun

__all__ = ["AXES", "SUBJECT", "Findings", "Record", "Row", "geometric_mean", "of_cell", "row_of"]

# What tells the cells of a run apart.
AXES = ["model", "dataset", "solver", "batch_size", "dtype", "threads"]

# What DataFrame.to_dict("records") gives for a row.
Row = dict[Any, Any]

# Whose wins and losses are counted.
SUBJECT = "numba"

FIGURES = [
    "median_s",
    "samples_per_s",
    "gflop_s",
    "limit_fraction",
    "speedup_vs_numpy",
    "speedup_low",
    "speedup_high",
    "time_to_target_s",
]
PAIR_COLUMNS = [*AXES, "rival", "measure", "ratio", "low", "high", "outcome"]


@dataclass(frozen=True)
class Record:
    """How the subject fares against one rival over all cells.

    Attributes
    ----------
    rival, measure : str
        Against whom, and by which time: "training" of the same work, or "target", the time until
        the target loss, where the rival is another algorithm.
    ratio : float
        Geometric mean of the rival's times over the subject's; above 1 the subject is faster.
    low, high : float
        The smallest and the largest of these ratios.
    wins, losses, even, unjudged : int
        Cells by the whole interval, unjudged those without one; to the target loss by what the
        times are located to.
    rival_missed, subject_missed : int
        Cells where only the other one reached the target.
    """

    rival: str
    measure: str
    ratio: float
    low: float
    high: float
    wins: int
    losses: int
    even: int
    unjudged: int
    rival_missed: int = 0
    subject_missed: int = 0

    @property
    def cells(self) -> int:
        """The cells that have a ratio."""
        return self.wins + self.losses + self.even + self.unjudged


@dataclass(frozen=True)
class Findings:
    """A stored run, and what follows from it.

    Attributes
    ----------
    run : StoredRun
        The run's files.
    """

    run: StoredRun

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The summary with what its rows leave out: sizes, first calls, memory, the cell's name."""
        keys = [*AXES, "impl"]
        columns = {
            "cell_id": ("cell_id", "first"),
            "n_samples": ("n_samples", "first"),
            "n_features": ("n_features", "first"),
            "flops": ("flops", "first"),
            "samples": ("samples", "first"),
            "epochs": ("epochs", "first"),
            "rss_peak_bytes": ("rss_peak_bytes", "max"),
            "error": ("error", "last"),
        }
        timings = self.run.timings
        details = timings.groupby(keys, sort=False).agg(**columns).reset_index()
        summary = merge_seeds(self.run.summary.drop(columns=[*columns], errors="ignore"), keys)
        cells = summary.merge(details, on=keys, how="left")
        calls = first_calls(timings)
        cells["compile_s"] = [
            calls[pair] for pair in zip(cells["impl"], cells["model"], strict=True)
        ]
        numbers = [*FIGURES, *list(columns)[1:-1], "compile_s"]
        cells[numbers] = cells[numbers].apply(pd.to_numeric)
        return cells

    @property
    def ok(self) -> pd.DataFrame:
        """The cells with figures."""
        return self.cells[self.cells["status"] == "ok"]

    @property
    def same_work(self) -> pd.DataFrame:
        """The cells with figures of the closed division, whose epochs are the same work."""
        return self.ok[self.ok["division"] == "closed"]

    @property
    def impls(self) -> list[str]:
        """The contenders in the order they were measured."""
        return list(dict.fromkeys(self.cells["impl"]))

    @property
    def models(self) -> list[str]:
        """The models in the order they were measured."""
        return list(dict.fromkeys(self.cells["model"]))

    @property
    def varying(self) -> list[str]:
        """The axes that have more than one value in this run, model and data set aside."""
        return [axis for axis in AXES[2:] if self.cells[axis].nunique() > 1]

    @property
    def fixed(self) -> dict[str, Any]:
        """The other axes with their one value."""
        return {
            axis: self.cells[axis].iloc[0] for axis in AXES[2:] if self.cells[axis].nunique() == 1
        }

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The subject against each rival in each cell, repeat by repeat: `PAIR_COLUMNS`."""
        rows = []
        timings = self.run.timings
        good = timings.groupby([*AXES, "impl"])["status"].transform(lambda s: (s == "ok").all())
        for key, cell in timings[good].groupby(AXES, sort=False):
            times = {
                str(impl): group.set_index(["seed", "repeat"])["time_s"].astype(float)
                for impl, group in cell[cell["division"] == "closed"].groupby("impl", sort=False)
            }
            subject = times.pop(SUBJECT, None)
            if subject is None:
                continue
            for rival, theirs in times.items():
                ratio = paired_ratio(theirs, subject)
                if ratio is not None:
                    rows.append(_pair(key, rival, "training", *ratio))
        return pd.DataFrame([*rows, *self._to_target()], columns=PAIR_COLUMNS)

    def _to_target(self) -> list[dict[str, Any]]:
        """Pair the times to the target loss of the subject and of each other algorithm."""
        rows = []
        for key, cell in self.ok.groupby(AXES, sort=False):
            reached = cell.set_index("impl")["time_to_target_s"]
            if SUBJECT not in reached:
                continue
            for rival in cell.loc[cell["division"] == "open", "impl"]:
                mine, theirs = reached[SUBJECT], reached[rival]
                if pd.notna(mine) or pd.notna(theirs):
                    row = _pair(key, rival, "target", theirs / mine, None, None)
                    if pd.isna(theirs):
                        row["outcome"] = "rival missed"
                    elif pd.isna(mine):
                        row["outcome"] = "subject missed"
                    else:
                        row["outcome"] = outcome_to_target(theirs / mine)
                    rows.append(row)
        return rows

    @property
    def targets(self) -> dict[str, float]:
        """The target losses by cell."""
        stored = self.run.facts.get("target_loss") or {}
        return {cell: loss for cell, loss in stored.items() if loss is not None}

    @cached_property
    def begun_there(self) -> set[str]:
        """The cells where training begins at the target, so that nobody has a time to it."""
        return begun_at_target(self.run.curves, self.targets)

    @cached_property
    def reached(self) -> dict[Any, float]:
        """The seconds to the target loss by cell and contender, of those that got there."""
        return times_to_target(self.run.curves, self.targets)

    @cached_property
    def records(self) -> list[Record]:
        """The subject's record against each rival, in the order they were measured."""
        return [
            record_of(pairs, str(rival), str(measure))
            for (rival, measure), pairs in self.pairs.groupby(["rival", "measure"], sort=False)
        ]

    @property
    def losses(self) -> pd.DataFrame:
        """The pairs that the subject loses: of the same work first, the worst first."""
        lost = self.pairs[self.pairs["outcome"].isin(["loss", "subject missed"])]
        lost = lost.sort_values("ratio", na_position="first", kind="stable")
        return lost.sort_values("measure", key=lambda kind: kind == "target", kind="stable")

    @property
    def failures(self) -> pd.DataFrame:
        """The contenders without figures in a cell, and why."""
        return self.cells[self.cells["status"] != "ok"]

    @property
    def compared(self) -> bool:
        """Whether anything was measured beside the baseline."""
        return bool(self.ok["speedup_vs_numpy"].notna().any())

    @property
    def interrupted(self) -> bool:
        """Whether the run ended before its last cell."""
        return bool(self.run.facts.get("status") != "complete")


def merge_seeds(summary: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Make one row of cells that differ in their seed alone: medians, within the widest interval.

    One that failed with any seed has that status and no figures.
    """
    if not summary.duplicated(keys).any():
        return summary
    merged = []
    for _, group in summary.groupby(keys, sort=False):
        bad = group[group["status"] != "ok"]
        row = (group if bad.empty else bad).iloc[0].copy()
        if bad.empty:
            numbers = group[FIGURES].apply(pd.to_numeric)
            row[FIGURES] = numbers.median()
            row["speedup_low"] = numbers["speedup_low"].min()
            row["speedup_high"] = numbers["speedup_high"].max()
        merged.append(row)
    return pd.DataFrame(merged).reset_index(drop=True)


def record_of(pairs: pd.DataFrame, rival: str, measure: str) -> Record:
    """Count the pairs against one rival."""
    counts = pairs["outcome"].value_counts()
    ratios = pairs["ratio"].dropna().astype(float)
    return Record(
        rival,
        measure,
        ratio=geometric_mean(ratios),
        low=float(ratios.min()) if len(ratios) else np.nan,
        high=float(ratios.max()) if len(ratios) else np.nan,
        wins=int(counts.get("win", 0)),
        losses=int(counts.get("loss", 0)),
        even=int(counts.get("even", 0)),
        unjudged=int(counts.get("", 0)),
        rival_missed=int(counts.get("rival missed", 0)),
        subject_missed=int(counts.get("subject missed", 0)),
    )


def geometric_mean(ratios: pd.Series) -> float:
    """Give the geometric mean; NaN of none."""
    return float(np.exp(np.log(ratios.astype(float)).mean()))


def row_of(row: Row, axes: list[str]) -> tuple[str, ...]:
    """Give the parts that a cell's row in a figure is named by: "digits", "32"."""
    words = {"threads": "{} threads"}
    return (str(row["dataset"]), *(words.get(axis, "{}").format(row[axis]) for axis in axes))


def of_cell(row: Row, axes: list[str]) -> str:
    """Name a cell by its data set and the axes that vary: "digits, batches of 32"."""
    words = {"batch_size": "batches of {}", "threads": "{} threads"}
    parts = [str(row["dataset"])]
    parts += [words.get(axis, "{}").format(row[axis]) for axis in axes]
    return ", ".join(parts)


def _pair(
    key: Any, rival: str, measure: str, ratio: float, low: float | None, high: float | None
) -> dict[str, Any]:
    values = (rival, measure, ratio, low, high, outcome(low, high))
    return dict(zip(PAIR_COLUMNS, (*key, *values), strict=True))


def against_baseline(cells: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that have a ratio to the baseline."""
    return cells[cells["speedup_vs_numpy"].notna() & (cells["impl"] != BASELINE)]
