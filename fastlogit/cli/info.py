"""``fastlogit info``: the machine and the libraries, as a run would record them."""

from __future__ import annotations

from typing import Any

from rich.console import Console

__all__ = ["show_info"]


def show_info() -> None:
    """Show versions, processor, SIMD width, threads, BLAS and the state of the kernel cache."""
    out = Console(highlight=False, soft_wrap=True)
    out.print("fastlogit info")
    import numba

    from fastlogit.benchmark import machine

    for package, version in machine.package_versions().items():
        out.print(f"  {package:<14} {version}")
    cpu = machine.cpu()
    out.print(f"processor      {cpu['name']} ({cpu['llvm_name']})")
    fma = "with" if cpu["fma"] else "without"
    out.print(f"SIMD           {cpu['simd_bits']} bits, {fma} fused multiply-add")
    config: Any = numba.config  # its attributes are made at run time
    threads = config.NUMBA_NUM_THREADS
    out.print(f"cores          {cpu['cores']} usable, numba starts at most {threads} threads")
    for name, value in machine.environment().items():
        out.print(f"environment    {name}={value}", markup=False)
    for pool in machine.blas_pools():
        out.print(
            f"thread pool    {pool['user_api']}: {pool['internal_api']} {pool['version']} "
            f"({pool['architecture']}), {pool['num_threads']} threads"
        )
    out.print(f"kernel cache   {machine.cache_state()}")
