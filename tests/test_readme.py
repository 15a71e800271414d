"""The README's commands and snippets run; its picture and tables are the reference run's."""

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from synthetic_run import write_run

from fastlogit.benchmark.report.figures import speedup
from fastlogit.benchmark.report.findings import Findings
from fastlogit.benchmark.report.readme import PICTURE, block
from fastlogit.benchmark.runs import load_run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
SET_UP = [command for command in COMMANDS if "pip install" in command]


def test_there_are_two_set_up_commands():
    run, test = SET_UP
    assert run == 'pip install ".[bench]" && fastlogit bench run'
    assert test == 'pip install -e ".[test]" && pytest -n auto'


def test_the_set_up_commands_install_what_the_metadata_names():
    extras = re.findall(r"\[(\w+)\]", " ".join(SET_UP))
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert extras
    assert all(re.search(rf"^{extra} = \[", metadata, re.MULTILINE) for extra in extras)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("fastlogit")])
@pytest.mark.slow
def test_commands_run(command, tmp_path):
    # The same words in this environment; a run is kept small and out of the checkout.
    words = [str(Path(sys.executable).parent / "fastlogit"), *command.split()[1:]]
    if command.startswith("fastlogit bench run"):
        words += ["--repeats", "2", "--epochs", "1"]
    if command.startswith("fastlogit bench verify"):
        words += ["--epochs", "1"]
    if "measurements.csv" in command:
        iris = load_iris(as_frame=True)
        species = iris.target_names[iris.target]
        iris.data.assign(species=species).to_csv(tmp_path / "measurements.csv", index=False)
    if "latest" in command:
        latest = write_run(tmp_path / "results", models=("softmax",), sets=("iris",))
        shutil.copytree(latest, tmp_path / "results" / "20261012-093000-abcd")
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)  # noqa: S603
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", blocks("python"))
def test_snippets_run(source, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        exec(compile(source, "README.md", "exec"), {})  # noqa: S102
    printed = capsys.readouterr().out.split()
    if printed:
        score, backend = printed
        assert float(score) > 0.8
        assert backend == "numba"


@pytest.fixture(scope="module")
def reference():
    return Findings(load_run(str(REFERENCE)))


def test_the_tables_are_the_reference_runs(reference):
    assert set(reference.cells["status"]) <= {"ok", "unsupported"}
    written = re.search(r"<!-- table: (.*?) -->\n(.*?)\n<!-- end", README, re.DOTALL)
    assert written is not None
    assert written.group(1) == "results/reference"
    assert written.group(2) == block(reference, "results/reference"), (
        "write it anew: fastlogit bench report results/reference --readme README.md"
    )


def picture_of(text):
    """Return the values that a picture holds, and its words but for the ticks of the axes."""
    root = ElementTree.fromstring(text)  # noqa: S314 - a file of this repository
    space = "{http://www.w3.org/2000/svg}"
    words = {element.text for element in root.iter(f"{space}text")}
    values = json.loads(root.find(f"{space}metadata").text)
    return values, {word for word in words if "×" not in word}, root.find(f"{space}desc").text


def test_the_picture_is_the_reference_runs(reference):
    # By what they say: other versions of matplotlib draw the same with other digits.
    stored = picture_of((REFERENCE / PICTURE).read_text(encoding="utf-8"))
    drawn = picture_of(speedup.picture(reference))
    assert stored[1:] == drawn[1:]
    pd.testing.assert_frame_equal(pd.DataFrame(stored[0]), pd.DataFrame(drawn[0]), rtol=1e-9)


def test_the_tables_follow_from_the_times_alone(reference):
    # Worked out anew from timings.csv: the first data set's first cell, and the first mean.
    timings = reference.run.timings
    one = timings[(timings["dataset"] == "iris") & (timings["model"] == "logistic")]
    one = one[(one["batch_size"] == 32) & (one["dtype"] == "float32")]
    median = one.groupby("impl")["time_s"].median()
    nanoseconds = 1e9 * median["numba"] / one["samples"].iloc[0]
    ratio = median["numpy"] / median["numba"]
    assert f"| iris | {nanoseconds:.0f} ns, {ratio:.1f}×" in README


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
