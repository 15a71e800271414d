"""What a run was measured on: the machine, the libraries, and the machine's own limits."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

__all__ = [
    "best_limits",
    "blas_pools",
    "cache_state",
    "calibrate",
    "check_threads",
    "cpu",
    "environment",
    "git_state",
    "load_average",
    "memory_bytes",
    "package_versions",
]

PACKAGES = ("fastlogit", "numpy", "numba", "llvmlite", "scipy", "scikit-learn", "threadpoolctl")

# A variable by one of these prefixes changes threads, code generation or caching.
# The two that scikit-learn sets on import are nobody's choice.
_SET_ON_IMPORT = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
_PREFIXES = (
    *("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "VECLIB_", "NUMBA_", "KMP_", "GOTO_"),
    *("XLA_", "JAX_", "PJRT_", "NPROC"),
)


def package_versions() -> dict[str, str]:
    """Give Python's version and those of the packages that times depend on."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }


def cpu() -> dict[str, Any]:
    """Give the processor's name, its LLVM name, its SIMD width and the cores for this process."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return {
        "name": _cpu_model(),
        "llvm_name": binding.get_host_cpu_name(),
        "simd_bits": simd_bits(features),
        "fma": bool(features.get("fma", False)),
        "cores": usable_cores(),
    }


def simd_bits(features: dict[str, bool]) -> int:
    """Give the width of the widest vector registers among a processor's LLVM features."""
    for feature, bits in (("avx512f", 512), ("avx", 256), ("sse2", 128), ("neon", 128)):
        if features.get(feature):
            return bits
    return 64


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: Iterable[int]) -> None:
    """Raise ValueError for more threads than cores: the files would claim what never ran."""
    asked, cores = max(threads), usable_cores()
    if asked > cores:
        raise ValueError(f"{asked} threads are asked for, but this process may use {cores} cores")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Give the machine's memory, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def load_average() -> list[float] | None:
    """Give the load of the last 1, 5 and 15 minutes, or None where the system does not say."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def blas_pools() -> list[dict[str, Any]]:
    """List the thread pools loaded so far; without file paths, which say where, not what."""
    return [
        {key: pool[key] for key in ("user_api", "internal_api", "version", "num_threads")}
        | {"architecture": pool.get("architecture")}
        for pool in threadpoolctl.threadpool_info()
    ]


def environment() -> dict[str, str]:
    """Give the environment variables that steer threads, code generation and caches."""
    names = sorted(set(os.environ) - _SET_ON_IMPORT)
    return {name: os.environ[name] for name in names if name.startswith(_PREFIXES)}


def git_state() -> dict[str, Any] | None:
    """Give the commit of the package's checkout and whether it is changed; None outside one."""
    git = shutil.which("git")
    root = Path(__file__).resolve().parents[2]
    if git is None or not (root / ".git").exists():
        return None

    def ask(*words: str) -> str:
        command = [git, "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603

    try:
        return {"commit": ask("rev-parse", "HEAD").strip(), "dirty": bool(ask("status", "-s"))}
    except subprocess.CalledProcessError:  # a checkout without a commit, or of another user
        return None


def cache_state() -> str:
    """Say where compiled kernels are kept and how many there are."""
    from fastlogit.kernels.codegen import cache

    directory = cache.cache_directory()
    if directory is None:
        return "none: no directory is writable, so kernels are compiled in every process"
    files = list(directory.glob("*.bin"))
    size = sum(path.stat().st_size for path in files) / 1e6
    return f"{directory}: {len(files)} kernels, {size:.1f} MB"


def calibrate(threads: int, size: int = 1024, repeats: int = 5) -> dict[str, Any]:
    """Measure the machine's own limits at a number of threads: products and reading memory.

    Parameters
    ----------
    threads : int
        What BLAS is held to.
    size : int, default=1024
        Rows and columns of the two factors.
    repeats : int, default=5
        The best of so many counts: a limit is what the machine can do undisturbed.

    Returns
    -------
    dict
        ``threads``, ``sgemm_gflop_s``, ``dgemm_gflop_s`` and ``read_gb_s``.
    """
    rates: dict[str, Any] = {"threads": threads}
    with threadpoolctl.threadpool_limits(threads):
        for name, dtype in (("sgemm", np.float32), ("dgemm", np.float64)):
            a = np.random.default_rng(0).random((size, size), dtype=dtype)
            out = np.empty_like(a)
            seconds = _best(partial(np.dot, a, a, out), repeats)
            rates[f"{name}_gflop_s"] = round(2 * size**3 / seconds / 1e9, 2)
        # An inner product reads each value once and does next to nothing with it. Two vectors of
        # 64 MB: with half of that a last-level cache of 32 MB still shows (45 instead of 40 GB/s).
        x = np.ones(8 * size * size)
        y = np.ones_like(x)
        seconds = _best(partial(np.dot, x, y), repeats)
        rates["read_gb_s"] = round((x.nbytes + y.nbytes) / seconds / 1e9, 2)
    return rates


def best_limits(
    known: Iterable[dict[str, Any]], measured: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give the better rate of each limit at each number of threads, from two calibrations."""
    best = {rates["threads"]: rates for rates in known}
    for rates in measured:
        before = best.get(rates["threads"], {})
        best[rates["threads"]] = {
            name: max(rate, before.get(name, rate)) for name, rate in rates.items()
        }
    return list(best.values())


def _best(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):  # the first one starts threads and touches the pages
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])
