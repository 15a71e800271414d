"""A whole run: its directory, the machine's facts, the measuring, the summary."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from fastlogit.benchmark import machine, own_data
from fastlogit.benchmark.cases import Case, Grid
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.isolation import call_for_case
from fastlogit.benchmark.results import SCHEMA_VERSION, RunFiles, Timing, read_curves, read_timings
from fastlogit.benchmark.runner import Measured, measure_case
from fastlogit.benchmark.summary import summarise
from fastlogit.benchmark.worker import Worker, WorkLostError

__all__ = ["Observer", "Run", "describe", "perform"]

Kinds = Sequence[type[Contender]]


class Observer(Protocol):
    """Who is told how the measuring goes on."""

    def case_started(self, case: Case) -> None:
        """Hear that a case is next."""

    def case_done(self, case: Case, rows: Sequence[Timing]) -> None:
        """Hear that a case is measured, with its rows, and that they are on the disk."""


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes
    ----------
    directory : Path
        Its files.
    facts : dict
        The contents of run.json.
    timings, curves, summary : DataFrame
        The rows measured and what follows from them.
    interrupted : bool
        Whether Ctrl-C ended it early.
    """

    directory: Path
    facts: dict[str, Any]
    timings: pd.DataFrame
    curves: pd.DataFrame
    summary: pd.DataFrame
    interrupted: bool


def describe(grid: Grid, contenders: Kinds, repeats: int) -> dict[str, Any]:
    """Say in run.json's terms what is to be measured and on what, before any work."""
    config = dataclasses.asdict(grid)
    config.pop("source")  # it stands by itself, without where it lies
    config |= {"impls": [contender.name for contender in contenders], "repeats": repeats}
    return {
        "schema_version": SCHEMA_VERSION,
        "command": _command(),
        "started": _now(),
        "config": config,
        "data": None if grid.source is None else own_data.facts(grid.source),
        "git": machine.git_state(),
        "packages": machine.package_versions()
        | {contender.distribution: contender.version() for contender in contenders},
        "cpu": machine.cpu(),
        "memory_bytes": machine.memory_bytes(),
        "environment": machine.environment(),
        "load_start": machine.load_average(),
    }


def perform(
    files: RunFiles,
    cases: Sequence[Case],
    contenders: Kinds,
    repeats: int,
    *,
    timeout: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Calibrate, measure all cases that are not yet, and write the summary.

    Parameters
    ----------
    files : RunFiles
        Where the rows go, each case's as soon as it is measured.
    cases : sequence of Case
        What is measured, in this order.
    contenders : sequence of Contender subclasses
        Who takes part.
    repeats : int
        Timed repeats of each contender in each case.
    timeout : float, optional
        Seconds for a case, as `fastlogit.benchmark.isolation.call_for_case` takes them.
    observer : Observer, optional
        Who is told.

    Returns
    -------
    Run
        What there is, after Ctrl-C too.

    Raises
    ------
    OSError
        If the files cannot be written any longer; what was measured until then is kept.
    """
    interrupted = False
    try:
        with files, Worker() as worker:
            try:
                _calibrate(files, worker, sorted({case.threads for case in cases}))
                for case in cases:
                    if case.cell_id not in files.done:
                        _measure(files, worker, case, contenders, repeats, timeout, observer)
                with suppress(WorkLostError):  # those of the beginning are noted
                    files.note(thread_pools=worker.call(machine.blas_pools))
                files.write_table("summary.csv", _summary(files))
            finally:
                with suppress(OSError):  # if the disk is full, that has been said
                    files.note(finished=_now(), load_end=machine.load_average())
    except KeyboardInterrupt:
        interrupted = True
    timings, curves = read_timings(files.rows_path), read_curves(files.curves_path)
    return Run(files.directory, files.facts, timings, curves, _summary(files), interrupted)


def _measure(
    files: RunFiles,
    worker: Worker,
    case: Case,
    contenders: Kinds,
    repeats: int,
    timeout: float | None,
    observer: Observer | None,
) -> None:
    if observer is not None:
        observer.case_started(case)
    options = {"repeats": repeats, "run_id": files.run_id}
    result, lost = call_for_case(worker, measure_case, case, contenders, timeout=timeout, **options)
    measured: Measured = result or Measured([], [], None, None)
    rows = list(measured.timings)
    rows += [
        _lost(case, kind, files.run_id, lost[kind.name]) for kind in contenders if kind.name in lost
    ]
    names = [kind.name for kind in contenders]
    rows.sort(key=lambda row: names.index(row.impl))
    _note_facts(files, case, measured)
    files.append(rows, measured.curve)
    if observer is not None:
        observer.case_done(case, rows)


def _note_facts(files: RunFiles, case: Case, measured: Measured) -> None:
    """Keep what summary.csv needs beside the rows, ahead of them."""
    new = {"gather_s": measured.gather_s, "target_loss": measured.target_loss}
    files.note(
        **{
            name: files.facts.get(name, {}) | {case.cell_id: value}
            for name, value in new.items()
            if value is not None
        }
    )


def _lost(case: Case, kind: type[Contender], run_id: str, error: str) -> Timing:
    """Give the row of a contender that took the measuring process with it."""
    return Timing(
        run_id=run_id,
        cell_id=case.cell_id,
        model=case.model,
        dataset=case.dataset,
        n_hidden=case.n_hidden,
        impl=kind.name,
        impl_version=kind.version(),
        division=kind.division,
        solver=case.solver,
        batch_size=case.batch_size,
        dtype=case.dtype,
        threads=case.threads,
        epochs=case.epochs,
        seed=case.seed,
        status="failed",
        error=error,
    )


def _calibrate(files: RunFiles, worker: Worker, threads: Sequence[int]) -> None:
    """Measure the machine's limits; a run that is gone on with keeps those it was begun with."""
    try:
        calibration = [worker.call(machine.calibrate, count) for count in threads]
        pools = worker.call(machine.blas_pools)
    except WorkLostError as loss:
        files.note(calibration_error=str(loss))
        return
    if "calibration" not in files.facts:
        files.note(calibration=calibration, thread_pools=pools)
        return
    again = {
        "at": _now(),
        "command": _command(),
        "load": machine.load_average(),
        "cells_kept": len(files.done),
        "calibration": calibration,
    }
    files.note(resumed=[*files.facts.get("resumed", ()), again])


def _summary(files: RunFiles) -> pd.DataFrame:
    facts = files.facts
    return summarise(
        read_timings(files.rows_path),
        facts.get("calibration", ()),
        facts.get("gather_s"),
        read_curves(files.curves_path),
        facts.get("target_loss"),
    )


def _command() -> list[str]:
    return ["fastlogit", *sys.argv[1:]]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
