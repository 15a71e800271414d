"""The summary as a table for the terminal: times, ratios, wins and losses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.datasets import TINY_ELEMENTS

__all__ = ["comparison", "tiny_sets", "verdicts"]

# What decides a cell beside model and data set: a column each if it varies, else in the title.
_AXES = ("solver", "batch_size", "dtype", "threads")

_MARKS = {"win": "[green]▲[/]", "loss": "[red]▼[/]", "even": "=", "": ""}


def tiny_sets(timings: pd.DataFrame) -> set[str]:
    """Name the data sets so small that their times are bound by overhead."""
    tiny = timings["n_samples"] * timings["n_features"] < TINY_ELEMENTS
    return set(timings.loc[tiny, "dataset"])


def comparison(summary: pd.DataFrame, tiny: set[str]) -> Table:
    """Lay the summary out, the contenders of a cell together, slower ones like faster ones.

    Parameters
    ----------
    summary : DataFrame
        What `fastlogit.benchmark.summary.summarise` gives.
    tiny : set of str
        Data sets to mark as overhead-bound.

    Returns
    -------
    rich.table.Table
        A row a cell and contender.
    """
    varying = [axis for axis in _AXES if summary[axis].nunique() > 1]
    fixed = [f"{axis} {summary[axis].iloc[0]}" for axis in _AXES if axis not in varying]
    # Dense: with the toy sets it fits a terminal of 80 columns.
    table = Table(
        title=", ".join(fixed),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        pad_edge=False,
    )
    for name in ("model", "data set", *varying, "impl"):
        table.add_column(name, no_wrap=True)
    for name in ("per\nsample", "GFLOP/s", "of\nlimit", f"vs\n{BASELINE}", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.caption = "▲ faster, ▼ slower, = even by the whole 95 % interval"
    if tiny & set(summary["dataset"]):
        table.caption += "; † tiny, bound by overhead"
    if "open" in set(summary["division"]):
        table.caption += "; open: another algorithm, not compared"
    table.caption += (
        "\nlimit: for networks BLAS's own product, for the others a bare gather of the rows"
    )
    cell_axes = ["model", "dataset", *_AXES]
    for _, cell in summary.groupby(cell_axes, sort=False):
        first = cell.iloc[0]
        mark = " †" if first["dataset"] in tiny else ""
        head = [first["model"], first["dataset"] + mark, *(str(first[axis]) for axis in varying)]
        for position in range(len(cell)):
            row = cell.iloc[position]
            table.add_row(*(head if position == 0 else [""] * len(head)), *_figures(row))
    return table


def _figures(row: pd.Series) -> Iterator[str]:
    yield row["impl"]
    if row["status"] != "ok":
        yield from ["", "", "", "", f"[red]{row['status']}[/]"]
        return
    yield duration(1.0 / row["samples_per_s"])
    yield f"{row['gflop_s']:.2f}"
    yield f"{row['limit_fraction']:.0%}" if pd.notna(row["limit_fraction"]) else ""
    ratio, low, high = row["speedup_vs_numpy"], row["speedup_low"], row["speedup_high"]
    if row["division"] == "open":
        yield from ["open", ""]
        return
    yield f"{_MARKS[outcome(row)]} {ratio:.2f}x" if pd.notna(ratio) else ""
    yield f"{low:.2f}-{high:.2f}" if pd.notna(low) else ""


def outcome(row: pd.Series) -> str:
    """Call a row a win, a loss or even by its whole interval; nothing without an interval."""
    if pd.isna(row["speedup_low"]):
        return ""
    if row["speedup_low"] > 1:
        return "win"
    return "loss" if row["speedup_high"] < 1 else "even"


def duration(seconds: float) -> str:
    """Give a time with a unit that leaves one to three digits before the point."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def verdicts(summary: pd.DataFrame) -> Iterator[str]:
    """Count each contender's wins and losses against the baseline, in a sentence."""
    rivals = summary[summary["speedup_vs_numpy"].notna()]
    for impl, rows in rivals.groupby("impl", sort=False):
        outcomes = [outcome(rows.iloc[position]) for position in range(len(rows))]
        mean = float(np.exp(np.log(rows["speedup_vs_numpy"].astype(float)).mean()))
        unjudged = f", unjudged in {outcomes.count('')}" if "" in outcomes else ""
        yield (
            f"{impl} against {BASELINE}: faster in {outcomes.count('win')}, "
            f"slower in {outcomes.count('loss')}, even in {outcomes.count('even')}{unjudged} "
            f"of {len(rows)} cells; geometric mean {mean:.2f}x"
        )
