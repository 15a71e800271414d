"""bench show: a stored run's table, verdicts and failures."""

import dataclasses
import json

import pandas as pd
import pytest
from synthetic_run import write_run

from fastlogit.benchmark import runs

SMALL = {"models": ("softmax",), "sets": ("iris",), "impls": ("numpy", "numba", "jax")}
TIMES = {"numpy": 3.0, "numba": 1.5, "jax": 6.0}


def timed(timing):
    return dataclasses.replace(timing, time_s=TIMES[timing.impl])


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "results", **SMALL, change=timed)


def test_table_and_verdicts(call, run):
    code, out, err = call("bench", "show", "latest")
    assert (code, err) == (0, "fastlogit bench: reading latest\n")
    numba = next(line for line in out.splitlines() if line.split()[:1] == ["numba"])
    assert "▲ 2.00x" in numba
    assert "numba against numpy: faster in 1, slower in 0, even in 0 of 1 cells" in out
    assert "jax against numpy: faster in 0, slower in 1, even in 0 of 1 cells" in out


def test_the_first_line_comes_before_anything_is_read(call, run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "load_run", stop)
    assert call("bench", "show", "latest") == (130, "", "fastlogit bench: reading latest\n")


def test_json_is_the_summary(call, run):
    code, out, _ = call("bench", "show", run.name, "--json")
    assert code == 0
    ratios = {row["impl"]: row["speedup_vs_numpy"] for row in json.loads(out)}
    assert ratios == {"numpy": None, "numba": 2.0, "jax": 0.5}


def test_nothing_is_written(call, run):
    before = sorted(run.iterdir())
    call("bench", "show", "latest")
    assert sorted(run.iterdir()) == before


def test_failures_are_told_with_their_reason(call, tmp_path):
    def change(timing):
        if timing.impl != "jax":
            return timed(timing)
        return dataclasses.replace(timing, time_s=None, status="failed", error="[bold]why[/]")

    write_run(tmp_path / "results", **SMALL, change=change)
    _, out, _ = call("bench", "show", "latest")
    told = [line for line in out.splitlines() if line.startswith("jax in softmax/iris/")]
    assert len(told) == 1
    assert told[0].endswith(": failed: [bold]why[/]")


def test_an_interrupted_run_is_shown_and_called_so(call, tmp_path):
    write_run(tmp_path / "results", **SMALL, change=timed, ends=KeyboardInterrupt())
    code, out, err = call("bench", "show", "latest")
    assert code == 0
    assert "this run did not come to its end (it is interrupted); what it measured:\n" in err
    assert "numba against numpy" in out


def test_a_run_without_rows(call, tmp_path):
    write_run(tmp_path / "results", most=0, curves=False, ends=KeyboardInterrupt())
    code, out, _ = call("bench", "show", "latest")
    assert (code, out) == (0, "nothing was measured\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("2020",), "'2020' is no run"), (("latest", "--out", "nowhere"), "there is none")],
)
def test_a_run_that_is_not_there(call, run, arguments, words):
    code, out, err = call("bench", "show", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_figures_are_not_cut_in_a_narrow_terminal(call, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    _, out, _ = call("bench", "show", "latest")
    assert "2.00-2.00" in out


def test_the_reference_run_can_be_shown(call, pytestconfig):
    reference = pytestconfig.rootpath / "results" / "reference"
    code, out, _ = call("bench", "show", str(reference), "--json")
    stored = pd.read_csv(reference / "summary.csv")
    shown = pd.DataFrame(json.loads(out))
    assert code == 0
    assert list(shown["impl"]) == list(stored["impl"])
    ratios = shown["speedup_vs_numpy"].astype(float)
    pd.testing.assert_series_equal(ratios, stored["speedup_vs_numpy"])
