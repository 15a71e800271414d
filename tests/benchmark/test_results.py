import csv
import errno
import json
import re
from pathlib import Path

import pytest

from fastlogit.benchmark import results
from fastlogit.benchmark.results import (
    CURVE_COLUMNS,
    TIMING_COLUMNS,
    CurvePoint,
    RunFiles,
    Timing,
    read_timings,
)
from fastlogit.benchmark.summary import SUMMARY_COLUMNS

README = (Path(__file__).parents[2] / "results" / "README.md").read_text()


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


def point(**other):
    values = {"cell_id": "c", "impl": "numpy", "seed": 0, "epoch": 1, "elapsed_s": 0.5}
    return CurvePoint(**values | {"train_loss": 0.25, "test_accuracy": None} | other)


def test_the_columns_are_the_documented_ones():
    assert ", ".join(CURVE_COLUMNS) == (
        "cell_id, impl, seed, epoch, elapsed_s, train_loss, test_accuracy"
    )
    assert ", ".join(TIMING_COLUMNS) == (
        "schema_version, run_id, cell_id, model, dataset, n_samples, n_features, n_hidden, "
        "n_classes, impl, impl_version, division, solver, batch_size, dtype, threads, epochs, "
        "seed, repeat, order_index, time_s, compile_s, prep_s, samples, flops, rss_peak_bytes, "
        "loss_final, loss_ref, loss_rel_err, verified, status, error"
    )
    assert ", ".join(SUMMARY_COLUMNS) == (
        "model, dataset, impl, division, solver, batch_size, dtype, threads, n, median_s, q1_s, "
        "q3_s, samples_per_s, gflop_s, limit_fraction, speedup_vs_numpy, speedup_low, "
        "speedup_high, time_to_target_s, verified, status"
    )


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("timings.csv", TIMING_COLUMNS),
        ("curves.csv", CURVE_COLUMNS),
        ("summary.csv", SUMMARY_COLUMNS),
    ],
)
def test_the_readme_describes_every_column(heading, columns):
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == list(columns)


def test_missing_is_empty_and_booleans_are_lower_case(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing(verified=True), timing(verified=False), timing()])
    with files.timings.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["verified"] for row in rows] == ["true", "false", ""]
    assert {row["time_s"] for row in rows} == {""}
    assert {row["schema_version"] for row in rows} == {"1"}


def test_numbers_survive_to_the_last_digit(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing(time_s=0.1 + 0.2, loss_final=1e-300)])
    with files.timings.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["time_s"]) == 0.1 + 0.2
    assert float(row["loss_final"]) == 1e-300
    # pandas 2 reads floats to within a unit in the last place, pandas 3 exactly.
    assert read_timings(files.timings)["time_s"][0] == pytest.approx(0.1 + 0.2, rel=1e-15)


def test_rows_are_on_disk_before_the_run_ends(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing()])
        assert files.rows_path.name == "timings.csv.partial"
        assert len(read_timings(files.rows_path)) == 1
        assert not files.timings.exists()
        assert json.loads((files.directory / "run.json").read_text())["status"] == "running"
    assert files.rows_path == files.timings
    assert {path.name for path in files.directory.iterdir()} == {
        "timings.csv",
        "curves.csv",
        "run.json",
    }


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "interrupted"), (RuntimeError, "failed")]
)
def test_an_error_leaves_the_partial_file(tmp_path, error, status):
    files = RunFiles(tmp_path, {"command": ["x"]})
    files.append([timing()])
    with pytest.raises(error), files:
        raise error
    assert len(read_timings(files.rows_path)) == 1
    facts = json.loads((files.directory / "run.json").read_text())
    assert facts["status"] == status
    assert facts["command"] == ["x"]
    assert not files.timings.exists()


def test_half_a_row_is_not_a_row(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing(time_s=1.0), timing(time_s=2.0)])
    text = files.timings.read_text()
    for cut in (1, 2, 3, 40):  # 1: the row looks whole, but its last field may go on
        files.timings.write_text(text[: len(text) - cut])
        assert list(read_timings(files.timings)["time_s"]) == [1.0]


def test_a_run_never_writes_into_another(tmp_path, monkeypatch):
    monkeypatch.setattr(results.time, "strftime", lambda *_: "20300101-000000")
    tokens = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(results.secrets, "token_hex", lambda _: next(tokens))
    with RunFiles(tmp_path, {}) as first:
        first.append([timing()])
    before = first.timings.read_bytes()
    with RunFiles(tmp_path, {}) as second:
        pass
    assert (first.run_id, second.run_id) == ("20300101-000000-aaaa", "20300101-000000-bbbb")
    assert first.timings.read_bytes() == before


def test_other_columns_and_versions_are_refused(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing(schema_version=2)])
    with pytest.raises(ValueError, match="schema version 2, not 1"):
        read_timings(files.timings)
    text = files.timings.read_text()
    files.timings.write_text(text.replace("time_s", "time_ms"))
    with pytest.raises(ValueError, match="other columns"):
        read_timings(files.timings)


def test_out_that_is_a_file_raises(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match="out"):
        RunFiles(tmp_path / "out", {})


def test_curves_have_a_table_of_their_own(tmp_path):
    with RunFiles(tmp_path, {}) as files:
        files.append([timing()], [point(), point(epoch=2, test_accuracy=0.75)])
        assert (files.directory / "curves.csv.partial").read_text().count("\n") == 3
    text = (files.directory / "curves.csv").read_text()
    assert text.splitlines()[1:] == ["c,numpy,0,1,0.5,0.25,", "c,numpy,0,2,0.5,0.25,0.75"]


CONFIG = {"config": {"impls": ["numpy"], "repeats": 2, "repeats_per_round": 2}}


def cell(name):
    return [timing(cell_id=name, repeat=repeat) for repeat in (0, 1)], [point(cell_id=name)] * 2


def interrupted(out, *names):
    files = RunFiles(out, CONFIG)
    for name in names:
        files.append(*cell(name))
    with pytest.raises(KeyboardInterrupt), files:
        raise KeyboardInterrupt
    return files.directory


def test_a_run_is_gone_on_with_behind_its_last_whole_cell(tmp_path):
    directory = interrupted(tmp_path, "a", "b")
    timings = directory / "timings.csv.partial"
    timings.write_text(timings.read_text()[:-3])  # half of b's last row
    files = RunFiles.reopen(directory)
    assert files.directory == directory
    assert set(files.cells) == {"a"}
    assert json.loads((directory / "run.json").read_text())["status"] == "running"
    with files:
        files.append(*cell("b"))
    assert list(read_timings(files.timings)["cell_id"]) == ["a", "a", "b", "b"]
    curves = (directory / "curves.csv").read_text().splitlines()
    assert [row[0] for row in csv.reader(curves)][1:] == list("aabb")
    assert json.loads((directory / "run.json").read_text())["status"] == "complete"


def test_points_without_their_timings_are_dropped(tmp_path):
    directory = interrupted(tmp_path, "a")
    curves = directory / "curves.csv.partial"
    before = curves.read_text()
    curves.write_text(before + "b,numpy,0,1,0.5,0.25,\nb,numpy,0")
    RunFiles.reopen(directory).close()
    assert curves.read_text() == before


def test_a_run_killed_between_its_last_steps_is_gone_on_with(tmp_path):
    directory = interrupted(tmp_path, "a")
    (directory / "curves.csv.partial").rename(directory / "curves.csv")
    (directory / "timings.csv.partial").rename(directory / "timings.csv")
    with RunFiles.reopen(directory) as files:
        assert set(files.cells) == {"a"}
    assert len(read_timings(directory / "timings.csv")) == 2


def test_a_run_is_not_written_by_two(tmp_path):
    pytest.importorskip("fcntl")
    with RunFiles(tmp_path, CONFIG) as files, pytest.raises(BlockingIOError):
        RunFiles.reopen(files.directory)
    with pytest.raises(ValueError, match="is complete"):
        RunFiles.reopen(files.directory)
    assert files.timings.exists()


def test_a_run_of_another_schema_is_not_gone_on_with(tmp_path):
    directory = interrupted(tmp_path, "a")
    timings = directory / "timings.csv.partial"
    timings.write_text(timings.read_text().replace("time_s", "time_ms"))
    before = timings.read_bytes()
    with pytest.raises(ValueError, match="other columns"):
        RunFiles.reopen(directory)
    assert timings.read_bytes() == before


def test_an_error_that_hits_run_json_too_is_the_one_raised(tmp_path, monkeypatch):
    files = RunFiles(tmp_path, CONFIG)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(results.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as error, files:
        files.append([timing()])
    assert error.value.filename.endswith("curves.csv.partial")
    assert json.loads((files.directory / "run.json").read_text())["status"] == "running"
    with pytest.raises(OSError, match="No space left") as error:
        files.note(more=1)
    assert error.value.filename.endswith("run.json")
