"""What the first call costs, and after how much training it has paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.report.drawing import Panel, drawing, log_axis, svg_text
from fastlogit.benchmark.report.figures.curves import chosen_cells
from fastlogit.benchmark.report.findings import of_cell
from fastlogit.benchmark.report.palette import looks
from fastlogit.benchmark.table import duration

if TYPE_CHECKING:
    from fastlogit.benchmark.report.findings import Findings

__all__ = ["break_even_epochs", "first_calls", "paying_back"]


def first_calls(findings: Findings) -> pd.DataFrame:
    """Give each contender's longest first call, and the epochs until it has paid.

    Returns
    -------
    DataFrame
        A row a contender: impl; longest_s, in seconds; and epochs, the median over the cells of
        `break_even_epochs`, infinite where it mostly never pays.
    """
    rows = []
    for impl, group in findings.ok.groupby("impl", sort=False):
        rows.append(
            {
                "impl": impl,
                "longest_s": group["compile_s"].max(),
                "epochs": break_even_epochs(findings.same_work, str(impl)).median(),
            }
        )
    return pd.DataFrame(rows)


def break_even_epochs(cells: pd.DataFrame, impl: str) -> pd.Series:
    """Give the epochs after which a contender, first call included, is ahead of the baseline.

    One value a cell that both have: 0 where it is ahead at once, infinite where it never is.
    """
    each = cells.assign(epoch_s=cells["median_s"] / cells["epochs"]).set_index("cell_id")
    mine, base = (each[each["impl"] == name] for name in (impl, BASELINE))
    shared = mine.index.intersection(base.index)
    if impl == BASELINE or not len(shared):
        return pd.Series(dtype=float)
    owed = mine.loc[shared, "compile_s"] - base.loc[shared, "compile_s"]
    gained = base.loc[shared, "epoch_s"] - mine.loc[shared, "epoch_s"]
    owed, gained = owed.astype(float), gained.astype(float)
    never = pd.Series(np.inf, index=shared)
    epochs: pd.Series[float] = (owed / gained).where(gained > 0, never).clip(lower=0)
    return epochs


def paying_back(findings: Findings) -> list[Panel]:
    """Give a panel a model: time from the start, first call included, over the epochs trained."""
    panels = []
    for cell in chosen_cells(findings).to_dict("records"):
        rows = findings.same_work
        rows = rows[rows["cell_id"] == cell["cell_id"]]
        rows = rows[rows["compile_s"].notna()]
        if rows.empty:
            continue
        heading = f"{cell['model']}, {of_cell(cell, findings.varying)}"
        with drawing(220) as (figure, axes):
            most = _horizon(rows)
            epochs = np.geomspace(1, most, 60)
            lowest, highest = np.inf, 0.0
            for row in rows.to_dict("records"):
                look = looks(findings.impls)[row["impl"]]
                total = row["compile_s"] + epochs * row["median_s"] / row["epochs"]
                lowest, highest = min(lowest, total[0]), max(highest, total[-1])
                axes.plot(
                    epochs,
                    total,
                    color=look.colour,
                    linestyle=look.dash,
                    marker=look.marker,
                    markevery=[-1],
                    markeredgewidth=1.6 if look.marker == "|" else 0,
                    markersize=6,
                )
            log_axis(axes, "x", "", 1, most * 1.3)
            log_axis(axes, "y", "seconds", lowest / 1.5, highest * 1.5)
            axes.set_xlabel("epochs")
            axes.set_ylabel("time with the first call")
            finding = _finding(rows)
            name = f"first-{cell['model']}"
            svg = svg_text(figure, name, f"First call and training: {heading}", finding)
        panels.append(Panel(heading, finding, svg))
    return panels


def _horizon(rows: pd.DataFrame) -> float:
    """Choose how many epochs to draw: until the last contender that pays has paid, and some."""
    breaks = [break_even_epochs(rows, impl) for impl in rows["impl"] if impl != BASELINE]
    paid = [value for series in breaks for value in series if np.isfinite(value)]
    return float(max([100.0, float(rows["epochs"].iloc[0]), *(5 * value for value in paid)]))


def _finding(rows: pd.DataFrame) -> str:
    parts = []
    for row in rows.to_dict("records"):
        text = f"{row['impl']} needs {duration(row['compile_s'])} for its first call"
        paid = break_even_epochs(rows, row["impl"])
        if len(paid):
            text += f" and {pays(float(paid.iloc[0]))}"
        parts.append(text)
    return "; ".join(parts) + "."


def pays(epochs: float) -> str:
    """Say when the first call has paid."""
    if epochs == 0:
        return f"is ahead of {BASELINE} at once"
    if not np.isfinite(epochs):
        return f"is never ahead of {BASELINE}"
    count = max(1, round(epochs))
    return f"is ahead of {BASELINE} after {count:,} epoch{'' if count == 1 else 's'}"
