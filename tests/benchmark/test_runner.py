import gc
import pickle
import sys

import numpy as np
import pytest
import threadpoolctl

from fastlogit.benchmark import entrant, runner
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS, Contender
from fastlogit.benchmark.contenders.own import NumpyContender
from fastlogit.benchmark.problem import Outcome, build

TIMES = ("time_s", "compile_s", "prep_s")


@pytest.fixture
def measured(small_case, fakes):
    def measure(*names, case=small_case, repeats=3, first=0, **options):
        kinds = [(CONTENDERS | fakes)[name] for name in names]
        repeats = range(first, repeats)
        return runner.measure_case(case, kinds, repeats=repeats, run_id="r", **options)

    return measure


@pytest.fixture
def timings(measured):
    return lambda *names, **other: measured(*names, **other).timings


def test_every_repeat_is_a_row_of_its_own(timings, small_case):
    rows = timings("numpy", "numba")
    assert [(row.impl, row.repeat) for row in rows] == [
        *(("numpy", repeat) for repeat in range(3)),
        *(("numba", repeat) for repeat in range(3)),
    ]
    for row in rows:
        assert row.status == "ok"
        assert row.verified is True
        assert row.error is None
        assert min(row.time_s, row.compile_s, row.prep_s) > 0
        assert row.loss_final == pytest.approx(row.loss_ref, rel=1e-4)
        assert 0 <= row.loss_rel_err < 1e-4
        assert (row.n_samples, row.n_features, row.n_classes) == (150, 4, 3)
        assert row.samples == 300
        assert row.flops > 0
        assert sys.platform != "linux" or row.rss_peak_bytes >= 0
        assert row.cell_id == small_case.cell_id


def test_contenders_take_turns(timings):
    rows = timings("numpy", "numba", repeats=4)
    turns = [row.impl for row in sorted(rows, key=lambda row: row.order_index)]
    assert turns == ["numpy", "numba", "numba", "numpy"] * 2


def test_the_open_division_has_no_more_repeats_than_it_needs(timings):
    rows = timings("open", "numpy", repeats=5)
    assert [row.repeat for row in rows] == [*range(3), *range(5)]
    assert sorted(row.order_index for row in rows) == list(range(8))
    turns = [row.impl for row in sorted(rows, key=lambda row: row.order_index)]
    assert turns == ["open", "numpy", "numpy", "open", "open", *["numpy"] * 3]


def test_a_later_visit_goes_on_counting_in_arrays_of_its_own(measured, monkeypatch):
    problems = []

    def built(case):
        problems.append(build(case))
        return problems[-1]

    monkeypatch.setattr(runner, "build", built)
    first = measured("numpy", "numba", "open", repeats=2)
    later = measured("numpy", "numba", "open", first=2, repeats=4, turns=6)
    assert [(row.impl, row.repeat, row.order_index) for row in later.timings] == [
        *(("numpy", 2, 6), ("numpy", 3, 10), ("numba", 2, 7), ("numba", 3, 9), ("open", 2, 8))
    ]
    assert sorted(row.order_index for row in first.timings) == list(range(6))
    assert {row.status for row in later.timings} == {"ok"}
    assert [row.loss_final for row in later.timings[:2]] == [first.timings[0].loss_final] * 2
    once = [(row.compile_s, row.prep_s, row.rss_peak_bytes) for row in later.timings]
    assert once == [(None, None, None)] * 5
    assert (later.curve, later.target_loss) == ([], None)
    assert later.gather_s > 0
    before, after = problems
    assert before.X is not after.X
    assert not np.shares_memory(before.X, after.X)
    assert (before.X == after.X).all()


def test_a_later_visit_verifies_every_repeat(timings):
    (row,) = timings("wrong", first=2, repeats=4)
    assert (row.status, row.verified, row.time_s) == ("failed-verification", False, None)


@pytest.mark.parametrize("name", ["wrong", "wrong-later"])
def test_wrong_work_has_no_time(timings, name):
    rows = timings("numpy", name)
    assert [row.status for row in rows] == ["ok"] * 3 + ["failed-verification"]
    failed = rows[-1]
    assert failed.impl == name
    assert failed.verified is False
    assert [getattr(failed, time) for time in TIMES] == [None] * 3
    assert failed.loss_final is not None
    assert "parameters differ by" in failed.error


def test_what_a_contender_raises_is_recorded(timings):
    rows = timings("raises", "numpy")
    assert [row.status for row in rows] == ["failed"] + ["ok"] * 3
    assert rows[0].error == "RuntimeError: no memory"
    assert rows[0].verified is None
    assert rows[0].time_s is None


def test_repeats_before_a_failure_are_kept(timings):
    rows = timings("raises-later", "numpy", repeats=5)
    ours = [row for row in rows if row.impl == "raises-later"]
    assert [row.status for row in ours] == ["ok", "failed"]
    assert ours[-1].error == "MemoryError: out of it"
    assert sum(row.impl == "numpy" for row in rows) == 5


def test_compiling_while_timed_fails(timings):
    rows = timings("compiles", "numpy")
    assert rows[0].status == "failed"
    assert rows[0].error == "CompiledWhileTimedError: compiled during timed repeat 0"
    assert rows[0].time_s is None


def test_the_open_division_may_end_elsewhere(timings):
    rows = timings("open", "numpy")
    assert {row.status for row in rows} == {"ok"}
    assert [row.verified for row in rows] == [None] * 3 + [True] * 3
    assert rows[0].loss_final == 0.5


def test_what_a_contender_cannot_do_is_no_failure(timings):
    rows = timings("unable", "numpy")
    assert [row.status for row in rows] == ["unsupported"] + ["ok"] * 3
    assert rows[0].error == "no such model here"
    assert (rows[0].verified, rows[0].time_s, rows[0].repeat) == (None, None, None)


def test_the_form_stands_beside_the_version(timings):
    version = NumpyContender.version()
    rows = timings("numpy", "formed", repeats=1)
    assert [row.impl_version for row in rows] == [version, f"{version} (by hand)"]


@pytest.mark.parametrize(("model", "gathered"), [("softmax", True), ("mlp-softmax", False)])
def test_the_gather_is_measured_where_it_is_the_limit(model, gathered):
    case = Grid(models=(model,), datasets=("iris",), epochs=2).cases()[0]
    measured = runner.measure_case(case, [NumpyContender], repeats=range(1), run_id="r")
    assert (measured.gather_s is not None) == gathered
    assert not gathered or 0 < measured.gather_s < measured.timings[0].time_s


def test_without_a_reference_nobody_is_timed(measured, monkeypatch):
    def diverges(problem):
        raise FloatingPointError("diverged")

    monkeypatch.setattr(runner, "reference_outcome", diverges)
    case = measured("numpy", "numba")
    assert [row.error for row in case.timings] == ["FloatingPointError: diverged"] * 2
    assert [row.loss_ref for row in case.timings] == [None] * 2
    assert [row.n_samples for row in case.timings] == [150] * 2
    assert (case.curve, case.gather_s, case.target_loss) == ([], None, None)


def test_a_problem_that_cannot_be_built_is_recorded(measured, monkeypatch):
    def cannot(case):
        raise ValueError("too large")

    monkeypatch.setattr(runner, "build", cannot)
    (row,) = measured("numba").timings
    assert (row.status, row.error) == ("failed", "ValueError: too large")
    assert row.n_samples is None


def test_threads_and_garbage_collection_are_held_while_timed():
    seen, curves = [], []

    class Looks(NumpyContender):
        def run(self):
            super().run()
            pools = threadpoolctl.threadpool_info()
            seen.append((gc.isenabled(), {pool["num_threads"] for pool in pools}))

        def advance(self, epochs):
            super().advance(epochs)
            pools = threadpoolctl.threadpool_info()
            curves.append((gc.isenabled(), {pool["num_threads"] for pool in pools}))

    case = Grid(models=("softmax",), datasets=("iris",), epochs=1).cases()[0]
    runner.measure_case(case, [Looks], repeats=range(2), run_id="r", passes=2)
    # Admitted, timed twice, and once more for the memory.
    assert seen == [(True, {1})] + [(False, {1})] * 3
    assert curves == [(False, {1})] * 2
    assert gc.isenabled()


def test_garbage_collection_stays_off_if_it_was(measured):
    gc.disable()
    try:
        measured("numpy", repeats=1)
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_ctrl_c_is_the_callers(measured, fakes, runs):
    """While it is admitted, timed, or weighed."""
    fakes["interrupted"].runs_left = runs
    with pytest.raises(KeyboardInterrupt):
        measured("numpy", "interrupted")
    assert gc.isenabled()


def test_the_memory_has_a_run_of_its_own(timings, monkeypatch):
    weighed = []

    def growth(work):
        weighed.append(work.__self__)
        work()
        return 4096 * len(weighed)

    monkeypatch.setattr(entrant, "peak_growth", growth)
    rows = timings("numpy", "numba")
    assert [contender.name for contender in weighed] == ["numpy", "numba"]
    assert [row.rss_peak_bytes for row in rows] == [4096] * 3 + [8192] * 3


@pytest.mark.parametrize("name", ["wrong-curve", "wrong-at-last"])
def test_wrong_work_outside_the_repeats_has_no_time_either(measured, name):
    case = measured("numpy", name)
    rows = [row for row in case.timings if row.impl == name]
    assert [row.status for row in rows] == ["failed-verification"]
    assert [getattr(rows[0], time) for time in TIMES] == [None] * 3
    assert rows[0].rss_peak_bytes is None
    assert {point.impl for point in case.curve} == {"numpy"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises-in-curve", "RuntimeError: no way back"),
        ("compiles-in-curve", "CompiledWhileTimedError: compiled during the curve"),
    ],
)
def test_a_failed_curve_leaves_the_verified_times(measured, name, error):
    case = measured("numpy", name)
    rows = [row for row in case.timings if row.impl == name]
    assert [row.status for row in rows] == ["ok"] * 3 + ["failed"]
    assert rows[-1].error == error
    assert {point.impl for point in case.curve} == {"numpy"}


def test_curves_that_cannot_be_laid_out_leave_the_verified_times(measured, monkeypatch):
    def cannot(*_):
        raise MemoryError("rows in float64")

    monkeypatch.setattr(runner, "lay_out", cannot)
    case = measured("wrong", "numpy")
    assert [row.status for row in case.timings] == ["failed-verification", *["ok"] * 3, "failed"]
    assert case.timings[-1].error == "MemoryError: rows in float64"
    assert (case.curve, case.target_loss) == ([], None)


def test_a_contender_of_neither_division_fails(measured, fakes, monkeypatch):
    class Neither(Contender):
        name = "neither"
        division = "open"
        distribution = "numpy"

        def run(self):
            pass

        def result(self):
            return Outcome(self.problem.params, (1.0,))

    monkeypatch.setitem(fakes, "neither", Neither)
    case = measured("neither")
    assert case.timings[-1].error == "TypeError: Neither is of neither division"
    assert case.curve == []


def test_what_is_measured_can_be_pickled(measured):
    case = measured("numpy", "wrong")
    assert pickle.loads(pickle.dumps(case)) == case  # noqa: S301


def test_verifying_alone(small_case, fakes):
    names = ("numpy", "numba", "wrong", "raises", "unable", "open")
    kinds = [(CONTENDERS | fakes)[name] for name in names]
    admissions = runner.verify_case(small_case, kinds)
    assert pickle.loads(pickle.dumps(admissions)) == admissions  # noqa: S301
    assert [admission.impl for admission in admissions] == list(names)
    statuses = ["ok", "ok", "failed-verification", "failed", "unsupported", "ok"]
    assert [admission.status for admission in admissions] == statuses
    errors = [admission.error for admission in admissions]
    assert errors[:2] + errors[3:] == [
        None,
        None,
        "RuntimeError: no memory",
        "no such model here",
        None,
    ]
    assert "parameters differ by" in errors[2]
    held = [admission.agreement and admission.agreement.holds for admission in admissions]
    assert held == [True, True, False, None, None, False]
