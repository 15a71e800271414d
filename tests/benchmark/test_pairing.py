from math import log
from pathlib import Path

import pandas as pd
import pytest

from fastlogit.benchmark.pairing import differences, host_shifts, machine_differences, pair
from fastlogit.benchmark.runs import StoredRun

CPU = {"name": "Some", "llvm_name": "znver5", "simd_bits": 512, "fma": True, "cores": 2}
FACTS = {
    "status": "complete",
    "cpu": CPU,
    "memory_bytes": 16_000_000_000,
    "environment": {"OMP_NUM_THREADS": "1"},
    "packages": {"numpy": "2.4.6"},
    "git": {"commit": "abc"},
    "config": {"impls": ["numpy", "numba"], "repeats": 5},
    "thread_pools": [
        {"user_api": "blas", "internal_api": "openblas", "version": "1", "architecture": "Zen"},
        {"user_api": "openmp", "internal_api": "openmp", "version": None, "architecture": None},
    ],
}


def run(*rows):
    columns = ["cell_id", "impl", "repeat", "time_s", "status", "error"]
    timings = pd.DataFrame(rows, columns=columns).assign(model="softmax", threads=1)
    return StoredRun(Path("r"), {}, timings, pd.DataFrame())


def test_a_machine_of_which_nothing_is_known_differs_and_is_no_error():
    nothing = dict.fromkeys(FACTS)
    assert machine_differences(nothing, nothing) == []
    assert "processor: Some against none" in machine_differences(FACTS, nothing)


def test_cells_and_contenders_are_paired_by_repeat():
    base = run(("c", "numba", 0, 1.0, "ok", None), ("c", "numba", 1, 2.0, "ok", None))
    new = run(("c", "numba", 1, 4.0, "ok", None), ("c", "numba", 0, 3.0, "ok", None))
    found = pair(base, new)
    (item,) = found.pairs
    assert (item.cell_id, item.impl, item.model, item.threads) == ("c", "numba", "softmax", 1)
    assert item.base.to_dict() == {0: 1.0, 1: 2.0}
    assert item.new.to_dict() == {0: 3.0, 1: 4.0}
    assert found.failures == found.only_base == found.only_new == []


def test_what_only_one_run_has_is_listed():
    base = run(("c", "numba", 0, 1.0, "ok", None), ("d", "numba", 0, 1.0, "ok", None))
    new = run(("c", "numba", 0, 1.0, "ok", None), ("c", "jax", 0, 1.0, "ok", None))
    found = pair(base, new)
    assert found.only_base == [("d", "numba")]
    assert found.only_new == [("c", "jax")]


@pytest.mark.parametrize("status", ["failed", "failed-verification", "unsupported"])
def test_what_fails_in_new_alone_is_a_failure(status):
    good = ("c", "numba", 0, 1.0, "ok", None)
    bad = ("c", "numba", None, None, status, "why")
    found = pair(run(good), run(good, bad))
    assert not found.pairs
    ((failure),) = found.failures
    assert vars(failure) == {"cell_id": "c", "impl": "numba", "status": status, "error": "why"}
    for base in (run(bad), run(good, bad)):
        found = pair(base, run(bad))
        assert not found.pairs
        assert not found.failures
        assert not pair(base, run(good)).pairs


def test_a_failure_without_a_reason():
    good, bad = ("c", "n", 0, 1.0, "ok", None), ("c", "n", None, None, "failed", None)
    assert pair(run(good), run(bad)).failures[0].error == ""


def test_the_same_machine_has_no_differences():
    assert machine_differences(FACTS, dict(FACTS)) == []
    assert differences(FACTS, dict(FACTS)) == []


def test_a_run_that_does_not_know_its_blas_yet_differs_in_none():
    assert differences(FACTS, FACTS | {"thread_pools": []}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": CPU | {"name": "Other"}}, "processor: Some against Other"),
        ({"cpu": CPU | {"cores": 4}}, "usable cores: 2 against 4"),
        ({"cpu": CPU | {"simd_bits": 256}}, "SIMD bits: 512 against 256"),
        ({"memory_bytes": 32_000_000_000}, "memory: 16.0 GB against 32.0 GB"),
        ({"memory_bytes": None}, "memory: 16.0 GB against unknown"),
        ({"environment": {}}, "variable OMP_NUM_THREADS: 1 against none"),
        (
            {"environment": {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Zen"}},
            "variable OPENBLAS_CORETYPE: none against Zen",
        ),
    ],
)
def test_other_machines_are_told_apart(change, said):
    assert machine_differences(FACTS, FACTS | change) == [said]


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 16_100_000_000},
        {"environment": FACTS["environment"] | {"NUMBA_CACHE_DIR": "/elsewhere"}},
    ],
)
def test_what_does_not_change_times_makes_no_other_machine(change):
    assert machine_differences(FACTS, FACTS | change) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"packages": {"numpy": "2.5"}}, "numpy: 2.4.6 against 2.5"),
        ({"packages": {}}, "numpy: 2.4.6 against none"),
        ({"git": None}, "commit: abc against none"),
        ({"status": "interrupted"}, "NEW is interrupted: only the cells that it measured count"),
        ({"config": {"impls": ["numba"], "repeats": 5}}, "impls: numpy, numba against numba"),
        (
            {"thread_pools": [FACTS["thread_pools"][0] | {"architecture": "Haswell"}]},
            "BLAS: openblas 1 for Zen against openblas 1 for Haswell",
        ),
    ],
)
def test_other_differences_are_listed(change, said):
    assert differences(FACTS, FACTS | change) == [said]
    assert machine_differences(FACTS, FACTS | change) == []


def test_the_host_s_limits_shift_by_what_they_took_longer():
    base = {
        "calibration": [{"threads": 1, "sgemm_gflop_s": 100.0, "read_gb_s": 40.0}],
        "gather_s": {"c": 1.0, "d": 2.0},
    }
    new = {
        "calibration": [
            {"threads": 2, "sgemm_gflop_s": 7.0},
            {"threads": 1, "sgemm_gflop_s": 50.0, "read_gb_s": 40.0, "dgemm_gflop_s": 1.0},
        ],
        "gather_s": {"d": 6.0, "e": 1.0},
    }
    assert sorted(host_shifts(base, new, 1)) == pytest.approx([0.0, log(2), log(3)])
    assert host_shifts(base, new, 2) == pytest.approx([log(3)])
    assert host_shifts({}, new, 1).size == 0
