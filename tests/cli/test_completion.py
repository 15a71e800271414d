"""Shell completion, asked for as a shell does."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def completed():
    """Ask as the script does that Typer installs for bash."""

    def ask(line):
        words = line.split(" ")
        environment = os.environ | {
            "_FASTLOGIT_COMPLETE": "complete_bash", "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }  # fmt: skip
        program = (
            "import sys; from fastlogit.cli import main\n"
            "try: main()\n"
            "finally:\n"
            "    heavy = {'numpy', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)\n"
            "    print(*heavy, file=sys.stderr)"
        )
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.stderr.split() == []  # nothing that takes long to import
        return done.stdout.split()

    return ask


def test_options_are_offered(completed):
    assert completed("fastlogit bench run --dry") == ["--dry-run"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fastlogit bench show ", ["latest", "20261124-1", "20261123-2", "20261123-1"]),
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
