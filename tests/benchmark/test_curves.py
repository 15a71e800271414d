import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import log_loss

import fastlogit
from fastlogit.benchmark import curves
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS, OpenContender
from fastlogit.benchmark.evaluation import Evaluation
from fastlogit.benchmark.problem import Outcome, build
from fastlogit.benchmark.runner import measure_case
from fastlogit.benchmark.verify import reference_outcome


@pytest.fixture
def problem(small_case):
    return build(replace(small_case, epochs=30))


@pytest.fixture
def course(problem):
    return curves.lay_out(problem, reference_outcome(problem), 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when somebody says so."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(curves, "time", clock)
    return clock


class Exponential(OpenContender):
    """Its loss is 2 to the minus iterations, of a second each; after `last` nothing changes."""

    name = "exponential"
    last = math.inf
    pace = 1.0

    def __init__(self, clock):
        self.clock, self.fits = clock, []

    def fit(self, iterations):
        self.fits.append(iterations)
        self.clock.now += iterations * self.pace
        self.reached = min(iterations, self.last)

    def result(self):
        return Outcome((np.array([0.5**self.reached]),), (math.nan,))


@pytest.fixture
def sought(course, clock, monkeypatch):
    """What the search for a target gives, with the iterations that were tried."""
    monkeypatch.setattr(course.evaluation, "loss", lambda params: float(params[0][0]))

    def search(target, budget, **attributes):
        contender = Exponential(clock)
        vars(contender).update(attributes)
        points = curves.search(contender, replace(course, target_loss=target, budget_s=budget))
        return points, contender.fits

    return search


def test_the_stops_begin_one_by_one_and_end_at_the_end():
    assert curves.stops(1) == (1,)
    assert curves.stops(6) == (1, 2, 3, 4, 5, 6)
    many = curves.stops(100_000)
    assert many[:4] == (1, 2, 3, 4)
    assert many[-1] == 100_000
    assert len(many) < 50
    ratios = [after / before for before, after in pairwise(many[4:])]
    assert max(ratios) < 1.35


def test_other_stops_have_their_place():
    assert curves.stops(5, 5) == curves.stops(5)
    assert sorted({*curves.stops(1000), 99}) == list(curves.stops(1000, 99))
    assert 99 not in curves.stops(1000)


def test_the_target_is_where_the_reference_ends(problem, course):
    params = reference_outcome(problem).params
    proba = fastlogit.predict_proba("softmax", params, problem.X.astype(np.float64))
    assert course.end.loss == pytest.approx(log_loss(problem.y, proba), rel=1e-9)
    assert course.target_loss == pytest.approx(course.end.loss * (1 + 1e-4), rel=1e-12)
    assert course.budget_s == 1.0


def test_a_target_of_the_case_has_the_stop_that_reaches_it_first(problem):
    order, params, losses = problem.order, problem.params, []
    for epoch in range(30):  # plain SGD keeps nothing from epoch to epoch
        params = fastlogit.train(
            "softmax", problem.X, problem.y, params, order=order[epoch : epoch + 1]
        ).params
        losses.append(Evaluation(problem).loss(params))
    for reached in (8, 14, 25):
        target = (losses[reached - 1] + losses[reached - 2]) / 2
        case = replace(problem.case, target_loss=target)
        course = curves.lay_out(replace(problem, case=case), reference_outcome(problem), 2.0)
        assert course.target_loss == target
        assert course.stops == curves.stops(30, reached)
        assert course.budget_s == 20.0


@pytest.mark.parametrize("name", [name for name, kind in CONTENDERS.items() if not kind.missing()])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_every_contender_has_a_curve_to_its_end(name, solver, small_case):
    if name == "scikit-learn" and solver == "adam":
        return  # SGDClassifier has none
    case = replace(small_case, epochs=12, solver=solver, learning_rate=0.01, dtype="float64")
    measured = measure_case(case, [CONTENDERS[name]], repeats=range(2), run_id="r")
    assert {row.status for row in measured.timings} == {"ok"}, measured.timings[-1].error
    points = measured.curve
    assert {(point.cell_id, point.impl, point.seed) for point in points} == {
        (case.cell_id, name, case.seed)
    }
    epochs = [point.epoch for point in points]
    assert epochs == sorted(set(epochs))
    assert points[-1].train_loss <= measured.target_loss
    assert {point.test_accuracy for point in points} == {None}
    if CONTENDERS[name].division == "open":
        assert all(point.elapsed_s > 0 for point in points)
        return
    problem = build(case)
    assert epochs == [0, *curves.stops(12)]
    assert points[0].elapsed_s == 0.0
    assert points[0].train_loss == Evaluation(problem).loss(problem.params)
    assert np.all(np.diff([point.elapsed_s for point in points]) > 0)
    at_end = Evaluation(problem).loss(reference_outcome(problem).params)
    assert points[-1].train_loss == pytest.approx(at_end, rel=1e-9)


def test_contenders_take_turns_along_their_curves(small_case, fakes, monkeypatch):
    turns = []

    class Turns(CONTENDERS["numpy"]):
        name = "turns"

        def rewind(self):
            super().rewind()
            turns.append(type(self).name)

    class Other(Turns):
        name = "other"

    measure_case(small_case, [Turns, Other], repeats=range(2), run_id="r")
    assert turns == ["turns", "other", "other", "turns", "turns", "other"]
    turns.clear()
    measure_case(small_case, [Turns], repeats=range(1), run_id="r", passes=2)
    assert turns == ["turns"] * 2
    turns.clear()
    measure_case(small_case, [Turns], repeats=range(2, 4), run_id="r")
    assert turns == []  # they are drawn with the first repeats alone


def test_the_times_are_the_medians_of_the_passes(small_case, clock):
    class Slower(CONTENDERS["numpy"]):
        name = "slower"
        speed = 0

        def rewind(self):
            super().rewind()
            clock.now += 0.5  # on the clock, as in a timed repeat
            self.speed += 1

        def advance(self, epochs):
            super().advance(epochs)
            clock.now += {1: 5.0, 2: 1.0, 3: 2.0}[self.speed] * epochs

        def result(self):
            clock.now += 1000.0
            return super().result()

    points = measure_case(small_case, [Slower], repeats=range(3), run_id="r").curve
    assert [(point.epoch, point.elapsed_s) for point in points] == [(0, 0.0), (1, 2.5), (2, 4.5)]


def test_the_test_accuracy_is_in_the_curve(small_case, monkeypatch):
    from fastlogit.benchmark import runner

    def with_test_rows(case):
        problem = build(case)
        return replace(problem, X_test=problem.X[::3], y_test=problem.y[::3])

    monkeypatch.setattr(runner, "build", with_test_rows)
    points = measure_case(small_case, [CONTENDERS["numpy"]], repeats=range(1), run_id="r").curve
    assert [0 < point.test_accuracy <= 1 for point in points] == [True] * 3
    assert points[-1].test_accuracy > points[0].test_accuracy


def test_the_search_doubles_and_closes_in(sought):
    points, fits = sought(0.5**37, 1e9)
    assert fits == [1, 2, 4, 8, 16, 32, 64, 48, 40, 36]
    assert [point.epoch for point in points] == sorted(fits)
    assert [point.elapsed_s for point in points] == sorted(fits)
    assert [point.train_loss for point in points] == [0.5**epoch for epoch in sorted(fits)]
    hits = [point.epoch for point in points if point.train_loss <= 0.5**37]
    assert hits == [40, 48, 64]


def test_a_target_reached_at_once_takes_one_fit(sought):
    assert sought(0.6, 1e9)[1] == [1]


def test_the_search_ends_with_its_budget(sought):
    points, fits = sought(0.0, 5.0)
    assert fits == [1, 2, 4]  # 7 seconds
    assert [point.epoch for point in points] == fits
    assert sought(0.5**37, 130.0)[1] == [1, 2, 4, 8, 16, 32, 64, 48]


def test_the_search_ends_where_nothing_changes(sought):
    points, fits = sought(0.0, 1e9, last=5)
    assert fits == [1, 2, 4, 8, 16, 32]
    assert [point.epoch for point in points] == [1, 2, 4, 8]


def test_a_short_fit_is_repeated_for_its_median(sought, course, clock):
    class Short(Exponential):
        seconds = iter([0.01, 0.001, 0.002, 0.01, 0.003, 0.04, 0.02, 0.06, 0.07])

        def fit(self, iterations):
            super().fit(iterations)
            clock.now += next(self.seconds) - iterations

    contender = Short(clock)
    points = curves.search(contender, replace(course, target_loss=0.5**4))
    assert contender.fits == [1, 1, 1, 1, 1, 2, 2, 4, 3]
    assert [point.elapsed_s for point in points] == pytest.approx([0.003, 0.03, 0.07, 0.06])


def test_repeated_fits_count_once_in_the_budget(sought):
    assert sought(0.0, 2.5, pace=0.001)[1] == [
        iterations for iterations in (1, 2, 4, 8) for _ in range(5)
    ] + [16] * 4 + [32] * 2 + [64, 128, 256, 512, 1024, 2048]


def test_networks_too(model):
    case = Grid(models=(model,), datasets=("iris",), epochs=3).cases()[0]
    measured = measure_case(case, [CONTENDERS["numba"]], repeats=range(1), run_id="r")
    assert [point.epoch for point in measured.curve] == [0, 1, 2, 3]
    assert {row.status for row in measured.timings} == {"ok"}
