"""Rows of marks with their intervals: the form of most figures here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from fastlogit.benchmark.report.palette import GRID, SURFACE, Look

__all__ = ["Mark", "draw_marks", "label_rows", "limits", "rows_height"]

# Points between the rows, with one contender and for each one more; half of that in many rows.
_ROW, _MORE, _FEW = 15.0, 6.0, 14


@dataclass(frozen=True)
class Mark:
    """A contender's value in a row, with its interval if there is one."""

    row: int
    impl: str
    value: float
    low: float | None = None
    high: float | None = None


def rows_height(rows: int, impls: int, *, around: float = 46) -> float:
    """Give the height of a drawing in points, with so much around the rows."""
    more = _MORE if rows <= _FEW else _MORE / 2
    return rows * (_ROW + more * max(0, impls - 1)) + around


def label_rows(axes: Axes, rows: Sequence[tuple[str, ...]]) -> None:
    """Name the rows from top to bottom by their parts, and shade every other group of them.

    The first part is the group, whose name stands in its first row alone.
    """
    groups = [row[0] for row in rows]
    labels = [
        ", ".join(row if position == 0 or groups[position - 1] != row[0] else row[1:] or row)
        for position, row in enumerate(rows)
    ]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    for between in range(1, len(labels)):
        axes.axhline(between - 0.5, color=GRID, linewidth=0.6, zorder=0)
    order = list(dict.fromkeys(groups))
    for position, group in enumerate(groups):
        if order.index(group) % 2 == 0:
            axes.axhspan(
                position - 0.5, position + 0.5, color=GRID, alpha=0.35, linewidth=0, zorder=0
            )


def draw_marks(axes: Axes, marks: Sequence[Mark], looks: dict[str, Look]) -> None:
    """Draw the marks, the contenders of a row one below the other."""
    impls = list(dict.fromkeys(mark.impl for mark in marks))
    for place, impl in enumerate(impls):
        look = looks[impl]
        mine = [mark for mark in marks if mark.impl == impl]
        offset = (place - (len(impls) - 1) / 2) * 0.6 / max(2, len(impls) - 1)
        at = [mark.row + (offset if len(impls) > 1 else 0) for mark in mine]
        # All intervals in one line with gaps: a path each would triple the page.
        ends, heights = [], []
        for mark, height in zip(mine, at, strict=True):
            if mark.low is not None and mark.high is not None and np.isfinite(mark.low):
                ends += [mark.low, mark.high, np.nan]
                heights += [height, height, np.nan]
        axes.plot(ends, heights, color=look.colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        axes.plot(
            [mark.value for mark in mine],
            at,
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markeredgecolor=look.colour if look.marker == "|" else SURFACE,
            markeredgewidth=2 if look.marker == "|" else 0.6,
            markersize=6.5,
            zorder=3,
        )


def limits(marks: Sequence[Mark], *include: float) -> tuple[float, float]:
    """Give the ends of a logarithmic axis that holds all marks and what else it must."""
    values = [mark.value for mark in marks]
    values += [mark.low for mark in marks if mark.low is not None and mark.low > 0]
    values += [mark.high for mark in marks if mark.high is not None and np.isfinite(mark.high)]
    values += include
    low, high = min(values), max(values)
    margin = max(1.15, (high / low) ** 0.05)
    return low / margin, high * margin
