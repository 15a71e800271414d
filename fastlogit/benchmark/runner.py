"""Measuring one case: verify first, then time the contenders in turns, in one visit or more.

Every contender first trains once and is held against the NumPy reference; only those that agree are
timed. They take turns in ABBA order, so that a machine that slows down hits all of them alike, and
each repeat's result is verified again. On the first visit passes of their own follow: for the
curves of loss against time, and for the memory. Later visits make further repeats, in arrays that
are laid out anew. Whatever a contender raises costs its own place in the case, nothing else.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import threadpoolctl

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender
from fastlogit.benchmark.curves import PASSES, lay_out
from fastlogit.benchmark.entrant import Entrant
from fastlogit.benchmark.gather import gather_bound, gather_seconds
from fastlogit.benchmark.problem import Outcome, Problem, build
from fastlogit.benchmark.results import CurvePoint, Status, Timing
from fastlogit.benchmark.rounds import repeats_of
from fastlogit.benchmark.rows import curve_rows, timing_rows
from fastlogit.benchmark.verify import Agreement, reference_outcome

__all__ = ["Admission", "Measured", "measure_case", "verify_case"]


@dataclass(frozen=True)
class Measured:
    """What measuring a case gave; it can be pickled.

    Attributes
    ----------
    timings : list of Timing
        A row a timed repeat, and one for each contender that failed or cannot do the case.
    curve : list of CurvePoint
        Loss against time, of the contenders that got through everything.
    gather_s : float or None
        What `fastlogit.benchmark.gather` measures, of a linear model.
    target_loss : float or None
        The training loss that counts as reached; None without a reference.
    """

    timings: list[Timing]
    curve: list[CurvePoint]
    gather_s: float | None
    target_loss: float | None


@dataclass(frozen=True)
class Admission:
    """Whether a contender does the work of a case; it can be pickled.

    Attributes
    ----------
    impl, impl_version, division : str
        The contender.
    status : {"ok", "unsupported", "failed-verification", "failed"}
        How it went; the open division is not held to the reference.
    agreement : Agreement or None
        How near it came to the reference, where it got so far.
    error : str or None
        Why it is not ok, in one line.
    """

    impl: str
    impl_version: str
    division: str
    status: Status
    agreement: Agreement | None
    error: str | None


def measure_case(
    case: Case,
    contenders: Sequence[type[Contender]],
    *,
    repeats: range,
    run_id: str,
    turns: int = 0,
    passes: int = PASSES,
) -> Measured:
    """Make some repeats of a case, and with the first of them all else that is measured of it.

    Parameters
    ----------
    case : Case
        What is measured.
    contenders : sequence of Contender subclasses
        Who takes part.
    repeats : range
        The timed repeats to make; of the open division only those among its few.
    run_id : str
        The run that the rows are of.
    turns : int, default=0
        Timed runs of the case that were made before.
    passes : int
        How often each closed contender walks through its curve, with the first repeats.

    Returns
    -------
    Measured
        Whatever a contender raised is recorded in its rows.
    """
    meeting = _Meeting(case, contenders)
    first = repeats.start == 0
    standard, gather_s, target_loss = meeting.admit() if first else meeting.enter(), None, None
    if standard is not None:
        # Pinned anew: compiling may just have loaded another BLAS.
        with _pinned(case.threads), _no_collections(2 if first else 1):
            if gather_bound(case.model):
                gather_s = gather_seconds(standard.problem)
            meeting.take_turns(standard.reference, repeats, turns)
            if first:
                target_loss = meeting.draw_curves(standard, passes)
                meeting.weigh(standard.reference)
    return Measured(meeting.timings(run_id), meeting.curve(), gather_s, target_loss)


def verify_case(case: Case, contenders: Sequence[type[Contender]]) -> list[Admission]:
    """Let every contender train once and hold it against the reference; nothing is timed."""
    meeting = _Meeting(case, contenders)
    meeting.admit()
    return [
        Admission(
            impl=entrant.kind.name,
            impl_version=entrant.version,
            division=entrant.kind.division,
            status=entrant.status,
            agreement=entrant.agreement,
            error=entrant.reason,
        )
        for entrant in meeting.entrants
    ]


class _Standard(NamedTuple):
    """What contenders are held against: the reference's outcome, and the seconds it took."""

    problem: Problem
    reference: Outcome
    reference_s: float


class _Meeting:
    """The contenders of a case."""

    def __init__(self, case: Case, contenders: Sequence[type[Contender]]) -> None:
        self.case = case
        self.entrants = [Entrant(kind) for kind in contenders]
        self.problem: Problem | None = None
        self.reference: Outcome | None = None

    def admit(self) -> _Standard | None:
        """Let everybody train once and be verified; None where there is nothing to verify by."""
        with _pinned(self.case.threads):
            standard = self._set_up()
            if standard is not None:
                for entrant in self.entrants:
                    entrant.attempt(entrant.admit, standard.problem, standard.reference)
            return standard

    def enter(self) -> _Standard | None:
        """Let those who were admitted before prepare anew."""
        with _pinned(self.case.threads):
            standard = self._set_up()
            if standard is not None:
                for entrant in self.entrants:
                    entrant.attempt(entrant.enter, standard.problem)
            return standard

    def _set_up(self) -> _Standard | None:
        try:
            self.problem = build(self.case)
            start = time.perf_counter()
            self.reference = reference_outcome(self.problem)
            seconds = time.perf_counter() - start
        except Exception as error:
            # Without a reference nobody can be verified, so nobody is timed.
            for entrant in self.entrants:
                entrant.fail(error)
            return None
        return _Standard(self.problem, self.reference, seconds)

    def take_turns(self, reference: Outcome, repeats: range, turns: int) -> None:
        order_index = turns
        for number in repeats:
            for entrant in self._in_order(number):
                if number in repeats_of(entrant.kind.division, repeats):
                    entrant.attempt(entrant.repeat, self.case, reference, number, order_index)
                    order_index += 1

    def draw_curves(self, standard: _Standard, passes: int) -> float | None:
        """Trace everybody; give the target, or None where the curves cannot be laid out."""
        try:
            course = lay_out(*standard)
        except Exception as error:  # such as memory, for the rows in float64
            for entrant in self._in_order(0):
                entrant.fail(error)
            return None
        for number in range(passes):
            for entrant in self._in_order(number):
                entrant.attempt(entrant.trace, course)
        return course.target_loss

    def weigh(self, reference: Outcome) -> None:
        for entrant in self._in_order(0):
            entrant.attempt(entrant.weigh, self.case, reference)

    def timings(self, run_id: str) -> list[Timing]:
        return [
            row
            for entrant in self.entrants
            for row in timing_rows(entrant, self.case, self.problem, self.reference, run_id)
        ]

    def curve(self) -> list[CurvePoint]:
        return [row for entrant in self.entrants for row in curve_rows(entrant, self.case)]

    def _in_order(self, number: int) -> Iterator[Entrant]:
        """Give those still in the race, first to last, and at odd numbers last to first."""
        for entrant in self.entrants if number % 2 == 0 else reversed(self.entrants):
            if entrant.in_the_race:
                yield entrant


@contextmanager
def _pinned(threads: int) -> Iterator[None]:
    with threadpoolctl.threadpool_limits(threads):
        yield


@contextmanager
def _no_collections(generation: int) -> Iterator[None]:
    # Once a visit, not once a repeat: it takes longer than many a repeat, and it sweeps the caches
    # just before the clock starts (iris: numba 1.16x slower, numpy unchanged).
    gc.collect(generation)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
