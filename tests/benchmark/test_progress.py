import io

import pytest
from rich.console import Console

from fastlogit.benchmark.progress import Progress
from fastlogit.benchmark.runner import measure_case


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def show(small_case, fakes):
    rows = []
    measure_case(small_case, [fakes["raises"]], repeats=1, run_id="r", rows=rows)

    def run(console, **options):
        with Progress(console, 2, **options) as progress:
            progress.case_done(small_case, [])
            progress.case_done(small_case, rows)
        return console.file.getvalue()

    return run


def test_plain_lines_off_a_terminal(show, small_case):
    first, second = show(Console(file=io.StringIO())).splitlines()
    assert first.startswith(f"[1/2] {small_case.cell_id}, about 0 s left")
    assert second == f"[2/2] {small_case.cell_id}, raises failed, about 0 s left"


def test_a_dumb_terminal_gets_plain_lines(show, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = show(Console(file=Terminal(), force_terminal=True))
    assert "\x1b" not in text
    assert text.count("s left") == 2


def test_a_bar_on_a_terminal(show, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = show(Console(file=Terminal(), force_terminal=True, width=120))
    assert "\x1b[?25l" in text
    assert "2/2" in text
    assert "raises failed" in text


def test_no_color_has_no_color(show, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in show(Console(file=Terminal(), force_terminal=True, width=120))


def test_nothing_when_not_wanted(show):
    assert show(Console(file=io.StringIO()), enabled=False) == ""
