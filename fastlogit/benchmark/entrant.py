"""One contender's way through one case: admitted, timed, traced, until something goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

from fastlogit.benchmark import worker
from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import (
    ClosedContender,
    Contender,
    OpenContender,
    UnsupportedError,
)
from fastlogit.benchmark.curves import Course, Point, search, walk
from fastlogit.benchmark.memory import peak_growth
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.benchmark.results import Status
from fastlogit.benchmark.verify import Agreement, compare

__all__ = ["CompiledWhileTimedError", "Entrant", "Repeat"]


class CompiledWhileTimedError(RuntimeError):
    """A contender compiled something while it was timed, so the time is not of training."""


@dataclass(frozen=True)
class Repeat:
    """One timed training run.

    Attributes
    ----------
    number : int
        Which of the contender's repeats in the case it is.
    time_s : float
        Seconds of the training alone.
    order_index : int
        The run's place among all timed runs of the case.
    loss, loss_error : float
        The loss of the last epoch and its relative difference from the reference's.
    """

    number: int
    time_s: float
    order_index: int
    loss: float
    loss_error: float


@dataclass
class Entrant:
    """A contender in a visit to a case, with what is known of it so far.

    Attributes
    ----------
    kind : type of Contender
        The implementation.
    prep_s, compile_s : float or None
        Seconds spent on preparing the arrays, and on the first call, when it was admitted.
    repeats : list of Repeat
        The timed runs.
    points : list of Point
        Its curve, the points' times still those of the first pass.
    passes : list of list of float
        The times of the points, pass by pass.
    rss_peak_bytes : int or None
        How far memory rose while it trained, where the system says.
    form : str
        Which of several ways it takes, where it says so.
    agreement : Agreement or None
        How near it came to the reference when it was last looked at.
    unsupported : str or None
        Why it has no way to do the case.
    error : str or None
        What it raised; nothing more is asked of it then.
    disagreement : Agreement or None
        How it missed the reference; none of its times count then.
    loss : float or None
        The loss that came with the disagreement.
    """

    kind: type[Contender]
    contender: Contender = field(init=False)
    prep_s: float | None = None
    compile_s: float | None = None
    repeats: list[Repeat] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    passes: list[list[float]] = field(default_factory=list)
    rss_peak_bytes: int | None = None
    form: str = ""
    agreement: Agreement | None = None
    unsupported: str | None = None
    error: str | None = None
    disagreement: Agreement | None = None
    loss: float | None = None

    @property
    def in_the_race(self) -> bool:
        """Whether it can do the case and has neither failed nor disagreed."""
        return self.unsupported is None and self.error is None and self.disagreement is None

    @property
    def status(self) -> Status:
        """How it has gone so far."""
        if self.disagreement is not None:
            return "failed-verification"
        if self.unsupported is not None:
            return "unsupported"
        return "ok" if self.error is None else "failed"

    @property
    def reason(self) -> str | None:
        """Why it is no longer in the race, in one line."""
        return str(self.disagreement) if self.disagreement else self.unsupported or self.error

    @property
    def by_epoch(self) -> bool:
        """Whether a repeat passes over the rows as often as the case says."""
        return not issubclass(self.kind, OpenContender) or self.kind.by_epoch

    @property
    def version(self) -> str:
        """Its library's version, and its form in brackets if it has said one."""
        version = self.kind.version()
        return f"{version} ({self.form})" if self.form else version

    def attempt(self, work: Callable[..., object], *args: object) -> None:
        """Do a part of the work; whatever it raises ends this contender's part in the case."""
        worker.note(self.kind.name)  # so that one who never comes back is known
        try:
            work(*args)
        except UnsupportedError as error:
            self.unsupported = str(error)
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Take the contender out of the case, with the reason in one line."""
        self.error = " ".join(f"{type(error).__name__}: {error}".split())

    def enter(self, problem: Problem) -> tuple[float, float]:
        """Prepare and compile; give the seconds of both."""
        start = time.perf_counter()
        self.contender = self.kind()
        self.contender.prepare(problem)
        prepared = time.perf_counter()
        self.contender.first_run()
        seconds = prepared - start, time.perf_counter() - prepared
        self.form = self.contender.form()
        return seconds

    def admit(self, problem: Problem, reference: Outcome) -> None:
        """Prepare, compile, train once and verify."""
        self.prep_s, self.compile_s = self.enter(problem)
        self.contender.run()
        self._verify(problem.case, reference)

    def repeat(self, case: Case, reference: Outcome, number: int, order_index: int) -> None:
        """Train once more, timed, and verify."""
        compilations = self.contender.compilations()
        start = time.perf_counter()
        self.contender.run()
        seconds = time.perf_counter() - start
        self._refuse_compiled(compilations, f"timed repeat {number}")
        outcome, agreement = self._verify(case, reference)
        repeat = Repeat(number, seconds, order_index, outcome.loss, agreement.loss_error)
        self.repeats.append(repeat)

    def trace(self, course: Course) -> None:
        """Draw the curve, or walk along it once more for its times; hold its end to the reference.

        In the open division there is nothing more to do once it is drawn.
        """
        compilations = self.contender.compilations()
        if isinstance(self.contender, ClosedContender):
            self._walk(self.contender, course)
        elif not isinstance(self.contender, OpenContender):
            raise TypeError(f"{self.kind.__name__} is of neither division")
        elif not self.passes:
            self.points = search(self.contender, course)
            self.passes = [[point.elapsed_s for point in self.points]]
        self._refuse_compiled(compilations, "the curve")

    def _walk(self, contender: ClosedContender, course: Course) -> None:
        times = [0.0]
        if not self.passes:
            self.points = [course.point(0, 0.0, course.problem.params)]
        for stop, elapsed in zip(course.stops, walk(contender, course.stops), strict=True):
            times.append(elapsed)
            if not self.passes:
                self.points.append(course.point(stop, elapsed, contender.result().params))
        self.passes.append(times)
        params = contender.result().params
        end = Outcome(params, (course.evaluation.loss(params),))
        self._judge(end, compare(end, course.end, course.problem.case.dtype))

    @property
    def curve(self) -> list[Point]:
        """The points with their median times; none unless all went well to the end."""
        if not self.in_the_race:
            return []
        times = [median(passes) for passes in zip(*self.passes, strict=True)]
        return [
            replace(point, elapsed_s=elapsed)
            for point, elapsed in zip(self.points, times, strict=True)
        ]

    def weigh(self, case: Case, reference: Outcome) -> None:
        """Train once for the memory that it takes, untimed, and verify."""
        self.rss_peak_bytes = peak_growth(self.contender.run)
        self._verify(case, reference)

    def _refuse_compiled(self, before: int, when: str) -> None:
        if self.contender.compilations() != before:
            raise CompiledWhileTimedError(f"compiled during {when}")

    def _verify(self, case: Case, reference: Outcome) -> tuple[Outcome, Agreement]:
        outcome = self.contender.result()
        return outcome, self._judge(outcome, compare(outcome, reference, case.dtype))

    def _judge(self, outcome: Outcome, agreement: Agreement) -> Agreement:
        self.agreement = agreement
        if self.kind.division == "closed" and not agreement.holds:
            self.disagreement, self.loss = agreement, outcome.loss
        return agreement
