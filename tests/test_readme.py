"""The README's commands and snippets run; its picture and table are the reference run's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from synthetic_run import write_run

from fastlogit import LogisticRegression
from fastlogit.benchmark.report import readme
from fastlogit.benchmark.storage import read_run
from fastlogit.support import support_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
SET_UP = [command for command in COMMANDS if "pip install" in command]


def test_there_are_two_set_up_commands():
    run, test = SET_UP
    assert run == 'pip install ".[bench,data,report]" && fastlogit bench run'
    assert test == 'pip install -e ".[test]" && pytest -n auto'


def test_no_table_stands_before_the_install_command():
    assert README.index("pip install") < README.index("\n|")
    assert README.count("\n") < 150


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("fastlogit")])
def test_commands_run(command, tmp_path):
    # The same words in this environment; a run is kept small and out of the checkout.
    words = [str(Path(sys.executable).parent / "fastlogit"), *command.split()[1:]]
    if command.startswith("fastlogit bench run"):
        words += ["--repeats", "1", "--epochs", "1"]
        words += ["--question", "same-steps"] if "--question" not in command else []
    if "measurements.csv" in command:
        iris = load_iris(as_frame=True)
        species = iris.target_names[iris.target]
        iris.data.assign(species=species).to_csv(tmp_path / "measurements.csv", index=False)
    if "latest" in command:
        latest = write_run(tmp_path / "results", models=("softmax",), datasets=("iris", "wine"))
        if latest.name != "20261012-093000-abcd":
            shutil.copytree(latest, tmp_path / "results" / "20261012-093000-abcd")
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)  # noqa: S603
    assert done.returncode == 0, done.stderr


# What a snippet prints, by a word of it.
PRINTED = {
    "load_digits": r"0\.9[5-9]\d* 0\.9[5-9]\d* numba numba",
    "parquet": r"[345] 0\.99\d*",
    "dask": r"0\.99\d* \[ ?(True|False) +(True|False)\]",
}


@pytest.mark.parametrize("word", PRINTED)
def test_snippets_run(word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = [block for block in blocks("python") if word in block]
    exec(compile(source, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    assert re.fullmatch(PRINTED[word], " ".join(capsys.readouterr().out.split()))


def test_there_are_no_other_snippets():
    assert len(blocks("python")) == len(PRINTED)


def test_the_table_and_the_picture_are_the_reference_run_s():
    run = read_run(REFERENCE)
    summary = (REFERENCE / "summary.csv").read_text()
    assert run.summary.to_csv(index=False, lineterminator="\n") == summary
    assert set(run.summary["status"]) <= {"ok", "unsupported"}
    command = "write it anew: fastlogit bench report results/reference --readme README.md"
    assert readme.update(run, README) == README, command
    assert (REFERENCE / readme.PICTURE).read_text(encoding="utf-8") == readme.picture(run), command


def test_the_table_of_support_is_what_the_code_decides(monkeypatch):
    begin, end = README.index("<!-- support -->\n"), README.index("<!-- end of support -->")
    assert README[begin:end] == f"<!-- support -->\n{support_table()}\n"

    def reason(self, X=None, y=None):
        return None if self.solver == "sag" else "as asked"

    monkeypatch.setattr(LogisticRegression, "_unsupported_reason", reason)
    first = support_table().splitlines()[2]
    rows = "L2 penalty, no penalty (`C=inf`), L1 (`l1_ratio=1`), elastic net, `dual=True`"
    assert first == f"| `LogisticRegression` | {rows} | `sag` |"


def test_the_table_follows_from_the_times_alone():
    timings = read_run(REFERENCE).timings
    fits = timings[timings["case_id"].str.fullmatch(r"LogisticRegression/.*/fit/float64/t1/s0")]
    medians = fits.groupby(["dataset", "implementation"])["time_s"].median().unstack()
    ratios = medians["scikit-learn"] / medians["fastlogit"]
    mean = ratios.prod() ** (1 / len(ratios))
    assert f"{mean:.2g}× faster" in README


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
