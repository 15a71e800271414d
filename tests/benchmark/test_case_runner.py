import gc
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest

from fastlogit.benchmark import case_runner
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.implementations.both_backends import Numpy
from fastlogit.benchmark.problem import build

TIMES = ("time_s", "compile_s", "prep_s")


@pytest.fixture
def measured(small_case, kinds):
    def measure(*names, case=small_case, repeats=3, first=0, comparison="same-steps", **options):
        chosen = kinds(*names, comparison=comparison)
        return case_runner.measure_case(case, chosen, repeats=range(first, repeats), **options)

    return measure


@pytest.fixture
def timings(measured):
    return lambda *names, **other: measured(*names, **other).timings


def test_every_repeat_is_a_row_of_its_own(timings, small_case):
    rows = timings("numpy", "fastlogit")
    assert [(row.implementation, row.repeat) for row in rows] == [
        (name, repeat) for name in ("numpy", "fastlogit") for repeat in range(3)
    ]
    for row in rows:
        assert (row.status, row.verified, row.error) == ("ok", True, None)
        assert min(row.time_s, row.compile_s, row.prep_s) > 0
        assert row.loss_final == pytest.approx(row.loss_ref, rel=1e-4)
        assert 0 <= row.loss_rel_err < 1e-4
        assert (row.n_samples, row.n_features, row.n_classes) == (150, 4, 3)
        assert (row.samples, row.flops) == (300, 300 * 4 * 4 * 3)
        assert sys.platform != "linux" or row.rss_peak_bytes >= 0
        assert row.case_id == small_case.case_id


def test_implementations_alternate(timings):
    rows = timings("numpy", "fastlogit", repeats=4)
    order = [row.implementation for row in sorted(rows, key=lambda row: row.order_index)]
    assert order == ["numpy", "fastlogit", "fastlogit", "numpy"] * 2


def test_another_algorithm_has_no_more_repeats_than_it_needs(timings):
    rows = timings("other", "numpy", repeats=5)
    assert [row.repeat for row in rows] == [*range(2), *range(5)]
    assert sorted(row.order_index for row in rows) == list(range(7))


def test_a_later_round_goes_on_counting_in_arrays_of_its_own(measured, monkeypatch):
    problems = []

    class Noting(case_runner.CaseRunner):
        def set_up(self, **options):
            done = super().set_up(**options)
            problems.append(self.problem)
            return done

    monkeypatch.setattr(case_runner, "CaseRunner", Noting)
    first = measured("numpy", "fastlogit", "other", repeats=2)
    later = measured("numpy", "fastlogit", "other", first=2, repeats=4, turns=6)
    assert [(row.implementation, row.repeat, row.order_index) for row in later.timings] == [
        *(("numpy", 2, 6), ("numpy", 3, 9), ("fastlogit", 2, 7), ("fastlogit", 3, 8))
    ]
    assert sorted(row.order_index for row in first.timings) == list(range(6))
    assert {row.status for row in later.timings} == {"ok"}
    assert [row.loss_final for row in later.timings[:2]] == [first.timings[0].loss_final] * 2
    assert [row.rss_peak_bytes for row in later.timings] == [None] * 4
    assert later.curve == []
    assert "target_loss" not in later.facts
    assert later.facts["take_s"] > 0
    before, after = problems
    assert not np.shares_memory(before.X, after.X)
    assert (before.X == after.X).all()


def test_a_later_round_verifies_every_repeat(timings):
    (row,) = timings("wrong", first=2, repeats=4)
    assert (row.status, row.verified, row.time_s) == ("failed-verification", False, None)


@pytest.mark.parametrize("name", ["wrong", "wrong-later", "wrong-curve", "wrong-at-last"])
def test_wrong_work_has_no_time(measured, name):
    found = measured("numpy", name)
    assert [row.status for row in found.timings] == ["ok"] * 3 + ["failed-verification"]
    failed = found.timings[-1]
    assert (failed.implementation, failed.verified) == (name, False)
    assert [getattr(failed, time) for time in (*TIMES, "rss_peak_bytes")] == [None] * 4
    assert failed.loss_final is not None
    assert "parameters differ by" in failed.error
    assert {point.implementation for point in found.curve} == {"numpy"}


@pytest.mark.parametrize(
    ("name", "kept", "error"),
    [
        ("raises", 0, "RuntimeError: no memory"),
        ("raises-later", 1, "MemoryError: out of it"),
        ("compiles", 0, "CompiledWhileTimedError: compiled during timed repeat 0"),
        ("raises-in-curve", 3, "RuntimeError: no way back"),
        ("compiles-in-curve", 3, "CompiledWhileTimedError: compiled during the loss curve"),
    ],
)
def test_a_failure_costs_its_own_place_and_keeps_what_was_verified(measured, name, kept, error):
    found = measured(name, "numpy")
    ours = [row for row in found.timings if row.implementation == name]
    assert [row.status for row in ours] == ["ok"] * kept + ["failed"]
    assert ours[-1].error == error
    assert ours[-1].time_s is None
    assert [row.status for row in found.timings if row.implementation == "numpy"] == ["ok"] * 3
    assert {point.implementation for point in found.curve} == {"numpy"}


def test_another_algorithm_may_end_elsewhere(timings):
    rows = timings("other", "numpy")
    assert {row.status for row in rows} == {"ok"}
    assert [row.verified for row in rows] == [None] * 2 + [True] * 3
    assert rows[0].loss_final == 0.5


def test_a_solver_of_its_own_is_named_without_the_case_s_batches(timings):
    rows = timings("numpy", "fastlogit-lbfgs", "sklearn-saga", "sklearn-sgd", repeats=1)
    found = {row.implementation: (row.solver, row.batch_size, row.epochs) for row in rows}
    assert found == {
        "numpy": ("sgd", 32, 2), "fastlogit-lbfgs": ("lbfgs", None, None),
        "sklearn-saga": ("saga", None, 2), "sklearn-sgd": ("sgd", 32, 2),
    }  # fmt: skip


def test_what_an_implementation_cannot_do_is_no_failure(timings):
    rows = timings("unable", "numpy")
    assert [row.status for row in rows] == ["unsupported"] + ["ok"] * 3
    assert rows[0].error == "no such model here"
    assert (rows[0].verified, rows[0].time_s, rows[0].repeat) == (None, None, None)


def test_the_variant_stands_beside_the_version(timings):
    version = Numpy.version()
    rows = timings("numpy", "in-a-variant", repeats=1)
    assert [row.version for row in rows] == [version, f"{version} (by hand)"]


@pytest.mark.parametrize(("model", "bound"), [("softmax", True), ("mlp-softmax", False)])
def test_the_reading_of_rows_is_measured_where_it_is_the_limit(measured, model, bound):
    grid = Grid(questions=("same-steps",), models=(model,), datasets=("iris",), epochs=2)
    found = measured("numpy", case=grid.cases()[0], repeats=1)
    assert ("take_s" in found.facts) == bound
    assert not bound or 0 < found.facts["take_s"] < found.timings[0].time_s


def test_every_row_is_taken_in_its_order_every_time(monkeypatch, small_case):
    problem, taken, take = build(small_case), [], np.take

    def spy(X, order, axis, out):
        take(X, order, axis=axis, out=out)
        taken.append((order, out.copy()))

    monkeypatch.setattr(case_runner.np, "take", spy)
    assert case_runner.take_seconds(problem, repeats=3) > 0
    assert len(taken) == (3 + 1) * len(problem.order)
    for i, (order, rows) in enumerate(taken):
        assert order.tolist() == problem.order[i % len(problem.order)].tolist()
        assert (rows == problem.X[order]).all()


def test_without_a_reference_nothing_is_timed(measured, monkeypatch):
    def diverges(problem):
        raise FloatingPointError("diverged")

    monkeypatch.setattr(case_runner, "train_reference", diverges)
    found = measured("numpy", "fastlogit")
    assert [row.error for row in found.timings] == ["FloatingPointError: diverged"] * 2
    assert [row.loss_ref for row in found.timings] == [None] * 2
    assert [row.n_samples for row in found.timings] == [150] * 2
    assert (found.curve, found.facts) == ([], {})


def test_data_that_cannot_be_loaded_are_recorded(measured, small_case):
    found = measured("numpy", case=replace(small_case, dataset="none-1x0x2"))
    assert [row.status for row in found.timings] == ["failed"]
    assert found.timings[0].n_samples is None
    assert "none-1x0x2" in found.timings[0].error


def test_curves_that_cannot_be_planned_leave_the_verified_times(measured, monkeypatch):
    def cannot(*_):
        raise MemoryError("rows in float64")

    monkeypatch.setattr(case_runner, "plan_curves", cannot)
    found = measured("wrong", "numpy")
    assert [row.status for row in found.timings] == ["failed-verification", *["ok"] * 3, "failed"]
    assert found.timings[-1].error == "MemoryError: rows in float64"
    assert found.curve == []
    assert "target_loss" not in found.facts


def test_garbage_is_not_collected_while_timed(measured, kinds, monkeypatch):
    seen = []

    def watched(self):
        seen.append(gc.isenabled())
        run(self)

    run = Numpy.run
    monkeypatch.setattr(Numpy, "run", watched)
    measured("numpy", repeats=2)
    assert seen[-3:] == [False] * 3  # two repeats and the one for the memory
    assert gc.isenabled()


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_ctrl_c_is_the_callers(measured, kinds, runs):
    kinds("interrupted")[0].runs_left = runs  # while it is verified, timed, or its memory measured
    with pytest.raises(KeyboardInterrupt):
        measured("numpy", "interrupted")
    assert gc.isenabled()


def test_the_memory_has_a_run_of_its_own(timings, monkeypatch):
    at_work = []

    def growth(work):
        at_work.append(work.__self__.name)
        work()
        return 4096 * len(at_work)

    monkeypatch.setattr(case_runner, "peak_growth", growth)
    rows = timings("numpy", "fastlogit")
    assert at_work == ["numpy", "fastlogit"]
    assert [row.rss_peak_bytes for row in rows] == [4096] * 3 + [8192] * 3


def test_what_is_measured_can_be_pickled(measured):
    found = measured("numpy", "wrong")
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


def test_short_runs_are_repeated_after_one_that_does_not_count(small_case, kinds, monkeypatch):
    ticks = iter([5.0, 0.01, 0.014, 0.008, 1.0, 2.0])  # of the first run, then of each run
    now = [0.0]

    class Short(kinds("numpy")[0]):
        name = "short"

        def run(self):
            super().run()
            now[0] += next(ticks)

    class Clock:
        perf_counter = staticmethod(lambda: now[0])

    monkeypatch.setattr(case_runner, "time", Clock)
    rows = case_runner.measure_case(small_case, [Short], repeats=range(2, 4)).timings
    assert [row.time_s for row in rows] == [pytest.approx(5.0), pytest.approx(0.011)]


def test_an_estimator_s_rows_are_of_one_call(measured, fit_case):
    case = replace(fit_case, task="predict_proba")
    names = ("scikit-learn", "fastlogit")
    rows = measured(*names, case=case, repeats=2, comparison="same-estimator").timings
    assert [(row.implementation, row.status) for row in rows] == [
        (name, "ok") for name in names for _ in range(2)
    ]
    assert {row.samples for row in rows} == {150}
    assert {(row.batch_size, row.epochs, row.flops) for row in rows} == {(None, None, None)}


def test_the_estimators_are_held_to_the_same_coefficients(measured, fit_case, kinds, monkeypatch):
    both = ("scikit-learn", "fastlogit")
    (ours,) = kinds("fastlogit", comparison="same-estimator")
    right = ours.result
    monkeypatch.setattr(
        ours, "result", lambda self: replace(right(self), n_iter=right(self).n_iter + 1)
    )
    found = measured(*both, case=fit_case, repeats=1, comparison="same-estimator")
    assert [row.status for row in found.timings] == ["ok", "failed-verification"]
    assert "n_iter_ is" in found.timings[1].error


def test_verifying_alone(small_case, kinds):
    names = ("numpy", "fastlogit", "wrong", "raises", "unable", "other")
    results = case_runner.verify_case(small_case, kinds(*names))
    assert pickle.loads(pickle.dumps(results)) == results  # noqa: S301
    assert [each.implementation for each in results] == list(names)
    statuses = ["ok", "ok", "failed-verification", "failed", "unsupported", "ok"]
    assert [each.status for each in results] == statuses
    errors = [each.error for each in results]
    assert errors[:2] + errors[3:] == [
        *(None, None, "RuntimeError: no memory", "no such model here", None)
    ]
    assert "parameters differ by" in errors[2]
    assert results[1].params_error < results[1].tolerance == 1e-4 < results[2].params_error
    assert results[-1].params_error is None  # of another algorithm nothing is compared
