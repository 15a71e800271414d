import io
import re

import pandas as pd
import pytest
from rich.console import Console

from fastlogit.benchmark import table
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.summary import SUMMARY_COLUMNS


def row(impl, ratio=None, low=None, high=None, **other):
    return {
        **dict.fromkeys(SUMMARY_COLUMNS),
        "model": "softmax",
        "dataset": "iris",
        "impl": impl,
        "division": "closed",
        "solver": "sgd",
        "batch_size": 32,
        "dtype": "float32",
        "threads": 1,
        "median_s": 0.0123,
        "samples_per_s": 1e6,
        "gflop_s": 8.0,
        "limit_fraction": 0.1,
        "speedup_vs_numpy": ratio,
        "speedup_low": low,
        "speedup_high": high,
        "status": "ok",
    } | other


def repeats(impl, *times, cell="c", **other):
    return [
        {"cell_id": cell, "impl": impl, "repeat": i, "time_s": time, "status": "ok"} | other
        for i, time in enumerate(times)
    ]


def render(*rows, tiny=(), timings=()):
    summary = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    stream = io.StringIO()
    Console(file=stream, width=160).print(table.comparison(summary, set(tiny)))
    measured = pd.DataFrame(timings, columns=["cell_id", "impl", "repeat", "time_s", "status"])
    return stream.getvalue(), list(table.verdicts(summary, measured))


def lines(text):
    return [re.split(r"\s+", line.strip()) for line in text.splitlines()[4:]]


def test_wins_and_losses_are_marked_by_the_whole_interval():
    text, verdicts = render(
        row("numpy"),
        row("fast", 4.0, 3.5, 4.5),
        row("slow", 0.25, 0.2, 0.3),
        row("alike", 1.1, 0.9, 1.2),
        row("once", 2.0),
    )
    cells = lines(text)
    assert cells[0] == ["softmax,", "iris"]
    assert cells[1] == ["numpy", "1", "µs", "10%"]
    assert cells[2] == ["fast", "1", "µs", "10%", "▲", "4.00x", "3.50-4.50"]
    assert cells[3] == ["slow", "1", "µs", "10%", "▼", "0.25x", "0.20-0.30"]
    assert cells[4] == ["alike", "1", "µs", "10%", "=", "1.10x", "0.90-1.20"]
    assert cells[5] == ["once", "1", "µs", "10%", "2.00x"]
    assert verdicts[0] == (
        "fast against numpy: faster in 1, slower in 0, even in 0 of 1 cells; geometric mean 4.00x"
    )


def test_the_least_time_to_the_target_is_marked():
    text, _ = render(
        row("numpy", time_to_target_s=0.5),
        row("numba", 4.0, 3.5, 4.5, time_to_target_s=0.0123),
        row("never", division="open"),
        row("numpy", dataset="wine", time_to_target_s=0.25),
        row("numba", dataset="wine"),
    )
    cells = lines(text)
    assert [cells[i][-2:] for i in (1, 2, 5)] == [["500", "ms"], ["*12.3", "ms"], ["*250", "ms"]]
    assert cells[3] == ["never", "1", "µs", "10%", "open"]
    assert cells[6] == ["numba", "1", "µs", "10%"]


def test_verdicts_count_cells():
    _, (verdict,) = render(
        row("numba", 4.0, 3.0, 5.0),
        row("numba", 1.0, 0.5, 2.0, dataset="wine"),
        row("numba", 0.25, 0.2, 0.3, dataset="digits"),
    )
    assert "faster in 1, slower in 1, even in 1 of 3 cells; geometric mean 1.00x" in verdict


def test_a_single_repeat_is_not_judged():
    _, (verdict,) = render(row("numba", 4.0))
    assert "faster in 0, slower in 0, even in 0, unjudged in 1 of 1 cells" in verdict


def test_numba_is_held_against_every_peer_too():
    timings = [
        *repeats("numba", 1.0, 2.0, 4.0),
        *repeats("jax", 2.0, 4.0, 8.0),
        *repeats("numba", 3.0, 3.0, cell="d"),
        *repeats("jax", 1.5, 1.5, cell="d"),
        *repeats("numba", 3.0, 3.0, cell="e"),
        *repeats("jax", 6.0, cell="e"),
        *repeats("jax", None, cell="e", status="failed"),
    ]
    _, verdicts = render(row("numba", 9.0, 8.0, 10.0), row("jax", 4.5, 4.0, 5.0), timings=timings)
    assert [verdict.split(":")[0] for verdict in verdicts] == [
        "numba against numpy",
        "jax against numpy",
        "numba against jax",
    ]
    assert verdicts[-1] == (
        "numba against jax: faster in 1, slower in 1, even in 0 of 2 cells; geometric mean 1.00x"
    )


def test_without_numba_there_is_only_the_baseline():
    timings = [*repeats("jax", 2.0), *repeats("torch", 4.0)]
    _, verdicts = render(row("jax", 4.5, 4.0, 5.0), row("torch"), timings=timings)
    assert [verdict.split(":")[0] for verdict in verdicts] == ["jax against numpy"]


def test_the_open_division_is_compared_by_the_time_to_the_target():
    text, (verdict,) = render(
        row("numba", time_to_target_s=1.0),
        row("sgd", division="open", time_to_target_s=8.0),
        row("numba", dataset="wine", time_to_target_s=2.0),
        row("sgd", division="open", dataset="wine", time_to_target_s=1.0),
        row("numba", dataset="digits", time_to_target_s=2.0),
        row("sgd", division="open", dataset="digits"),
        row("numba", dataset="moons"),
        row("sgd", division="open", dataset="moons", time_to_target_s=1.0),
        row("numba", dataset="blobs"),
        row("sgd", division="open", dataset="blobs"),
        row("numba", dataset="circles", time_to_target_s=1.0),
        row("sgd", division="open", dataset="circles", status="failed"),
    )
    assert verdict == (
        "numba to the target against sgd: sooner in 2, later in 2, even in 0 of 4 cells; sgd never "
        "is there in 1; numba never is there in 1; geometric mean 2.00x"
    )
    assert "open: another algorithm" in text
    assert "open" not in render(row("numpy"))[0]


@pytest.mark.parametrize(
    ("theirs", "called"), [(1.2, "win"), (1.05, "even"), (0.95, "even"), (0.8, "loss")]
)
def test_times_to_the_target_are_even_within_what_they_are_located_to(theirs, called):
    assert table.outcome_to_target(theirs) == called
    numba, sgd = (row(name, time_to_target_s=1.0) for name in ("numba", "sgd"))
    _, (verdict,) = render(numba, sgd | {"division": "open", "time_to_target_s": theirs})
    words = {"win": "sooner in 1", "even": "even in 1", "loss": "later in 1"}
    assert words[called] in verdict


def test_an_open_contender_with_nothing_to_compare_has_no_verdict():
    failed = row("sgd", division="open", status="failed")
    assert render(row("numba", time_to_target_s=1.0), failed)[1] == []
    neither = [row("numba"), row("sgd", division="open")]
    assert render(*neither)[1] == []


def test_what_has_no_rate_shows_its_time_to_the_target():
    figures = dict.fromkeys(("samples_per_s", "gflop_s", "limit_fraction"))
    lbfgs = row("lbfgs", division="open", time_to_target_s=0.25, **figures)
    text, _ = render(row("numba", 4.0, 3.5, 4.5), lbfgs)
    assert lines(text)[2] == ["lbfgs", "open", "*250", "ms"]


def test_seeds_stand_apart():
    rows = [row(impl, time_to_target_s=t) for t in (1.0, 2.0) for impl in ("numpy", "numba")]
    rows += [row("sgd", division="open", time_to_target_s=t) for t in (4.0, 1.0)]
    text, (verdict,) = render(*rows)
    assert [" ".join(line) for line in lines(text)[:8:4]] == [
        "softmax, iris, seed 1 of 2",
        "softmax, iris, seed 2 of 2",
    ]
    assert "sooner in 1, later in 1, even in 0 of 2 cells; geometric mean 1.41x" in verdict


def test_a_failure_shows_its_status_instead_of_figures():
    text, verdicts = render(row("numba", status="failed-verification", median_s=None))
    assert "failed-verification" in text
    assert "µs" not in text
    assert verdicts == []


def test_only_what_varies_gets_a_column():
    text, _ = render(row("numpy"), row("numpy", dtype="float64", limit_fraction=None))
    assert "solver sgd, batch_size 32, threads 1" in text
    header = text.splitlines()[2]
    assert header.startswith("model, data set, dtype ")
    assert "softmax, iris, float64" in text


def test_the_toy_sets_fit_an_ordinary_terminal():
    cell = {"model": "mlp-logistic", "dataset": "breast_cancer", "time_to_target_s": 0.123}
    widest = row("numba", 123.45, 111.11, 122.22, **cell)
    others = [row(name, division="open", **cell) for name in CONTENDERS if name != "numba"]
    failed = row("failing", status="failed-verification", **cell)
    text, _ = render(widest, *others, failed, tiny={"breast_cancer"})
    assert max(map(len, text.splitlines())) <= 80


def test_tiny_sets_are_marked():
    text, _ = render(row("numpy"), row("numpy", dataset="digits"), tiny={"iris"})
    assert "iris †" in text
    assert "digits †" not in text
    assert "† tiny, bound by overhead" in text
    text, _ = render(row("numpy"))
    assert "†" not in text


def test_tiny_is_by_size():
    timings = pd.DataFrame(
        {"dataset": ["iris", "digits"], "n_samples": [150, 1797], "n_features": [4, 64]}
    )
    assert table.tiny_sets(timings) == {"iris"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (1e-6, "1 µs"), (4.56e-8, "45.6 ns")]
)
def test_durations_have_a_readable_unit(seconds, text):
    assert table.duration(seconds) == text
