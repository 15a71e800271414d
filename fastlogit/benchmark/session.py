"""A whole run: its directory, the machine's facts, the measuring, the summary."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fastlogit.benchmark import machine
from fastlogit.benchmark.cases import Case, Grid
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.results import RunFiles, Timing, read_timings
from fastlogit.benchmark.runner import measure_case
from fastlogit.benchmark.summary import summarise

__all__ = ["Run", "open_run", "perform"]


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes
    ----------
    directory : Path
        Its files.
    timings, summary : DataFrame
        The rows measured and what follows from them.
    interrupted : bool
        Whether Ctrl-C ended it early.
    """

    directory: Path
    timings: pd.DataFrame
    summary: pd.DataFrame
    interrupted: bool


def open_run(
    out: Path, grid: Grid, contenders: Sequence[type[Contender]], repeats: int
) -> RunFiles:
    """Make the run's directory and write down what is known before any work.

    Raises
    ------
    OSError
        If the directory cannot be made or written.
    """
    config = dataclasses.asdict(grid)
    config |= {"impls": [contender.name for contender in contenders], "repeats": repeats}
    return RunFiles(
        out,
        {
            "command": ["fastlogit", *sys.argv[1:]],
            "started": _now(),
            "config": config,
            "git": machine.git_state(),
            "packages": machine.package_versions()
            | {contender.distribution: contender.version() for contender in contenders},
            "cpu": machine.cpu(),
            "memory_bytes": machine.memory_bytes(),
            "environment": machine.environment(),
            "load_start": machine.load_average(),
        },
    )


def perform(
    files: RunFiles,
    cases: Sequence[Case],
    contenders: Sequence[type[Contender]],
    repeats: int,
    on_case: Callable[[Case, Sequence[Timing]], None] | None = None,
) -> Run:
    """Calibrate, measure all cases and write the summary; Ctrl-C keeps what was measured."""
    calibration: list[dict[str, Any]] = []
    gathers: dict[str, float] = {}
    interrupted = False
    try:
        with files:
            try:
                calibration += map(machine.calibrate, sorted({case.threads for case in cases}))
                for case in cases:
                    measured = measure_case(case, contenders, repeats=repeats, run_id=files.run_id)
                    files.append(measured.timings)
                    if measured.gather_s is not None:
                        gathers[case.cell_id] = measured.gather_s
                    if on_case is not None:
                        on_case(case, measured.timings)
            finally:
                files.note(
                    calibration=calibration,
                    gather_s=gathers,
                    finished=_now(),
                    load_end=machine.load_average(),
                    thread_pools=machine.blas_pools(),
                )
    except KeyboardInterrupt:
        interrupted = True
    timings = read_timings(files.rows_path)
    summary = summarise(timings, calibration, gathers)
    if not interrupted:
        files.write_table("summary.csv", summary)
    return Run(files.directory, timings, summary, interrupted)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
