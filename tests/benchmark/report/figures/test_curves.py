import dataclasses

import numpy as np
import pandas as pd
import pytest

from fastlogit.benchmark.report.drawing import drawing
from fastlogit.benchmark.report.figures import curves
from fastlogit.benchmark.report.findings import Findings
from fastlogit.benchmark.table import duration

SMALL = {"models": ("softmax",), "sets": ("iris", "digits"), "impls": ("numpy", "numba")}


@pytest.fixture
def run(stored):
    return stored(**SMALL)


def test_the_largest_set_at_the_batch_nearest_to_32_is_chosen(findings):
    run = findings(**SMALL | {"models": ("softmax", "mlp-softmax")}, batch_sizes=(8, 64, 1024))
    chosen = curves.chosen_cells(run)
    assert list(chosen["model"]) == ["softmax", "mlp-softmax"]
    assert set(chosen["dataset"]) == {"digits"}
    assert set(chosen["batch_size"]) == {64}


def test_a_cell_with_curves_is_preferred(run):
    some = run.curves[run.curves["cell_id"].str.contains("iris")]
    chosen = curves.chosen_cells(Findings(dataclasses.replace(run, curves=some)))
    assert list(chosen["dataset"]) == ["iris"]


def test_the_finding_says_when_each_reached_the_target(run):
    cell = run.curves[run.curves["cell_id"].str.contains("/digits/")]
    expected = {
        impl: line.loc[line["train_loss"] <= 0.3, "elapsed_s"].min()
        for impl, line in cell.groupby("impl")
    }
    (panel,) = curves.loss_curves(Findings(run))
    assert "The target loss is 0.3" in panel.finding
    for impl, seconds in expected.items():
        assert f"{impl} is there after {duration(seconds)}" in panel.finding
    assert "target 0.3" in panel.svg


@pytest.mark.parametrize(
    ("asked", "words"), [(None, "take a smaller --learning-rate"), (9.0, "smaller --target-loss")]
)
def test_a_target_that_training_begins_at_is_reached_by_nobody(run, asked, words):
    begun = run.curves["cell_id"].str.contains("/digits/") & (run.curves["epoch"] == 1)
    run.curves.loc[begun, ["epoch", "elapsed_s"]] = [0, 0.0]
    (cell,) = set(run.curves.loc[begun, "cell_id"])
    run.facts["target_loss"][cell] = 9.0
    run.facts["config"] = {"target_loss": asked}
    (panel,) = curves.loss_curves(Findings(run))
    assert panel.finding.startswith("The target loss is 9: training ")
    assert words in panel.finding
    assert "is there" not in panel.finding
    (panel,) = curves.times_to_target(Findings(run))
    assert "numba reaches it in 1 of 2 cells" in panel.finding


def test_one_that_never_got_there_is_told(run):
    run.curves.loc[run.curves["impl"] == "numba", "train_loss"] += 1
    (panel,) = curves.loss_curves(Findings(run))
    assert "numba never is there" in panel.finding


def test_without_a_target_the_ends_are_told(run):
    del run.facts["target_loss"]
    (panel,) = curves.loss_curves(Findings(run))
    last = run.curves[run.curves["cell_id"].str.contains("/digits/")].iloc[-1]
    assert f"numba ends at {last['train_loss']:.4g} after" in panel.finding
    assert "target" not in panel.svg


def test_a_training_that_diverged_is_drawn_as_far_as_it_went(run):
    run.curves.loc[run.curves["impl"] == "numba", "train_loss"] = np.nan
    run.curves.loc[run.curves["impl"] == "numpy", "train_loss"] *= 1e6
    (panel,) = curves.loss_curves(Findings(run))
    assert "nan" not in panel.svg
    assert "numba" not in panel.finding


def test_other_algorithms_have_a_panel_of_their_own_with_numba(stored):
    run = Findings(stored(**SMALL | {"impls": ("numpy", "numba", "scikit-learn")}))
    same, other = curves.loss_curves(run)
    assert same.heading == "softmax, digits"
    assert other.heading == "softmax, digits: other algorithms"
    assert "scikit-learn" not in same.finding
    assert "scikit-learn" in other.finding
    assert "numba" in other.finding
    assert "numpy" not in other.finding


def test_fits_of_their_own_are_drawn_as_the_best_within_a_time(stored):
    run = stored(**SMALL | {"impls": ("numba", "scikit-learn")})
    points = pd.DataFrame({"impl": "scikit-learn", "seed": 0, "elapsed_s": [1.0, 3.0, 2.0, 4.0]})
    points["train_loss"] = [0.9, 0.2, 0.5, 0.6]
    # Of the best by its loss: the most that any gets right would be chosen by the rows held out.
    points["test_accuracy"] = [0.6, 0.8, 0.9, 1.0]
    best = {"train_loss": [0.9, 0.5, 0.2, 0.2], "test_accuracy": [0.6, 0.9, 0.8, 0.8]}
    for column, drawn in best.items():
        with drawing(100) as (_, axes):
            curves._draw_curves(axes, Findings(run), points, column)
            (line,) = axes.lines
        np.testing.assert_array_equal(line.get_xdata(), [1.0, 2.0, 3.0, 4.0])
        np.testing.assert_array_equal(line.get_ydata(), drawn)
        assert line.get_drawstyle() == "steps-post"


def test_no_curves_no_panels(stored):
    empty = Findings(stored(**SMALL, curves=False))
    assert curves.loss_curves(empty) == []
    assert curves.accuracy_curves(empty) == []


def test_accuracy_is_drawn_where_rows_were_held_out(run):
    assert curves.accuracy_curves(Findings(run)) == []
    run.curves["test_accuracy"] = 0.5
    run.curves.loc[run.curves.index[-1], "test_accuracy"] = 0.875
    run.curves.loc[run.curves.index[-2], "test_accuracy"] = 0.975  # better, but not the end
    (panel,) = curves.accuracy_curves(Findings(run))
    assert "numba 87.5% after" in panel.finding
    assert "numpy 50.0% after" in panel.finding


def test_thinning_keeps_the_ends_and_what_a_logarithmic_axis_shows():
    line = pd.DataFrame({"elapsed_s": np.arange(1.0, 5001.0)[::-1]})
    thin = curves._thinned(line)["elapsed_s"].to_numpy()
    assert len(thin) <= 80
    assert (thin[0], thin[-1]) == (1.0, 5000.0)
    assert (np.diff(thin) > 0).all()
    assert (np.diff(np.log(thin[20:])) < 0.2).all()
    short = pd.DataFrame({"elapsed_s": [1.0, 2.0]})
    assert len(curves._thinned(short)) == 2


def test_times_to_the_target_are_those_of_the_summary(stored):
    run = Findings(stored(**SMALL))
    run.cells.loc[run.cells["impl"] == "numba", "time_to_target_s"] = [0.001, np.nan]
    (panel,) = curves.times_to_target(run)
    assert panel.heading == "softmax"
    assert "numpy reaches it in 2 of 2 cells, numba reaches it in 1 of 2 cells" in panel.finding
    run.cells["time_to_target_s"] = np.nan
    assert curves.times_to_target(run) == []
