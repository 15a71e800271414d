"""Measuring one case in one round: verify first, then time the implementations alternating.

Implementations that agree with the reference are timed in ABBA order, so that a machine that slows
down hits all alike, and each repeat's result is verified again. In the first round passes of their
own follow, for the loss curves and for the memory. Later rounds make further repeats, in arrays
that are laid out anew. Whatever an implementation raises costs its own place in the case alone.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

import numpy as np
import threadpoolctl

from fastlogit.benchmark import pool
from fastlogit.benchmark.cases import FIRST_FITS, Case
from fastlogit.benchmark.implementations import AnyAlgorithm, Implementation, SameSteps, find
from fastlogit.benchmark.implementations.base import UnsupportedError
from fastlogit.benchmark.loss_curves import PASSES, CurvePlan, plan_curves, search, walk
from fastlogit.benchmark.machine import least_seconds, peak_growth
from fastlogit.benchmark.problem import Outcome, Problem, build
from fastlogit.benchmark.schema import BASELINES, CurvePoint, Status, Timing
from fastlogit.benchmark.verification import Agreement, VerificationResult, compare, train_reference
from fastlogit.models import MODELS

# Of a short task a repeat is as many runs as take so long, after one that is not counted: it finds
# the caches as another library left them, and takes 9 to 20 ms instead of 2 on iris.
_SHORT_SECONDS, _REPEAT_SECONDS = 0.05, 0.02
# Repeats of all but the same steps: their figures need no more.
_MOST_REPEATS = {"same-estimator": 6, "any-algorithm": 2, "first-fit": 2, "cold-fit": 1}


class CompiledWhileTimedError(RuntimeError):
    """An implementation compiled something while it was timed."""


@dataclass(frozen=True)
class Measured:
    """What measuring a case in a round gave."""

    timings: list[Timing]
    curve: list[CurvePoint]
    # take_s: seconds of `numpy.take` of the rows; target_loss: the loss that counts as reached
    facts: dict[str, float]


def repeats_of(comparison: str, task: str, repeats: range) -> range:
    """Return those of a round's repeats that a comparison makes."""
    most = (_MOST_REPEATS.get(name, repeats.stop) for name in (comparison, task))
    return range(repeats.start, min(repeats.stop, *most))


def measure_case(
    case: Case, implementations: Sequence[type[Implementation]], *, repeats: range, turns: int = 0
) -> Measured:
    """Make some repeats of a case, the first of them with all that is measured only once.

    `turns` counts the timed runs that were made before.
    """
    runner = CaseRunner(case, implementations)
    first, facts = repeats.start == 0, {}
    # A first fit takes seconds, and what it ends with is compared anyway.
    if runner.set_up(verify=first and case.task not in FIRST_FITS):
        # Not once a repeat: that sweeps the caches just before the clock starts (iris: fastlogit
        # 1.16x slower, NumPy unchanged).
        gc.collect(2 if first else 1)
        gc.disable()
        try:
            # Threads are held anew: compiling may just have loaded another BLAS.
            with threadpoolctl.threadpool_limits(case.threads):
                if case.task == "train" and not MODELS[case.model].has_hidden:
                    # Fetching the rows is the limit: a linear model does little else with them.
                    facts["take_s"] = take_seconds(runner.problem)
                runner.time_repeats(repeats, turns)
                if first and case.task == "train":
                    facts |= runner.draw_curves(min(PASSES, len(repeats) + 1))
        finally:
            gc.enable()
    return Measured(runner.timings(), runner.curve(), facts)


def verify_case(
    case: Case, implementations: Sequence[type[Implementation]]
) -> list[VerificationResult]:
    """Let every implementation do the task once and compare it; nothing is timed."""
    runner = CaseRunner(case, implementations)
    runner.set_up(verify=True)
    return [run.verification(case) for run in runner.runs]


@dataclass
class ImplementationRun:
    """An implementation in a case and a round, with what is known of it so far."""

    cls: type[Implementation]
    implementation: Implementation = field(init=False)
    prep_s: float | None = None
    compile_s: float | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    points: list[CurvePoint] = field(default_factory=list)
    passes: list[list[float]] = field(default_factory=list)
    rss_peak_bytes: int | None = None
    variant: str = ""
    agreement: Agreement | None = None
    status: Status = "ok"
    error: str | None = None
    loss: float | None = None

    def attempt(self, work: Callable[..., object], *args: object) -> None:
        """Do a part of the work; whatever it raises ends this implementation's part in the case."""
        pool.note(f"{self.cls.comparison}/{self.cls.name}")  # for when it never returns
        try:
            work(*args)
        except UnsupportedError as error:
            self.status, self.error = "unsupported", str(error)
        except Exception as error:
            self.fail(error)
        finally:
            pool.note("")

    def fail(self, error: Exception) -> None:
        """Leave the case, with the reason in one line."""
        self.status, self.error = "failed", " ".join(f"{type(error).__name__}: {error}".split())

    def prepare(self, problem: Problem) -> None:
        """Prepare and compile."""
        start = time.perf_counter()
        self.implementation = self.cls()
        self.implementation.prepare(problem)
        prepared = time.perf_counter()
        self.implementation.first_call()
        self.prep_s, self.compile_s = prepared - start, time.perf_counter() - prepared
        self.variant = self.implementation.variant()

    def verify(self, case: Case, reference: Outcome) -> None:
        """Do the task once and compare."""
        self.implementation.run()
        self.judge(case, self.implementation.result(), reference)

    def repeat(self, case: Case, reference: Outcome, number: int, order_index: int) -> None:
        """Do the task once more, timed, or several times if it is short, and compare."""
        compiled, times = self.implementation.compilations(), list[float]()
        while not times or (times[0] < _SHORT_SECONDS and sum(times[1:]) < _REPEAT_SECONDS):
            start = time.perf_counter()
            self.implementation.run()
            times.append(time.perf_counter() - start)
        if self.implementation.compilations() != compiled:
            raise CompiledWhileTimedError(f"compiled during timed repeat {number}")
        outcome = self.implementation.result()
        agreement = self.judge(case, outcome, reference)
        if self.status == "ok":
            measured = getattr(self.implementation, "measured_s", None)  # by the process of a fit
            self.rows.append({
                "repeat": number, "order_index": order_index,
                "time_s": measured or fmean(times[1:] or times), "loss_final": outcome.loss,
                "loss_rel_err": agreement.loss_error,
            })  # fmt: skip

    def trace(self, plan: CurvePlan) -> None:
        """Draw the loss curve, or train along it once more for its times."""
        implementation, compiled = self.implementation, self.implementation.compilations()
        if isinstance(implementation, SameSteps):
            self._trace_steps(implementation, plan)
        elif isinstance(implementation, AnyAlgorithm) and not self.passes:
            self.points = search(implementation, plan)
            self.passes = [[point.elapsed_s for point in self.points]]
        if implementation.compilations() != compiled:
            raise CompiledWhileTimedError("compiled during the loss curve")

    def _trace_steps(self, implementation: SameSteps, plan: CurvePlan) -> None:
        times = [0.0]
        if not self.passes:
            self.points = [plan.point(self.cls.name, 0, 0.0, plan.problem.params)]
        for stop, elapsed in zip(plan.stops, walk(implementation, plan.stops), strict=True):
            times.append(elapsed)
            if not self.passes:
                reached = implementation.result().params
                self.points.append(plan.point(self.cls.name, stop, elapsed, reached))
        self.passes.append(times)
        params = implementation.result().params
        self.judge(plan.problem.case, Outcome(params, (plan.evaluation.loss(params),)), plan.end)

    def measure_memory(self, case: Case, reference: Outcome) -> None:
        """Do the task once for the memory that it takes, untimed, and compare."""
        self.rss_peak_bytes = peak_growth(self.implementation.run)
        self.judge(case, self.implementation.result(), reference)

    def judge(self, case: Case, outcome: Outcome, reference: Outcome) -> Agreement:
        """Compare a result; one of the same steps or estimator that differs is out of the case."""
        self.agreement = compare(outcome, reference, case)
        if self.cls.comparison != "any-algorithm" and not self.agreement.holds:
            self.status, self.error = "failed-verification", str(self.agreement)
            self.loss = outcome.loss
        return self.agreement

    @property
    def version(self) -> str:
        """The library's version, with the variant in brackets if there is one."""
        return self.cls.version() + (f" ({self.variant})" if self.variant else "")

    def verification(self, case: Case) -> VerificationResult:
        """Return how the comparison with the reference went."""
        compared = self.agreement if self.cls.comparison != "any-algorithm" else None
        errors = {
            name: value
            for name in ("params_error", "loss_error", "tolerance")
            if (value := getattr(compared, name, None)) is not None and math.isfinite(value)
        }
        return VerificationResult(
            case.case_id, self.cls.comparison, self.cls.name, self.version, self.status,
            error=self.error, **errors,
        )  # fmt: skip


class CaseRunner:
    """The implementations of a case in a round."""

    problem: Problem
    reference: Outcome
    reference_s: float  # how long it took

    def __init__(
        self, case: Case, implementations: Sequence[type[Implementation]],
        build: Callable[[Case], Problem] = build,
    ) -> None:  # fmt: skip
        self.case, self._build = case, build
        self.runs = [ImplementationRun(cls) for cls in implementations]

    def set_up(self, *, verify: bool) -> bool:
        """Prepare everything, and compare if asked to; False where there is no reference."""
        with threadpoolctl.threadpool_limits(self.case.threads):
            try:
                self.problem = self._build(self.case)
                for run in self.runs:
                    run.attempt(run.prepare, self.problem)
                start = time.perf_counter()
                self.reference = self._reference()
                self.reference_s = time.perf_counter() - start
            except Exception as error:
                # Without a reference nothing can be verified, so nothing is timed.
                for run in self._alternating(0):
                    run.fail(error)
                return False
            for run in self._alternating(0):
                if verify and run.cls.comparison != "any-algorithm":
                    run.attempt(run.verify, self.case, self.reference)
        return True

    def _reference(self) -> Outcome:
        if self.case.task == "train":
            return train_reference(self.problem)
        baseline = find("same-estimator", BASELINES["same-estimator"])
        prepared = [run.implementation for run in self._alternating(0) if run.cls is baseline]
        # A first fit is held against a fit: the same arguments, without a process more.
        if self.case.task in FIRST_FITS or not prepared:
            task = "fit" if self.case.task in FIRST_FITS else self.case.task
            implementation = baseline()
            implementation.prepare(replace(self.problem, case=replace(self.case, task=task)))
            implementation.first_call()
            prepared = [implementation]
        return prepared[0].result()

    def time_repeats(self, repeats: range, turns: int) -> None:
        """Time the repeats of a round, the order turned round from one to the next."""
        for number in repeats:
            for run in self._alternating(number):
                if number in repeats_of(run.cls.comparison, self.case.task, repeats):
                    run.attempt(run.repeat, self.case, self.reference, number, turns)
                    turns += 1

    def draw_curves(self, passes: int) -> dict[str, float]:
        """Trace all, and measure their memory; return the target, if the curves can be planned."""
        try:
            plan = plan_curves(self.problem, self.reference, self.reference_s)
        except Exception as error:  # such as memory, for the rows in float64
            for run in self._alternating(0):
                run.fail(error)
            return {}
        for number in range(passes):
            for run in self._alternating(number):
                run.attempt(run.trace, plan)
        for run in self._alternating(0):
            if run.cls.comparison == "same-steps":
                run.attempt(run.measure_memory, self.case, self.reference)
        return {"target_loss": plan.target_loss}

    def _alternating(self, number: int) -> Iterator[ImplementationRun]:
        """Yield what is still in the case, first to last, and at odd numbers last to first."""
        for run in self.runs if number % 2 == 0 else reversed(self.runs):
            if run.status == "ok":
                yield run

    def timings(self) -> list[Timing]:
        """Return a row per timed repeat, and one more for what went wrong."""
        return [row for run in self.runs for row in self._rows(run)]

    def _rows(self, run: ImplementationRun) -> list[Timing]:
        common = common_fields(self.case, run.cls) | {"version": run.version}
        if hasattr(self, "problem"):
            common["n_samples"], common["n_features"] = self.problem.X.shape
            common["n_classes"] = self.problem.n_classes
            if run.cls.by_epoch:
                common |= {"samples": self.problem.samples, "flops": self.problem.flops}
        if hasattr(self, "reference"):
            common["loss_ref"] = self.reference.loss
        if run.status == "failed-verification":
            error = getattr(run.agreement, "loss_error", None)
            common |= {"loss_final": run.loss, "loss_rel_err": error, "verified": False}
            return [Timing(**common, status=run.status, error=run.error)]
        common |= {name: getattr(run, name) for name in ("compile_s", "prep_s", "rss_peak_bytes")}
        verified = None if run.cls.comparison == "any-algorithm" else True
        rows = [Timing(**common, **row, verified=verified, status="ok") for row in run.rows]
        if run.status != "ok":
            rows.append(Timing(**common, status=run.status, error=run.error))
        return rows

    def curve(self) -> list[CurvePoint]:
        """Return the points with their median times, of what was never out of the case."""
        points = []
        for run in self._alternating(0):
            times = [median(each) for each in zip(*run.passes, strict=True)]
            timed = zip(run.points, times, strict=True)
            points += [replace(point, elapsed_s=elapsed) for point, elapsed in timed]
        return points


def common_fields(case: Case, cls: type[Implementation]) -> dict[str, Any]:
    """Return what all rows of an implementation in a case have in common."""
    names = ("case_id", "model", "dataset", "n_hidden", "solver", "dtype", "threads", "seed")
    common = {name: getattr(case, name) for name in names}
    common |= {"batch_size": case.batch_size or None, "epochs": case.epochs or None}
    if cls.solver:
        epochs = common["epochs"] if cls.by_epoch else None
        common |= {"solver": cls.solver, "batch_size": None, "epochs": epochs}
    common |= {"implementation": cls.name, "comparison": cls.comparison}
    return common | {"version": cls.version()}


def take_seconds(problem: Problem, repeats: int = 5) -> float:
    """Return the least time of `numpy.take` of the rows of all epochs, of so many repeats."""
    buffer = np.empty_like(problem.X)

    def take() -> None:
        for order in problem.order:
            np.take(problem.X, order, axis=0, out=buffer)

    return least_seconds(take, repeats)
