"""A whole run: what is measured in which round, the machine's facts, the measuring.

A machine has slow spells of seconds and minutes, so the repeats of a case are spread over the whole
run, which goes round by round over all cases. Code and rows at another place in memory are faster
or slower too, by up to a fifth in all cases of a model, so each round has a process of its own
(T. Mytkowicz and others, "Producing wrong data without doing anything obviously wrong!", ASPLOS
2009). The least time of a case repeats to 4 % then, where it did to 24 % within one process.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from fastlogit.benchmark import data_file, machine
from fastlogit.benchmark.case_runner import (
    Measured,
    common_fields,
    measure_case,
    repeats_of,
    verify_case,
)
from fastlogit.benchmark.cases import Case, Grid
from fastlogit.benchmark.implementations import Implementation
from fastlogit.benchmark.pool import MeasuringPool, WorkLostError, call_for_case
from fastlogit.benchmark.schema import SCHEMA_VERSION, Timing
from fastlogit.benchmark.storage import RunFiles, StoredRun, read_run
from fastlogit.benchmark.verification import VerificationResult

# First to last and back once, in arrays that are laid out anew in each round.
REPEATS_PER_ROUND = 2

Implementations = Sequence[type[Implementation]]


@dataclass(frozen=True)
class Round:
    """One pass over the cases: its number, from 1, its repeats, and what takes part in each."""

    number: int
    repeats: range
    cases: tuple[tuple[Case, tuple[type[Implementation], ...]], ...]


class Observer(Protocol):
    """What is told how the measuring proceeds."""

    def round_started(self, number: int, rounds: int) -> None:
        """Note that a round begins."""

    def case_started(self, case: Case, number: int) -> None:
        """Note that a case is measured next, in a round."""

    def case_done(self, case: Case, number: int, timings: Sequence[Timing]) -> None:
        """Note that a case has been measured in a round, and that its rows are on the disk."""


def schedule(cases: Sequence[Case], implementations: Implementations, repeats: int) -> list[Round]:
    """List the rounds of a run, without what has no more repeats to make."""
    rounds = []
    for number, start in enumerate(range(0, repeats, REPEATS_PER_ROUND), 1):
        part = range(start, min(start + REPEATS_PER_ROUND, repeats))
        chosen = []
        for case in cases:
            own = [each for each in implementations if each.comparison in case.comparisons]
            own = [each for each in own if repeats_of(each.comparison, case.task, part)]
            if own:
                chosen.append((case, tuple(own)))
        rounds.append(Round(number, part, tuple(chosen)))
    return [each for each in rounds if each.cases]


def describe(grid: Grid, implementations: Implementations, repeats: int) -> dict[str, Any]:
    """Return in run.json's terms what is to be measured and on what, before any work."""
    config = {name: value for name, value in vars(grid).items() if name != "data_file"}
    names = [f"{each.comparison}/{each.name}" for each in implementations]
    config |= {"implementations": names, "repeats": repeats, "repeats_per_round": REPEATS_PER_ROUND}
    versions = {each.distribution: each.version() for each in implementations}
    return {
        "schema_version": SCHEMA_VERSION, "command": machine.command(), "started": machine.now(),
        "config": config,
        "data": None if grid.data_file is None else data_file.facts(grid.data_file),
        "git": machine.git_state(), "packages": machine.package_versions() | versions,
        "cpu": machine.cpu(), "memory_bytes": machine.memory_bytes(),
        "environment": machine.environment(), "load_start": machine.load_average(),
    }  # fmt: skip


def perform(
    files: RunFiles, cases: Sequence[Case], implementations: Implementations, repeats: int, *,
    timeout: float | None = None, observer: Observer | None = None,
) -> StoredRun:  # fmt: skip
    """Measure round by round what has no part yet, and put the files together.

    After a Ctrl-C or an OSError of a full disk, which are raised, all that was measured is kept.
    The `timeout`, in seconds, is for all implementations of a case in a round.
    """
    with files, MeasuringPool() as pool:
        status = "failed"
        try:
            rounds = schedule(cases, implementations, repeats)
            for each in rounds:
                _measure_round(files, pool, each, len(rounds), timeout, observer)
            if (file := next((case.data_file for case in cases), None)) is not None:
                _add_advice(files, pool, file, timeout)
            status = "complete"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            with suppress(OSError):  # if the disk is full, the first error says so
                files.note(finished=machine.now(), load_end=machine.load_average())
            files.finish(status)
    return read_run(files.directory)


def _measure_round(
    files: RunFiles, pool: MeasuringPool, each: Round, rounds: int, timeout: float | None,
    observer: Observer | None,
) -> None:  # fmt: skip
    left = [item for item in each.cases if (item[0].case_id, each.number) not in files.parts]
    if not left:
        return
    if observer is not None:
        observer.round_started(each.number, rounds)
    pool.restart()
    _calibrate(files, pool, sorted({case.threads for case, _ in each.cases}))
    for case, implementations in left:
        if observer is not None:
            observer.case_started(case, each.number)
        measured = _measure(files, pool, case, implementations, each.repeats, timeout)
        timings = measured.timings
        files.write_part(case.case_id, each.number, timings, measured.curve, measured.facts)
        if observer is not None:
            observer.case_done(case, each.number, timings)


def _measure(
    files: RunFiles, pool: MeasuringPool, case: Case, implementations: Implementations,
    repeats: range, timeout: float | None,
) -> Measured:  # fmt: skip
    known = files.part_rows(case.case_id)
    out = {(row.comparison, row.implementation) for row in known if row.status != "ok"}
    left = [each for each in implementations if (each.comparison, each.name) not in out]
    turns = max((row.order_index + 1 for row in known if row.order_index is not None), default=0)
    result, lost = call_for_case(
        pool, measure_case, case, left, timeout=timeout, repeats=repeats, turns=turns
    )
    measured: Measured = result or Measured([], [], {})
    for cls, error in lost.items():
        row = Timing(**common_fields(case, cls), status="failed", error=error)
        measured.timings.append(row)
    return measured


def _calibrate(files: RunFiles, pool: MeasuringPool, threads: Sequence[int]) -> None:
    """Measure the machine's limits, in each round anew: the best is what it can do undisturbed."""
    try:
        measured = [pool.call(machine.calibrate, count) for count in threads]
        pools = pool.call(machine.blas_pools)
    except WorkLostError as loss:
        files.note(calibration_error=str(loss))
        return
    best = machine.best_limits(files.facts.get("calibration", ()), measured)
    files.note(calibration=best, thread_pools=pools)


def _add_advice(
    files: RunFiles, pool: MeasuringPool, file: data_file.DataFile, timeout: float | None
) -> None:
    """Fit what is recommended for a user's own file, and note it."""
    from fastlogit.benchmark.advice import advise
    from fastlogit.benchmark.data_file.streamed import stream

    try:
        advice = pool.call(advise, file, timeout=timeout)
        if "sample" in dict(file.arguments):
            advice["streamed"] = pool.call(stream, file, timeout=timeout)
        files.note(advice=advice)
    except WorkLostError as loss:
        files.note(advice_error=str(loss))


def verify(
    cases: Sequence[Case], implementations: Implementations, *, timeout: float | None = None
) -> Iterator[VerificationResult]:
    """Compare every implementation with the reference in every case; nothing is timed."""
    with MeasuringPool() as pool:
        for case in cases:
            own = [each for each in implementations if each.comparison in case.comparisons]
            result, lost = call_for_case(pool, verify_case, case, own, timeout=timeout)
            yield from result or ()
            for cls, error in lost.items():
                names = case.case_id, cls.comparison, cls.name, cls.version()
                yield VerificationResult(*names, "failed", error=error)
