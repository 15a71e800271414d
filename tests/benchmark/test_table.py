import io
import re

import pandas as pd
import pytest
from rich.console import Console

from fastlogit.benchmark import table
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


def render(*rows, tiny=()):
    summary = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    stream = io.StringIO()
    Console(file=stream, width=160).print(table.comparison(summary, set(tiny)))
    return stream.getvalue(), list(table.verdicts(summary))


def test_wins_and_losses_are_marked_by_the_whole_interval():
    text, verdicts = render(
        row("numpy"),
        row("fast", 4.0, 3.5, 4.5),
        row("slow", 0.25, 0.2, 0.3),
        row("alike", 1.1, 0.9, 1.2),
        row("once", 2.0),
    )
    cells = [re.split(r"\s+", line.strip()) for line in text.splitlines()[4:]]
    assert cells[0] == ["softmax", "iris", "numpy", "1", "µs", "8.00", "10%"]
    assert cells[1] == ["fast", "1", "µs", "8.00", "10%", "▲", "4.00x", "3.50-4.50"]
    assert cells[2] == ["slow", "1", "µs", "8.00", "10%", "▼", "0.25x", "0.20-0.30"]
    assert cells[3] == ["alike", "1", "µs", "8.00", "10%", "=", "1.10x", "0.90-1.20"]
    assert cells[4] == ["once", "1", "µs", "8.00", "10%", "2.00x"]
    assert verdicts[0] == (
        "fast against numpy: faster in 1, slower in 0, even in 0 of 1 cells; geometric mean 4.00x"
    )


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


def test_the_open_division_is_compared_with_nothing():
    text, verdicts = render(row("numpy"), row("scikit-learn", division="open"))
    line = next(line for line in text.splitlines() if "scikit-learn" in line)
    assert line.split() == ["scikit-learn", "1", "µs", "8.00", "10%", "open"]
    assert "open: another algorithm, not compared" in " ".join(text.split())
    assert verdicts == []
    assert "open" not in render(row("numpy"))[0]


def test_a_failure_shows_its_status_instead_of_figures():
    text, verdicts = render(row("numba", status="failed-verification", median_s=None))
    assert "failed-verification" in text
    assert "µs" not in text
    assert verdicts == []


def test_only_what_varies_gets_a_column():
    text, _ = render(row("numpy"), row("numpy", dtype="float64", limit_fraction=None))
    assert "solver sgd, batch_size 32, threads 1" in text
    header = text.splitlines()[2]
    assert "dtype" in header
    assert "solver" not in header


def test_the_toy_sets_fit_an_ordinary_terminal():
    widest = row("numba", 123.45, 111.11, 122.22, model="mlp-logistic", dataset="breast_cancer")
    text, _ = render(widest, tiny={"breast_cancer"})
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
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (1e-6, "1 µs"), (4.56e-8, "45.6 ns")],
)
def test_durations_have_a_readable_unit(seconds, text):
    assert table.duration(seconds) == text
