import json

import pandas as pd
import pytest

from fastlogit.benchmark import machine, session
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.results import read_timings
from fastlogit.benchmark.summary import summarise

OWN = [kind for kind in CONTENDERS.values() if kind.by_default]

RATES = {"threads": 1, "sgemm_gflop_s": 50.0, "dgemm_gflop_s": 25.0, "read_gb_s": 10.0}


@pytest.fixture
def perform(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "calibrate", lambda threads: RATES | {"threads": threads})

    def run(kinds, **axes):
        grid = Grid(models=("softmax", "mlp-logistic"), datasets=("iris",), epochs=1, **axes)
        files = session.open_run(tmp_path / "out", grid, kinds, 2)
        return session.perform(files, grid.cases(), kinds, 2)

    return run


def test_a_complete_run(perform, tmp_path):
    run = perform(OWN)
    assert not run.interrupted
    assert run.directory.parent == tmp_path / "out"
    assert {path.name for path in run.directory.iterdir()} == {
        "timings.csv",
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
        read_timings(directory / "timings.csv"), facts["calibration"], facts["gather_s"]
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


def test_an_interrupted_run_keeps_its_rows(perform, fakes):
    fakes["interrupted"].runs_left = 4 + 2  # in the second case while it is timed
    run = perform([CONTENDERS["numpy"], fakes["interrupted"]])
    assert run.interrupted
    assert {path.name for path in run.directory.iterdir()} == {"timings.csv.partial", "run.json"}
    assert list(run.timings["model"]) == ["softmax"] * 4
    assert len(run.summary) == 2
    facts = json.loads((run.directory / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert "finished" in facts
