"""The progress of a run, on a terminal and elsewhere."""

import dataclasses
import io

import pytest
from rich.console import Console

from fastlogit.benchmark.case_runner import common_fields
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.data_file import DataFile, ReadOptions
from fastlogit.benchmark.implementations import choose
from fastlogit.benchmark.plan import Plan
from fastlogit.benchmark.progress import RunProgress
from fastlogit.benchmark.schema import Timing
from fastlogit.benchmark.session import schedule


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(console, *, repeats=4, status="ok", change=lambda case: case, **options):
    grid = Grid(questions=("same-steps",), models=("softmax",), datasets=("iris", "wine"))
    rounds = schedule(grid.cases(), choose(["fastlogit"], grid.questions), repeats)
    with RunProgress(console, Plan(rounds), **options) as shown:
        for each in rounds:
            shown.round_started(each.number, len(rounds))
            for case, kinds in each.cases:
                rows = [
                    Timing(**common_fields(case, kind), time_s=1e-3, status=status, error="why")
                    for kind in kinds
                ]
                shown.case_started(change(case), each.number)
                shown.case_done(change(case), each.number, rows)
    return console.file.getvalue()


def test_elsewhere_there_are_plain_lines():
    first, *lines, last = run(Console(file=io.StringIO(), width=80)).splitlines()
    assert first.startswith("2 cases in 2 rounds, ")
    assert [line.split(" ")[0] for line in lines] == ["[1/4]", "[2/4]"]
    assert all(line.endswith(" left") for line in lines)
    assert last.startswith("round 2 of 2: ")


def test_a_terminal_gets_a_bar_of_one_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    out = run(Console(file=Terminal(), force_terminal=True, width=80))
    assert "4/4" in out
    assert "round 2 of 2: softmax/wine/" in out
    assert "[1/4]" not in out


def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "[1/4]" in run(Console(file=Terminal(), force_terminal=True, width=80))


@pytest.mark.parametrize("status", ["failed", "failed-verification"])
def test_a_failure_is_named_once(status):
    out = run(Console(file=io.StringIO(), width=80), status=status, repeats=2)
    assert out.count(f"fastlogit {status} in softmax/iris/") == 1


def test_the_advice_that_follows_is_announced(tmp_path):
    path = tmp_path / "my [1].csv"
    file = DataFile(path, "y", (), ReadOptions(), "", 9, 2, ("a", "b"), (50, 50))
    out = run(
        Console(file=io.StringIO(), width=80),
        change=lambda case: dataclasses.replace(case, data_file=file),
    )
    assert out.endswith("choosing a model for my [1].csv by cross-validation\n")


def test_nothing_when_not_wanted():
    assert run(Console(file=Terminal(), force_terminal=True), enabled=False) == ""


def test_nothing_to_do_is_no_error():
    console = Console(file=io.StringIO())
    with RunProgress(console, Plan([])):
        pass
    assert console.file.getvalue() == ""
