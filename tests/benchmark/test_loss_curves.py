import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss
from small_cases import training_case

import fastlogit
from fastlogit.benchmark import loss_curves
from fastlogit.benchmark.case_runner import CaseRunner, measure_case
from fastlogit.benchmark.implementations import IMPLEMENTATIONS, AnyAlgorithm
from fastlogit.benchmark.implementations.both_backends import Fastlogit, Numpy
from fastlogit.benchmark.loss_curves import Evaluation
from fastlogit.benchmark.problem import Outcome, build
from fastlogit.benchmark.verification import train_reference


@pytest.fixture
def problem(small_case):
    return build(replace(small_case, epochs=30))


@pytest.fixture
def plan(problem):
    return loss_curves.plan_curves(problem, train_reference(problem), 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when somebody says so."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(loss_curves, "time", clock)
    return clock


class Exponential(AnyAlgorithm):
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
def searched(plan, clock, monkeypatch):
    """What the search for a target gives, with the iterations that were tried."""
    monkeypatch.setattr(plan.evaluation, "loss", lambda params: float(params[0][0]))

    def search(target, budget, **attributes):
        implementation = Exponential(clock)
        vars(implementation).update(attributes)
        points = loss_curves.search(
            implementation, replace(plan, target_loss=target, budget_s=budget)
        )
        return points, implementation.fits

    return search


def test_the_stops_begin_one_by_one_and_end_at_the_end():
    assert loss_curves.stops(1) == (1,)
    assert loss_curves.stops(6) == (1, 2, 3, 4, 5, 6)
    many = loss_curves.stops(100_000)
    assert many[:4] == (1, 2, 3, 4)
    assert many[-1] == 100_000
    assert len(many) < 50
    ratios = [after / before for before, after in pairwise(many[4:])]
    assert max(ratios) < 1.35


def test_other_stops_have_their_place():
    assert loss_curves.stops(5, 5) == loss_curves.stops(5)
    assert sorted({*loss_curves.stops(1000), 99}) == list(loss_curves.stops(1000, 99))
    assert 99 not in loss_curves.stops(1000)


def test_the_target_is_where_the_reference_ends(problem, plan):
    params = train_reference(problem).params
    proba = fastlogit.predict_proba("softmax", params, problem.X.astype(np.float64))
    assert plan.end.loss == pytest.approx(log_loss(problem.y, proba), rel=1e-9)
    assert plan.target_loss == pytest.approx(plan.end.loss * (1 + 1e-4), rel=1e-12)
    assert plan.budget_s == 0.5


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
        plan = loss_curves.plan_curves(replace(problem, case=case), train_reference(problem), 2.0)
        assert plan.target_loss == target
        assert plan.stops == loss_curves.stops(30, reached)
        assert plan.budget_s == 10.0


@pytest.mark.parametrize(
    "kind",
    [kind for kind in IMPLEMENTATIONS if kind.comparison != "same-estimator" if not kind.missing()],
    ids=lambda kind: kind.name,
)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_every_implementation_has_a_curve_to_its_end(kind, solver, small_case):
    if kind.name == "sklearn-sgd" and solver == "adam":
        return  # SGDClassifier has none
    case = replace(small_case, epochs=12, solver=solver, learning_rate=0.01, dtype="float64")
    measured = measure_case(case, [kind], repeats=range(2))
    assert {row.status for row in measured.timings} == {"ok"}, measured.timings[-1].error
    points = measured.curve
    assert {(point.case_id, point.implementation, point.seed) for point in points} == {
        (case.case_id, kind.name, case.seed)
    }
    epochs = [point.epoch for point in points]
    assert epochs == sorted(set(epochs))
    assert points[-1].train_loss <= measured.facts["target_loss"]
    assert {point.test_accuracy for point in points} == {None}
    if kind.comparison == "any-algorithm":
        assert all(point.elapsed_s > 0 for point in points)
        return
    problem = build(case)
    assert epochs == [0, *loss_curves.stops(12)]
    assert points[0].elapsed_s == 0.0
    assert points[0].train_loss == Evaluation(problem).loss(problem.params)
    assert np.all(np.diff([point.elapsed_s for point in points]) > 0)
    at_end = Evaluation(problem).loss(train_reference(problem).params)
    assert points[-1].train_loss == pytest.approx(at_end, rel=1e-9)


def test_implementations_alternate_along_their_curves(small_case):
    turns = []

    class Turns(Numpy):
        name = "turns"

        def rewind(self):
            super().rewind()
            turns.append(type(self).name)

    class Other(Turns):
        name = "other"

    measure_case(small_case, [Turns, Other], repeats=range(2))
    assert turns == ["turns", "other", "other", "turns", "turns", "other"]
    turns.clear()
    measure_case(small_case, [Turns], repeats=range(1))
    assert turns == ["turns"] * 2
    turns.clear()
    measure_case(small_case, [Turns], repeats=range(2, 4))
    assert turns == []  # they are drawn with the first repeats alone


def test_the_times_are_the_medians_of_the_passes(small_case, clock):
    class Slower(Numpy):
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

    points = measure_case(small_case, [Slower], repeats=range(3)).curve
    assert [(point.epoch, point.elapsed_s) for point in points] == [(0, 0.0), (1, 2.5), (2, 4.5)]


def with_test_rows(case):
    problem = build(case)
    return replace(problem, X_test=problem.X[::3], y_test=problem.y[::3])


def test_the_test_accuracy_is_in_the_curve(small_case):
    runner = CaseRunner(small_case, [Numpy], with_test_rows)
    runner.set_up(verify=True)
    runner.draw_curves(1)
    points = runner.curve()
    assert [0 < point.test_accuracy <= 1 for point in points] == [True] * 3
    assert points[-1].test_accuracy > points[0].test_accuracy


def test_the_search_doubles_and_closes_in(searched):
    points, fits = searched(0.5**37, 1e9)
    assert fits == [1, 2, 4, 8, 16, 32, 64, 48, 40, 36]
    assert [point.epoch for point in points] == sorted(fits)
    assert [point.elapsed_s for point in points] == sorted(fits)
    assert [point.train_loss for point in points] == [0.5**epoch for epoch in sorted(fits)]
    hits = [point.epoch for point in points if point.train_loss <= 0.5**37]
    assert hits == [40, 48, 64]


def test_a_target_reached_at_once_takes_one_fit(searched):
    assert searched(0.6, 1e9)[1] == [1]


def test_the_search_ends_with_its_budget(searched):
    points, fits = searched(0.0, 5.0)
    assert fits == [1, 2, 4]  # 7 seconds
    assert [point.epoch for point in points] == fits
    assert searched(0.5**37, 130.0)[1] == [1, 2, 4, 8, 16, 32, 64, 48]


def test_the_search_ends_where_nothing_changes(searched):
    points, fits = searched(0.0, 1e9, last=5)
    assert fits == [1, 2, 4, 8, 16, 32]
    assert [point.epoch for point in points] == [1, 2, 4, 8]


def test_a_short_fit_is_repeated_for_its_median(searched, plan, clock):
    class Short(Exponential):
        seconds = iter([0.01, 0.001, 0.002, 0.01, 0.003, 0.04, 0.02, 0.06, 0.07])

        def fit(self, iterations):
            super().fit(iterations)
            clock.now += next(self.seconds) - iterations

    implementation = Short(clock)
    points = loss_curves.search(implementation, replace(plan, target_loss=0.5**4))
    assert implementation.fits == [1, 1, 1, 1, 1, 2, 2, 4, 3]
    assert [point.elapsed_s for point in points] == pytest.approx([0.003, 0.03, 0.07, 0.06])


def test_repeated_fits_count_once_in_the_budget(searched):
    assert searched(0.0, 2.5, pace=0.001)[1] == [
        iterations for iterations in (1, 2, 4, 8) for _ in range(5)
    ] + [16] * 4 + [32] * 2 + [64, 128, 256, 512, 1024, 2048]


def case_of(model, epochs):
    return training_case(model, "iris", epochs=epochs)


def test_all_models(model):
    case = case_of(model, 3)
    measured = measure_case(case, [Fastlogit], repeats=range(1))
    assert [point.epoch for point in measured.curve] == [0, 1, 2, 3]
    assert {row.status for row in measured.timings} == {"ok"}


def test_the_loss_is_the_mean_over_all_rows_in_float64(model):
    problem = build(case_of(model, 1))
    assert problem.params[0].dtype == np.float32
    wide = tuple(array.astype(np.float64) for array in problem.params)
    proba = fastlogit.predict_proba(model, wide, problem.X.astype(np.float64), backend="numpy")
    loss = Evaluation(problem).loss(problem.params)
    assert loss == pytest.approx(log_loss(problem.y, proba), rel=1e-12)


def test_the_accuracy_is_that_of_the_test_rows(model):
    problem = build(case_of(model, 1))
    assert Evaluation(problem).test_accuracy(problem.params) is None
    kept = replace(
        problem, X=problem.X[20:], y=problem.y[20:], X_test=problem.X[:20], y_test=problem.y[:20]
    )
    proba = fastlogit.predict_proba(model, problem.params, problem.X[:20], backend="numpy")
    expected = accuracy_score(problem.y[:20], proba.argmax(axis=1))
    assert Evaluation(kept).test_accuracy(problem.params) == expected
