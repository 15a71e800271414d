"""Loss against time, and the time until the target loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from fastlogit.benchmark.report.drawing import Panel, drawing, log_axis, svg_text
from fastlogit.benchmark.report.figures.rows import (
    Mark,
    draw_marks,
    label_rows,
    limits,
    rows_height,
)
from fastlogit.benchmark.report.findings import SUBJECT, of_cell, row_of
from fastlogit.benchmark.report.palette import INK, MUTED, looks
from fastlogit.benchmark.table import begun_there, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from fastlogit.benchmark.report.findings import Findings, Row

__all__ = ["accuracy_curves", "chosen_cells", "loss_curves", "times_to_target"]

# More points than this are not to be seen in a drawing of this size.
_POINTS = 80

# Losses that fall by more than this are drawn on a logarithmic axis.
_FAR = 10.0


def chosen_cells(findings: Findings) -> pd.DataFrame:
    """Choose one cell a model: the largest data set, at the batch size nearest to 32.

    Of cells with curves if there are any; of the most contenders if some failed.
    """
    cells = findings.ok
    with_curves = cells["cell_id"].isin(set(findings.run.curves["cell_id"]))
    cells = cells[with_curves] if with_curves.any() else cells
    size = cells["n_samples"] * cells["n_features"]
    far = np.abs(np.log(cells["batch_size"].astype(float) / 32))
    contenders = cells.groupby("cell_id")["impl"].transform("size")
    order = cells.assign(contenders=contenders, size=size, far=far)
    order = order.sort_values(
        ["contenders", "size", "far"], ascending=[False, False, True], kind="stable"
    )
    chosen = order.drop_duplicates("model").set_index("model")
    return chosen.loc[[model for model in findings.models if model in chosen.index]].reset_index()


def loss_curves(findings: Findings) -> list[Panel]:
    """Give a panel or two a model: the training loss over the time of training, for one cell.

    Other algorithms have a panel of their own, with the subject for comparison.
    """
    panels = []
    for cell, name, heading, curves in _chosen_curves(findings, "train_loss"):
        target = findings.targets.get(cell["cell_id"])
        finding = _loss_finding(findings, curves, target)
        with drawing(230) as (figure, axes):
            _draw_curves(axes, findings, curves, "train_loss")
            _scale_loss(axes, curves["train_loss"], target)
            axes.set_ylabel("training loss")
            title = f"Loss against time: {heading}"
            svg = svg_text(figure, f"loss-{name}", title, finding)
        panels.append(Panel(heading, finding, svg))
    return panels


def accuracy_curves(findings: Findings) -> list[Panel]:
    """Give a panel or two a model: the share of held-out rows that are right, over the same time.

    Only a user's own data has rows held out.
    """
    panels = []
    for _, name, heading, curves in _chosen_curves(findings, "test_accuracy"):
        finding = _accuracy_finding(curves)
        with drawing(230) as (figure, axes):
            _draw_curves(axes, findings, curves, "test_accuracy")
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
            axes.set_ylabel("right, of rows held out")
            title = f"Accuracy against time: {heading}"
            svg = svg_text(figure, f"accuracy-{name}", title, finding)
        panels.append(Panel(heading, finding, svg))
    return panels


def _chosen_curves(findings: Findings, column: str) -> Iterator[tuple[Row, str, str, pd.DataFrame]]:
    """Give the panels: the cell, a word and a heading for each, and the points to draw."""
    curves = findings.run.curves
    known = np.isfinite(curves[column].astype(float)) & (curves["elapsed_s"].astype(float) > 0)
    other = curves["impl"].isin(set(findings.ok.loc[findings.ok["division"] == "open", "impl"]))
    for cell in chosen_cells(findings).to_dict("records"):
        mine = known & (curves["cell_id"] == cell["cell_id"])
        heading = f"{cell['model']}, {of_cell(cell, findings.varying)}"
        same = curves[mine & ~other]
        if len(same):
            yield cell, cell["model"], heading, same
        if (mine & other).any():
            shown = curves[mine & (other | (curves["impl"] == SUBJECT))]
            yield cell, f"{cell['model']}-other", f"{heading}: other algorithms", shown


def _scale_loss(axes: Axes, loss: pd.Series, target: float | None) -> None:
    """Fit the axis of the losses, logarithmic where they fall far, and mark the target."""
    everything = [*loss.astype(float), *([] if target is None else [target])]
    low, high = min(everything), max(everything)
    if low > 0 and high / low > _FAR:
        log_axis(axes, "y", "", low / 1.2, high * 1.2)
    else:
        margin = 0.06 * max(high - low, 1e-9)
        axes.set_ylim(low - margin, high + margin)
    if target is None:
        return
    axes.axhline(target, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
    # On the left, where no curve has come down yet.
    text = axes.text(0.01, target, f"target {target:.4g}", color=MUTED, ha="left", va="bottom")
    text.set_transform(axes.get_yaxis_transform())


def _draw_curves(axes: Axes, findings: Findings, curves: pd.DataFrame, column: str) -> None:
    styles = looks(findings.impls)
    cells = findings.cells
    other = set(cells.loc[cells["division"] == "open", "impl"])
    for (impl, _), line in curves.groupby(["impl", "seed"], sort=False):
        look = styles[str(impl)]
        thin = _thinned(line)
        reached = thin[column].astype(float)
        if impl in other:  # each point is a fit of its own: which has the least loss so far?
            loss = thin["train_loss"].astype(float)
            reached = reached.where(loss == loss.cummin()).ffill()
        axes.plot(
            thin["elapsed_s"],
            reached,
            drawstyle="steps-post" if impl in other else "default",
            color=look.colour,
            linestyle=look.dash,
            marker=look.marker,
            markevery=[-1],
            markeredgewidth=1.6 if look.marker == "|" else 0,
            markersize=6,
        )
    elapsed = curves["elapsed_s"].astype(float)
    log_axis(axes, "x", "seconds", elapsed.min() / 1.2, elapsed.max() * 1.2)
    axes.set_xlabel("time of training")


def _thinned(line: pd.DataFrame) -> pd.DataFrame:
    """Keep what a logarithmic time axis can show, the ends among it."""
    line = line.sort_values("elapsed_s")
    if len(line) <= _POINTS:
        return line
    keep = np.unique(np.geomspace(1, len(line), _POINTS).round().astype(int)) - 1
    return line.iloc[keep]


def _loss_finding(findings: Findings, curves: pd.DataFrame, target: float | None) -> str:
    cell_id, parts = curves["cell_id"].iloc[0], []
    if cell_id in findings.begun_there:
        words = begun_there(findings.run.facts)
        return f"The target loss is {target:.4g}: {words}."
    for impl, line in curves.groupby("impl", sort=False):
        if target is None:
            last = line.sort_values("elapsed_s").iloc[-1]
            when = f"ends at {last['train_loss']:.4g} after {duration(last['elapsed_s'])}"
        else:
            reached = findings.reached.get((cell_id, impl))
            when = "never is there" if reached is None else f"is there after {duration(reached)}"
        parts.append(f"{impl} {when}")
    aim = "" if target is None else f"The target loss is {target:.4g}: "
    return aim + ", ".join(parts) + "."


def _accuracy_finding(curves: pd.DataFrame) -> str:
    ends = curves.loc[curves.groupby("impl", sort=False)["epoch"].idxmax()]
    parts = [
        f"{row['impl']} {row['test_accuracy']:.1%} after {duration(row['elapsed_s'])}"
        for row in ends.to_dict("records")
    ]
    return "Right at the end of training: " + ", ".join(parts) + "."


def times_to_target(findings: Findings) -> list[Panel]:
    """Give a panel a model: in every cell, how long each contender takes to the target loss."""
    panels = []
    for model in findings.models:
        cells = findings.ok[findings.ok["model"] == model]
        reached = cells[cells["time_to_target_s"].notna()]
        if reached.empty:
            continue
        names = [row_of(row, findings.varying) for row in reached.to_dict("records")]
        rows = list(dict.fromkeys(names))
        figures = zip(names, reached["impl"], reached["time_to_target_s"], strict=True)
        marks = [Mark(rows.index(name), impl, seconds) for name, impl, seconds in figures]
        finding = _target_finding(cells)
        with drawing(rows_height(len(rows), reached["impl"].nunique())) as (figure, axes):
            draw_marks(axes, marks, looks(findings.impls))
            label_rows(axes, rows)
            log_axis(axes, "x", "seconds", *limits(marks))
            axes.set_xlabel("time to the target loss")
            svg = svg_text(figure, f"target-{model}", f"Time to the target loss: {model}", finding)
        panels.append(Panel(model, finding, svg))
    return panels


def _target_finding(cells: pd.DataFrame) -> str:
    parts = []
    for impl, group in cells.groupby("impl", sort=False):
        reached = group["time_to_target_s"].notna().sum()
        parts.append(f"{impl} reaches it in {reached} of {len(group)} cells")
    return ", ".join(parts) + "."
