import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastlogit.benchmark import session
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.results import RunFiles
from fastlogit.benchmark.resume import differences, resume, unfinished

GRID = Grid(models=("softmax",), datasets=("iris",), epochs=1)
KINDS = [CONTENDERS["numpy"]]


@pytest.fixture
def facts():
    return session.describe(GRID, KINDS, 2)


def cut_short(out, facts, **other):
    files = RunFiles(out, facts | other)
    with pytest.raises(KeyboardInterrupt), files:
        raise KeyboardInterrupt
    return files.directory


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks to be quick")
@pytest.mark.slow
def test_a_run_killed_at_any_moment_is_finished_without_loss(tmp_path):
    program = Path(__file__).with_name("killed_runs.py")
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # At the beginning, the end, and in each of 4 visits it writes, renames and waits several times.
    assert int(done.stdout) >= 40


def test_the_newest_unfinished_run_is_opened(tmp_path, facts):
    cut_short(tmp_path, facts, started="2026-01-01T00:00:00Z")
    newest = cut_short(tmp_path, facts, started="2026-01-03T00:00:00Z")
    cut_short(tmp_path, facts, started="2026-01-02T00:00:00Z")
    files, words = resume(tmp_path, facts)
    assert files.directory == newest
    assert words == f"going on with {newest}, which has 0 cells"
    files.close()


def test_a_run_that_came_to_its_end_is_not(tmp_path, facts):
    with RunFiles(tmp_path, facts):
        pass
    assert resume(tmp_path, facts) == (
        None,
        f"{tmp_path} has no unfinished run; starting a new one",
    )
    assert resume(tmp_path / "nowhere", facts)[0] is None


def test_what_is_no_run_is_passed_over(tmp_path, facts):
    for name, text in (("a", "{"), ("b", "[]"), ("c", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    (tmp_path / "d").mkdir()
    assert list(unfinished(tmp_path)) == []
    assert resume(tmp_path, facts)[0] is None


def test_another_configuration_is_named_and_left_alone(tmp_path, facts):
    directory = cut_short(tmp_path, facts)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    other = session.describe(Grid(models=("softmax",), epochs=2), KINDS, 5)
    files, words = resume(tmp_path, other)
    assert files is None
    assert words == (
        f"the newest unfinished run is {directory}, which differs in "
        "datasets (iris, now iris wine breast_cancer digits moons circles blobs); "
        "epochs (1, now 2); repeats (2, now 5); starting a new one"
    )
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"schema_version": 9}, "schema_version (1, now 9)"),
        ({"git": {"commit": "abc", "dirty": False}}, "git.commit (abc, now def)"),
        ({"packages": {"numpy": "1.0"}}, "packages.numpy (1.0, now 2.0)"),
        ({"cpu": {"name": "one"}}, "cpu.name (one, now another)"),
        ({"environment": {"OMP_NUM_THREADS": "1"}}, "environment.OMP_NUM_THREADS (1, now nothing)"),
        (
            {"config": {"impls": ["numpy"], "repeats_per_round": 2}},
            "impls (numpy, now numpy numba)",
        ),
        ({"config": {"impls": ["numpy", "numba"]}}, "repeats_per_round (nothing, now 2)"),
    ],
)
def test_what_must_not_have_changed(changed, reason):
    now = {
        "schema_version": 9,
        "git": {"commit": "def", "dirty": False},
        "packages": {"numpy": "2.0"},
        "cpu": {"name": "another"},
        "environment": {},
        "config": {"impls": ("numpy", "numba"), "repeats_per_round": 2},
    }
    now |= {"started": "now", "command": ["fastlogit"], "load_start": [0.1]}
    stored = json.loads(json.dumps(now)) | changed | {"started": "then", "command": []}
    if "schema_version" in changed:
        stored["schema_version"] = 1
    assert differences(stored, now) == [reason]
    assert differences(json.loads(json.dumps(now)), now) == []


def test_a_run_that_somebody_writes_is_passed_over(tmp_path, facts):
    pytest.importorskip("fcntl")
    older = cut_short(tmp_path, facts, started="2026-01-01T00:00:00Z")
    with RunFiles(tmp_path, facts) as files:
        again, _ = resume(tmp_path, facts)
        assert again.directory == older
        beside, words = resume(tmp_path, facts)  # now both are written
        assert beside is None
        assert words == (
            f"the newest unfinished run is {files.directory}, which another process is still "
            "measuring; starting a new one"
        )
        again.close()


def test_files_of_another_schema_are_not_gone_on_with(tmp_path, facts):
    directory = cut_short(tmp_path, facts)
    timings = directory / "timings.csv.partial"
    timings.write_text(timings.read_text().replace("time_s", "time_ms"))
    files, words = resume(tmp_path, facts)
    assert files is None
    assert "cannot be read" in words
    assert "other columns" in words
