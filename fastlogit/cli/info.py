"""``fastlogit info``: the machine and the libraries, as a run records them."""

from fastlogit.benchmark.text import pluralize
from fastlogit.cli.ending import consoles


def show_info() -> None:
    """Show this machine and the versions of libraries."""
    out, _ = consoles()
    out.print("fastlogit info")
    from fastlogit.benchmark import machine
    from fastlogit.training.threads import usable_threads

    cpu, most = machine.cpu(), usable_threads()
    rows = [
        *machine.package_versions().items(),
        ("processor", f"{cpu['name']} ({cpu['llvm_name']})"),
        ("SIMD", f"{cpu['simd_bits']} bits, {'with' if cpu['fma'] else 'no'} fused multiply-add"),
        ("cores", f"{cpu['cores']} usable; a fit has at most {pluralize(most, 'thread')}"),
        *(("environment", f"{name}={value}") for name, value in machine.environment().items()),
    ]
    for pool in machine.blas_pools():
        library = f"{pool['internal_api']} {pool['version']} ({pool['architecture']})"
        count = pluralize(pool["num_threads"], "thread")
        rows.append(("thread pool", f"{pool['user_api']}: {library}, {count}"))
    for name, value in (*rows, ("kernel cache", machine.cache_state())):
        out.print(f"{name:<14} {value}", soft_wrap=True)
