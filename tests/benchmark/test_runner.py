import gc
import json

import pytest
import threadpoolctl

from fastlogit.benchmark import runner
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.contenders.own import NumpyContender
from fastlogit.benchmark.results import RunFiles, read_timings

TIMES = ("time_s", "compile_s", "prep_s")


@pytest.fixture
def measured(small_case, fakes):
    def measure(*names, case=small_case, repeats=3):
        rows = []
        kinds = [(CONTENDERS | fakes)[name] for name in names]
        runner.measure_case(case, kinds, repeats=repeats, run_id="r", rows=rows)
        return rows

    return measure


def test_every_repeat_is_a_row_of_its_own(measured, small_case):
    rows = measured("numpy", "numba")
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
        assert row.rss_peak_bytes > 1e6
        assert row.cell_id == small_case.cell_id


def test_contenders_take_turns(measured):
    rows = measured("numpy", "numba", repeats=4)
    turns = [row.impl for row in sorted(rows, key=lambda row: row.order_index)]
    assert turns == ["numpy", "numba", "numba", "numpy"] * 2


@pytest.mark.parametrize("name", ["wrong", "wrong-later"])
def test_wrong_work_has_no_time(measured, name):
    rows = measured("numpy", name)
    assert [row.status for row in rows] == ["ok"] * 3 + ["failed-verification"]
    failed = rows[-1]
    assert failed.impl == name
    assert failed.verified is False
    assert [getattr(failed, time) for time in TIMES] == [None] * 3
    assert failed.loss_final is not None
    assert "parameters differ by" in failed.error


def test_what_a_contender_raises_is_recorded(measured):
    rows = measured("raises", "numpy")
    assert [row.status for row in rows] == ["failed"] + ["ok"] * 3
    assert rows[0].error == "RuntimeError: no memory"
    assert rows[0].verified is None
    assert rows[0].time_s is None


def test_repeats_before_a_failure_are_kept(measured):
    rows = measured("raises-later", "numpy", repeats=5)
    ours = [row for row in rows if row.impl == "raises-later"]
    assert [row.status for row in ours] == ["ok", "failed"]
    assert ours[-1].error == "MemoryError: out of it"
    assert sum(row.impl == "numpy" for row in rows) == 5


def test_compiling_while_timed_fails(measured):
    rows = measured("compiles", "numpy")
    assert rows[0].status == "failed"
    assert rows[0].error == "CompiledWhileTimedError: compiled during timed repeat 0"
    assert rows[0].time_s is None


def test_the_open_division_may_end_elsewhere(measured):
    rows = measured("open", "numpy")
    assert {row.status for row in rows} == {"ok"}
    assert [row.verified for row in rows] == [None] * 3 + [True] * 3
    assert rows[0].loss_final == 0.5


def test_what_a_contender_cannot_do_is_no_failure(measured):
    rows = measured("unable", "numpy")
    assert [row.status for row in rows] == ["unsupported"] + ["ok"] * 3
    assert rows[0].error == "no such model here"
    assert (rows[0].verified, rows[0].time_s, rows[0].repeat) == (None, None, None)


def test_the_form_stands_beside_the_version(measured):
    version = NumpyContender.version()
    rows = measured("numpy", "formed", repeats=1)
    assert [row.impl_version for row in rows] == [version, f"{version} (by hand)"]


@pytest.mark.parametrize(("model", "gathered"), [("softmax", True), ("mlp-softmax", False)])
def test_the_gather_is_measured_where_it_is_the_limit(model, gathered):
    case = Grid(models=(model,), datasets=("iris",), epochs=2).cases()[0]
    rows, gathers = [], {}
    runner.measure_case(case, [NumpyContender], repeats=1, run_id="r", rows=rows, gathers=gathers)
    assert list(gathers) == [case.cell_id] * gathered
    assert all(0 < seconds < rows[0].time_s for seconds in gathers.values())


def test_without_a_reference_nobody_is_timed(measured, monkeypatch):
    def diverges(problem):
        raise FloatingPointError("diverged")

    monkeypatch.setattr(runner, "reference_outcome", diverges)
    rows = measured("numpy", "numba")
    assert [row.error for row in rows] == ["FloatingPointError: diverged"] * 2
    assert [row.loss_ref for row in rows] == [None] * 2


def test_a_problem_that_cannot_be_built_is_recorded(measured, monkeypatch):
    def cannot(case):
        raise ValueError("too large")

    monkeypatch.setattr(runner, "build", cannot)
    (row,) = measured("numba")
    assert (row.status, row.error) == ("failed", "ValueError: too large")
    assert row.n_samples is None


def test_threads_and_garbage_collection_are_held_while_timed(measured):
    seen = []

    class Looks(NumpyContender):
        def run(self):
            super().run()
            pools = threadpoolctl.threadpool_info()
            seen.append((gc.isenabled(), {pool["num_threads"] for pool in pools}))

    rows = []
    case = Grid(models=("softmax",), datasets=("iris",), epochs=1).cases()[0]
    runner.measure_case(case, [Looks], repeats=2, run_id="r", rows=rows)
    assert seen == [(True, {1}), (False, {1}), (False, {1})]
    assert gc.isenabled()


def test_garbage_collection_stays_off_if_it_was(measured):
    gc.disable()
    try:
        measured("numpy", repeats=1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_an_interrupt_keeps_the_rows(tmp_path, fakes):
    cases = Grid(models=("logistic", "softmax"), datasets=("iris",), epochs=1).cases()
    interrupted = fakes["interrupted"]
    interrupted.runs_left = 4 + 3  # in the second case to be verified, timed, and interrupted
    seen = []
    files = RunFiles(tmp_path, {})
    with pytest.raises(KeyboardInterrupt), files:
        runner.measure(
            cases, [interrupted], files, repeats=3, on_case=lambda case, _: seen.append(case)
        )
    assert seen == cases[:1]
    timings = read_timings(files.rows_path)
    assert list(timings["model"]) == ["logistic"] * 3 + ["softmax"]
    assert files.rows_path.name == "timings.csv.partial"
    assert json.loads((files.directory / "run.json").read_text())["status"] == "interrupted"


def test_measuring_without_an_observer(tmp_path, small_case):
    with RunFiles(tmp_path, {}) as files:
        rows = runner.measure([small_case], [NumpyContender], files, repeats=1)
    assert len(rows) == 1
    assert len(read_timings(files.timings)) == 1
