import numpy as np
import pandas as pd
import pytest

from fastlogit.benchmark.results import CURVE_COLUMNS, TIMING_COLUMNS
from fastlogit.benchmark.summary import (
    SUMMARY_COLUMNS,
    bootstrap_ratio,
    first_calls,
    paired_ratio,
    summarise,
)

CALIBRATION = [{"threads": 1, "sgemm_gflop_s": 80.0, "dgemm_gflop_s": 40.0, "read_gb_s": 20.0}]


def rows(impl, times, *, cell="c", status="ok", dtype="float32", **other):
    return [
        {
            **dict.fromkeys(TIMING_COLUMNS),
            "cell_id": cell,
            "model": "mlp-softmax",
            "dataset": "iris",
            "impl": impl,
            "division": "closed",
            "solver": "sgd",
            "batch_size": 32,
            "dtype": dtype,
            "threads": 1,
            "repeat": repeat,
            "time_s": time,
            "samples": 1000,
            "flops": 4_000_000_000,
            "verified": "true",
            "status": status,
            **other,
        }
        for repeat, time in enumerate(times)
    ]


def summary(*groups, calibration=CALIBRATION, gathers=None, **curves):
    frame = pd.DataFrame([row for group in groups for row in group], columns=list(TIMING_COLUMNS))
    return summarise(frame, calibration, gathers, **curves)


def curve(impl, *points, cell="c", seed=0):
    return [
        (cell, impl, seed, epoch, elapsed, loss, None)
        for epoch, (elapsed, loss) in enumerate(points)
    ]


def points(*curves):
    return pd.DataFrame([row for one in curves for row in one], columns=list(CURVE_COLUMNS))


def test_figures_of_one_contender():
    (row,) = summary(rows("numba", [1.0, 2.0, 3.0, 4.0, 5.0])).to_dict("records")
    assert tuple(row) == SUMMARY_COLUMNS
    assert (row["n"], row["q1_s"], row["median_s"], row["q3_s"]) == (5, 2.0, 3.0, 4.0)
    assert row["samples_per_s"] == pytest.approx(1000 / 3)
    assert row["gflop_s"] == pytest.approx(4 / 3)
    assert row["limit_fraction"] == pytest.approx(4 / 3 / 80)
    assert (row["verified"], row["status"]) == ("true", "ok")
    assert pd.isna(row["speedup_vs_numpy"])
    assert pd.isna(row["time_to_target_s"])


def test_the_limit_is_the_dtype_s():
    (row,) = summary(rows("numba", [2.0], dtype="float64")).to_dict("records")
    assert row["limit_fraction"] == pytest.approx(2 / 40)


def test_without_calibration_there_is_no_limit():
    (row,) = summary(rows("numba", [2.0]), calibration=()).to_dict("records")
    assert pd.isna(row["limit_fraction"])


def test_the_limit_of_a_linear_model_is_the_gather_of_its_rows():
    measured = [rows("numba", [2.0, 4.0], cell=cell, model="softmax") for cell in ("c", "d")]
    table = summary(*measured, gathers={"c": 1.5})
    assert table["limit_fraction"][0] == pytest.approx(0.5)
    assert pd.isna(table["limit_fraction"][1])


def test_another_algorithm_has_a_rate_and_no_ratio():
    theirs = rows("scikit-learn", [4.0, 4.0], division="open", verified=None)
    row = summary(rows("numpy", [2.0, 2.0]), theirs).iloc[1]
    assert (row["samples_per_s"], row["division"], row["status"]) == (250.0, "open", "ok")
    assert row[["speedup_vs_numpy", "speedup_low", "speedup_high", "verified"]].isna().all()


def test_speedup_is_the_ratio_of_medians_per_cell():
    table = summary(
        rows("numpy", [10.0, 12.0, 11.0]),
        rows("numba", [1.0, 2.0, 4.0]),
        rows("numba", [5.0, 5.0, 5.0], cell="d"),
        rows("numpy", [1.0, 1.0, 1.0], cell="d"),
    )
    assert list(table["impl"]) == ["numpy", "numba", "numba", "numpy"]
    assert table["speedup_vs_numpy"].to_numpy()[1:3] == pytest.approx([5.5, 0.2])
    assert table["speedup_vs_numpy"].isna().to_list() == [True, False, False, True]
    assert table["speedup_low"][1] < 5.5 < table["speedup_high"][1]
    assert table["speedup_low"][2] == pytest.approx(0.2)


def test_pairs_are_matched_by_repeat():
    # The baseline's first repeat has no partner and must not be paired with another's.
    baseline, ours = rows("numpy", [90.0, 10.0, 20.0]), rows("numba", [9.0, 1.0, 2.0])[1:]
    row = summary(baseline, ours).iloc[1]
    assert row["speedup_vs_numpy"] == row["speedup_low"] == row["speedup_high"] == 10.0


@pytest.mark.parametrize("status", ["failed", "failed-verification", "unsupported"])
def test_a_failure_has_a_status_and_no_figures(status):
    failure = rows("numba", [None], status=status, verified="false", repeat=None)
    table = summary(rows("numpy", [1.0, 2.0]), rows("numba", [0.1]), failure)
    row = table.iloc[1]
    assert (row["status"], row["verified"], row["n"]) == (status, "false", 0)
    first, last = SUMMARY_COLUMNS.index("median_s"), SUMMARY_COLUMNS.index("verified")
    assert row.iloc[first:last].isna().all()


def test_a_failed_baseline_leaves_speedups_empty():
    failure = rows("numpy", [None], status="failed", repeat=None)
    table = summary(failure, rows("numba", [1.0, 1.0]))
    assert table["speedup_vs_numpy"].isna().all()
    assert table["median_s"][1] == 1.0


def test_nothing_measured_is_an_empty_table():
    table = summary()
    assert table.empty
    assert tuple(table.columns) == SUMMARY_COLUMNS


def test_the_interval_covers_the_true_ratio_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        noise = rng.lognormal(sigma=0.1, size=(2, 20))
        _, low, high = bootstrap_ratio(3.0 * noise[0], noise[1])
        covered += low <= 3.0 <= high
    assert 176 <= covered <= 199  # 95 % of 200 is 190, the standard deviation 3


def test_shared_noise_does_not_widen_the_interval():
    drift = np.linspace(1.0, 3.0, 11)
    ratio, low, high = bootstrap_ratio(4.0 * drift, drift)
    assert (ratio, low, high) == pytest.approx((4.0, 4.0, 4.0))


def test_one_pair_has_no_interval():
    assert bootstrap_ratio(np.array([4.0]), np.array([2.0])) == (2.0, None, None)


def test_the_time_to_the_target_is_that_of_the_first_point_there():
    curves = points(
        curve("numpy", (0.0, 2.0), (1.0, 1.0), (2.0, 0.5), (3.0, 0.6), (4.0, 0.4)),
        curve("numba", (0.0, 2.0), (0.25, 0.5), (0.5, 0.4)),
        curve("numpy", (0.0, 2.0), (1.5, 0.9), cell="d"),
    )
    measured = [*(rows(impl, [1.0]) for impl in ("numpy", "numba")), rows("numpy", [1.0], cell="d")]
    table = summary(*measured, curves=curves, target_losses={"c": 0.5, "d": 1.0})
    assert table["time_to_target_s"].to_list() == [2.0, 0.25, 1.5]


def test_a_target_is_reached_by_the_very_loss():
    curves = points(curve("numpy", (0.0, 0.9), (1.5, 0.5)))
    table = summary(rows("numpy", [1.0]), curves=curves, target_losses={"c": 0.5})
    assert table["time_to_target_s"].to_list() == [1.5]


def test_a_target_that_the_initial_parameters_meet_is_none_for_anybody():
    curves = points(curve("numpy", (0.0, 0.5), (1.0, 0.4)), [("c", "theirs", 0, 3, 2.0, 0.4, None)])
    measured = (rows("numpy", [1.0]), rows("theirs", [1.0]))
    table = summary(*measured, curves=curves, target_losses={"c": 0.5})
    assert table["time_to_target_s"].isna().all()


@pytest.mark.parametrize("targets", [{"c": 0.3}, {"c": None}, {"d": 9.0}, {}, None])
def test_a_target_that_is_never_reached_is_empty(targets):
    curves = points(curve("numpy", (0.0, 2.0), (1.0, 0.4), (2.0, np.nan)))
    table = summary(rows("numpy", [1.0]), curves=curves, target_losses=targets)
    assert table["time_to_target_s"].isna().all()


def test_without_curves_there_is_no_time_to_the_target():
    for curves in (None, points()):
        table = summary(rows("numpy", [1.0]), curves=curves, target_losses={"c": 0.5})
        assert table["time_to_target_s"].isna().all()


def test_a_failure_has_no_time_to_the_target_either():
    curves = points(curve("numba", (0.0, 2.0), (1.0, 0.1)))
    failure = rows("numba", [None], status="failed", repeat=None)
    table = summary(rows("numba", [1.0]), failure, curves=curves, target_losses={"c": 0.5})
    assert table["time_to_target_s"].isna().all()


def test_the_open_division_has_a_time_to_the_target():
    curves = points(curve("scikit-learn", (1.0, 0.6), (2.0, 0.5)))
    theirs = rows("scikit-learn", [4.0], division="open", verified=None)
    table = summary(theirs, curves=curves, target_losses={"c": 0.55})
    assert table["time_to_target_s"].to_list() == [2.0]
    assert table["speedup_vs_numpy"].isna().all()


def test_what_does_not_go_by_epochs_has_a_time_and_no_rate():
    theirs = rows("sklearn-lbfgs", [4.0, 2.0], division="open", samples=None, flops=None)
    for model in ("softmax", "mlp-softmax"):
        measured = [row | {"model": model} for row in theirs]
        (row,) = summary(measured, gathers={"c": 1.0}).to_dict("records")
        assert (row["n"], row["median_s"], row["status"]) == (2, 3.0, "ok")
        for rate in ("samples_per_s", "gflop_s", "limit_fraction"):
            assert pd.isna(row[rate])


def test_ratios_of_any_two_are_over_the_repeats_that_both_have():
    theirs, ours = pd.Series({0: 9.0, 1: 6.0}), pd.Series({1: 2.0, 2: 1.0})
    assert paired_ratio(theirs, ours) == (3.0, None, None)
    assert paired_ratio(theirs, ours[[2]]) is None


def test_a_first_call_is_the_longest_of_a_model_and_the_solvers_find_the_kernels_loaded():
    seconds = {
        ("numba", "softmax"): [2.0, 0.001],
        ("fastlogit-lbfgs", "softmax"): [0.002, 0.003],
        ("numba", "logistic"): [0.5],
        ("fastlogit-lbfgs", "logistic"): [0.7],
        ("fastlogit-lbfgs", "mlp-softmax"): [0.1],
        ("sklearn-lbfgs", "softmax"): [None, 0.01],
    }
    measured = [
        row
        for (impl, model), calls in seconds.items()
        for cell, call in enumerate(calls)
        for row in rows(impl, [1.0], cell=f"{model}/{cell}", model=model, compile_s=call)
    ]
    assert first_calls(pd.DataFrame(measured)).to_dict() == {
        ("numba", "softmax"): 2.0,
        ("fastlogit-lbfgs", "softmax"): 2.0,
        ("numba", "logistic"): 0.5,
        ("fastlogit-lbfgs", "logistic"): 0.7,
        ("fastlogit-lbfgs", "mlp-softmax"): 0.1,
        ("sklearn-lbfgs", "softmax"): 0.01,
    }
