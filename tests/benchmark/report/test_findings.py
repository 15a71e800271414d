import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from fastlogit.benchmark.report import findings as module
from fastlogit.benchmark.report.findings import Findings, geometric_mean, of_cell, row_of
from fastlogit.benchmark.runs import StoredRun

TIMES = {
    "numpy": 8.0,
    "numba": 2.0,
    ("numba", "digits"): 4.0,
    "jax": 1.0,
    ("jax", "digits"): 16.0,
    "scikit-learn": 1.0,
}
IMPLS = ("numpy", "numba", "jax", "scikit-learn")


def test_pairs_and_records_by_hand(findings, timed):
    run = findings(models=("softmax",), impls=IMPLS, change=timed(TIMES))
    pairs = run.pairs.set_index(["rival", "dataset"])
    assert pairs["ratio"].to_dict() == {
        ("numpy", "iris"): 4.0,
        ("jax", "iris"): 0.5,
        ("numpy", "digits"): 2.0,
        ("jax", "digits"): 4.0,
    }
    against_numpy, against_jax = run.records
    assert against_numpy.rival == "numpy"
    assert against_numpy.ratio == pytest.approx(math.sqrt(8))
    assert (against_numpy.low, against_numpy.high) == (2.0, 4.0)
    assert (against_numpy.wins, against_numpy.losses, against_numpy.even) == (2, 0, 0)
    assert against_jax.ratio == pytest.approx(math.sqrt(2))
    assert (against_jax.wins, against_jax.losses, against_jax.cells) == (1, 1, 2)
    (loss,) = run.losses.to_dict("records")
    assert (loss["rival"], loss["dataset"], loss["ratio"]) == ("jax", "iris", 0.5)


def test_pairs_are_of_the_same_repeat(findings):
    # Each repeat is twice as slow as the one before, for both alike: the ratio does not spread.
    def change(timing):
        time = (8.0 if timing.impl == "numpy" else 2.0) * 2.0**timing.repeat
        return dataclasses.replace(timing, time_s=time)

    run = findings(models=("softmax",), sets=("iris",), impls=("numpy", "numba"), change=change)
    (pair,) = run.pairs.to_dict("records")
    assert (pair["ratio"], pair["low"], pair["high"]) == (4.0, 4.0, 4.0)


def test_a_ratio_on_both_sides_of_one_is_even(findings):
    def change(timing):
        slower = timing.impl == "numba" and timing.repeat % 2
        return dataclasses.replace(timing, time_s=2.0 if slower else 1.0)

    run = findings(
        models=("softmax",), sets=("iris",), impls=("numpy", "numba"), repeats=8, change=change
    )
    (record,) = run.records
    assert (record.wins, record.even, record.losses) == (0, 1, 0)


def test_one_repeat_is_not_judged(findings):
    run = findings(models=("softmax",), impls=("numpy", "numba"), repeats=1)
    (record,) = run.records
    assert (record.unjudged, record.cells) == (2, 2)


def test_other_algorithms_are_compared_by_the_time_to_the_target(findings):
    run = findings(models=("softmax",), sets=("iris", "wine", "digits"), impls=IMPLS)
    reached = {
        ("iris", "numba"): 1.0,
        ("iris", "scikit-learn"): 3.0,
        ("wine", "numba"): 1.0,
        ("digits", "scikit-learn"): 1.0,
    }
    run.cells["time_to_target_s"] = [
        reached.get((dataset, impl), np.nan)
        for dataset, impl in zip(run.cells["dataset"], run.cells["impl"], strict=True)
    ]
    record = next(record for record in run.records if record.rival == "scikit-learn")
    assert (record.measure, record.ratio) == ("target", pytest.approx(3.0))
    assert (record.wins, record.losses) == (1, 0)
    assert (record.rival_missed, record.subject_missed) == (1, 1)
    # What the subject never reached is a loss, and stands first of its kind.
    lost = run.losses[run.losses["measure"] == "target"]
    assert list(lost["dataset"]) == ["digits"]
    assert list(run.losses["measure"]) == sorted(run.losses["measure"], key="target".__eq__)


def test_times_to_the_target_within_what_they_are_located_to_are_even(findings):
    run = findings(models=("softmax",), sets=("iris", "wine", "digits", "moons"), impls=IMPLS)
    theirs = {"iris": 0.95, "wine": 1.05, "digits": 1.15, "moons": 0.85}
    run.cells["time_to_target_s"] = [
        1.0 if impl == "numba" else theirs[dataset]
        for dataset, impl in zip(run.cells["dataset"], run.cells["impl"], strict=True)
    ]
    record = next(record for record in run.records if record.rival == "scikit-learn")
    assert (record.wins, record.losses, record.even) == (1, 1, 2)
    lost = run.losses[run.losses["measure"] == "target"]
    assert list(lost["dataset"]) == ["moons"]


def test_a_contender_that_failed_has_no_ratio(findings):
    def change(timing):
        if (timing.impl, timing.dataset, timing.repeat) != ("jax", "iris", 4):
            return timing
        return dataclasses.replace(timing, time_s=None, status="failed", error="why")

    run = findings(models=("softmax",), impls=IMPLS, change=change)
    jax = run.pairs[run.pairs["rival"] == "jax"]
    assert list(jax["dataset"]) == ["digits"]
    assert set(run.ok["impl"]) == set(IMPLS)
    (failure,) = run.failures.to_dict("records")
    assert (failure["impl"], failure["dataset"], failure["status"]) == ("jax", "iris", "failed")


def test_without_the_package_s_own_contender_there_are_no_records(findings):
    run = findings(models=("softmax",), impls=("numpy", "jax"))
    assert run.records == []
    assert run.compared


def test_a_single_contender_is_compared_with_nothing(findings):
    run = findings(models=("softmax",), impls=("numba",))
    assert run.records == []
    assert not run.compared


def test_what_varies_and_what_does_not(findings):
    run = findings(models=("softmax",), batch_sizes=(8, 32), impls=("numpy", "numba"))
    assert run.varying == ["batch_size"]
    assert run.fixed == {"solver": "sgd", "dtype": "float32", "threads": 1}
    row = run.cells.iloc[0].to_dict()
    assert of_cell(row, run.varying) == "iris, batches of 8"
    assert row_of(row, run.varying) == ("iris", "8")


def test_seeds_of_a_cell_become_one_row():
    keys = [*module.AXES, "impl"]
    base = dict.fromkeys(keys, "x")
    figures = dict.fromkeys(module.FIGURES, 1.0)
    summary = pd.DataFrame(
        [
            base | figures | {"status": "ok", "speedup_low": 2.0, "speedup_high": 3.0},
            base | figures | {"status": "ok", "speedup_low": 1.0, "speedup_high": 5.0},
        ]
    )
    summary["speedup_vs_numpy"] = [2.0, 4.0]
    (row,) = module.merge_seeds(summary, keys).to_dict("records")
    assert (row["speedup_vs_numpy"], row["speedup_low"], row["speedup_high"]) == (3.0, 1.0, 5.0)
    summary.loc[1, "status"] = "failed"
    (row,) = module.merge_seeds(summary, keys).to_dict("records")
    assert row["status"] == "failed"


def test_geometric_mean():
    assert geometric_mean(pd.Series([1.0, 8.0, 27.0])) == pytest.approx(6.0)


@pytest.mark.parametrize(("ends", "interrupted"), [(None, False), (KeyboardInterrupt(), True)])
def test_a_run_that_ended_early_says_so(findings, ends, interrupted):
    run = findings(models=("softmax",), impls=("numpy", "numba"), ends=ends)
    assert run.interrupted is interrupted
    assert len(run.ok) == 4


def test_the_summary_is_derived_once(stored, monkeypatch):
    run = Findings(stored(models=("softmax",), impls=("numpy", "numba")))
    first = run.cells
    monkeypatch.setattr(StoredRun, "summary", property(lambda _: pytest.fail("asked again")))
    assert run.cells is first
