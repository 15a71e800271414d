import json
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from fastlogit.benchmark.results import CURVE_COLUMNS, RunFiles, Timing
from fastlogit.benchmark.runs import load_run

REFERENCE = Path(__file__).parents[2] / "results"
HEADER = ",".join(CURVE_COLUMNS)


def timing(**other):
    values = {
        "run_id": "r",
        "cell_id": "c",
        "model": "softmax",
        "dataset": "iris",
        "impl": "numpy",
        "impl_version": "2.0",
        "division": "closed",
        "solver": "sgd",
        "batch_size": 32,
        "dtype": "float32",
        "threads": 1,
        "epochs": 2,
        "seed": 0,
        "status": "ok",
    }
    return Timing(**values | other)


@pytest.fixture
def store(tmp_path):
    """Write a run by a name of its own, complete unless Ctrl-C ended it."""

    def write(name, *times, interrupted=False, **facts):
        files = RunFiles(tmp_path / "results", facts)
        files.append([timing(repeat=i, time_s=time) for i, time in enumerate(times)])
        with suppress(KeyboardInterrupt), files:
            if interrupted:
                raise KeyboardInterrupt
        return files.directory.rename(files.directory.with_name(name))

    return write


@pytest.fixture
def load(tmp_path):
    return lambda name: load_run(name, tmp_path / "results")


def test_a_complete_run(store, load):
    directory = store("20300101-000000-aaaa", 1.0, 2.0, note="this")
    run = load("20300101-000000-aaaa")
    assert run.directory == directory
    assert run.facts["status"] == "complete"
    assert run.facts["note"] == "this"
    assert list(run.timings["time_s"]) == [1.0, 2.0]
    assert run.curves.empty
    assert tuple(run.curves.columns) == CURVE_COLUMNS


def test_a_run_by_its_path_wherever_it_is(store, tmp_path, monkeypatch):
    directory = store("20300101-000000-aaaa", 1.0)
    monkeypatch.chdir(tmp_path)
    for name in (str(directory), "results/20300101-000000-aaaa"):
        assert list(load_run(name, Path("nowhere")).timings["time_s"]) == [1.0]


def test_a_killed_run_is_read_without_its_half_rows(store, load):
    directory = store("20300101-000000-aaaa", 1.0, 2.0, interrupted=True)
    partial = directory / "timings.csv.partial"
    partial.write_text(partial.read_text()[:-10])
    # Cut short, the last loss would be another number, and nothing else would tell.
    curves = f"{HEADER}\nc,numpy,0,1,0.5,0.75,\nc,numpy,0,2,1.0,0.2"
    (directory / "curves.csv.partial").write_text(curves)
    run = load("latest")
    assert list(run.timings["time_s"]) == [1.0]
    assert run.curves["train_loss"].tolist() == [0.75]
    assert run.curves["test_accuracy"].isna().all()
    assert run.facts["status"] == "interrupted"


@pytest.mark.parametrize("written", ["", "cell_id,imp"])
def test_curves_killed_within_their_header_are_none(store, load, written):
    (store("20300101-000000-aaaa") / "curves.csv.partial").write_text(written)
    assert load("latest").curves.empty


def test_complete_curves(store, load):
    rows = "c,numpy,0,1,0.5,0.75,0.9\nc,numba,0,1,0.25,0.75,0.9\n"
    (store("20300101-000000-aaaa") / "curves.csv").write_text(f"{HEADER}\n{rows}")
    curves = load("latest").curves
    assert curves["elapsed_s"].tolist() == [0.5, 0.25]
    assert curves["impl"].tolist() == ["numpy", "numba"]


def test_latest_is_the_last_by_its_id(store, load):
    for name in ("20300102-000000-aaaa", "20300101-235959-ffff", "reference"):
        store(name)
    assert load("latest").directory.name == "20300102-000000-aaaa"


def test_the_beginning_of_one_id_is_enough(store, load):
    for name in ("20300101-000000-aaaa", "20300101-000000-bbbb", "20300102-000000-cccc"):
        store(name)
    assert load("20300102").directory.name == "20300102-000000-cccc"
    with pytest.raises(ValueError, match=r"'20300101' is the beginning of 2 runs: .*aaaa, .*bbbb"):
        load("20300101")


def test_a_whole_name_wins_over_the_beginning_of_another(store, load):
    for name in ("reference", "reference-old"):
        store(name)
    assert load("reference").directory.name == "reference"


@pytest.mark.parametrize("name", ["2029", "", "latest"])
def test_an_unknown_run_is_refused_with_what_there_is(store, load, name):
    with pytest.raises(ValueError, match=f"^'{name}' is no run; in '.*results' there is none$"):
        load(name)
    store("reference")
    with pytest.raises(ValueError, match=f"^'{name}' is no run; in .* there are reference$"):
        load(name)


def test_a_directory_that_is_no_run_is_refused(tmp_path, load):
    with pytest.raises(ValueError, match=r"is a directory without a run\.json"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "run.json is not JSON"),
        ("[]", "schema version None, not 1"),
        ('{"schema_version": 2}', "schema version 2, not 1"),
    ],
)
def test_a_run_json_of_another_kind_is_refused(store, load, text, complaint):
    (store("20300101-000000-aaaa") / "run.json").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        load("latest")


@pytest.mark.parametrize("name", ["timings.csv", "curves.csv"])
def test_other_columns_are_refused(store, load, name):
    (store("20300101-000000-aaaa") / name).write_text("cell_id,colour\nc,red\n")
    with pytest.raises(ValueError, match=f"{name} has other columns than schema version 1"):
        load("latest")


@pytest.mark.parametrize(("name", "column"), [("timings.csv", "time_s"), ("curves.csv", "epoch")])
def test_text_where_a_number_belongs_is_refused(store, load, name, column):
    path = store("20300101-000000-aaaa", 1.0) / name
    table = pd.read_csv(path, dtype=str)
    table.loc[0, column] = "abc"
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=f"{name} has 'abc' in the column '{column}', where numb"):
        load("latest")


def test_files_that_cannot_be_read_are_named(store, load):
    directory = store("20300101-000000-aaaa")
    (directory / "timings.csv").unlink()
    with pytest.raises(ValueError, match=r"cannot read the run 'latest': .*timings\.csv"):
        load("latest")
    (directory / "timings.csv").write_text("time_s,time_s\n1,2,3\n")
    with pytest.raises(ValueError, match=r"timings\.csv has other columns"):
        load("latest")


def test_the_summary_is_derived_anew(store, load):
    directory = store(
        "20300101-000000-aaaa",
        *(1.0, 3.0, 2.0),
        calibration=[{"threads": 1, "sgemm_gflop_s": 1.0, "dgemm_gflop_s": 1.0}],
        gather_s={"c": 0.5},
    )
    assert not (directory / "summary.csv").exists()
    run = load("latest")
    run.timings[["samples", "flops"]] = 10
    (row,) = run.summary.to_dict("records")
    assert row["median_s"] == 2.0
    assert row["limit_fraction"] == pytest.approx(0.25)


def test_the_reference_run_is_read_as_it_is_stored():
    run = load_run("reference", REFERENCE)
    stored = json.loads((REFERENCE / "reference" / "run.json").read_text())
    assert run.facts == stored
    assert run.summary["speedup_vs_numpy"].notna().sum() > 0
    assert len(run.summary) == run.timings.groupby(["cell_id", "impl"]).ngroups
