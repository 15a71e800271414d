"""A comparison of two runs laid out, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from fastlogit.benchmark import shifts
from fastlogit.benchmark.table import duration

if TYPE_CHECKING:
    from fastlogit.benchmark.compare import Comparison
    from fastlogit.benchmark.runs import StoredRun

__all__ = ["as_json", "cells_table", "findings", "models_table", "notes"]

# In the order of the table: what wants looking at comes first.
_MARKS = {
    "slower": "[red]▼ slower[/]",
    "unsettled": "? unsettled",
    "faster": "[green]▲ faster[/]",
    "within": "= within",
    "": "not judged",
}
_FIGURES = ("ratio", "normalised", "95 %", "allowed", "verdict")


def cells_table(compared: Comparison, *, only_slower: bool = False) -> Table:
    """Lay out a row a cell and contender, regressions first, or nothing but them."""
    cells = compared.cells
    names = cells["cell_id"].str.split("/").str[:2].str.join("/")
    # The rest of the cell's name, only where the model and the data set do not tell which it is.
    unique = names.groupby([names, cells["impl"]]).transform("size").max() == 1
    table = _table("cell", "impl", "BASE", "NEW")
    for position in _order(cells):
        row = cells.iloc[position]
        if only_slower and row["verdict"] != "slower":
            continue
        times = (duration(row[name]) for name in ("base_s", "new_s"))
        label = names.iloc[position] if unique else row["cell_id"]
        table.add_row(escape(label), escape(row["impl"]), *times, *_figures(row))
    clock = "" if compared.machine else "by the clock, "
    table.caption = (
        "BASE, NEW: the least of the repeats; ratio: NEW over BASE by the clock\n"
        "normalised: the same over NumPy's, for NumPy itself over the host's limits\n"
        f"95 %: holds {clock}against NumPy and against the host, for all rows at once"
    )
    return table


def models_table(compared: Comparison) -> Table:
    """Lay out the geometric means of each contender and model, regressions first."""
    table = _table("model", "impl", "cells")
    for position in _order(compared.models):
        row = compared.models.iloc[position]
        table.add_row(row["model"], escape(row["impl"]), str(row["cells"]), *_figures(row))
    return table


def _table(*names: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, caption_justify="left"
    )
    for name in names:
        numeric = name in ("BASE", "NEW", "cells")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for name in _FIGURES:
        table.add_column(name, justify="left" if name == "verdict" else "right", no_wrap=True)
    return table


def _order(rows: pd.DataFrame) -> list[int]:
    """Sort by verdict, then the slowest first."""
    ranks = [list(_MARKS).index(verdict) for verdict in rows["verdict"]]
    return sorted(range(len(rows)), key=lambda i: (ranks[i], -rows["ratio"].iloc[i]))


def _figures(row: pd.Series) -> Iterator[str]:
    yield f"{row['ratio']:.3f}"
    yield "" if pd.isna(row["normalised"]) else f"{row['normalised']:.3f}"
    yield "" if pd.isna(row["low"]) else f"{row['low']:.2f}-{row['high']:.2f}"
    yield f"{row['threshold']:.3g}" if row["threshold"] > 10 else f"{row['threshold']:.0%}"
    yield _MARKS[row["verdict"]]


def notes(compared: Comparison) -> Iterator[str]:
    """Say in a line each what else differs, what only one run has, and what failed."""
    for difference in compared.machine:
        yield f"different machine: {difference}"
    for difference in compared.changes:
        yield f"also different: {difference}"
    found = compared.pairing
    for name, keys in (("BASE", found.only_base), ("NEW", found.only_new)):
        for cell, impl in keys:
            yield f"only in {name}: {impl} in {cell}"
    for failure in found.failures:
        why = f"{failure.status}: {failure.error}"
        yield f"no longer ok: {failure.impl} in {failure.cell_id}: {why}"


def findings(compared: Comparison) -> Iterator[str]:
    """Give the outcome in a sentence or two."""
    failures = len(compared.pairing.failures)
    if failures:
        yield f"ok in BASE and not in NEW: {failures}"
    for rows, what in ((compared.models, "models"), (compared.cells, "cells")):
        counts = rows["verdict"].value_counts()
        parts = [f"{counts[name]} {name}" for name in _MARKS if name and name in counts]
        yield f"{what}: {', '.join(parts) or 'none judged'}"
    unsettled = compared.models[compared.models["verdict"] == "unsettled"]
    if len(unsettled):
        widest = float((unsettled["high"] / unsettled["low"]).max()) ** 0.5 - 1
        yield (
            "unsettled: the noise of these runs leaves room for a slowdown beyond what is allowed, "
            f"±{widest:.0%} for a model at worst; more cells a model, more --repeats or a quieter "
            "machine narrow that"
        )


def as_json(compared: Comparison) -> str:
    """Give all of it as one JSON object."""
    found = compared.pairing
    content = {
        "runs": {"base": _run(compared.base), "new": _run(compared.new)},
        "method": {
            "level": shifts.LEVEL,
            "intervals": len(compared.cells) + len(compared.models),
            "resamples": shifts.RESAMPLES,
            "prior_spread": shifts.PRIOR_SPREAD,
            "prior_dof": shifts.PRIOR_DOF,
            "shared_spread": shifts.SHARED,
            "least_spread_of_a_cell": shifts.LAYOUT,
            "transfer": shifts.TRANSFER,
        },
        "machine": compared.machine,
        "changes": compared.changes,
        "cells": _records(compared.cells),
        "models": _records(compared.models),
        "failures": [vars(failure) for failure in found.failures],
        "only_base": [{"cell_id": cell, "impl": impl} for cell, impl in found.only_base],
        "only_new": [{"cell_id": cell, "impl": impl} for cell, impl in found.only_new],
        "verdict": compared.verdict,
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _run(run: StoredRun) -> dict[str, Any]:
    names = ("run_id", "status", "started", "command", "git")
    return {"directory": str(run.directory)} | {name: run.facts.get(name) for name in names}


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    # NaN is how a table says that there is nothing; JSON has a word for it.
    return [
        {str(name): None if isinstance(v, float) and isnan(v) else v for name, v in record.items()}
        for record in rows.astype(object).to_dict("records")
    ]
