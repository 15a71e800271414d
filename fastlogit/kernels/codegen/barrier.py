"""Where the threads of one training run wait for each other, inside jitted code.

Threads are Python's own, each in the same jitted call with the interpreter's lock released; the
kernels need no threading layer, so forked children and concurrent fits need no special care. A
wait is a few hundred nanoseconds of spinning, where a parallel region of Numba's costs 3 to 300 µs.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastlogit.kernels.codegen.compile import kernel

# A barrier is an int64 array; its two elements in use lie on cache lines of their own.
ARRIVED, ABANDONED, BARRIER_SIZE = 0, 8, 16
_SPINS_TO_YIELD = 4096
_HAS_PAUSE = platform.machine().lower() in {"x86_64", "amd64", "i686"}


@kernel
def wait(barrier, n_threads):
    """Return True once all threads have called this as often as this one; False if one aborted."""
    if n_threads == 1:
        return True
    arrived = add_atomically(barrier, ARRIVED, 1) + 1
    expected = (arrived + n_threads - 1) // n_threads * n_threads
    spins = 0
    while add_atomically(barrier, ARRIVED, 0) < expected:
        if add_atomically(barrier, ABANDONED, 0) != 0:
            return False
        spins += 1
        relax(spins % _SPINS_TO_YIELD == 0)
    return True


@intrinsic
def add_atomically(typing_context: Any, array: Any, place: Any, value: Any) -> Any:
    """Add to an element of an int64 array atomically, and return its value before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, args[0]).data
        element = builder.gep(data, [args[1]], source_etype=ir.IntType(64))
        return builder.atomic_rmw("add", element, args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def relax(typing_context: Any, yields_core: Any) -> Any:
    """Pause for some cycles, or yield the core to another thread of the system."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        nothing = ir.FunctionType(ir.VoidType(), [])
        if _HAS_PAUSE:
            pause = cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause")
            builder.call(pause, [])
        if hasattr(os, "sched_yield"):
            with builder.if_then(args[0]):
                yields = ir.FunctionType(ir.IntType(32), [])
                function = cgutils.get_or_insert_function(builder.module, yields, "sched_yield")
                builder.call(function, [])
        return context.get_dummy_value()

    return types.void(types.boolean), generate
