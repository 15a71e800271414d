"""The command line in this process, and contenders that nobody has."""

import sys
from pathlib import Path

import pytest

from fastlogit import cli
from fastlogit.benchmark import agreement, machine, session
from fastlogit.benchmark.contenders import CONTENDERS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmark"))

from fakes import FAKES, Impatient  # found by the line above


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty directory; give its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for user in (session, agreement):  # what a process of its own is for has tests of its own
        monkeypatch.setattr(user, "Worker", Impatient)
    monkeypatch.setattr(
        machine,
        "calibrate",
        lambda threads: {"threads": threads, "sgemm_gflop_s": 50.0, "dgemm_gflop_s": 25.0},
    )

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastlogit", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def contender(monkeypatch):
    """Add a contender to those there are, one of the misbehaving ones by its name."""

    def register(kind):
        kind = FAKES[kind] if isinstance(kind, str) else kind
        monkeypatch.setitem(CONTENDERS, kind.name, kind)

    return register


@pytest.fixture
def absent(contender):
    contender("absent")


@pytest.fixture
def program():
    """Give the start of a Python command of the command line, with misbehaving contenders in it."""
    source = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'benchmark')!r})\n"
        "import fakes\n"
        "from fastlogit.benchmark.contenders import CONTENDERS\n"
        "CONTENDERS.update(fakes.FAKES)\n"
        "from fastlogit import cli\n"
        "cli.main()\n"
    )
    return [sys.executable, "-c", source]
