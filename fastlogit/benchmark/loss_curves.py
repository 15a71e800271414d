"""Loss against time, in passes of their own: the clock runs only while an implementation trains.

Of the same steps a training is stopped at a number of epochs, the same for all, and what it has
reached is evaluated off the clock. Only the first pass is evaluated; the others, alternating, are
for the time, of which each point has the median. Of any algorithm every point is a fit of its own,
with more and more iterations until the target is reached.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

import fastlogit
from fastlogit.benchmark.implementations import AnyAlgorithm, SameSteps
from fastlogit.benchmark.problem import Outcome, Params, Problem
from fastlogit.benchmark.schema import CurvePoint
from fastlogit.benchmark.verification import TOLERANCES, train_reference

# How often each implementation of the same steps trains along its curve.
PASSES = 3
# The ratio of one stop to the next in a long training: 25 stops in the first 1000 epochs.
_STEP = 1.3
# The time in which another algorithm may reach the target: so many times the NumPy reference's for
# all epochs, and at least so many seconds.
_TIMES_REFERENCE, _LEAST_SECONDS = 5.0, 0.5
# A point of another algorithm is the median of so many fits, or of fewer that take so long.
_FITS, _FIT_SECONDS = 5, 0.05
# So many fits with one and the same loss mean that it stops by itself. Two are not enough: where
# scikit-learn's newton-cholesky resorts to L-BFGS, the second iteration adds nothing.
_UNCHANGED = 3
# The iterations that reach the target are found to within this share of them.
_PRECISION = 0.1


class Evaluation:
    """The rows of a problem, ready to judge parameters by: in float64, by the NumPy reference."""

    def __init__(self, problem: Problem) -> None:
        self._model: Any = problem.case.model
        self._y, self._y_test = problem.y, problem.y_test
        self._options: dict[str, Any] = {"activation": problem.case.activation, "backend": "numpy"}
        self._X = problem.X.astype(np.float64)
        self._X_test = None if problem.X_test is None else problem.X_test.astype(np.float64)

    def loss(self, params: Params) -> float:
        """Return the mean loss over all training rows."""
        wide = tuple(array.astype(np.float64) for array in params)
        both = fastlogit.loss_and_gradient(self._model, wide, self._X, self._y, **self._options)
        return float(both[0])

    def test_accuracy(self, params: Params) -> float | None:
        """Return the share of the test rows that are classified right; None without any."""
        if self._X_test is None:
            return None
        wide = tuple(array.astype(np.float64) for array in params)
        proba = fastlogit.predict_proba(self._model, wide, self._X_test, **self._options)
        return float(np.mean(proba.argmax(axis=1) == self._y_test))


@dataclass(frozen=True)
class CurvePlan:
    """What the curves of a case have in common."""

    problem: Problem
    evaluation: Evaluation
    end: Outcome  # the reference's final parameters and their loss over all rows
    target_loss: float  # the loss that counts as reached
    stops: tuple[int, ...]  # the epochs after which the same steps are stopped; the last is the end
    budget_s: float  # how long another algorithm may take to reach the target

    def point(self, name: str, epoch: int, elapsed_s: float, params: Params) -> CurvePoint:
        """Evaluate what an implementation has reached after so many epochs and seconds."""
        case, evaluation = self.problem.case, self.evaluation
        return CurvePoint(
            case_id=case.case_id, implementation=name, seed=case.seed, epoch=epoch,
            elapsed_s=elapsed_s, train_loss=evaluation.loss(params),
            test_accuracy=evaluation.test_accuracy(params),
        )  # fmt: skip


def plan_curves(problem: Problem, reference: Outcome, reference_s: float) -> CurvePlan:
    """Choose the target, and the stops, by what the NumPy reference ended with after how long."""
    case, evaluation = problem.case, Evaluation(problem)
    end = Outcome(reference.params, (evaluation.loss(reference.params),))
    target = case.target_loss or end.loss * (1 + TOLERANCES[case.dtype])
    # One stop is exactly where the reference reaches the target.
    to_target = train_reference(problem, lambda _, __, params: evaluation.loss(params) <= target)
    chosen = stops(case.epochs, len(to_target.loss_curve))
    budget_s = max(_LEAST_SECONDS, _TIMES_REFERENCE * reference_s)
    return CurvePlan(problem, evaluation, end, target, chosen, budget_s)


def stops(epochs: int, *others: int) -> tuple[int, ...]:
    """Return the epochs to stop after: the first few, then ever fewer, the last, and the others."""
    chosen, stop = {epochs, *others}, 1
    while stop < epochs:
        chosen.add(stop)
        stop = max(stop + 1, round(stop * _STEP))
    return tuple(sorted(chosen))


def walk(implementation: SameSteps, stops: Iterable[int]) -> Iterator[float]:
    """Train from the initial parameters; at every stop yield the seconds of training so far.

    They begin, like those of a timed repeat, before everything is set up.
    """
    elapsed, start = 0.0, time.perf_counter()
    implementation.rewind()
    for first, last in pairwise((0, *stops)):
        implementation.advance(last - first)
        elapsed += time.perf_counter() - start
        yield elapsed
        start = time.perf_counter()


def search(implementation: AnyAlgorithm, plan: CurvePlan) -> list[CurvePoint]:
    """Fit with twice as many iterations each time until the target is reached, then close in on it.

    Ends earlier where more iterations change nothing any more, or the plan's budget is spent.
    """
    points: list[CurvePoint] = []
    missed, reached, tried = 0, 0, 1
    while sum(point.elapsed_s for point in points) <= plan.budget_s:
        points.append(_median_fit(implementation, plan, tried))
        if points[-1].train_loss <= plan.target_loss:
            reached = tried
        else:
            missed = tried
        if reached:
            if reached - missed <= math.ceil(_PRECISION * reached):
                break
            tried = (missed + reached) // 2
        else:
            tried = 2 * missed
            last = [point.train_loss for point in points[-_UNCHANGED:]]
            if last == last[:1] * _UNCHANGED:
                del points[1 - _UNCHANGED :]  # it had stopped by itself before
                break
    return sorted(points, key=lambda point: point.epoch)


def _median_fit(implementation: AnyAlgorithm, plan: CurvePlan, iterations: int) -> CurvePoint:
    """Fit with so many iterations, several times if that is short."""
    times: list[float] = []
    while len(times) < _FITS and sum(times) < _FIT_SECONDS:
        start = time.perf_counter()
        implementation.fit(iterations)
        times.append(time.perf_counter() - start)
    params = implementation.result().params
    return plan.point(implementation.name, iterations, median(times), params)
