"""Speed-ups over the baseline: by model and batch size, and by data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.lines import Line2D

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.report.drawing import (
    Panel,
    drawing,
    log_axis,
    standalone_svg,
    svg_text,
    times,
)
from fastlogit.benchmark.report.figures.rows import (
    Mark,
    draw_marks,
    label_rows,
    limits,
    rows_height,
)
from fastlogit.benchmark.report.findings import (
    SUBJECT,
    Findings,
    against_baseline,
    geometric_mean,
    row_of,
)
from fastlogit.benchmark.report.palette import INK, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["by_data_set", "draw_overview", "overview", "overview_values", "picture"]


def overview_values(findings: Findings) -> list[dict[str, Any]]:
    """Give the geometric mean over the data sets, and their range, of each row of the overview."""
    cells = against_baseline(findings.ok)
    keys = ["model", *findings.varying]
    values = []
    for key, group in cells.groupby([*keys, "impl"], sort=False):
        ratios = group["speedup_vs_numpy"]
        named = {name: _plain(value) for name, value in zip([*keys, "impl"], key, strict=True)}
        mean, low, high = geometric_mean(ratios), float(ratios.min()), float(ratios.max())
        values.append({**named, "mean": mean, "low": low, "high": high, "data_sets": len(group)})
    return values


def draw_overview(axes: Axes, findings: Findings) -> None:
    """Draw a row a model and batch size: the mean over the data sets, and their range."""
    values = overview_values(findings)
    rows = _overview_rows(findings)
    marks = [
        Mark(rows.index(_row_key(value, findings)), value["impl"], *_span(value))
        for value in values
    ]
    draw_marks(axes, marks, looks(findings.impls))
    label_rows(axes, [tuple(map(str, row)) for row in rows])
    log_axis(axes, "x", "times", *limits(marks, 1.0))
    axes.axvline(1, color=INK, linewidth=1.2, zorder=1)
    axes.set_xlabel(f"times as fast as {BASELINE}")


def picture(findings: Findings) -> str:
    """Give the overview as an SVG file that stands alone, with its values in it."""
    impls = list(dict.fromkeys(against_baseline(findings.ok)["impl"]))
    styles = looks(findings.impls)
    height = rows_height(len(_overview_rows(findings)), len(impls), around=76)
    with drawing(height, 560, margin=8) as (figure, axes):
        draw_overview(axes, findings)
        handles = [
            Line2D([], [], color=styles[impl].colour, marker=styles[impl].marker, label=impl)
            for impl in impls
        ]
        figure.legend(
            handles=handles, loc="outside upper left", ncols=len(impls), frameon=False, fontsize=11
        )
        return standalone_svg(
            figure,
            "speedup",
            f"Times as fast as {BASELINE}, by model",
            overview_finding(findings),
            overview_values(findings),
        )


def overview(findings: Findings) -> Panel:
    """Give the overview as a panel of the page."""
    rivals = against_baseline(findings.ok)["impl"].nunique()
    height = rows_height(len(_overview_rows(findings)), rivals)
    heading = f"Times as fast as {BASELINE}, by model"
    with drawing(height) as (figure, axes):
        draw_overview(axes, findings)
        finding = overview_finding(findings)
        svg = svg_text(figure, "overview", heading, finding)
    return Panel(heading, finding, svg)


def overview_finding(findings: Findings) -> str:
    """Say what the overview shows."""
    parts = []
    for impl, group in against_baseline(findings.ok).groupby("impl", sort=False):
        mean = geometric_mean(group["speedup_vs_numpy"])
        low, high = group["speedup_vs_numpy"].min(), group["speedup_vs_numpy"].max()
        parts.append(
            f"{impl} {times(mean)} as fast as {BASELINE} in the geometric mean of {len(group)} "
            f"cells (between {times(low)} and {times(high)})"
        )
    return "; ".join(parts) + "."


def by_data_set(findings: Findings) -> list[Panel]:
    """Give a panel a model: every cell's speed-up with its interval."""
    cells = against_baseline(findings.ok)
    impls = list(dict.fromkeys(cells["impl"]))
    panels = []
    for model in dict.fromkeys(cells["model"]):
        mine = cells[cells["model"] == model]
        names = [row_of(row, findings.varying) for row in mine.to_dict("records")]
        rows = list(dict.fromkeys(names))
        figures = zip(
            names,
            mine["impl"],
            mine["speedup_vs_numpy"],
            mine["speedup_low"],
            mine["speedup_high"],
            strict=True,
        )
        marks = [
            Mark(rows.index(name), impl, ratio, *_interval(low, high))
            for name, impl, ratio, low, high in figures
        ]
        finding = _model_finding(model, mine)
        with drawing(rows_height(len(rows), len(impls))) as (figure, axes):
            draw_marks(axes, marks, looks(findings.impls))
            label_rows(axes, rows)
            log_axis(axes, "x", "times", *limits(marks, 1.0))
            axes.axvline(1, color=INK, linewidth=1.2, zorder=1)
            axes.set_xlabel(f"times as fast as {BASELINE}")
            heading = f"Speed-up of {model}, by data set"
            svg = svg_text(figure, f"speedup-{model}", heading, finding)
        panels.append(Panel(model, finding, svg))
    return panels


def _model_finding(model: str, cells: pd.DataFrame) -> str:
    first = str(cells["impl"].iloc[0])
    impl = SUBJECT if SUBJECT in set(cells["impl"]) else first
    mine = cells[cells["impl"] == impl].sort_values("speedup_vs_numpy")
    best, worst = mine.iloc[-1], mine.iloc[0]
    return (
        f"{model}: {impl} is {times(best['speedup_vs_numpy'])} as fast as {BASELINE} at its best "
        f"({best['dataset']}, batches of {best['batch_size']}) and "
        f"{times(worst['speedup_vs_numpy'])} at its worst "
        f"({worst['dataset']}, batches of {worst['batch_size']})."
    )


def _overview_rows(findings: Findings) -> list[tuple[Any, ...]]:
    values = overview_values(findings)
    return list(dict.fromkeys(_row_key(value, findings) for value in values))


def _row_key(value: dict[str, Any], findings: Findings) -> tuple[Any, ...]:
    return tuple(value[name] for name in ("model", *findings.varying))


def _span(value: dict[str, Any]) -> tuple[float, float, float]:
    return value["mean"], value["low"], value["high"]


def _interval(low: float, high: float) -> tuple[float | None, float | None]:
    return (None, None) if pd.isna(low) else (float(low), float(high))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
