import errno
import json
import os

import pandas as pd
import pytest
from fakes import InProcess

from fastlogit.benchmark import machine, runner, session
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.results import RunFiles, read_curves, read_timings
from fastlogit.benchmark.runner import measure_case
from fastlogit.benchmark.summary import summarise
from fastlogit.benchmark.worker import TimedOutError

OWN = [CONTENDERS[name] for name in ("numpy", "numba")]

RATES = {"threads": 1, "sgemm_gflop_s": 50.0, "dgemm_gflop_s": 25.0, "read_gb_s": 10.0}


@pytest.fixture
def perform(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "Worker", InProcess)
    monkeypatch.setattr(machine, "calibrate", lambda threads: RATES | {"threads": threads})

    def run(kinds, **axes):
        grid = Grid(models=("softmax", "mlp-logistic"), datasets=("iris",), epochs=1, **axes)
        files = RunFiles(tmp_path / "out", session.describe(grid, kinds, 2))
        return session.perform(files, grid.cases(), kinds, 2)

    return run


def test_a_complete_run(perform, tmp_path):
    run = perform(OWN)
    assert not run.interrupted
    assert run.directory.parent == tmp_path / "out"
    assert {path.name for path in run.directory.iterdir()} == {
        "timings.csv",
        "curves.csv",
        "summary.csv",
        "run.json",
    }
    assert len(run.timings) == 2 * 2 * len(OWN)
    assert set(run.timings["verified"]) == {"true"}
    assert run.summary["limit_fraction"].notna().all()


def test_the_summary_can_be_regenerated(perform):
    directory = perform([*OWN, CONTENDERS["scikit-learn"]]).directory
    facts = json.loads((directory / "run.json").read_text())
    again = summarise(
        read_timings(directory / "timings.csv"),
        facts["calibration"],
        facts["gather_s"],
        read_curves(directory / "curves.csv"),
        facts["target_loss"],
    )
    text = again.to_csv(index=False, lineterminator="\n")
    assert text == (directory / "summary.csv").read_text()


def test_run_json_says_what_was_measured_and_on_what(perform):
    facts = json.loads(
        (perform([CONTENDERS["numpy"]], seeds=(7,)).directory / "run.json").read_text()
    )
    assert facts["schema_version"] == 1
    assert facts["status"] == "complete"
    assert facts["command"][0] == "fastlogit"
    assert facts["config"]["models"] == ["softmax", "mlp-logistic"]
    assert facts["config"]["impls"] == ["numpy"]
    assert (facts["config"]["repeats"], facts["config"]["seeds"]) == (2, [7])
    assert facts["config"]["repeats_per_round"] == 2
    assert facts["calibration"] == [RATES]
    assert pd.Timestamp(facts["started"]) <= pd.Timestamp(facts["finished"])
    assert facts["packages"]["numpy"] == CONTENDERS["numpy"].version()
    assert list(facts["gather_s"]) == ["softmax/iris/sgd/b32/float32/t1/e1/s7"]
    for key in ("git", "packages", "cpu", "memory_bytes", "environment", "thread_pools"):
        assert key in facts
    assert len(facts["load_start"]) == len(facts["load_end"]) == 3


def test_every_number_of_threads_is_calibrated(perform):
    run = perform([CONTENDERS["numpy"]], threads=(2, 1))
    facts = json.loads((run.directory / "run.json").read_text())
    assert [rates["threads"] for rates in facts["calibration"]] == [1, 2]


def test_the_limits_are_measured_in_each_round(tmp_path, monkeypatch):
    rates, gathers = iter([5.0, 9.0, 7.0]), iter([0.3, 0.1, 0.2])
    monkeypatch.setattr(session, "Worker", InProcess)
    monkeypatch.setattr(machine, "calibrate", lambda _: RATES | {"sgemm_gflop_s": next(rates)})
    monkeypatch.setattr(runner, "gather_seconds", lambda _: next(gathers))
    grid = Grid(models=("softmax",), datasets=("iris",), epochs=1)
    files = RunFiles(tmp_path, session.describe(grid, OWN, 5))
    facts = session.perform(files, grid.cases(), OWN, 5).facts
    assert facts["calibration"] == [RATES | {"sgemm_gflop_s": 9.0}]
    assert list(facts["gather_s"].values()) == [0.1]
    assert not list(rates) + list(gathers)


def test_each_round_has_a_process_of_its_own(tmp_path, monkeypatch):
    at_work = []

    class Noting(InProcess):
        def end(self):
            at_work.append("a process")

        def call(self, function, *args, **kwargs):
            if function is measure_case:
                at_work.append(kwargs["repeats"])
            return super().call(function, *args, **kwargs)

    monkeypatch.setattr(session, "Worker", Noting)
    monkeypatch.setattr(machine, "calibrate", lambda _: RATES)
    grid = Grid(models=("softmax", "mlp-softmax"), datasets=("iris",), epochs=1)
    files = RunFiles(tmp_path, session.describe(grid, OWN, 3))
    session.perform(files, grid.cases(), OWN, 3)
    assert at_work == ["a process", *[range(2)] * 2, "a process", *[range(2, 3)] * 2]


def test_an_interrupted_run_keeps_whole_cells(perform, monkeypatch):
    def interrupted(case, *args, **options):
        if case.model == "mlp-logistic":
            raise KeyboardInterrupt
        return measure_case(case, *args, **options)

    monkeypatch.setattr(session, "measure_case", interrupted)
    run = perform(OWN)
    assert run.interrupted
    assert {path.name for path in run.directory.iterdir()} == {
        "timings.csv.partial",
        "curves.csv.partial",
        "run.json",
    }
    assert list(run.timings["model"]) == ["softmax"] * 4
    assert len(run.summary) == 2
    facts = json.loads((run.directory / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert "finished" in facts


def test_what_the_summary_needs_is_kept_ahead_of_the_rows(perform, fakes, monkeypatch):
    seen = []
    append = RunFiles.append

    def look(files, timings, curve=()):
        facts = json.loads((files.directory / "run.json").read_text())
        seen.append((timings[0].cell_id, facts["gather_s"].keys(), facts["target_loss"].keys()))
        append(files, timings, curve)

    monkeypatch.setattr(RunFiles, "append", look)
    perform([CONTENDERS["numpy"]])
    softmax, mlp = (cell for cell, *_ in seen)
    assert seen == [(softmax, {softmax}, {softmax}), (mlp, {softmax}, {softmax, mlp})]


def test_an_observer_is_told_in_order(tmp_path, monkeypatch):
    heard = []

    class Hears:
        def visit_started(self, visit):
            heard.append(("started", visit.case.model))

        def visit_done(self, visit, rows):
            on_disk = (read_timings(files.rows_path)["cell_id"] == visit.case.cell_id).sum()
            heard.append(("done", visit.case.model, len(rows), on_disk))

    monkeypatch.setattr(session, "Worker", InProcess)
    grid = Grid(models=("softmax", "logistic"), datasets=("iris",), epochs=1)
    kinds = [CONTENDERS["numpy"]]
    files = RunFiles(tmp_path, session.describe(grid, kinds, 3))
    run = session.perform(files, grid.cases(), kinds, 3, observer=Hears())
    assert heard == [
        ("started", "softmax"),
        ("done", "softmax", 2, 2),
        ("started", "logistic"),
        ("done", "logistic", 2, 2),
        ("started", "softmax"),
        ("done", "softmax", 1, 3),
        ("started", "logistic"),
        ("done", "logistic", 1, 3),
    ]
    assert list(run.timings["model"]) == ["softmax"] * 3 + ["logistic"] * 3
    assert list(run.timings["repeat"]) == [0, 1, 2] * 2
    assert run.timings["compile_s"].notna().all()


@pytest.fixture
def two_rounds(tmp_path, fakes, monkeypatch):
    """Measure one cell in two rounds, until a visit that Ctrl-C ends if there is one."""

    def run(name, *, ended_by=None):
        fakes[name].begun = 0
        kinds = [fakes[name], CONTENDERS["numpy"]]
        monkeypatch.setattr(session, "Worker", InProcess)
        grid = Grid(models=("softmax",), datasets=("iris",), epochs=1)
        files = RunFiles(tmp_path, session.describe(grid, kinds, 6))

        def measure(*args, repeats, **options):
            if repeats.start == ended_by:
                raise KeyboardInterrupt
            return measure_case(*args, repeats=repeats, **options)

        monkeypatch.setattr(session, "measure_case", measure)
        return session.perform(files, grid.cases(), kinds, 6)

    return run


@pytest.mark.parametrize("ended_by", [None, 4])
def test_of_wrong_work_in_a_later_round_no_time_is_left(two_rounds, read_all, ended_by):
    name = "wrong-in-round-two"
    run = two_rounds(name, ended_by=ended_by)
    assert run.interrupted == (ended_by is not None)
    rows = run.timings[run.timings["impl"] == name]
    assert list(rows["status"]) == ["failed-verification"]
    assert rows[["time_s", "compile_s", "prep_s", "rss_peak_bytes"]].isna().all(axis=None)
    assert set(run.curves["impl"]) == {"numpy"}
    numpy = run.timings[run.timings["impl"] == "numpy"]
    assert list(numpy["repeat"]) == list(range(ended_by or 6))
    assert run.summary.set_index("impl")["n"].to_dict() == {name: 0, "numpy": len(numpy)}
    if ended_by is None:
        text = read_all(run.directory)
        assert sum(f",{name}," in line for line in text.splitlines()) == 2  # timings, summary


def test_who_raises_in_a_later_round_keeps_what_was_verified(two_rounds):
    run = two_rounds("raises-in-round-two")
    ours = run.timings[run.timings["impl"] == "raises-in-round-two"]
    assert list(ours["status"]) == ["ok"] * 3 + ["failed"]
    assert list(ours["repeat"])[:3] == [0, 1, 2]
    assert ours["error"].iloc[-1] == "MemoryError: out of it"
    assert set(run.curves["impl"]) == {"numpy"}
    assert (run.timings["impl"] == "numpy").sum() == 6
    assert run.timings["order_index"].dropna().is_unique


def test_who_times_out_in_a_later_round_keeps_the_earlier_ones(tmp_path, fakes, monkeypatch):
    class LosesPatience(InProcess):
        def call(self, function, *args, timeout=None, **options):
            if function is measure_case:
                allowed.append(timeout)
                if options["repeats"].start == 2 and fakes["formed"] in args[1]:
                    raise TimedOutError(f"timeout after {timeout:g} s", "formed")
            return super().call(function, *args, **options)

    allowed = []
    monkeypatch.setattr(session, "Worker", LosesPatience)
    kinds = [fakes["formed"], CONTENDERS["numpy"]]
    grid = Grid(models=("softmax",), datasets=("iris",), epochs=1)
    files = RunFiles(tmp_path, session.describe(grid, kinds, 5))
    run = session.perform(files, grid.cases(), kinds, 5, timeout=3)
    assert allowed == [3] * 4  # a visit a round, and one more without whom it was lost to
    assert list(run.timings["impl"]) == ["formed"] * 3 + ["numpy"] * 5
    assert list(run.timings["status"]) == ["ok"] * 2 + ["failed"] + ["ok"] * 5
    assert run.timings["error"].iloc[2] == "timeout after 3 s"
    assert list(run.timings["repeat"].iloc[3:]) == list(range(5))


def test_who_hangs_or_crashes_costs_its_own_place_in_the_cell(tmp_path, fakes):
    kinds = [CONTENDERS["numpy"], fakes["hangs"], fakes["crashes"], fakes["formed"]]
    grid = Grid(models=("softmax",), datasets=("iris",), epochs=1)
    files = RunFiles(tmp_path, session.describe(grid, kinds, 2))
    run = session.perform(files, grid.cases(), kinds, 2, timeout=8)
    assert list(run.timings["impl"]) == ["numpy"] * 2 + ["hangs", "crashes"] + ["formed"] * 2
    assert list(run.timings["status"]) == ["ok"] * 2 + ["failed"] * 2 + ["ok"] * 2
    hangs, crashes = run.timings["error"].iloc[2:4]
    assert hangs == "timeout after 8 s"
    assert crashes.startswith("the measuring process ended with ")
    assert set(run.timings["cell_id"]) == {grid.cases()[0].cell_id}
    assert list(run.summary["status"]) == ["ok", "failed", "failed", "ok"]
    assert run.timings["time_s"].notna().sum() == 4


def test_a_calibration_that_crashes_costs_only_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "calibrate", os.abort)  # takes no argument: TypeError, there
    grid = Grid(models=("mlp-softmax",), datasets=("iris",), epochs=1)
    kinds = [CONTENDERS["numpy"]]
    files = RunFiles(tmp_path, session.describe(grid, kinds, 2))
    run = session.perform(files, grid.cases(), kinds, 2)
    assert list(run.timings["status"]) == ["ok"] * 2
    assert run.summary["limit_fraction"].isna().all()
    facts = json.loads((run.directory / "run.json").read_text())
    assert "TypeError" in facts["calibration_error"]


def test_a_full_disk_ends_the_run_and_keeps_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "Worker", InProcess)
    grid = Grid(models=("softmax", "logistic"), datasets=("iris",), epochs=1)
    kinds = [CONTENDERS["numpy"]]
    files = RunFiles(tmp_path, session.describe(grid, kinds, 2))
    monkeypatch.setattr(RunFiles, "append", fails_at(RunFiles.append, 2))
    with pytest.raises(OSError, match="No space left on device"):
        session.perform(files, grid.cases(), kinds, 2)
    assert len(read_timings(files.rows_path)) == 2
    assert files.rows_path.name == "timings.csv.partial"
    assert json.loads((files.directory / "run.json").read_text())["status"] == "failed"


def fails_at(method, count):
    calls = []

    def sometimes(*args):
        calls.append(args)
        if len(calls) == count:
            raise OSError(errno.ENOSPC, "No space left on device", "timings.csv.partial")
        return method(*args)

    return sometimes
