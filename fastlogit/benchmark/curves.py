"""Loss against time, in passes of their own: the clock runs only while a contender trains.

In the closed division a training is stopped at a number of epochs, the same for all, and what it
has reached is evaluated off the clock before it goes on. All contenders walk the same way, so only
the first pass is evaluated; the others, in turns, are for the time, of which each point has the
median. In the open division every point is a fit of its own, with more and more iterations allowed
until the target is reached.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from fastlogit.benchmark.contenders import ClosedContender, OpenContender
from fastlogit.benchmark.evaluation import Evaluation
from fastlogit.benchmark.problem import Outcome, Params, Problem
from fastlogit.benchmark.verify import TOLERANCES, train_reference

__all__ = ["PASSES", "PRECISION", "Course", "Point", "lay_out", "search", "stops", "walk"]

# How often each closed contender walks through its curve, unless there are fewer timed repeats.
PASSES = 3

# From one stop to the next in a long training: 25 of them in the first 1000 epochs.
_STEP = 1.3

# The open division's time to reach the target: so many times NumPy's for all epochs, and at least
# so many seconds.
_TIMES_NUMPY, _LEAST_SECONDS = 10.0, 1.0

# A point of the open division is the median of so many fits, or of fewer that take so long.
_FITS, _FIT_SECONDS = 5, 0.05

# So many fits with one and the same loss mean that it stops by itself. Two are not enough: where
# scikit-learn's newton-cholesky gives up and hands over, the second iteration adds nothing.
_UNCHANGED = 3

# The iterations that reach the target are found to within this share of them.
PRECISION = 0.1


@dataclass(frozen=True)
class Point:
    """One point of a curve: so far after so many epochs or iterations."""

    epoch: int
    elapsed_s: float
    train_loss: float
    test_accuracy: float | None


@dataclass(frozen=True)
class Course:
    """What the curves of a case have in common.

    Attributes
    ----------
    problem : Problem
        The case's arrays.
    evaluation : Evaluation
        What judges parameters.
    end : Outcome
        The reference's final parameters and their loss over all rows.
    target_loss : float
        The loss that counts as reached.
    stops : tuple of int
        After how many epochs a closed contender is stopped; the last is the end.
    budget_s : float
        How long an open contender may take to reach the target.
    """

    problem: Problem
    evaluation: Evaluation
    end: Outcome
    target_loss: float
    stops: tuple[int, ...]
    budget_s: float

    def point(self, epoch: int, elapsed_s: float, params: Params) -> Point:
        """Evaluate what was reached after so many epochs and seconds."""
        accuracy = self.evaluation.test_accuracy(params)
        return Point(epoch, elapsed_s, self.evaluation.loss(params), accuracy)


def lay_out(problem: Problem, reference: Outcome, reference_s: float) -> Course:
    """Settle the target, and where the closed division stops.

    Parameters
    ----------
    problem : Problem
        The case's arrays.
    reference : Outcome
        What the NumPy reference ended with.
    reference_s : float
        Seconds that it took.
    """
    case, evaluation = problem.case, Evaluation(problem)
    end = Outcome(reference.params, (evaluation.loss(reference.params),))
    target = case.target_loss
    if target is None:
        target = end.loss * (1 + TOLERANCES[case.dtype])
    reached = _first_epoch(problem, evaluation, target)
    budget_s = max(_LEAST_SECONDS, _TIMES_NUMPY * reference_s)
    return Course(problem, evaluation, end, target, stops(case.epochs, reached), budget_s)


def stops(epochs: int, *others: int) -> tuple[int, ...]:
    """Give the epochs to stop after: the first few, then ever fewer, the last, and the others."""
    chosen, stop = {epochs, *others}, 1
    while stop < epochs:
        chosen.add(stop)
        stop = max(stop + 1, round(stop * _STEP))
    return tuple(sorted(chosen))


def _first_epoch(problem: Problem, evaluation: Evaluation, target: float) -> int:
    """Count the epochs of the reference up to the target, or all of them: the exact stop for it."""
    result = train_reference(
        problem, lambda _epoch, _loss, params: evaluation.loss(params) <= target
    )
    return len(result.loss_curve)


def walk(contender: ClosedContender, stops: Iterable[int]) -> Iterator[float]:
    """Train from the initial parameters; at every stop give the seconds of training so far.

    They begin, like those of a timed repeat, before everything is set up.
    """
    elapsed, start = 0.0, time.perf_counter()
    contender.rewind()
    for first, last in pairwise((0, *stops)):
        contender.advance(last - first)
        elapsed += time.perf_counter() - start
        yield elapsed
        start = time.perf_counter()


def search(contender: OpenContender, course: Course) -> list[Point]:
    """Fit with twice as many iterations each time until the target is reached, then close in on it.

    Ends earlier where more iterations change nothing any more, or the budget of the course is
    spent.
    """
    points: list[Point] = []
    spent = 0.0

    def reaches(iterations: int) -> bool:
        nonlocal spent
        times: list[float] = []
        while len(times) < _FITS and sum(times) < _FIT_SECONDS:
            start = time.perf_counter()
            contender.fit(iterations)
            times.append(time.perf_counter() - start)
        spent += median(times)
        points.append(course.point(iterations, median(times), contender.result().params))
        return points[-1].train_loss <= course.target_loss

    missed, tried = 0, 1
    while spent <= course.budget_s:
        if reaches(tried):
            _close_in(missed, tried, reaches, lambda: spent <= course.budget_s)
            break
        last = [point.train_loss for point in points[-_UNCHANGED:]]
        if last == last[:1] * _UNCHANGED:
            del points[1 - _UNCHANGED :]  # it had stopped by itself before
            break
        missed, tried = tried, 2 * tried
    return sorted(points, key=lambda point: point.epoch)


def _close_in(
    missed: int, reached: int, reaches: Callable[[int], bool], may_go_on: Callable[[], bool]
) -> None:
    """Halve the gap between iterations that are too few and ones that are enough."""
    while reached - missed > math.ceil(PRECISION * reached) and may_go_on():
        middle = (missed + reached) // 2
        if reaches(middle):
            reached = middle
        else:
            missed = middle
