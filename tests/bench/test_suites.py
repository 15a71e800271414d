"""The pytest-benchmark suites: run on one cell each, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fastlogit.benchmark.summary import SUMMARY_COLUMNS

ROOT = Path(__file__).parents[2]

# Makes the compiled backend end a little off, in a process that imports it as a plugin.
SABOTAGE = """
from fastlogit.benchmark.contenders.own import NumbaContender
from fastlogit.benchmark.problem import Outcome

right = NumbaContender.result

def result(self):
    outcome = right(self)
    return Outcome(tuple(p + 1e-2 for p in outcome.params), outcome.loss_curve)

NumbaContender.result = result
"""


def run(*arguments, path=""):
    setup = f"import sys; sys.path.insert(0, {str(path)!r})"
    program = f"{setup}; import pytest; sys.exit(pytest.main())"
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, "bench/", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        # pytest-benchmark does not measure where it sees a worker of pytest-xdist.
        env={name: value for name, value in os.environ.items() if "XDIST" not in name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_suites_write_both_files(tmp_path):
    done = run("-k", "softmax and iris and float32 and b32 and not mlp", f"--bench-out={tmp_path}")
    assert done.returncode == 0, done.stdout
    (directory,) = tmp_path.iterdir()
    assert f"wrote {directory}" in done.stdout
    report = json.loads((directory / "benchmark.json").read_text())
    assert len(report["benchmarks"]) == 4
    table = pd.read_csv(directory / "summary.csv")
    assert list(table.columns) == ["suite", *SUMMARY_COLUMNS]
    assert sorted(zip(table["suite"], table["impl"], strict=True)) == [
        ("epoch", "numba"),
        ("epoch", "numpy"),
        ("step", "numba"),
        ("step", "numpy"),
    ]
    assert (table["verified"].astype(str) == "True").all()
    steps = table["suite"] == "step"
    rows = steps.map({True: 32, False: 150})
    assert table["samples_per_s"].to_numpy() == pytest.approx(rows / table["median_s"])
    assert table["gflop_s"].to_numpy() == pytest.approx(
        48 * rows / table["median_s"] / 1e9  # two products of 4 x 3 a row, each 2 * 12 flops
    )
    assert table["speedup_vs_numpy"].notna().to_list() == (table["impl"] == "numba").to_list()


@pytest.mark.slow
def test_json_goes_where_pytest_benchmark_was_told(tmp_path):
    target = tmp_path / "mine.json"
    done = run(
        *("-k", "test_step and iris and float64 and numpy and b256 and not softmax and not mlp"),
        *(f"--bench-out={tmp_path / 'out'}", f"--benchmark-json={target}"),
    )
    assert done.returncode == 0, done.stdout
    assert len(json.loads(target.read_text())["benchmarks"]) == 1
    (directory,) = (tmp_path / "out").iterdir()
    assert [path.name for path in directory.iterdir()] == ["summary.csv"]


@pytest.mark.slow
def test_a_contender_that_disagrees_is_not_timed(tmp_path):
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    done = run(
        *("-p", "sabotage", "-k", "test_step and softmax and iris and b32 and not mlp"),
        f"--bench-out={tmp_path / 'out'}",
        path=tmp_path,
    )
    assert done.returncode == 1
    assert "parameters differ by" in done.stdout
    assert "2 failed, 2 passed" in done.stdout
    (directory,) = (tmp_path / "out").iterdir()
    assert set(pd.read_csv(directory / "summary.csv")["impl"]) == {"numpy"}


def test_collecting_writes_nothing(tmp_path):
    done = run("--collect-only", "-q", f"--bench-out={tmp_path / 'out'}")
    assert done.returncode == 0
    assert not (tmp_path / "out").exists()
    for axis in ("logistic/", "mlp-softmax/", "digits/", "b256", "float64", "numba", "test_step"):
        assert axis in done.stdout
