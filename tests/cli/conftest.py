"""The command line in this process, and contenders that nobody has."""

import sys

import pytest

from fastlogit import cli
from fastlogit.benchmark import machine
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.contenders.own import NumpyContender


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty directory; give its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
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


class Absent(NumpyContender):
    name = "absent"
    module = "a_module_that_nobody_has"
    install = "pip install luck"


@pytest.fixture
def contender(monkeypatch):
    def register(kind):
        monkeypatch.setitem(CONTENDERS, kind.name, kind)

    return register


@pytest.fixture
def absent(contender):
    contender(Absent)
