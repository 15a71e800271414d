"""Shell completion: its names, and how it is asked for."""

import os
import subprocess
import sys

import pytest

from fastlogit.benchmark.cases import DTYPES
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.cli import completion
from fastlogit.datasets import TOY_SETS
from fastlogit.models import ACTIVATIONS, MODELS, OPTIMIZERS


def test_the_names_are_those_of_the_tables():
    assert tuple(MODELS) == completion.MODELS
    assert tuple(TOY_SETS) == completion.DATASETS
    assert tuple(DTYPES) == completion.DTYPES
    assert tuple(OPTIMIZERS) == completion.SOLVERS
    assert tuple(ACTIVATIONS) == completion.ACTIVATIONS
    assert sorted(completion.impls()) == sorted([*CONTENDERS, "all"])


@pytest.fixture
def completed():
    """Ask as the script does that Typer installs for bash."""

    def ask(line):
        words = line.split(" ")
        environment = os.environ | {
            "_FASTLOGIT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        program = (
            "import sys; from fastlogit.cli import main\n"
            "try: main()\n"
            "finally:\n"
            "    heavy = {'numba', 'numpy', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)\n"
            "    print(*heavy, file=sys.stderr)"
        )
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr.split() == []  # nothing that takes long to import
        return done.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fastlogit ben", ["bench"]),
        ("fastlogit bench run -m mlp", ["mlp-logistic", "mlp-softmax"]),
        ("fastlogit bench run -d b", ["breast_cancer", "blobs"]),
        ("fastlogit bench run -i nu", ["numpy", "numba"]),
        ("fastlogit bench verify -i to", ["torch"]),
        ("fastlogit bench run --dtype float6", ["float64"]),
        ("fastlogit bench verify --solver a", ["adam"]),
        ("fastlogit bench run --dry", ["--dry-run"]),
    ],
)
def test_what_a_shell_is_offered(completed, line, expected):
    assert completed(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fastlogit bench show ", ["latest", "20261124-1", "20261123-2", "20261123-1"]),
        ("fastlogit bench report la", ["latest"]),
        ("fastlogit bench compare 20261123-1 20261123", ["20261123-2", "20261123-1"]),
        ("fastlogit bench check 20261123", ["20261123-2", "20261123-1"]),
        ("fastlogit bench show --out elsewhere ", ["latest", "other"]),
        ("fastlogit bench show --out nowhere l", ["latest"]),
    ],
)
def test_stored_runs_are_offered_by_name(completed, line, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"results/{name}" for name in ("20261123-1", "20261124-1", "20261123-2")]
    for name in (*names, "elsewhere/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    (tmp_path / "results" / "2026-no-run").mkdir()
    assert completed(line) == expected


def test_the_script_for_a_shell_is_shown(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fastlogit.cli", "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "_FASTLOGIT_COMPLETE=complete_bash" in done.stdout
