"""The sentences of the page: its headline, what to know first, each contender's record."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fastlogit.benchmark.command import option
from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.report.drawing import times
from fastlogit.benchmark.report.findings import (
    SUBJECT,
    Findings,
    Record,
    against_baseline,
    geometric_mean,
    of_cell,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AXIS_WORDS",
    "UNITS",
    "cautions",
    "headline",
    "losses",
    "machine",
    "record_lines",
    "setting",
    "steps",
]

UNITS = {"batch_size": "batches of {} rows", "solver": "{}", "dtype": "{}", "threads": "{}"}

AXIS_WORDS = {"batch_size": "batch size", "solver": "solver", "dtype": "type", "threads": "threads"}


def headline(findings: Findings) -> str:
    """Say the main result in one line."""
    by_rival = {record.rival: record for record in findings.records if np.isfinite(record.ratio)}
    if by_rival:
        first = by_rival.pop(BASELINE, None) or by_rival.pop(next(iter(by_rival)))
        return f"{SUBJECT} {_trains(first.ratio, first.rival, first.measure)}"
    for impl, cells in against_baseline(findings.ok).groupby("impl", sort=False):
        return f"{impl} {_trains(geometric_mean(cells['speedup_vs_numpy']), BASELINE)}"
    ok = [impl for impl in findings.impls if impl in set(findings.ok["impl"])]
    return f"{_and(ok)}: times without a rival" if ok else "No cell was measured"


def _trains(ratio: float, rival: str, measure: str = "training") -> str:
    what = "reaches the target loss" if measure == "target" else "trains"
    if ratio >= 1:
        return f"{what} {times(ratio)} as fast as {rival}"
    return f"{what} at {ratio:.2f} of the speed of {rival}"


def setting(findings: Findings) -> str:
    """Say what was measured, and where."""
    cells = findings.cells
    fixed = findings.fixed
    words = [UNITS[axis].format(value) for axis, value in fixed.items() if axis != "threads"]
    if "threads" in fixed:
        words.append("one thread" if fixed["threads"] == 1 else f"{fixed['threads']} threads")
    sizes = ""
    if "batch_size" in findings.varying:
        sizes = f", batches of {_and(sorted(cells['batch_size'].unique()))} rows"
    hidden = findings.run.timings["n_hidden"].dropna().unique()
    if len(hidden):
        words.append(f"{_and(sorted(map(int, hidden)))} hidden units")
    cpu = findings.run.facts.get("cpu") or {}
    name = cpu.get("name") or "unnamed processor"
    return (
        f"{_count(cells['model'].nunique(), 'model')} on "
        f"{_count(cells['dataset'].nunique(), 'data set')}{sizes}; {', '.join(words)}; "
        f"{_repeats(findings)}; {name}."
    )


def _repeats(findings: Findings) -> str:
    """Count the timed repeats; other algorithms, compared by one fit's time, may have fewer."""
    most = findings.ok.groupby("division")["n"].max()
    others = most.pop("open") if len(most) > 1 else None
    same = f"{_count(int(most.max()) if len(most) else 0, 'timed repeat')} each"
    return same if others in (None, most.max()) else f"{same} ({others} of other algorithms)"


def record_lines(record: Record) -> Iterator[str]:
    """Say how a record was come by: wins, losses, the range."""
    if record.cells:
        counts = f"▲ {record.wins} faster", f"= {record.even} even", f"▼ {record.losses} slower"
        # No line break within a count.
        words = ", ".join(count.replace(" ", "\N{NO-BREAK SPACE}") for count in counts)
        yield f"{words} of {_count(record.cells, 'cell')}"
    if record.unjudged:
        yield f"{record.unjudged} not judged: one repeat has no interval"
    if np.isfinite(record.low) and record.cells > 1:
        yield f"between {times(record.low)} and {times(record.high)}"
    if record.rival_missed:
        yield f"{record.rival} missed the target in {record.rival_missed} more"
    if record.subject_missed:
        yield f"{SUBJECT} missed the target in {record.subject_missed} more"


def losses(findings: Findings, most: int = 12) -> list[str]:
    """List the cells that the subject loses, the worst first."""
    lines = []
    for pair in findings.losses.to_dict("records"):
        cell = f"{pair['model']} on {of_cell(pair, findings.varying)}"
        if pair["outcome"] == "subject missed":
            lines.append(f"{cell}: {pair['rival']} reaches the target loss, {SUBJECT} does not")
            continue
        span = f" ({pair['low']:.2f} to {pair['high']:.2f})" if pd.notna(pair["low"]) else ""
        to = " to the target loss" if pair["measure"] == "target" else ""
        lines.append(f"{cell}: {pair['ratio']:.2f} of the speed of {pair['rival']}{to}{span}")
    if len(lines) > most:
        left = len(lines) - most
        lines[most:] = [f"and {left} more; the table of all results has the times of every cell"]
    return lines


def cautions(findings: Findings) -> Iterator[str]:
    """Say what a reader should know before believing a figure."""
    facts = findings.run.facts
    if findings.interrupted:
        yield (
            f"This run did not come to its end (it is marked {facts.get('status', 'unknown')!r}): "
            "the page shows what it had measured until then."
        )
    cores = (facts.get("cpu") or {}).get("cores")
    load = facts.get("load_start")
    if load and cores and load[0] > 0.5 * cores:
        yield f"The machine was busy: a load of {load[0]:.2f} on {cores} cores at the start."
    if (facts.get("git") or {}).get("dirty"):
        yield "The checkout had changes that are in no commit."
    failed = findings.failures[findings.failures["status"] != "unsupported"]
    if len(failed):
        counts = failed["status"].value_counts()
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        yield f"Not everything could be measured: {listed}; the reasons stand under the table."
    if not findings.compared and BASELINE not in findings.impls:
        yield f"{BASELINE} took no part, so there are no speed-ups over it."
    rivals = against_baseline(findings.ok)
    if len(rivals) and bool(rivals["speedup_low"].isna().any()):
        yield "Cells timed only once have no interval, and no win or loss is called there."


def machine(findings: Findings) -> list[tuple[str, str]]:
    """List what the run recorded of its machine, as terms and values."""
    facts = findings.run.facts
    cpu: Mapping[str, Any] = facts.get("cpu") or {}
    lines = [
        ("Run", facts.get("run_id")),
        ("Time", _joined(" to ", facts.get("started"), facts.get("finished"))),
        ("Processor", _joined(", ", cpu.get("name"), cpu.get("llvm_name"))),
        ("SIMD", f"{cpu['simd_bits']} bits" if cpu.get("simd_bits") else None),
        ("Cores", cpu.get("cores")),
        ("Memory", _gib(facts.get("memory_bytes"))),
        ("Load at start and end", _joined(" and ", *map(_load, _loads(facts)))),
        ("Commit", _commit(facts.get("git") or {})),
        ("Packages", ", ".join(f"{k} {v}" for k, v in (facts.get("packages") or {}).items())),
        ("Environment", _environment(facts.get("environment"))),
    ]
    lines += [("Thread pool", _pool(pool)) for pool in facts.get("thread_pools") or ()]
    for rates in facts.get("calibration") or ():
        lines.append((f"Limits on {_count(rates['threads'], 'thread')}", _rates(rates)))
    return [(term, str(value)) for term, value in lines if value not in (None, "")]


def steps(findings: Findings) -> str:
    """Give the commands that measure the same again and make this page."""
    facts = findings.run.facts
    command = [str(word) for word in facts.get("command") or ("fastlogit", "bench", "run")]
    out = option(command, "--out")
    report = ["fastlogit", "bench", "report", "latest", *(["--out", out] if out else [])]
    peers = {"jax", "torch"} & set(findings.impls)
    extras = "bench,peers" if peers else "bench"
    lines = [f'pip install ".[{extras}]"', shlex.join(command), shlex.join(report)]
    commit = (facts.get("git") or {}).get("commit")
    if commit:
        lines.insert(0, f"git checkout {commit}")
    return "\n".join(lines)


def _and(names: Any) -> str:
    words = [str(name) for name in names]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _joined(between: str, *values: Any) -> str:
    return between.join(str(value) for value in values if value)


def _gib(size: float | None) -> str | None:
    return f"{size / 2**30:.1f} GiB" if size else None


def _loads(facts: Mapping[str, Any]) -> list[Any]:
    return [facts.get("load_start"), facts.get("load_end")]


def _load(load: Any) -> str:
    return f"{load[0]:.2f}" if load else ""


def _commit(git: Mapping[str, Any]) -> str:
    commit = git.get("commit")
    return f"{commit}, with changes" if commit and git.get("dirty") else str(commit or "")


def _environment(variables: Mapping[str, str] | None) -> str:
    if variables is None:
        return ""
    named = ", ".join(f"{name}={value}" for name, value in variables.items())
    return named or "no variable set that steers threads, BLAS or kernels"


def _pool(pool: Mapping[str, Any]) -> str:
    name = _joined(" ", pool.get("internal_api"), pool.get("version"), pool.get("architecture"))
    return f"{pool.get('user_api')}: {name}, {pool.get('num_threads')} threads"


def _rates(rates: Mapping[str, Any]) -> str:
    words = {
        "sgemm_gflop_s": "product {} GFLOP/s in float32",
        "dgemm_gflop_s": "{} in float64",
        "read_gb_s": "memory read at {} GB/s",
    }
    return ", ".join(text.format(rates[key]) for key, text in words.items() if key in rates)
