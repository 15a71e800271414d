import csv
import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import killed_runs
import numpy as np
import pytest
from killed_runs import FACTS, curve_of, files_of, rows_of, stub_summary

from fastlogit.benchmark import storage
from fastlogit.benchmark.schema import CURVE_COLUMNS, SCHEMA_VERSION, TIMING_COLUMNS
from fastlogit.benchmark.storage import find_run, new_run, read_run, replace_file, resume_run

TABLES = {"timings.csv", "curves.csv", "summary.csv"}


@pytest.fixture(autouse=True)
def _summary_of_its_own(monkeypatch):
    stub_summary(monkeypatch.setitem)


def timing(**other):
    return replace(rows_of("a", 1)[0], **other)


def write(files, case_id, round_, **facts):
    files.write_part(case_id, round_, rows_of(case_id, round_), curve_of(case_id, round_), facts)


def complete_run(out, *timings, **facts):
    with new_run(out, FACTS | facts) as files:
        files.write_part("a", 1, timings or rows_of("a", 1), curve_of("a", 1), {})
        files.finish("complete")
    return files.directory


def cut_short(out, **facts):
    with new_run(out, FACTS | facts) as files:
        write(files, "a", 1)
        files.finish("interrupted")
    return files.directory


def renamed(directory, name):
    facts = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(facts | {"run_id": name}))
    return directory.rename(directory.with_name(name))


def facts_of(directory):
    return json.loads((directory / "run.json").read_text())


def table(directory, name="timings.csv"):
    with (directory / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def in_another_process(code, *args):
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False
    )


# Writing


def test_a_complete_run_has_its_tables_and_nothing_else(tmp_path):
    directory = complete_run(tmp_path)
    assert {path.name for path in directory.iterdir()} == {"run.json"} | TABLES
    facts = facts_of(directory)
    assert (facts["status"], facts["run_id"]) == ("complete", directory.name)
    assert facts["schema_version"] == SCHEMA_VERSION
    rows = table(directory)
    assert tuple(rows[0]) == TIMING_COLUMNS
    assert tuple(table(directory, "curves.csv")[0]) == CURVE_COLUMNS
    assert {row["run_id"] for row in rows} == {directory.name}


def test_a_part_is_on_the_disk_before_the_next_begins(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        for round_ in (1, 2):
            write(files, "a", round_)
            assert len(list((files.directory / "parts").iterdir())) == round_
            run = read_run(files.directory)
            assert run.facts["status"] == "running"
            assert len(run.timings) == len(rows_of("a", 1)) * round_
        assert files.parts == {("a", 1), ("a", 2)}
        known = [replace(row, run_id="") for row in files.part_rows("a")]
        assert known == rows_of("a", 1) + rows_of("a", 2)
        assert files.part_rows("b") == []


def test_missing_is_empty_and_whole_numbers_stay_whole(tmp_path):
    rows = [
        timing(repeat=0, verified=True, n_samples=150),
        timing(repeat=1, verified=False, loss_final=float("nan")),
        timing(repeat=2, verified=None, time_s=None, error="No, [b]he said"),
    ]
    found = table(complete_run(tmp_path, *rows))
    assert [row["verified"] for row in found] == ["True", "False", ""]
    assert [row["n_samples"] for row in found] == ["150", "", ""]
    assert [row["error"] for row in found] == ["", "", "No, [b]he said"]
    assert found[1]["loss_final"] == found[2]["time_s"] == ""
    assert {row["schema_version"] for row in found} == {str(SCHEMA_VERSION)}


def test_numbers_survive_to_the_last_digit_and_a_version_stays_text(tmp_path):
    row = timing(time_s=0.1 + 0.2, loss_final=1e-300, loss_ref=1 / 3e9, version="2.0")
    (found,) = read_run(complete_run(tmp_path, row)).timings.to_dict("records")
    assert (found["time_s"], found["loss_final"]) == (0.1 + 0.2, 1e-300)
    assert (found["loss_ref"], found["version"], found["repeat"]) == (1 / 3e9, "2.0", 0)


def test_numpy_scalars_are_kept_as_their_values(tmp_path):
    row = timing(loss_final=np.float32(0.1), samples=np.int64(9))
    (found,) = table(complete_run(tmp_path, row, cores=np.int64(2), path=Path("a")))
    assert (found["loss_final"], found["samples"]) == (repr(float(np.float32(0.1))), "9")
    facts = facts_of(next(tmp_path.iterdir()))
    assert (facts["cores"], facts["path"]) == (2, "a")


def test_rows_stand_by_implementation_with_what_the_first_round_measured(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        for round_ in (1, 2):
            for case_id in ("b", "a"):
                write(files, case_id, round_)
        files.finish("complete")
    rows = table(files.directory)
    assert [(row["case_id"], row["implementation"], row["repeat"]) for row in rows] == [
        (case_id, name, str(repeat))
        for case_id in ("b", "a")
        for name in ("numpy", "fastlogit")
        for repeat in range(4)
    ]
    assert {row["compile_s"] for row in rows} == {"0.125"}
    assert {row["rss_peak_bytes"] for row in rows} == {""}  # nothing has measured it


def test_of_a_fact_the_least_of_a_case_is_kept(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        write(files, "a", 1, take_s=0.5, target_loss=0.25)
        write(files, "b", 1, take_s=0.125)
        write(files, "a", 2, take_s=0.25)
        write(files, "b", 2, take_s=0.5)
        expected = {"take_s": {"a": 0.25, "b": 0.125}, "target_loss": {"a": 0.25}}
        before = read_run(files.directory).facts
        files.finish("complete")
    assert expected.items() <= before.items()
    assert expected.items() <= facts_of(files.directory).items()


@pytest.mark.parametrize(
    ("status", "left"),
    [("failed-verification", ["failed-verification"]), ("failed", ["ok", "ok", "failed"])],
)
def test_what_fails_in_a_later_round(tmp_path, status, left):
    others = [row for row in rows_of("a", 2) if row.implementation == "numpy"]
    with new_run(tmp_path, FACTS) as files:
        write(files, "a", 1)
        bad = timing(implementation="fastlogit", status=status, repeat=None, time_s=None)
        files.write_part("a", 2, [*others, bad], [], {})
        files.finish("complete")
    statuses = {"numpy": [], "fastlogit": []}
    for row in table(files.directory):
        statuses[row["implementation"]].append(row["status"])
    assert statuses == {"numpy": ["ok"] * 4, "fastlogit": left}
    curves = table(files.directory, "curves.csv")
    assert {row["implementation"] for row in curves} == {"numpy"}


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_ends_early_keeps_its_parts(tmp_path, status):
    with new_run(tmp_path, FACTS) as files:
        write(files, "a", 1)
        files.note(load=1)
        files.finish(status)
    assert {path.name for path in files.directory.iterdir()} == {"run.json", "parts"}
    run = read_run(files.directory)
    assert (run.facts["status"], run.facts["load"]) == (status, 1)
    assert len(run.timings) == len(run.summary) * 2 == 4


def test_a_run_without_parts_has_empty_tables(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        files.finish("complete")
    run = read_run(files.directory)
    assert (len(run.timings), len(run.curves)) == (0, 0)
    assert tuple(run.timings.columns) == TIMING_COLUMNS


def test_what_is_read_of_an_unfinished_run_is_what_its_end_would_give(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        write(files, "a", 1, take_s=0.5)
        write(files, "a", 2)
        before = read_run(files.directory)
        files.finish("complete")
    after = read_run(files.directory)
    for name in ("timings", "curves", "summary"):
        assert getattr(before, name).equals(getattr(after, name)), name
    assert after.summary.to_csv(index=False) == (files.directory / "summary.csv").read_text()


def test_a_directory_is_never_used_twice(tmp_path, monkeypatch):
    with new_run(tmp_path / "out", FACTS) as one, new_run(tmp_path / "out", FACTS) as another:
        assert one.directory != another.directory
    monkeypatch.setattr(storage.time, "strftime", lambda *_: "20260101-000000")
    monkeypatch.setattr(storage.secrets, "token_hex", lambda _: "aaaa")
    with new_run(tmp_path, FACTS), pytest.raises(FileExistsError):
        new_run(tmp_path, FACTS | {"started": "again"})
    assert "started" not in facts_of(tmp_path / "20260101-000000-aaaa")


# Failing to write


def test_a_failed_write_names_the_path_and_loses_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with new_run(tmp_path, FACTS) as files:
        write(files, "a", 1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left") as error:
                write(files, "b", 1)
            assert Path(error.value.filename).parent == files.directory / "parts"
            with pytest.raises(OSError, match="No space left") as error:
                files.note(load=1)
            assert error.value.filename == str(files.directory / "run.json")
            with pytest.raises(OSError, match="No space left"):
                files.finish("complete")
        assert files.parts == {("a", 1)}
        assert "load" not in files.facts
        assert facts_of(files.directory)["status"] == "running"
        assert not list(files.directory.rglob("*.new"))
        write(files, "b", 1)
        files.finish("complete")
    assert {row["case_id"] for row in table(files.directory)} == {"a", "b"}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(FileNotFoundError) as error:
        replace_file(tmp_path / "nowhere" / "file", b"new")
    assert error.value.filename == str(tmp_path / "nowhere" / "file")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


# Resuming


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks to be quick")
@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_is_finished_without_loss(tmp_path, step):
    done = subprocess.run(  # noqa: S603
        [sys.executable, killed_runs.__file__, str(tmp_path), str(step)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 36 // step


def test_a_resumed_run_gives_the_same_files_as_an_undisturbed_one(tmp_path):
    killed_runs.run(tmp_path / "whole", tmp_path / "done")
    with new_run(tmp_path / "cut", FACTS) as files:
        write(files, "b", 1, take_s=1.0)
        files.finish("interrupted")
    killed_runs.run(tmp_path / "cut", tmp_path / "done")
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


def test_the_newest_unfinished_run_is_resumed(tmp_path):
    for name in ("20260101-000000-aaaa", "20260103-000000-aaaa", "20260102-000000-aaaa"):
        renamed(cut_short(tmp_path), name)
    renamed(complete_run(tmp_path), "20260104-000000-aaaa")
    files, words = resume_run(tmp_path, FACTS | {"started": "now"})
    with files:
        assert files.run_id == "20260103-000000-aaaa"
        assert words == f"resuming {files.directory}; cases with results: 1"
        assert files.parts == {("a", 1)}
        assert facts_of(files.directory)["status"] == "running"


def test_without_an_unfinished_run_there_is_none(tmp_path):
    complete_run(tmp_path)
    assert resume_run(tmp_path, FACTS) == (None, f"no unfinished run in {tmp_path}")
    assert resume_run(tmp_path / "nowhere", FACTS)[0] is None


@pytest.mark.parametrize("content", ["{", "[]", "", "null", '{"schema_version": 1}'])
def test_what_is_no_run_of_this_version_is_skipped(tmp_path, content):
    (tmp_path / "99999999").mkdir()
    (tmp_path / "99999999" / "run.json").write_text(content)
    files, words = resume_run(tmp_path, FACTS)
    assert files is None
    assert words.startswith(f"{tmp_path / '99999999'} is not resumed: run.json ")
    cut_short(tmp_path)
    with resume_run(tmp_path, FACTS)[0] as files:
        assert files.parts == {("a", 1)}


@pytest.mark.parametrize(
    "name", ["config", "data", "git", "packages", "cpu", "memory_bytes", "environment"]
)
def test_a_run_of_other_facts_is_named_and_left_alone(tmp_path, name):
    directory = cut_short(tmp_path)
    before = {path: path.read_bytes() for path in directory.rglob("*.json")}
    files, words = resume_run(tmp_path, FACTS | {name: {"other": 1}})
    assert (files, words) == (None, f"{directory} is not resumed: it differs in {name}")
    assert {path: path.read_bytes() for path in directory.rglob("*.json")} == before


def test_a_damaged_part_is_named_and_nothing_is_overwritten(tmp_path):
    directory = cut_short(tmp_path)
    (part,) = directory.glob("parts/*")
    part.write_bytes(part.read_bytes()[:100])
    files, words = resume_run(tmp_path, FACTS)
    assert files is None
    assert words.startswith(f"{directory} is not resumed: {part.name} is damaged (")


def test_a_removed_part_is_measured_again_and_costs_no_other(tmp_path):
    with new_run(tmp_path, FACTS) as files:
        for case_id in ("a", "b", "c"):
            write(files, case_id, 1)
        write(files, "a", 2)
        files.finish("interrupted")
    min(files.directory.glob("parts/*")).unlink()
    files, _ = resume_run(tmp_path, FACTS)
    with files:
        assert files.parts == {("b", 1), ("c", 1), ("a", 2)}
        write(files, "b", 2)
        write(files, "a", 1)
        assert len(list(files.directory.glob("parts/*.json"))) == 5
        files.finish("complete")
    rows = table(files.directory)
    assert len(rows) == 5 * len(rows_of("a", 1))
    assert {row["compile_s"] for row in rows} == {"0.125"}


def test_what_a_death_left_beside_a_complete_run_is_removed(tmp_path):
    directory = complete_run(tmp_path)
    (directory / "parts").mkdir()
    assert resume_run(tmp_path, FACTS)[0] is None
    assert {path.name for path in directory.iterdir()} == {"run.json"} | TABLES


def test_a_run_that_another_process_writes_is_left_to_it(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import json, sys; from pathlib import Path\n"
        "from fastlogit.benchmark.storage import resume_run\n"
        "print(resume_run(Path(sys.argv[1]), json.loads(sys.argv[2])))\n"
    )
    with new_run(tmp_path, FACTS) as files:
        done = in_another_process(code, tmp_path, json.dumps(FACTS))
        words = f"{files.directory} is not resumed: another process is measuring it"
        assert done.stdout == f"(None, {words!r})\n", done.stderr
    done = in_another_process(code, tmp_path, json.dumps(FACTS))
    assert f"resuming {files.directory}" in done.stdout, done.stderr


# Reading


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("run.json", lambda text: text[:20], "run.json is damaged"),
        ("run.json", lambda _: "[]", "run.json has schema version None, not 2"),
        ("run.json", lambda text: text.replace("_version\": 2", "_version\": 1"),
         "run.json has schema version 1, not 2"),
        ("timings.csv", lambda text: text.replace("time_s", "time_ms"), "time_s"),
        ("timings.csv", lambda text: text.replace("0.7,", "fast,"), "fast"),
        ("curves.csv", lambda _: "", "No columns"),
        ("timings.csv", None, "No such file"),
    ],
)  # fmt: skip
def test_a_damaged_run_is_an_error_in_one_line_that_says_what_to_do(tmp_path, name, change, reason):
    path = complete_run(tmp_path) / name
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=reason) as error:
        read_run(path.parent)
    assert str(error.value).startswith(f"cannot read the run {path.parent}: ")
    assert str(error.value).endswith("; run the benchmark again")
    assert "\n" not in str(error.value)


@pytest.fixture
def runs(tmp_path):
    for name in ("20260101-000000-aaaa", "20260102-000000-aaaa", "reference"):
        renamed(complete_run(tmp_path), name)
    (tmp_path / "99999999-000000-aaaa").mkdir()  # nothing in it
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", "20260102-000000-aaaa"),
        ("20260101-000000-aaaa", "20260101-000000-aaaa"),
        ("20260101", "20260101-000000-aaaa"),
        ("ref", "reference"),
    ],
)
def test_a_run_is_found_by_name(runs, name, found):
    assert find_run(name, runs) == runs / found


def test_a_run_is_found_by_its_path(runs):
    path = runs / "reference"
    assert find_run(str(path), Path("elsewhere")) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2026", "'2026' is the beginning of 2 runs; in {out!r} there are: "
         "20260101-000000-aaaa, 20260102-000000-aaaa"),
        ("x", "'x' is no run; in {out!r} there are: "
         "20260101-000000-aaaa, 20260102-000000-aaaa, reference"),
        ("", "'' is no run; in {out!r} there are: "
         "20260101-000000-aaaa, 20260102-000000-aaaa, reference"),
    ],
)  # fmt: skip
def test_what_is_not_found_lists_what_there_is(runs, name, message):
    with pytest.raises(ValueError, match="there are") as error:
        find_run(name, runs)
    assert str(error.value) == message.format(out=str(runs))


def test_where_there_is_no_run_at_all(tmp_path):
    with pytest.raises(ValueError, match=r"^'latest' is no run; in .* there are: none$"):
        find_run("latest", tmp_path / "nowhere")
