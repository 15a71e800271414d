import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from llvmlite import binding

from fastlogit.benchmark import machine


def test_versions_of_python_and_packages():
    versions = machine.package_versions()
    assert list(versions) == ["python", *machine.PACKAGES]
    assert all(version[0].isdigit() for version in versions.values())


@pytest.mark.parametrize(
    ("features", "bits"),
    [
        ({"avx512f": True, "avx": True, "sse2": True}, 512),
        ({"avx512f": False, "avx": True, "sse2": True}, 256),
        ({"sse2": True}, 128),
        ({"neon": True}, 128),
        ({}, 64),
    ],
)
def test_simd_width_follows_the_features(features, bits, monkeypatch):
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    assert machine.cpu()["simd_bits"] == bits


def test_this_processor():
    cpu = machine.cpu()
    assert cpu["name"]
    assert cpu["simd_bits"] in (64, 128, 256, 512)
    assert 1 <= cpu["cores"] <= os.cpu_count()


def test_a_processor_without_cpuinfo(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda *_: False)
    monkeypatch.setattr(machine.platform, "processor", lambda: "abacus")
    assert machine.cpu()["name"] == "abacus"


def test_a_cpuinfo_without_a_name(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda *_: True)
    monkeypatch.setattr(Path, "read_text", lambda *_: "BogoMIPS : 1\n")
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert machine.cpu()["name"] == "aarch64"


def test_systems_that_say_less(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert machine.usable_cores() == os.cpu_count()
    assert machine.memory_bytes() is None
    assert machine.load_average() is None


def test_this_system():
    assert machine.memory_bytes() > 1e8
    assert len(machine.load_average()) == 3


def test_only_variables_that_matter_are_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/somewhere")
    kept = machine.environment()
    assert kept["OMP_NUM_THREADS"] == "3"
    others = {"SECRET_TOKEN", "KMP_DUPLICATE_LIB_OK", "JAX_COMPILATION_CACHE_DIR"}
    assert not others & set(kept)


@pytest.mark.parametrize(
    ("load", "busy"), [(None, False), ([1.0, 9, 9], False), ([1.1, 0, 0], True)]
)
def test_more_than_half_a_core_s_load_is_busy(load, busy):
    assert machine.is_busy(load, 2) is busy


def test_a_command_is_recorded_without_where_files_lie(monkeypatch):
    words = "bench run --data /home/me/a.csv --out=/runs/mine -d iris --out ../b"
    monkeypatch.setattr(machine.sys, "argv", ["/usr/bin/fastlogit", *words.split()])
    expected = "fastlogit bench run --data a.csv --out=mine -d iris --out b"
    assert machine.command() == expected.split()


def test_pools_hold_no_paths():
    pools = machine.blas_pools()
    assert any(pool["user_api"] == "blas" for pool in pools)
    assert not any(os.sep in str(value) for pool in pools for value in pool.values())


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout that the package seems to come from."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "fastlogit" / "benchmark"
    package.mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))

    def git(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603

    return git


def test_git_state_names_the_commit(checkout, tmp_path):
    checkout("init")
    checkout("commit", "--allow-empty", "-m", "Begin")
    state = machine.git_state()
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "new").write_text("")  # such as the directory of the run itself
    assert machine.git_state() == state
    checkout("add", "new")
    assert machine.git_state() == state | {"dirty": True}


def test_git_state_without_a_commit_or_a_checkout(checkout):
    assert machine.git_state() is None
    checkout("init")
    assert machine.git_state() is None


def test_git_state_without_git(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda *_: None)
    assert machine.git_state() is None


def test_calibration_gives_rates_at_the_threads_asked_for(monkeypatch):
    threads = []
    best = machine.least_seconds

    def spy(work, repeats):
        threads.append({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
        return best(work, repeats)

    monkeypatch.setattr(machine, "least_seconds", spy)
    rates = machine.calibrate(1, size=64, repeats=2)
    assert list(rates) == ["threads", "sgemm_gflop_s", "dgemm_gflop_s", "read_gb_s"]
    assert rates["threads"] == 1
    assert min(rates.values()) > 0
    assert threads == [{1}] * 3


def test_the_better_of_two_calibrations_counts():
    known = [{"threads": 1, "sgemm_gflop_s": 5.0, "read_gb_s": 2.0}]
    measured = [
        {"threads": 1, "sgemm_gflop_s": 4.0, "read_gb_s": 3.0},
        {"threads": 2, "sgemm_gflop_s": 9.0, "read_gb_s": 3.0},
    ]
    best = [{"threads": 1, "sgemm_gflop_s": 5.0, "read_gb_s": 3.0}, measured[1]]
    assert machine.best_limits(known, measured) == best
    assert machine.best_limits([], measured) == measured


def test_cache_state(monkeypatch, tmp_path):
    from fastlogit.kernels.codegen import cache

    (tmp_path / "kernel-1.bin").write_bytes(b"x" * 200_000)
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    assert machine.cache_state() == f"{tmp_path}: 1 kernels, 0.2 MB"
    monkeypatch.setattr(cache, "cache_directory", lambda: None)
    assert machine.cache_state().startswith("none: no directory is writable")


MIB = 2**20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can start a new peak")


def touch(mebibytes):
    np.ones(mebibytes * MIB, np.uint8).sum()


@on_linux
@pytest.mark.parametrize("mebibytes", [16, 64])
def test_the_growth_is_what_the_work_took_at_its_peak(mebibytes):
    touch(128)  # an earlier and higher peak
    growth = machine.peak_growth(lambda: touch(mebibytes))
    # The kernel counts pages a thread at a time.
    assert (mebibytes - 2) * MIB < growth < (mebibytes + 8) * MIB


@on_linux
def test_what_was_there_before_does_not_count():
    held = np.ones(64 * MIB, np.uint8)
    assert machine.peak_growth(lambda: held.sum()) < 8 * MIB


@on_linux
def test_small_blocks_that_the_process_kept_count_again():
    def blocks():
        return [np.ones(50_000, np.uint8) for _ in range(800)]  # 40 MB from the heap

    blocks()
    assert machine.peak_growth(blocks) > 30 * MIB


def test_where_no_peak_can_be_started_the_work_is_done_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CLEAR_REFS", tmp_path / "proc" / "clear_refs")
    done = []
    assert machine.peak_growth(lambda: done.append(1)) is None
    assert done == [1]


def test_what_the_work_raises_comes_out():
    def fails():
        raise MemoryError("out of it")

    with pytest.raises(MemoryError, match="out of it"):
        machine.peak_growth(fails)
