"""Throughput against what the machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fastlogit.benchmark.report.drawing import Panel, drawing, log_axis, svg_text
from fastlogit.benchmark.report.figures.rows import (
    Mark,
    draw_marks,
    label_rows,
    limits,
    rows_height,
)
from fastlogit.benchmark.report.palette import INK, MUTED, SURFACE, looks

if TYPE_CHECKING:
    from fastlogit.benchmark.report.findings import Findings

__all__ = ["fractions", "rooflines"]

_RATES = {"float32": ("sgemm_gflop_s", 4), "float64": ("dgemm_gflop_s", 8)}


def rooflines(findings: Findings) -> list[Panel]:
    """Give a panel a type and number of threads: arithmetic rate over arithmetic intensity.

    Notes
    -----
    The roofline of S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual
    performance model", Communications of the ACM 52(4), 2009, with the intensity counted in
    operations a byte of X alone.
    """
    panels = []
    for rates in findings.run.facts.get("calibration") or ():
        for dtype, (key, itemsize) in _RATES.items():
            cells = findings.same_work
            cells = cells[(cells["threads"] == rates["threads"]) & (cells["dtype"] == dtype)]
            if len(cells) and {key, "read_gb_s"} <= set(rates):
                panels.append(_roofline(findings, cells, rates[key], rates["read_gb_s"], itemsize))
    return panels


def _roofline(
    findings: Findings, cells: pd.DataFrame, peak: float, read: float, itemsize: int
) -> Panel:
    intensity = cells["flops"] / (cells["samples"] * cells["n_features"] * itemsize)
    dtype, threads = cells["dtype"].iloc[0], int(cells["threads"].iloc[0])
    ridge = peak / read  # where the slope meets the roof, to be seen on both sides
    ends = min(intensity.min(), ridge / 4) / 1.5, max(intensity.max(), 2 * ridge) * 1.5
    rate = cells["gflop_s"]
    finding = (
        f"The fastest product of BLAS runs at {peak:.0f} GFLOP/s and memory is read at "
        f"{read:.0f} GB/s in {dtype} on {_threads(threads)}. {_highest(cells)}"
    )
    with drawing(270) as (figure, axes):
        line = np.geomspace(*ends, 100)
        axes.plot(line, np.minimum(peak, read * line), color=INK, linewidth=1.4)
        for impl, look in looks(findings.impls).items():
            mine = cells["impl"] == impl
            axes.plot(
                intensity[mine],
                rate[mine],
                linestyle="none",
                marker=look.marker,
                color=look.colour,
                markeredgecolor=look.colour if look.marker == "|" else SURFACE,
                markeredgewidth=1.6 if look.marker == "|" else 0.5,
                markersize=6,
            )
        axes.text(ends[1], peak * 1.25, f"product, {peak:.0f} GFLOP/s", ha="right", color=MUTED)
        axes.text(ends[0], read * ends[0] * 2.2, f"read, {read:.0f} GB/s", color=MUTED)
        log_axis(axes, "x", "", *ends)
        log_axis(axes, "y", "", rate.min() / 1.6, max(peak, rate.max()) * 3)
        axes.set_xlabel("operations a byte of X")
        axes.set_ylabel("GFLOP/s")
        name = f"roofline-{dtype}-{threads}"
        svg = svg_text(figure, name, f"Arithmetic rate against the limits, {dtype}", finding)
    return Panel(f"GFLOP/s under the roof: {dtype}, {_threads(threads)}", finding, svg)


def _highest(cells: pd.DataFrame) -> str:
    best = cells.loc[cells.groupby("impl", sort=False)["gflop_s"].idxmax()]
    parts = [
        f"{row['impl']} {row['gflop_s']:.3g} ({row['model']} on {row['dataset']})"
        for row in best.to_dict("records")
    ]
    return "The highest GFLOP/s of each: " + ", ".join(parts) + "."


def _threads(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"


def fractions(findings: Findings) -> Panel | None:
    """Give one panel: the share of its limit that each contender reaches, by model."""
    cells = findings.same_work
    cells = cells[cells["limit_fraction"].notna()]
    if cells.empty:
        return None
    models = [model for model in findings.models if model in set(cells["model"])]
    marks, parts = [], []
    for (model, impl), group in cells.groupby(["model", "impl"], sort=False):
        share = group["limit_fraction"].astype(float)
        spread = float(share.median()), float(share.min()), float(share.max())
        marks.append(Mark(models.index(str(model)), str(impl), *spread))
        parts.append(f"{impl} {share.median():.2g} in {model}")
    finding = "Median share of the limit, 1 being all of it: " + ", ".join(parts) + "."
    impls = cells["impl"].nunique()
    with drawing(max(150, rows_height(len(models), impls))) as (figure, axes):
        draw_marks(axes, marks, looks(findings.impls))
        label_rows(axes, [(model,) for model in models])
        log_axis(axes, "x", "fraction", *limits(marks, 1.0))
        axes.axvline(1, color=INK, linewidth=1.2, zorder=1)
        axes.set_xlabel("of the limit: median and range of the cells")
        svg = svg_text(figure, "fractions", "Share of the limit by model", finding)
    return Panel("Share of the limit, by model", finding, svg)
