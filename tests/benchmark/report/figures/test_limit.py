import dataclasses
import re

import pytest

from fastlogit.benchmark.report.figures import limit

OF_TWO = [{"threads": 2, "sgemm_gflop_s": 9.0, "dgemm_gflop_s": 5.0, "read_gb_s": 1.0}]
SMALL = {"models": ("softmax", "mlp-softmax"), "sets": ("digits",), "impls": ("numpy", "numba")}


def test_the_roof_is_the_calibration(findings):
    (panel,) = limit.rooflines(findings(**SMALL))
    assert (
        "runs at 228 GFLOP/s and memory is read at 42 GB/s in float32 on one thread"
        in panel.finding
    )
    assert "product, 228 GFLOP/s" in panel.svg
    assert "read, 42 GB/s" in panel.svg


def test_the_highest_rates_are_told(findings):
    run = findings(**SMALL)
    (panel,) = limit.rooflines(run)
    for impl, rates in run.ok.groupby("impl")["gflop_s"]:
        assert re.search(rf"{impl} {rates.max():.3g} \(\S+ on digits\)", panel.finding)


@pytest.mark.parametrize("calibration", [[], OF_TWO])
def test_without_a_calibration_of_these_threads_there_is_no_roof(findings, calibration):
    assert limit.rooflines(findings(**SMALL, facts={"calibration": calibration})) == []


def test_shares_are_the_medians_of_the_cells(findings):
    # The gather takes 2 ms in each cell of the linear model.
    run = findings(
        models=("softmax",),
        sets=("iris", "wine", "digits"),
        impls=("numpy", "numba"),
        change=lambda t: dataclasses.replace(
            t, time_s={"iris": 0.004, "wine": 0.008, "digits": 0.08}[t.dataset]
        ),
    )
    panel = limit.fractions(run)
    assert "numba 0.25 in softmax" in panel.finding


def test_other_algorithms_are_left_out(findings):
    run = findings(models=("softmax",), sets=("iris",), impls=("numpy", "scikit-learn"))
    for panel in (*limit.rooflines(run), limit.fractions(run)):
        assert "scikit-learn" not in panel.finding


def test_without_shares_there_is_no_panel(findings):
    run = findings(models=("mlp-softmax",), impls=("numpy",), facts={"calibration": []})
    assert limit.fractions(run) is None
