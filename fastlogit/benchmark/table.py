"""The summary as a table for the terminal: times, ratios, wins and losses, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from fastlogit.benchmark.cases import TINY_ELEMENTS
from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.curves import PRECISION
from fastlogit.benchmark.summary import paired_ratio, repeat_times

__all__ = [
    "TO_TARGET",
    "begun_there",
    "comparison",
    "duration",
    "outcome",
    "outcome_to_target",
    "tiny_sets",
    "verdicts",
]

# What decides a cell beside model and data set: a column each if it varies, else in the title.
_AXES = ("solver", "batch_size", "dtype", "threads")

_CELL = ["model", "dataset", *_AXES]

# The contender that the others are held against beside the baseline.
_OURS = "numba"

# What is in a time to the target, said beside the ratios of them.
TO_TARGET = (
    "To the target loss: for numba the time of fastlogit.train until then, for the other "
    "algorithms that of a whole fit of their estimator, each with its own checks of the data; even "
    f"within {100 * PRECISION:.0f} %, to which the iterations that it takes are located."
)

# A ratio with its interval, if there is one.
Ratio = tuple[float, float | None, float | None]

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
        A row a cell, and below it one a contender.
    """
    varying = [axis for axis in _AXES if summary[axis].nunique() > 1]
    fixed = [f"{axis} {summary[axis].iloc[0]}" for axis in _AXES if axis not in varying]
    # Dense: with the toy sets it fits a terminal of 80 columns.
    table = Table(
        title=", ".join(fixed),
        caption=_caption(summary, tiny),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(", ".join(("model", "data set", *varying)), no_wrap=True)
    for name in ("per\nsample", "of\nlimit", f"vs\n{BASELINE}", "95 %", "to\ntarget"):
        table.add_column(name, justify="right", no_wrap=True)
    seeds = _seeds(summary)
    for _, cell in summary.groupby([*_CELL, seeds], sort=False):
        first = cell.iloc[0]
        mark = " †" if first["dataset"] in tiny else ""
        axes = [str(first[axis]) for axis in varying]
        if seeds.any():
            axes.append(f"seed {seeds[cell.index[0]] + 1} of {seeds.max() + 1}")
        table.add_row(", ".join((first["model"], first["dataset"] + mark, *axes)))
        soonest = cell["time_to_target_s"].astype(float).min()
        for position in range(len(cell)):
            table.add_row(*_figures(cell.iloc[position], soonest))
    return table


def _seeds(summary: pd.DataFrame) -> pd.Series[int]:
    """Count the rows that are alike in all but the seed, which the summary does not name."""
    return summary.groupby([*_CELL, "impl"]).cumcount()


def _caption(summary: pd.DataFrame, tiny: set[str]) -> str:
    """Explain the marks and the columns that there are."""
    lines = ["▲ faster, ▼ slower, = even by the whole 95 % interval"]
    if tiny & set(summary["dataset"]):
        lines[0] += "; † tiny, bound by overhead"
    lines.append("limit: for networks BLAS's own product, for the others a bare gather of the rows")
    lines.append("to target: seconds to the target loss, * the least of the cell, empty if never")
    if "open" in set(summary["division"]):
        lines.append("open: another algorithm, by its time to the target alone, of a whole fit")
        lines.append(
            f"with its checks of the data; such times are even within {100 * PRECISION:.0f} %"
        )
    return "\n".join(lines)


def _figures(row: pd.Series, soonest: float) -> Iterator[str]:
    yield f"  {row['impl']}"
    if row["status"] != "ok":
        yield from ["", "", "", f"[red]{row['status']}[/]", ""]
        return
    yield duration(1.0 / row["samples_per_s"]) if pd.notna(row["samples_per_s"]) else ""
    yield f"{row['limit_fraction']:.0%}" if pd.notna(row["limit_fraction"]) else ""
    ratio, low, high = row["speedup_vs_numpy"], row["speedup_low"], row["speedup_high"]
    if row["division"] == "open":
        yield from ["open", ""]
    else:
        yield f"{_MARKS[outcome(low, high)]} {ratio:.2f}x" if pd.notna(ratio) else ""
        yield f"{low:.2f}-{high:.2f}" if pd.notna(low) else ""
    reached = row["time_to_target_s"]
    mark = "*" if reached == soonest else ""
    yield mark + duration(reached) if pd.notna(reached) else ""


def outcome(low: float | None, high: float | None) -> str:
    """Call a ratio a win, a loss or even by its whole interval; nothing without an interval."""
    if low is None or high is None or pd.isna(low):
        return ""
    if low > 1:
        return "win"
    return "loss" if high < 1 else "even"


def outcome_to_target(ratio: float) -> str:
    """Call the ratio of two times to the target, even within what a search locates them to."""
    return outcome(ratio / (1 + PRECISION), ratio * (1 + PRECISION))


def begun_there(facts: dict[str, Any]) -> str:
    """Say why a run has no target where training begins at it already, and what to do."""
    if facts.get("config", {}).get("target_loss") is not None:
        return "training begins at the target loss already: take a smaller --target-loss"
    return (
        "training does not end at a lower loss than it begins with: take a smaller --learning-rate"
    )


def duration(seconds: float) -> str:
    """Give a time with a unit that leaves one to three digits before the point."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def verdicts(summary: pd.DataFrame, timings: pd.DataFrame) -> Iterator[str]:
    """Count wins and losses, in a sentence for each two contenders.

    In the closed division everybody is held against the baseline, and numba against everybody
    else, by the ratio of their repeats; in the open one numba by the time to the target loss.

    Parameters
    ----------
    summary : DataFrame
        What `fastlogit.benchmark.summary.summarise` gives.
    timings : DataFrame
        The rows that it comes from.
    """
    rivals = summary[summary["speedup_vs_numpy"].notna()]
    for impl, rows in rivals.groupby("impl", sort=False):
        ratios = zip(
            *(rows[name] for name in ("speedup_vs_numpy", "speedup_low", "speedup_high")),
            strict=True,
        )
        yield _verdict(str(impl), BASELINE, list(ratios))
    names = list(dict.fromkeys(summary["impl"]))
    if _OURS not in names:
        return
    closed = set(summary.loc[summary["division"] == "closed", "impl"])
    for impl in names:
        if impl in closed - {_OURS, BASELINE}:
            ratios_to = list(_ratios(timings, impl))
            if ratios_to:
                yield _verdict(_OURS, impl, ratios_to)
        elif impl not in closed:
            yield from _open_verdict(summary, impl)


def _ratios(timings: pd.DataFrame, rival: str) -> Iterator[Ratio]:
    """Give the ratio of a rival's times to ours in every cell that both have done."""
    for _, cell in timings.groupby("cell_id", sort=False):
        theirs, ours = (repeat_times(cell[cell["impl"] == impl]) for impl in (rival, _OURS))
        ratio = paired_ratio(theirs, ours)
        if ratio is not None:
            yield ratio


def _verdict(impl: str, rival: str, ratios: Sequence[Ratio]) -> str:
    outcomes = [outcome(low, high) for _, low, high in ratios]
    mean = _geometric_mean([ratio for ratio, _, _ in ratios])
    unjudged = f", unjudged in {outcomes.count('')}" if "" in outcomes else ""
    return (
        f"{impl} against {rival}: faster in {outcomes.count('win')}, "
        f"slower in {outcomes.count('loss')}, even in {outcomes.count('even')}{unjudged} "
        f"of {len(ratios)} cells; geometric mean {mean:.2f}x"
    )


def _open_verdict(summary: pd.DataFrame, rival: str) -> Iterator[str]:
    """Compare the times to the target in the cells that both did and one is there in, if any."""
    done = summary.assign(nth=_seeds(summary))[summary["status"] == "ok"]
    theirs, ours = (
        done[done["impl"] == impl].set_index([*_CELL, "nth"])["time_to_target_s"].astype(float)
        for impl in (rival, _OURS)
    )
    both = pd.concat({"theirs": theirs, "ours": ours}, axis=1, join="inner")
    both = both.dropna(how="all")
    if both.empty:
        return
    never = both.isna()
    reached = both.dropna()
    ratios = reached["theirs"] / reached["ours"]
    called = [outcome_to_target(ratio) for ratio in ratios]
    sooner = called.count("win") + (never["theirs"] & ~never["ours"]).sum()
    later = called.count("loss") + (never["ours"] & ~never["theirs"]).sum()
    text = (
        f"{_OURS} to the target against {rival}: sooner in {sooner}, later in {later}, even in "
        f"{called.count('even')} of {len(both)} cells"
    )
    for impl, missed in ((rival, never["theirs"]), (_OURS, never["ours"])):
        if missed.any():
            text += f"; {impl} never is there in {missed.sum()}"
    if len(reached):
        mean = _geometric_mean(ratios.tolist())
        text += f"; geometric mean {mean:.2f}x"
    yield text


def _geometric_mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.log(np.asarray(ratios, np.float64)).mean()))
