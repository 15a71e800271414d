"""A whole run: its directory, the machine's facts, the measuring, the summary."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from fastlogit.benchmark import machine, own_data
from fastlogit.benchmark.cases import Case, Grid
from fastlogit.benchmark.command import recorded
from fastlogit.benchmark.complete import Standing
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.curves import PASSES
from fastlogit.benchmark.isolation import call_for_case
from fastlogit.benchmark.results import SCHEMA_VERSION, RunFiles, Timing, read_curves, read_timings
from fastlogit.benchmark.rounds import REPEATS_PER_ROUND, Visit, schedule
from fastlogit.benchmark.runner import Measured, measure_case
from fastlogit.benchmark.summary import summarise
from fastlogit.benchmark.worker import Worker, WorkLostError

__all__ = ["Observer", "Run", "describe", "perform"]

Kinds = Sequence[type[Contender]]


class Observer(Protocol):
    """Who is told how the measuring goes on."""

    def visit_started(self, visit: Visit) -> None:
        """Hear that a visit to a cell is next."""

    def visit_done(self, visit: Visit, rows: Sequence[Timing]) -> None:
        """Hear that a visit is over, with its rows, and that they are on the disk."""


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
    config["repeats_per_round"] = REPEATS_PER_ROUND
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
    """Calibrate, measure round by round what is not measured yet, and write the summary.

    Parameters
    ----------
    files : RunFiles
        Where the rows go, each visit's as soon as it is over.
    cases : sequence of Case
        What is measured, in this order in each round.
    contenders : sequence of Contender subclasses
        Who takes part.
    repeats : int
        Timed repeats of each contender in each case.
    timeout : float, optional
        Seconds for a visit to a case, as `fastlogit.benchmark.isolation.call_for_case` takes them.
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
                _note_resumed(files)
                threads = sorted({case.threads for case in cases})
                passes = min(PASSES, repeats)
                left = files.left(schedule(cases, contenders, repeats))
                for _, visits in groupby(left, key=attrgetter("round")):
                    worker.end()
                    _calibrate(files, worker, threads)
                    for visit in visits:
                        _measure(files, worker, visit, passes, timeout, observer)
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
    visit: Visit,
    passes: int,
    timeout: float | None,
    observer: Observer | None,
) -> None:
    if observer is not None:
        observer.visit_started(visit)
    case, standing = visit.case, files.cells.setdefault(visit.case.cell_id, Standing())
    kinds = [kind for kind in visit.contenders if kind.name not in standing.out]
    rows: list[Timing] = []
    if kinds:
        options = {"repeats": visit.repeats, "turns": standing.turns, "passes": passes}
        options["run_id"] = files.run_id
        result, lost = call_for_case(worker, measure_case, case, kinds, timeout=timeout, **options)
        measured: Measured = result or Measured([], [], None, None)
        rows += measured.timings
        rows += [
            _lost(case, kind, files.run_id, lost[kind.name]) for kind in kinds if kind.name in lost
        ]
        names = [kind.name for kind in kinds]
        rows.sort(key=lambda row: names.index(row.impl))
        _note_facts(files, case, measured)
        files.append(rows, measured.curve)
        standing.add(visit.repeats, rows)
    if observer is not None:
        observer.visit_done(visit, rows)


def _note_facts(files: RunFiles, case: Case, measured: Measured) -> None:
    """Keep what summary.csv needs beside the rows, ahead of them."""
    found = {"gather_s": measured.gather_s, "target_loss": measured.target_loss}
    known = {name: files.facts.get(name, {}) for name in found}
    new = {
        # Of the gathers, which each round measures, the least is the limit.
        name: known[name] | {case.cell_id: min(value, known[name].get(case.cell_id, value))}
        for name, value in found.items()
        if value is not None
    }
    if new:
        files.note(**new)


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


def _note_resumed(files: RunFiles) -> None:
    """Note in a run that is gone on with what there was."""
    if not files.cells:
        return
    again = {
        "at": _now(),
        "command": _command(),
        "load": machine.load_average(),
        "cells_kept": len(files.cells),
        "repeats_kept": sum(standing.repeats for standing in files.cells.values()),
    }
    files.note(resumed=[*files.facts.get("resumed", ()), again])


def _calibrate(files: RunFiles, worker: Worker, threads: Sequence[int]) -> None:
    """Measure the machine's limits, in each round anew: the best is what it can do undisturbed."""
    try:
        measured = [worker.call(machine.calibrate, count) for count in threads]
        pools = worker.call(machine.blas_pools)
    except WorkLostError as loss:
        files.note(calibration_error=str(loss))
        return
    best = machine.best_limits(files.facts.get("calibration", ()), measured)
    files.note(calibration=best, thread_pools=pools)


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
    return ["fastlogit", *recorded(sys.argv[1:])]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
