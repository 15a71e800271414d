import dataclasses
import math

import pytest

from fastlogit.benchmark.report.figures import speedup

TIMES = {("numba", "iris"): 1.0, ("numba", "digits"): 4.0, "numpy": 8.0, "jax": 2.0}
SMALL = {"models": ("softmax", "logistic"), "impls": ("numpy", "numba", "jax")}


def by_time(timing):
    time = TIMES.get((timing.impl, timing.dataset), TIMES.get(timing.impl))
    return dataclasses.replace(timing, time_s=time)


def test_the_overview_is_the_geometric_mean_over_data_sets(findings):
    values = speedup.overview_values(findings(**SMALL, change=by_time))
    assert [(value["model"], value["impl"]) for value in values] == [
        (model, impl) for model in SMALL["models"] for impl in ("jax", "numba")
    ] or [(value["model"], value["impl"]) for value in values] == [
        (model, impl) for model in SMALL["models"] for impl in ("numba", "jax")
    ]
    numba = next(value for value in values if value["impl"] == "numba")
    assert numba["mean"] == pytest.approx(math.sqrt(8 * 2))
    assert (numba["low"], numba["high"], numba["data_sets"]) == (2.0, 8.0, 2)


def test_the_overview_has_a_row_a_batch_size(findings):
    values = speedup.overview_values(findings(**SMALL, batch_sizes=(8, 32), change=by_time))
    assert [value["batch_size"] for value in values if value["impl"] == "jax"] == [8, 32, 8, 32]


def test_the_finding_says_who_is_how_fast(findings):
    panel = speedup.overview(findings(**SMALL, change=by_time))
    assert "numba 4.00× as fast as numpy in the geometric mean of 4 cells" in panel.finding
    assert "(between 2.00× and 8.00×)" in panel.finding
    assert "jax 4.00×" in panel.finding
    assert panel.finding in panel.svg


def test_a_panel_a_model_with_its_best_and_its_worst(findings):
    panels = speedup.by_data_set(findings(**SMALL, change=by_time))
    assert [panel.heading for panel in panels] == list(SMALL["models"])
    assert (
        "numba is 8.00× as fast as numpy at its best (iris, batches of 32) and 2.00× at its worst "
        "(digits, batches of 32)" in panels[0].finding
    )
    assert ">iris<" in panels[0].svg
    assert ">digits<" in panels[0].svg


def test_without_numba_the_first_contender_is_told_of(findings):
    run = findings(models=("softmax",), impls=("numpy", "jax"), change=by_time)
    (panel,) = speedup.by_data_set(run)
    assert panel.finding.startswith("softmax: jax is 4.00×")
