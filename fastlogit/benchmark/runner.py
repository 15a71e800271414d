"""Measuring: verify first, then time the contenders in turns.

Within a case every contender first trains once and is held against the NumPy reference; only those
that agree are timed. They take turns in ABBA order, so that a machine that slows down hits all of
them alike, and each repeat's result is verified again. Whatever a contender raises costs its own
place in the case, nothing else.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import threadpoolctl

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.entrant import Entrant
from fastlogit.benchmark.gather import gather_bound, gather_seconds
from fastlogit.benchmark.problem import Outcome, Problem, build
from fastlogit.benchmark.results import RunFiles, Timing
from fastlogit.benchmark.verify import reference_outcome

__all__ = ["measure", "measure_case"]

OnCase = Callable[[Case, Sequence[Timing]], None]


def measure(
    cases: Sequence[Case],
    contenders: Sequence[type[Contender]],
    files: RunFiles,
    *,
    repeats: int,
    gathers: dict[str, float] | None = None,
    on_case: OnCase | None = None,
) -> list[Timing]:
    """Measure every case and append its rows to the run's files as it ends.

    Parameters
    ----------
    cases : sequence of Case
        What is measured, in this order.
    contenders : sequence of Contender subclasses
        Who takes part.
    files : RunFiles
        Where the rows go. An interrupt leaves those measured so far in it and is raised on.
    repeats : int
        Timed repeats of each contender in each case.
    gathers : dict, optional
        OUT: by cell_id, what `fastlogit.benchmark.gather` measures of a linear model's case.
    on_case : callable, optional
        Called after each case with the case and its rows.

    Returns
    -------
    list of Timing
        All rows.
    """
    rows: list[Timing] = []
    for case in cases:
        measured: list[Timing] = []
        try:
            measure_case(
                case,
                contenders,
                repeats=repeats,
                run_id=files.run_id,
                rows=measured,
                gathers=gathers,
            )
        finally:
            files.append(measured)
        rows += measured
        if on_case is not None:
            on_case(case, measured)
    return rows


def measure_case(
    case: Case,
    contenders: Sequence[type[Contender]],
    *,
    repeats: int,
    run_id: str,
    rows: list[Timing],
    gathers: dict[str, float] | None = None,
) -> None:
    """Measure one case; its rows are put into `rows`, also when it is interrupted."""
    entrants = [Entrant(kind) for kind in contenders]
    problem, reference = None, None
    try:
        with _pinned(case.threads):
            try:
                problem = build(case)
                reference = reference_outcome(problem)
            except Exception as error:
                # Without a reference nobody can be verified, so nobody is timed.
                for entrant in entrants:
                    entrant.fail(error)
            else:
                for entrant in entrants:
                    entrant.attempt(entrant.admit, problem, reference)
        if problem is not None and reference is not None:
            # Pinned anew: compiling may just have loaded another BLAS.
            with _pinned(case.threads), _no_collections():
                if gathers is not None and gather_bound(case.model):
                    gathers[case.cell_id] = gather_seconds(problem)
                _take_turns(entrants, case, reference, repeats)
    finally:
        for entrant in entrants:
            rows += _rows(entrant, case, problem, reference, run_id)


def _take_turns(entrants: Sequence[Entrant], case: Case, reference: Outcome, repeats: int) -> None:
    order_index = 0
    for repeat in range(repeats):
        for entrant in entrants if repeat % 2 == 0 else reversed(entrants):
            if entrant.in_the_race:
                entrant.attempt(entrant.repeat, case, reference, order_index)
                order_index += 1


@contextmanager
def _pinned(threads: int) -> Iterator[None]:
    with threadpoolctl.threadpool_limits(threads):
        yield


@contextmanager
def _no_collections() -> Iterator[None]:
    # Once a case, not once a repeat: it takes longer than many a repeat, and it sweeps the caches
    # just before the clock starts (iris: numba 1.16x slower, numpy unchanged).
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _rows(
    entrant: Entrant,
    case: Case,
    problem: Problem | None,
    reference: Outcome | None,
    run_id: str,
) -> list[Timing]:
    common = _common(entrant, case, problem, reference, run_id)
    if entrant.disagreement is not None:
        # Not one duration of a contender that did other work, not even of its preparation.
        return [
            Timing(
                **common,
                loss_final=entrant.loss,
                loss_rel_err=entrant.disagreement.loss_error,
                verified=False,
                status="failed-verification",
                error=str(entrant.disagreement),
            )
        ]
    common |= {"compile_s": entrant.compile_s, "prep_s": entrant.prep_s}
    closed = entrant.kind.division == "closed"
    rows = [
        Timing(
            **common,
            repeat=index,
            order_index=repeat.order_index,
            time_s=repeat.time_s,
            rss_peak_bytes=repeat.rss_peak_bytes,
            loss_final=repeat.loss,
            loss_rel_err=repeat.loss_error,
            verified=True if closed else None,
            status="ok",
        )
        for index, repeat in enumerate(entrant.repeats)
    ]
    if entrant.unsupported is not None:
        rows.append(Timing(**common, status="unsupported", error=entrant.unsupported))
    if entrant.error is not None:
        rows.append(Timing(**common, status="failed", error=entrant.error))
    return rows


def _common(
    entrant: Entrant,
    case: Case,
    problem: Problem | None,
    reference: Outcome | None,
    run_id: str,
) -> dict[str, Any]:
    """Collect what all rows of a contender in a case have in common."""
    common: dict[str, Any] = {
        name: getattr(case, name)
        for name in ("cell_id", "model", "dataset", "n_hidden", "solver", "batch_size", "dtype")
    }
    common |= {"threads": case.threads, "epochs": case.epochs, "seed": case.seed}
    common |= {"run_id": run_id, "impl": entrant.kind.name, "division": entrant.kind.division}
    common["impl_version"] = entrant.version
    if problem is not None:
        common["n_samples"], common["n_features"] = problem.X.shape
        common["n_classes"] = problem.n_classes
        common["samples"], common["flops"] = problem.samples, problem.flops
    if reference is not None:
        common["loss_ref"] = reference.loss
    return common
