"""A whole run: its rounds, what is written when, and what a lost implementation costs."""

import errno
import json
import os
from dataclasses import replace

import pandas as pd
import pytest
from misbehaving import Crashes, Hangs, InAVariant, InProcess, WrongInRoundTwo
from small_cases import estimator_case, training_case

from fastlogit.benchmark import case_runner, machine, session
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.implementations import choose, find
from fastlogit.benchmark.implementations.both_backends import Fastlogit, Numpy
from fastlogit.benchmark.pool import TimedOutError
from fastlogit.benchmark.storage import RunFiles, new_run, resume_run
from fastlogit.benchmark.summary import summarise

OWN = [Numpy, Fastlogit]
RATES = {"threads": 1, "sgemm_gflop_s": 50.0, "dgemm_gflop_s": 25.0, "read_gb_s": 10.0}
TABLES = {"timings.csv", "curves.csv", "summary.csv", "run.json"}


@pytest.fixture
def started(tmp_path):
    """Return the files and the cases of a run that may begin."""

    def start(kinds, repeats=2, models=("softmax", "mlp-logistic"), **axes):
        axes = {"questions": ("same-steps",), "datasets": ("iris",), "epochs": 1} | axes
        grid = Grid(models=models, **axes)
        return new_run(tmp_path / "out", session.describe(grid, kinds, repeats)), grid.cases()

    return start


@pytest.fixture
def perform(started, monkeypatch):
    """Measure a small run in this process."""
    monkeypatch.setattr(session, "MeasuringPool", InProcess)
    monkeypatch.setattr(machine, "calibrate", lambda threads: RATES | {"threads": threads})

    def run(kinds=OWN, repeats=2, observer=None, **axes):
        files, cases = started(kinds, repeats, **axes)
        return session.perform(files, cases, kinds, repeats, observer=observer)

    return run


def test_a_complete_run(perform, tmp_path):
    run = perform()
    assert run.directory.parent == tmp_path / "out"
    assert {path.name for path in run.directory.iterdir()} == TABLES
    assert len(run.timings) == 2 * 2 * len(OWN)
    assert run.timings["verified"].all()
    assert run.summary["limit_fraction"].notna().all()


def test_the_summary_can_be_regenerated(perform):
    run = perform([*OWN, find("any-algorithm", "sklearn-lbfgs")])
    again = summarise(run.timings, run.curves, run.facts).to_csv(index=False, lineterminator="\n")
    assert again == (run.directory / "summary.csv").read_text()


def test_run_json_says_what_was_measured_and_on_what(perform):
    directory = perform([Numpy], seeds=(7,)).directory
    facts = json.loads((directory / "run.json").read_text())
    assert (facts["schema_version"], facts["status"]) == (2, "complete")
    assert facts["command"][0] == "fastlogit"
    config = facts["config"]
    assert config["models"] == ["softmax", "mlp-logistic"]
    assert config["implementations"] == ["same-steps/numpy"]
    assert (config["repeats"], config["repeats_per_round"], config["seeds"]) == (2, 2, [7])
    assert facts["calibration"] == [RATES]
    assert pd.Timestamp(facts["started"]) <= pd.Timestamp(facts["finished"])
    assert facts["packages"]["numpy"] == Numpy.version()
    assert list(facts["take_s"]) == ["softmax/iris/sgd/b32/float32/t1/e1/s7"]
    for key in ("git", "cpu", "memory_bytes", "environment", "thread_pools"):
        assert key in facts
    assert len(facts["load_start"]) == len(facts["load_end"]) == 3


def test_every_number_of_threads_is_calibrated(perform):
    facts = perform([Numpy], threads=(2, 1)).facts
    assert [rates["threads"] for rates in facts["calibration"]] == [1, 2]


def test_the_limits_are_measured_in_each_round(perform, monkeypatch):
    rates, takes = iter([5.0, 9.0, 7.0]), iter([0.3, 0.1, 0.2])
    monkeypatch.setattr(machine, "calibrate", lambda _: RATES | {"sgemm_gflop_s": next(rates)})
    monkeypatch.setattr(case_runner, "take_seconds", lambda _: next(takes))
    facts = perform(repeats=5, models=("softmax",)).facts
    assert facts["calibration"] == [RATES | {"sgemm_gflop_s": 9.0}]
    assert list(facts["take_s"].values()) == [0.1]
    assert not [*rates, *takes]


def test_each_round_has_a_process_of_its_own(perform, monkeypatch):
    at_work = []

    class Noting(InProcess):
        def restart(self):
            at_work.append("a process")

        def call(self, function, *args, **kwargs):
            if function is session.measure_case:
                at_work.append(kwargs["repeats"])
            return super().call(function, *args, **kwargs)

    monkeypatch.setattr(session, "MeasuringPool", Noting)
    perform(repeats=3)
    assert at_work == ["a process", *[range(2)] * 2, "a process", *[range(2, 3)] * 2]


@pytest.mark.parametrize(
    ("repeats", "sizes"), [(1, [1]), (2, [2]), (3, [2, 1]), (5, [2, 2, 1]), (10, [2] * 5)]
)
def test_the_rounds_have_each_repeat_once(repeats, sizes):
    rounds = session.schedule([training_case()], OWN, repeats)
    assert [each.number for each in rounds] == list(range(1, len(sizes) + 1))
    assert [len(each.repeats) for each in rounds] == sizes
    assert [repeat for each in rounds for repeat in each.repeats] == list(range(repeats))


def test_each_case_has_the_repeats_that_its_question_needs():
    fit = estimator_case()
    cases = [fit, replace(fit, task="cold-fit"), training_case()]
    rounds = session.schedule(cases, choose(None), 10)
    measured = {
        case.task: [each.number for each in rounds for known, _ in each.cases if known == case]
        for case in cases
    }
    assert measured == {"fit": [1, 2, 3], "cold-fit": [1], "train": [1, 2, 3, 4, 5]}
    last = {kind.comparison for each in rounds[2:] for _, kinds in each.cases for kind in kinds}
    assert last == {"same-estimator", "same-steps"}


def test_an_interrupted_run_keeps_its_parts_and_is_resumed(perform, started, monkeypatch):
    measure = session.measure_case

    def interrupted(case, *args, **options):
        if case.model == "mlp-logistic":
            raise KeyboardInterrupt
        return measure(case, *args, **options)

    monkeypatch.setattr(session, "measure_case", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform()
    files, cases = started(OWN)
    (kept,) = (path for path in files.directory.parent.iterdir() if path != files.directory)
    facts = json.loads((kept / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert "finished" in facts
    monkeypatch.setattr(session, "measure_case", measure)
    files.finish("failed")
    resumed, words = resume_run(kept.parent, files.facts)
    assert resumed.directory == kept, words
    assert resumed.parts == {(cases[0].case_id, 1)}
    run = session.perform(resumed, cases, OWN, 2)
    assert {path.name for path in run.directory.iterdir()} == TABLES
    assert run.timings.groupby("case_id")["time_s"].count().to_dict() == {
        case.case_id: 4 for case in cases
    }


def test_an_observer_is_told_in_order(perform):
    heard = []

    class Observer:
        def round_started(self, number, rounds):
            heard.append((number, rounds))

        def case_started(self, case, number):
            heard.append(("started", case.model, number))

        def case_done(self, case, number, timings):
            heard.append(("done", case.model, number, len(timings)))

    run = perform([Numpy], 3, Observer())
    assert heard == [
        each
        for number, rows in ((1, 2), (2, 1))
        for each in (
            (number, 2),
            *(("started", "softmax", number), ("done", "softmax", number, rows)),
            *(("started", "mlp-logistic", number), ("done", "mlp-logistic", number, rows)),
        )
    ]
    assert list(run.timings["repeat"]) == [0, 1, 2] * 2
    assert run.timings["compile_s"].notna().all()


def test_of_wrong_work_in_a_later_round_no_time_is_left(perform):
    WrongInRoundTwo.begun = 0
    run = perform([Numpy, WrongInRoundTwo], 6, models=("softmax",))
    rows = run.timings[run.timings["implementation"] == "wrong-in-round-two"]
    assert list(rows["status"]) == ["failed-verification"]
    assert rows[["time_s", "compile_s", "prep_s", "rss_peak_bytes"]].isna().all(axis=None)
    assert set(run.curves["implementation"]) == {"numpy"}
    assert list(run.timings.loc[run.timings["implementation"] == "numpy", "repeat"]) == [*range(6)]
    assert WrongInRoundTwo.begun == 2  # out of the case from then on


def test_a_timeout_costs_its_own_place(perform, monkeypatch):
    allowed = []

    class LosesPatience(InProcess):
        def call(self, function, *args, timeout=None, **options):
            if function is session.measure_case:
                allowed.append(timeout)
                if InAVariant in args[1] and options["repeats"].start:
                    loss = TimedOutError("timeout after 3 s")
                    loss.at_work = "same-steps/in-a-variant"
                    raise loss
            return super().call(function, *args, **options)

    monkeypatch.setattr(session, "MeasuringPool", LosesPatience)
    run = perform([InAVariant, Numpy], 5, models=("softmax",))
    ours = run.timings[run.timings["implementation"] == "in-a-variant"]
    assert list(ours["status"]) == ["ok"] * 2 + ["failed"]
    assert ours["error"].iloc[2] == "timeout after 3 s"
    assert (run.timings["implementation"] == "numpy").sum() == 5
    assert len(allowed) == 4  # one a round, and one more without whom it was lost to


@pytest.mark.slow
def test_who_hangs_or_crashes_costs_its_own_place_in_the_case(started):
    kinds = [Numpy, Hangs, Crashes, InAVariant]
    files, cases = started(kinds, models=("softmax",))
    run = session.perform(files, cases, kinds, 2, timeout=8)
    status = run.timings.groupby("implementation")["status"].agg(list).to_dict()
    assert status == {
        "numpy": ["ok"] * 2, "in-a-variant": ["ok"] * 2,
        "hangs": ["failed"], "crashes": ["failed"],
    }  # fmt: skip
    errors = run.timings.set_index("implementation")["error"]
    assert errors["hangs"] == "timeout after 8 s"
    assert errors["crashes"].startswith("the measuring process ended with signal 11 (SIGSEGV)")
    assert run.timings["time_s"].notna().sum() == 4


def test_a_calibration_that_crashes_costs_only_itself(started, monkeypatch):
    monkeypatch.setattr(machine, "calibrate", os.abort)  # takes no argument: TypeError, there
    files, cases = started([Numpy], models=("mlp-softmax",))
    run = session.perform(files, cases, [Numpy], 2)
    assert list(run.timings["status"]) == ["ok"] * 2
    assert run.summary["limit_fraction"].isna().all()
    assert "TypeError" in run.facts["calibration_error"]


def test_a_full_disk_ends_the_run_and_keeps_what_there_is(perform, monkeypatch, tmp_path):
    write, calls = RunFiles.write_part, []

    def once(self, *args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "parts/2.json")
        write(self, *args)

    monkeypatch.setattr(RunFiles, "write_part", once)
    with pytest.raises(OSError, match="No space left on device"):
        perform([Numpy])
    (directory,) = (tmp_path / "out").iterdir()
    assert json.loads((directory / "run.json").read_text())["status"] == "failed"
    assert len(list((directory / "parts").iterdir())) == 1


def test_verifying_needs_no_files(monkeypatch, kinds):
    monkeypatch.setattr(session, "MeasuringPool", InProcess)
    cases = [training_case(epochs=1), estimator_case()]
    chosen = [*OWN, *kinds("wrong"), find("same-estimator", "fastlogit")]
    results = list(session.verify(cases, chosen))
    assert [(each.implementation, each.status) for each in results] == [
        *(("numpy", "ok"), ("fastlogit", "ok"), ("wrong", "failed-verification")),
        ("fastlogit", "ok"),
    ]
