"""The CPU that kernels are compiled for: this one, or what NUMBA_CPU_NAME says."""

import os
from functools import cache

import llvmlite.binding


@cache
def cpu_name() -> str:
    """Return LLVM's name of the CPU."""
    return os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()


@cache
def cpu_features() -> str:
    """Return the CPU's features, as Numba reads them: a generic one has none beyond its name."""
    default = "" if cpu_name().lower() == "generic" else None
    given = os.environ.get("NUMBA_CPU_FEATURES", default)
    return llvmlite.binding.get_host_cpu_features().flatten() if given is None else given


HAS_AVX512 = "+avx512f" in cpu_features()
# Elsewhere products are rounded before they are added.
HAS_FMA = cpu_name().lower() != "generic" and "-fma" not in cpu_features().split(",")
