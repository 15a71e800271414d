"""Where the threads of one training run wait for each other, inside jitted code.

Threads are Python's own, each in the same jitted call without the interpreter's lock: no threading
layer is needed, nor special care for forked children and concurrent fits. A wait is a few hundred
nanoseconds of spinning, where a parallel region of Numba's costs 3 to 300 µs.
"""

import os
import platform

from llvmlite import ir
from numba.core import cgutils, types

from fastlogit.kernels.codegen.compile import emitted, kernel

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


def _emit_add(context, builder, signature, array, place, value):
    element = builder.gep(array.data, [place], source_etype=ir.IntType(64))
    return builder.atomic_rmw("add", element, value, "seq_cst")


@emitted(_emit_add, lambda *_: types.int64)
def add_atomically(array, place, value):
    """Add to an element of an int64 array atomically, and return its value before. OUT: array."""
    array[place] += value
    return array[place] - value


def _emit_relax(context, builder, signature, yields_core):
    def call(name, returned):
        kind = ir.FunctionType(returned, [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])

    if _HAS_PAUSE:
        call("llvm.x86.sse2.pause", ir.VoidType())
    if hasattr(os, "sched_yield"):
        with builder.if_then(yields_core):
            call("sched_yield", ir.IntType(32))


@emitted(_emit_relax, lambda *_: types.void)
def relax(yields_core):
    """Pause for some cycles, or yield the core to another thread of the system."""
