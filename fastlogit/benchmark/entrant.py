"""One contender's way through one case: admitted, then timed, until something goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastlogit.benchmark import memory
from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender, UnsupportedError
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.benchmark.verify import Agreement, compare

__all__ = ["CompiledWhileTimedError", "Entrant", "Repeat"]


class CompiledWhileTimedError(RuntimeError):
    """A contender compiled something during a timed repeat, so the time is not of training."""


@dataclass(frozen=True)
class Repeat:
    """One timed training run.

    Attributes
    ----------
    time_s : float
        Seconds of the training alone.
    order_index : int
        The run's place among all timed runs of the case.
    rss_peak_bytes : int or None
        The process's peak memory during the run, where the system says.
    loss, loss_error : float
        The loss of the last epoch and its relative difference from the reference's.
    """

    time_s: float
    order_index: int
    rss_peak_bytes: int | None
    loss: float
    loss_error: float


@dataclass
class Entrant:
    """A contender in a case, with what is known of it so far.

    Attributes
    ----------
    kind : type of Contender
        The implementation.
    prep_s, compile_s : float or None
        Seconds spent on preparing the arrays, and on the first call.
    repeats : list of Repeat
        The timed runs.
    form : str
        Which of several ways it takes, where it says so.
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
    form: str = ""
    unsupported: str | None = None
    error: str | None = None
    disagreement: Agreement | None = None
    loss: float | None = None

    @property
    def in_the_race(self) -> bool:
        """Whether it can do the case and has neither failed nor disagreed."""
        return self.unsupported is None and self.error is None and self.disagreement is None

    @property
    def version(self) -> str:
        """Its library's version, and its form in brackets if it has said one."""
        version = self.kind.version()
        return f"{version} ({self.form})" if self.form else version

    def attempt(self, work: Callable[..., None], *args: object) -> None:
        """Do a part of the work; whatever it raises ends this contender's part in the case."""
        try:
            work(*args)
        except UnsupportedError as error:
            self.unsupported = str(error)
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Take the contender out of the case, with the reason in one line."""
        self.error = " ".join(f"{type(error).__name__}: {error}".split())

    def admit(self, problem: Problem, reference: Outcome) -> None:
        """Prepare, compile, train once and verify."""
        start = time.perf_counter()
        self.contender = self.kind()
        self.contender.prepare(problem)
        prepared = time.perf_counter()
        self.contender.first_run()
        self.prep_s, self.compile_s = prepared - start, time.perf_counter() - prepared
        self.form = self.contender.form()
        self.contender.run()
        self._verify(problem.case, reference)

    def repeat(self, case: Case, reference: Outcome, order_index: int) -> None:
        """Train once more, timed, and verify."""
        memory.reset_peak()
        compilations = self.contender.compilations()
        start = time.perf_counter()
        self.contender.run()
        seconds = time.perf_counter() - start
        peak = memory.peak_bytes()
        if self.contender.compilations() != compilations:
            raise CompiledWhileTimedError(f"compiled during timed repeat {len(self.repeats)}")
        outcome, agreement = self._verify(case, reference)
        self.repeats.append(Repeat(seconds, order_index, peak, outcome.loss, agreement.loss_error))

    def _verify(self, case: Case, reference: Outcome) -> tuple[Outcome, Agreement]:
        outcome = self.contender.result()
        agreement = compare(outcome, reference, case.dtype)
        if self.kind.division == "closed" and not agreement.holds:
            self.disagreement, self.loss = agreement, outcome.loss
        return outcome, agreement
