"""Going on with a run that did not come to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastlogit.benchmark.plan import counted
from fastlogit.benchmark.results import RunFiles, read_facts

__all__ = ["differences", "resume", "unfinished"]

# What must be the same for rows of before and after to belong to one run.
_SAME = (
    "schema_version",
    "config",
    "data",
    "git",
    "packages",
    "cpu",
    "memory_bytes",
    "environment",
)


def resume(out: Path, facts: dict[str, Any]) -> tuple[RunFiles | None, str]:
    """Open the newest unfinished run that was to measure the same, and the same way.

    Parameters
    ----------
    out : Path
        The directory that holds the runs.
    facts : dict
        What run.json of a new run would say.

    Returns
    -------
    RunFiles or None
        The run; None if there is none that fits.
    str
        Which run it is, or why there is none.

    Raises
    ------
    OSError
        If the run that fits cannot be written.
    """
    refused = []
    for directory in unfinished(out):
        try:
            reasons = differences(read_facts(directory), facts)
            if not reasons:
                files = RunFiles.reopen(directory)
                return files, f"going on with {directory}, which has {_kept(files)}"
            refused.append(f"{directory}, which differs in {'; '.join(reasons)}")
        except BlockingIOError:
            refused.append(f"{directory}, which another process is still measuring")
        except ValueError as error:
            refused.append(f"{directory}, which cannot be read: {error}")
    why = (
        f"the newest unfinished run is {refused[0]}" if refused else f"{out} has no unfinished run"
    )
    return None, f"{why}; starting a new one"


def _kept(files: RunFiles) -> str:
    cells = counted(len(files.cells))
    repeats = files.facts["config"]["repeats"]
    whole = sum(standing.repeats == repeats for standing in files.cells.values())
    return cells if whole == len(files.cells) else f"{cells}, {whole} of them with all repeats"


def unfinished(out: Path) -> Iterator[Path]:
    """List the directories of runs that did not come to their end, the newest first."""
    found = []
    for path in out.glob("*/run.json"):
        try:
            facts = read_facts(path.parent)
        except (OSError, ValueError):  # nothing that this program would leave
            continue
        if facts.get("status") != "complete":
            found.append((str(facts.get("started")), path.parent.name, path.parent))
    yield from (directory for *_, directory in sorted(found, reverse=True))


def differences(stored: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Name what keeps a stored run from being gone on with, before and now."""
    # As JSON holds it: a tuple is a list there.
    now = json.loads(json.dumps(now, default=str))
    before, after = (dict(_leaves({key: run.get(key) for key in _SAME})) for run in (stored, now))
    return [
        f"{name} ({_spelled(before.get(name))}, now {_spelled(after.get(name))})"
        for name in before | after
        if before.get(name) != after.get(name)
    ]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif not isinstance(value, dict):
        yield name.removeprefix("config."), value


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "nothing" if value is None else str(value)
