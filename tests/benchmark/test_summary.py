"""The summary of a few rows, against figures by hand."""

import numpy as np
import pandas as pd
import pytest

from fastlogit.benchmark.schema import CURVE_COLUMNS, SUMMARY_COLUMNS, TIMING_COLUMNS
from fastlogit.benchmark.summary import summarise

LIMITS = [{"threads": 1, "sgemm_gflop_s": 80.0, "dgemm_gflop_s": 40.0}]


def rows(implementation, times, case="mlp-softmax/iris/sgd/b32/float32/t1/e9/s0", **other):
    common = {
        "case_id": case, "comparison": "same-steps", "model": case.split("/")[0],
        "dataset": "iris", "implementation": implementation, "version": "1", "solver": "sgd",
        "batch_size": 32, "dtype": "float32", "threads": 1, "samples": 1000.0, "flops": 4e9,
        "verified": "true", "status": "ok",
    }  # fmt: skip
    return [
        dict.fromkeys(TIMING_COLUMNS) | common | {"repeat": i, "time_s": time} | other
        for i, time in enumerate(times)
    ]


def summary(*measured, curves=(), **facts):
    timings = pd.DataFrame([row for each in measured for row in each], columns=[*TIMING_COLUMNS])
    points = pd.DataFrame([*curves], columns=[*CURVE_COLUMNS])
    return summarise(timings, points, {"calibration": LIMITS} | facts)


def curve(case, implementation, *points):
    return [
        dict(zip(CURVE_COLUMNS, (case, implementation, 0, epoch, seconds, loss, None), strict=True))
        for epoch, (seconds, loss) in enumerate(points)
    ]


def test_a_row_by_hand():
    (row,) = summary(rows("numpy", [5.0, 1.0, 2.0, 4.0, 3.0])).to_dict("records")
    assert tuple(row) == SUMMARY_COLUMNS
    assert (row["n"], row["q1_s"], row["median_s"], row["q3_s"]) == (5, 2.0, 3.0, 4.0)
    assert row["samples_per_s"] == pytest.approx(1000 / 3)
    assert row["gflop_s"] == pytest.approx(4 / 3)
    assert row["limit_fraction"] == pytest.approx(4 / 3 / 80)
    assert (row["verified"], row["status"]) == ("true", "ok")
    assert all(pd.isna(row[name]) for name in ("speedup", "baseline", "time_to_target_s"))


def test_the_limit_of_a_network_is_its_dtype_s_product():
    measured = rows("fastlogit", [2.0], dtype="float64")
    assert summary(measured)["limit_fraction"].tolist() == [pytest.approx(2 / 40)]
    assert summary(measured, calibration=[])["limit_fraction"].isna().all()


def test_the_limit_of_a_linear_model_is_to_take_its_rows():
    cases = [f"softmax/{name}/sgd/b32/float32/t1/e9/s0" for name in ("iris", "wine")]
    table = summary(
        *(rows("fastlogit", [2.0, 4.0], case) for case in cases), take_s={cases[0]: 1.5}
    )
    assert table["limit_fraction"][0] == pytest.approx(0.5)
    assert pd.isna(table["limit_fraction"][1])


@pytest.mark.parametrize(
    ("comparison", "baseline", "speedup"),
    [("same-steps", "numpy", 5.5), ("same-estimator", "scikit-learn", 5.5)],
)
def test_the_speedup_is_over_the_comparison_s_baseline(comparison, baseline, speedup):
    options = {"comparison": comparison}
    table = summary(
        rows(baseline, [10.0, 12.0, 11.0], **options), rows("fastlogit", [1.0, 2.0, 4.0], **options)
    )
    assert table["baseline"].tolist()[1] == baseline
    assert table["speedup"][1] == speedup
    assert table["speedup_low"][1] < speedup < table["speedup_high"][1]
    assert pd.isna(table["speedup"][0])


def test_another_algorithm_has_a_rate_and_no_speedup():
    theirs = rows("sklearn-sgd", [4.0, 4.0], comparison="any-algorithm", verified=None)
    row = summary(rows("numpy", [2.0, 2.0]), theirs).iloc[1]
    assert (row["samples_per_s"], row["status"]) == (250.0, "ok")
    assert row[["speedup", "speedup_low", "speedup_high", "baseline", "verified"]].isna().all()


def test_what_has_no_epochs_has_no_rate():
    row = summary(rows("sklearn-lbfgs", [4.0], comparison="any-algorithm", samples=None)).iloc[0]
    assert row["median_s"] == 4.0
    assert row[["samples_per_s", "gflop_s", "limit_fraction"]].isna().all()


def test_an_estimator_has_rows_a_second_and_no_flops():
    case = "LogisticRegression/iris/lbfgs/predict_proba/float64/t1/s0"
    measured = rows("fastlogit", [0.5], case, comparison="same-estimator", flops=None)
    row = summary(measured).iloc[0]
    assert row["samples_per_s"] == 2000.0
    assert row[["gflop_s", "limit_fraction"]].isna().all()


@pytest.mark.parametrize("status", ["failed", "failed-verification", "unsupported"])
def test_a_failure_has_a_status_and_no_figures(status):
    failure = rows("fastlogit", [None], status=status, verified="false", repeat=None)
    row = summary(rows("numpy", [1.0, 2.0]), rows("fastlogit", [0.1]), failure).iloc[1]
    assert (row["status"], row["verified"], row["n"]) == (status, "false", 0)
    assert row["median_s":"time_to_target_s"].isna().all()


def test_a_failed_baseline_leaves_the_speedup_empty():
    failure = rows("numpy", [None], status="failed", repeat=None)
    table = summary(failure, rows("fastlogit", [1.0, 1.0]))
    assert table["speedup"].isna().all()
    assert table["median_s"][1] == 1.0


def test_nothing_measured_is_an_empty_table():
    assert summary().empty
    assert tuple(summary()) == SUMMARY_COLUMNS


def test_the_time_to_the_target_is_that_of_the_first_point_there():
    case = rows("numpy", [1.0])[0]["case_id"]
    curves = [
        *curve(case, "numpy", (0.0, 2.0), (1.0, 1.0), (2.0, 0.5), (3.0, 0.6), (4.0, 0.4)),
        *curve(case, "fastlogit", (0.0, 2.0), (0.25, 0.5), (0.5, 0.4)),
        *curve(case, "torch", (0.0, 2.0), (0.25, np.nan)),
    ]
    measured = [rows(name, [1.0]) for name in ("numpy", "fastlogit", "torch")]
    times = summary(*measured, curves=curves, target_loss={case: 0.5})["time_to_target_s"]
    assert times.tolist()[:2] == [2.0, 0.25]
    assert pd.isna(times[2])
    for target_loss in ({case: 0.3}, {case: None}, {"another": 9.0}, {}):
        table = summary(*measured, curves=curves, target_loss=target_loss)
        assert table["time_to_target_s"].isna().all()
