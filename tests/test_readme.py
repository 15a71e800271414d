"""The README's commands and snippets run, and its table is the reference run's."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference" / "summary.csv"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
SET_UP = [command for command in COMMANDS if "pip install" in command]


def test_there_are_two_set_up_commands():
    run, test = SET_UP
    assert run == 'pip install ".[bench]" && fastlogit bench run'
    assert test == 'pip install -e ".[test]" && pytest'


def test_the_set_up_commands_install_what_the_metadata_names():
    extras = re.findall(r"\[(\w+)\]", " ".join(SET_UP))
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert extras
    assert all(re.search(rf"^{extra} = \[", metadata, re.MULTILINE) for extra in extras)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("fastlogit")])
def test_commands_run(command, tmp_path):
    # The same words in this environment; a run is kept small and out of the checkout.
    words = [str(Path(sys.executable).parent / "fastlogit"), *command.split()[1:]]
    if command.startswith("fastlogit bench run"):
        words += ["--repeats", "2", "--epochs", "1", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)  # noqa: S603
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


def table_of(summary):
    """Return the README's table of a run: time and speed-up by model and data set."""
    models = list(dict.fromkeys(summary["model"]))
    lines = [
        "| ns a row, and times NumPy's speed | " + " | ".join(models) + " |",
        "|---|" + "---:|" * len(models),
    ]
    rows = summary[summary["impl"] == "numba"].set_index(["dataset", "model"])
    for dataset in dict.fromkeys(summary["dataset"]):
        cells = (rows.loc[(dataset, model)] for model in models)
        shown = (
            f"{1e9 / cell['samples_per_s']:.0f} ns, {cell['speedup_vs_numpy']:.1f}×"
            for cell in cells
        )
        lines.append(f"| {dataset} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def test_the_table_is_the_reference_runs():
    summary = pd.read_csv(REFERENCE)
    assert summary["verified"].all()
    table = re.search(r"<!-- table.*? -->\n(.*?)\n<!-- end", README, re.DOTALL)
    assert table is not None
    assert table.group(1) == table_of(summary)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
