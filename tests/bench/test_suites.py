"""The pytest-benchmark suites: run on one case each, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]

# Makes the compiled backend end a little off, in a process that imports it as a plugin.
SABOTAGE = """
from fastlogit.benchmark.implementations.both_backends import Fastlogit
from fastlogit.benchmark.problem import Outcome

right = Fastlogit.result

def result(self):
    outcome = right(self)
    return Outcome(tuple(p + 1e-2 for p in outcome.params), outcome.loss_curve)

Fastlogit.result = result
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
    training = "softmax and iris and float32 and b32 and not mlp"
    chosen = f"({training}) or (LogisticRegression and iris)"
    done = run("-k", chosen, f"--bench-out={tmp_path}")
    assert done.returncode == 0, done.stdout
    (directory,) = tmp_path.iterdir()
    assert f"wrote {directory}" in done.stdout
    report = json.loads((directory / "benchmark.json").read_text())
    assert len(report["benchmarks"]) == 8
    table = pd.read_csv(directory / "summary.csv")
    assert sorted(zip(table["suite"], table["implementation"], strict=True)) == [
        *(("epoch", "fastlogit"), ("epoch", "numpy")),
        *(("fit", "fastlogit"), ("fit", "scikit-learn")),
        *(("predict_proba", "fastlogit"), ("predict_proba", "scikit-learn")),
        *(("step", "fastlogit"), ("step", "numpy")),
    ]
    rows = table["suite"].map({"step": 32}).fillna(150)
    assert table["samples_per_s"].to_numpy() == pytest.approx(rows / table["median_s"])
    steps = table["comparison"] == "same-steps"
    assert table["gflop_s"][steps].to_numpy() == pytest.approx(
        (48 * rows / table["median_s"] / 1e9)[steps]  # two products of 4 x 3 a row, 2 * 12 flops
    )
    medians = table.set_index(["suite", "implementation"])["median_s"]
    for row in table.dropna(subset="speedup").itertuples():
        assert (row.implementation, row.n > 0) == ("fastlogit", True)
        expected = medians[row.suite, row.baseline] / row.median_s
        assert row.speedup == pytest.approx(expected)
    assert table["speedup"].count() == 4


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


def test_an_implementation_that_disagrees_is_not_timed(tmp_path):
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
    assert set(pd.read_csv(directory / "summary.csv")["implementation"]) == {"numpy"}


def test_collecting_writes_nothing(tmp_path):
    done = run("--collect-only", "-q", f"--bench-out={tmp_path / 'out'}")
    assert done.returncode == 0
    assert not (tmp_path / "out").exists()
    for word in ("logistic/", "mlp-softmax/", "digits/", "b256", "float64", "fastlogit", "/fit/"):
        assert word in done.stdout
