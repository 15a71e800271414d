"""What a run was measured on: the machine, the libraries, and the machine's own limits."""

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
PACKAGES = ("fastlogit", "numpy", "numba", "llvmlite", "scipy", "scikit-learn", "threadpoolctl")

# A variable by one of these prefixes changes threads, code generation or caching.
_PREFIXES = (
    "OMP_", "OPENBLAS_", "MKL_", "BLIS_", "VECLIB_", "NUMBA_", "KMP_", "GOTO_", "XLA_", "JAX_",
    "PJRT_", "NPROC",
)  # fmt: skip
_SET_ON_IMPORT = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}  # by scikit-learn: nobody's choice


def command() -> list[str]:
    """Return the command that runs; of the user's file and directory the name, not the place."""
    words = ["fastlogit", *sys.argv[1:]]
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("--data", "--out") and equals:
            words[place] = f"{option}={Path(value).name}"
        elif words[place - 1] in ("--data", "--out"):
            words[place] = Path(word).name
    return words


def now() -> str:
    """Return the time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def package_versions() -> dict[str, str]:
    """Return Python's version and those of the packages that times depend on."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | versions


def cpu() -> dict[str, Any]:
    """Return the processor's name, its LLVM name, its SIMD width and the cores for this process."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    widths = {"avx512f": 512, "avx": 256, "sse2": 128, "neon": 128}
    return {
        "name": _cpu_model(), "llvm_name": binding.get_host_cpu_name(),
        "simd_bits": next((widths[name] for name in widths if features.get(name)), 64),
        "fma": features.get("fma", False), "cores": usable_cores(),
    }  # fmt: skip


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: Iterable[int]) -> None:
    """Raise ValueError for more threads than cores: the files would claim what never ran."""
    if (asked := max(threads)) > (cores := usable_cores()):
        raise ValueError(f"{asked} threads are asked for, but this process may use {cores} cores")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def memory_bytes() -> int | None:
    """Return the machine's memory, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def load_average() -> list[float] | None:
    """Return the load of the last 1, 5 and 15 minutes, or None where the system does not say."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None


def is_busy(load: list[float] | None, cores: int) -> bool:
    """Return whether other programs take time from what is measured, by the load average."""
    return load is not None and load[0] > 0.5 * cores


def blas_pools() -> list[dict[str, Any]]:
    """List the thread pools loaded so far; without file paths, which say where, not what."""
    kept = ("user_api", "internal_api", "version", "num_threads", "architecture")
    return [{key: pool.get(key) for key in kept} for pool in threadpoolctl.threadpool_info()]


def environment() -> dict[str, str]:
    """Return the environment variables that steer threads and code generation."""
    names = sorted(set(os.environ) - _SET_ON_IMPORT)
    # Where a cache lies changes no time.
    chosen = [name for name in names if name.startswith(_PREFIXES) and "CACHE" not in name]
    return {name: os.environ[name] for name in chosen}


def git_state() -> dict[str, Any] | None:
    """Return the commit of the package's checkout and whether it is changed; None outside one."""
    git, root = shutil.which("git"), Path(__file__).resolve().parents[2]
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "status", "--porcelain=v2", "--branch", "-uno"]
    status = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    if (commit := re.match("# branch.oid ([0-9a-f]+)", status)) is None:
        return None  # a checkout without a commit, or of another user
    return {"commit": commit[1], "dirty": bool(re.search("^[^#]", status, re.MULTILINE))}


def cache_state() -> str:
    """Return where compiled kernels are kept and how many there are."""
    from fastlogit.kernels.codegen import cache

    if (directory := cache.cache_directory()) is None:
        return "none: no directory is writable, so kernels are compiled in every process"
    files = list(directory.glob("*.bin"))
    size = sum(path.stat().st_size for path in files) / 1e6
    return f"{directory}: {len(files)} kernels, {size:.1f} MB"


def calibrate(threads: int, size: int = 1024, repeats: int = 5) -> dict[str, Any]:
    """Measure the machine's own limits at a number of threads: products and reading memory.

    The best of the repeats counts, since a limit is what the machine can do undisturbed.
    """
    rates: dict[str, Any] = {"threads": threads}
    with threadpoolctl.threadpool_limits(threads):
        for name, dtype in (("sgemm", np.float32), ("dgemm", np.float64)):
            a = np.random.default_rng(0).random((size, size), dtype=dtype)
            out = np.empty_like(a)
            seconds = least_seconds(partial(np.dot, a, a, out), repeats)
            rates[f"{name}_gflop_s"] = round(2 * size**3 / seconds / 1e9, 2)
        # Two vectors of 64 MB: with half of that a last-level cache of 32 MB still shows (45
        # instead of 40 GB/s).
        x, y = np.ones((2, 8 * size * size))
        seconds = least_seconds(partial(np.dot, x, y), repeats)
        rates["read_gb_s"] = round(2 * x.nbytes / seconds / 1e9, 2)
    return rates


def best_limits(
    known: Iterable[dict[str, Any]], measured: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the better rate of each limit at each number of threads, from two calibrations."""
    best = {rates["threads"]: rates for rates in known}
    for rates in measured:
        before = best.get(rates["threads"], rates)
        best[rates["threads"]] = {name: max(rate, before[name]) for name, rate in rates.items()}
    return list(best.values())


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least time that some work takes, of so many repeats."""
    times = []
    for _ in range(repeats + 1):  # the first one starts threads and touches the pages
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def peak_growth(work: Callable[[], None]) -> int | None:
    """Do the work and return by how many bytes the resident set rose, at its peak.

    None where the system cannot start a new peak (anywhere but on Linux).
    """
    # What was freed before is handed back: taken again, it would leave no trace.
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library alone
        if trim is not None:
            trim(0)
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        work()
        return None
    start = _peak_bytes()
    work()
    return _peak_bytes() - start


def _peak_bytes() -> int:
    """Return the resident set's peak since the last reset; right after it, its size."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
