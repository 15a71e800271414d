"""The page: one file that needs nothing but itself."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from matplotlib.lines import Line2D

from fastlogit.benchmark.report import rows, words
from fastlogit.benchmark.report.drawing import drawing, svg_swatch, times
from fastlogit.benchmark.report.figures import curves, first_call, limit, speedup
from fastlogit.benchmark.report.findings import Findings, against_baseline
from fastlogit.benchmark.report.palette import SURFACE, looks, scheme_css
from fastlogit.benchmark.table import TO_TARGET, duration, tiny_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlogit.benchmark.runs import StoredRun

__all__ = ["render"]


def render(run: StoredRun, advice: Sequence[str] = ()) -> str:
    """Write the whole page of a run.

    Parameters
    ----------
    run : StoredRun
        A run as `fastlogit.benchmark.runs.load_run` gives it; it may be an interrupted one.
    advice : sequence of str
        Lines to print near the top.

    Returns
    -------
    str
        HTML. All text of the run's own, names and errors, is escaped in it.

    Raises
    ------
    ValueError
        If the run has no rows at all.
    """
    if run.timings.empty:
        raise ValueError(f"{run.directory} has no rows: nothing was measured before it ended")
    findings = Findings(run)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fastlogit.benchmark.report", "parts"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(_context(findings, advice))


def _context(findings: Findings, advice: Sequence[str]) -> dict[str, Any]:
    tiny = tiny_sets(findings.run.timings) & set(findings.cells["dataset"])
    return {
        "run_id": findings.run.facts.get("run_id", findings.run.directory.name),
        "headline": words.headline(findings),
        "setting": words.setting(findings),
        "cautions": list(words.cautions(findings)),
        "advice": list(advice),
        "records": _records(findings, "training"),
        "to_target": _records(findings, "target"),
        "to_target_note": TO_TARGET,
        "losses": words.losses(findings),
        "legend": _legend(findings),
        "with_ratio": set(against_baseline(findings.ok)["impl"]),
        "same_work": set(findings.same_work["impl"]),
        "means": _means(findings),
        "figures": _figures(findings),
        "columns": rows.columns(findings),
        "rows": rows.all_results(findings, tiny),
        "tiny": bool(tiny),
        "open": "open" in set(findings.cells["division"]),
        "failures": _failures(findings),
        "machine": words.machine(findings),
        "steps": words.steps(findings),
        "scheme": Markup(scheme_css(":root")),  # noqa: S704 - constants
        "style": Markup(_part("page.css")),  # noqa: S704 - the package's own
        "script": Markup(_part("sort.js")),  # noqa: S704 - the package's own
    }


def _records(findings: Findings, measure: str) -> list[dict[str, Any]]:
    return [
        {
            "rival": record.rival,
            "ratio": times(record.ratio) if record.cells else "",
            "lines": list(words.record_lines(record)),
            "record": record,
        }
        for record in findings.records
        if record.measure == measure
    ]


def _figures(findings: Findings) -> dict[str, Any]:
    """Draw everything that this run has figures for."""
    compared = findings.compared
    ok = bool(len(findings.ok))
    shares = limit.fractions(findings) if ok else None
    drawn = {
        "overview": [speedup.overview(findings)] if compared else [],
        "by_data_set": speedup.by_data_set(findings) if compared else [],
        "limit": [*(limit.rooflines(findings) if ok else []), *([shares] if shares else [])],
        "curves": curves.loss_curves(findings) if ok else [],
        "accuracy": curves.accuracy_curves(findings) if ok else [],
        "targets": curves.times_to_target(findings) if ok else [],
        "first_call": first_call.paying_back(findings) if ok else [],
    }
    return {
        name: [
            {"heading": panel.heading, "svg": Markup(panel.svg)}  # noqa: S704 - escaped when written
            for panel in panels
        ]
        for name, panels in drawn.items()
    } | {"first_calls": _first_calls(findings) if ok else []}


def _means(findings: Findings) -> dict[str, Any]:
    """Give the numbers of the overview as a table: rows and a column a contender."""
    values = speedup.overview_values(findings)
    impls = list(dict.fromkeys(value["impl"] for value in values))
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for value in values:
        key = tuple(str(value[name]) for name in ("model", *findings.varying))
        table.setdefault(key, {})[value["impl"]] = times(value["mean"])
    heads = ["Model", *(rows.AXIS_NAMES[axis] for axis in findings.varying)]
    lines = [(key, [ratios.get(impl, "") for impl in impls]) for key, ratios in table.items()]
    return {"heads": heads, "impls": impls, "lines": lines}


def _first_calls(findings: Findings) -> list[dict[str, str]]:
    return [
        {
            "impl": row["impl"],
            "longest": duration(row["longest_s"]) if row["longest_s"] > 0 else "",
            "paid": first_call.pays(row["epochs"]) if row["epochs"] >= 0 else "",
        }
        for row in first_call.first_calls(findings).to_dict("records")
    ]


def _legend(findings: Findings) -> list[dict[str, Any]]:
    """Give each contender with a small drawing of its line and marker."""
    swatches: list[dict[str, Any]] = []
    for impl, look in looks(findings.impls).items():
        if impl not in findings.impls:
            continue
        with drawing(12, 34) as (figure, axes):
            axes.remove()
            line = Line2D(
                [0.05, 0.5, 0.95],
                [0.5] * 3,
                color=look.colour,
                linestyle=look.dash,
                marker=look.marker,
                markevery=[1],
                markersize=6.5,
                markeredgecolor=look.colour if look.marker == "|" else SURFACE,
                markeredgewidth=2 if look.marker == "|" else 0.6,
            )
            figure.add_artist(line)
            svg = svg_swatch(figure, f"swatch-{len(swatches)}")
        swatches.append({"impl": impl, "svg": Markup(svg)})  # noqa: S704 - holds no text
    return swatches


def _failures(findings: Findings) -> list[dict[str, Any]]:
    """Give what was not measured, once for all cells of the same contender and reason."""
    failures = findings.failures.fillna({"error": ""})
    return [
        {
            "impl": str(impl),
            "status": str(status),
            "error": str(error),
            "cell": str(cells["cell_id"].iloc[0]),
            "more": len(cells) - 1,
        }
        for (impl, status, error), cells in failures.groupby(
            ["impl", "status", "error"], sort=False
        )
    ]


def _part(name: str) -> str:
    source = resources.files("fastlogit.benchmark.report") / "parts" / name
    return source.read_text(encoding="utf-8")
