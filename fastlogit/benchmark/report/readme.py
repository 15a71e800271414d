"""The README's picture and tables: between two marks in it, drawn from one run alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fastlogit.benchmark.appended import replace_file
from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.report import words
from fastlogit.benchmark.report.drawing import times
from fastlogit.benchmark.report.figures.speedup import overview_finding, picture
from fastlogit.benchmark.report.findings import SUBJECT, Findings, Record, record_of
from fastlogit.benchmark.table import TO_TARGET

if TYPE_CHECKING:
    from fastlogit.benchmark.runs import StoredRun

__all__ = ["PICTURE", "block", "write"]

PICTURE = "speedup.svg"

_MARKED = re.compile(r"(<!-- table: [^\n]*? -->\n)(.*?)(\n<!-- end of table -->)", re.DOTALL)

# Of an axis with several values, the one that the table of times is about, if it is there.
_USUAL = {"batch_size": 32, "dtype": "float32", "threads": 1, "solver": "sgd"}


def write(readme: Path, run: StoredRun) -> Path:
    """Write a run's picture beside its files, and picture and tables into a README.

    Parameters
    ----------
    readme : Path
        A Markdown file with the lines ``<!-- table: ... -->`` and ``<!-- end of table -->``; what
        stands between them is replaced.
    run : StoredRun
        A complete run, in a directory under the README's own.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    ValueError
        If the README has no such lines, if the run is elsewhere or not complete, or if it has no
        speed-ups of the package's own kernels.
    OSError
        If a file cannot be read or written.
    """
    text = readme.read_text(encoding="utf-8")
    if len(_MARKED.findall(text)) != 1:
        raise ValueError(
            f"{readme} needs one line '<!-- table: ... -->' and one '<!-- end of table -->' after "
            "it, to be written between"
        )
    directory, home = run.directory.resolve(), readme.resolve().parent
    if not directory.is_relative_to(home):
        raise ValueError(f"{readme} can only show a run under {home}, and {directory} is not")
    findings = Findings(run)
    place = directory.relative_to(home).as_posix()
    written = block(findings, place)
    drawn = picture(findings)
    page = _MARKED.sub(lambda _: f"<!-- table: {place} -->\n{written}\n<!-- end of table -->", text)
    replace_file(directory / PICTURE, drawn.encode())
    replace_file(readme, page.encode())
    return run.directory / PICTURE


def block(findings: Findings, place: str) -> str:
    """Write what stands between the marks: picture, setting, records, times.

    Parameters
    ----------
    findings : Findings
        What the run shows.
    place : str
        The run's directory as seen from the README.

    Raises
    ------
    ValueError
        If the run is not complete or has no speed-ups of the package's own kernels.
    """
    if findings.interrupted:
        raise ValueError(f"{place} did not come to its end; a README needs a complete run")
    if not len(_timed(findings)):
        raise ValueError(f"{place} has no times of {SUBJECT} beside {BASELINE}")
    finding = overview_finding(findings).replace("[", "(").replace("]", ")")
    rows = " and ".join(["model", *(words.AXIS_WORDS[axis] for axis in findings.varying)])
    legend = f"A row a {rows}; marks are geometric means over the data sets, bars their range."
    parts = [f"![{finding}]({place}/{PICTURE})", f"{legend} {words.setting(findings)}"]
    if findings.records:
        parts.append("\n".join(_records(findings)))
        if "target" in set(findings.pairs["measure"]):
            parts.append(TO_TARGET)
    parts.append("\n".join(_times(findings)))
    return "\n\n".join(parts)


def _timed(findings: Findings) -> pd.DataFrame:
    cells = findings.ok
    return cells[(cells["impl"] == SUBJECT) & cells["speedup_vs_numpy"].notna()]


def _records(findings: Findings) -> list[str]:
    """Give the table of geometric means against each rival, a row a batch size."""
    several = "batch_size" in findings.varying
    heads = [f"{SUBJECT}, times as fast as", *(["batch"] if several else []), *findings.models]
    lines = _head([*heads, "cells faster, even, slower"], 1)
    # Most other algorithms know no batches: they have one row over all sizes.
    sizes = findings.pairs["batch_size"].where(findings.pairs["measure"] == "training", "all")
    keys = ["rival", "measure", sizes]
    for (rival, measure, batch), pairs in findings.pairs.groupby(keys, sort=False):
        means = [
            _mean(record_of(mine, str(rival), str(measure)))
            for mine in (pairs[pairs["model"] == model] for model in findings.models)
        ]
        record = record_of(pairs, str(rival), str(measure))
        name = f"{rival}, to the target loss" if measure == "target" else str(rival)
        size = [str(batch)] if several else []
        lines.append(_line([name, *size, *means, _counts(record)]))
    return lines


def _mean(record: Record) -> str:
    return times(record.ratio) if record.cells else ""


def _counts(record: Record) -> str:
    """Count wins, even cells and losses; missed targets count for the one that got there."""
    wins, losses = record.wins + record.rival_missed, record.losses + record.subject_missed
    unjudged = f" ({record.unjudged} not judged)" if record.unjudged else ""
    return f"{wins}, {record.even}, {losses}{unjudged}"


def _times(findings: Findings) -> list[str]:
    """Give the table of times a row and speed-ups, a row a data set."""
    cells, chosen = _timed(findings), []
    for axis in findings.varying:
        values = list(dict.fromkeys(cells[axis]))
        value = _USUAL[axis] if _USUAL[axis] in values else values[0]
        cells = cells[cells[axis] == value]
        chosen.append(words.UNITS[axis].format(value))
    what = ", ".join([f"ns a row, and times {BASELINE}'s speed", *chosen])
    lines = _head([what, *findings.models], 1)
    for dataset, rows in cells.groupby("dataset", sort=False):
        by_model = rows.drop_duplicates("model").set_index("model").to_dict("index")
        shown = [_time(by_model.get(model)) for model in findings.models]
        lines.append(_line([str(dataset), *shown]))
    return lines


def _time(cell: dict[Any, Any] | None) -> str:
    if cell is None:
        return ""
    return f"{1e9 / cell['samples_per_s']:.0f} ns, {cell['speedup_vs_numpy']:.1f}×"


def _head(names: Sequence[str], left: int) -> list[str]:
    ruler = "".join("---|" if position < left else "---:|" for position in range(len(names)))
    return [_line(names), f"|{ruler}"]


def _line(fields: Sequence[str]) -> str:
    return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"
