"""How the threads of one training run share work and wait for each other, inside jitted code.

Threads are Python's own, each in the same jitted call without the interpreter's lock: no threading
layer is needed, nor special care for forked children and concurrent fits. A wait is a few hundred
nanoseconds of spinning, where a parallel region of Numba's costs 3 to 300 µs.

Work is done in rounds, numbered from 1, of items, numbered from 0. The first thread begins a round,
takes items, and waits until all are done. The others take items while there are any. None is waited
for that holds no item: where another process has a thread's core, the others do its work.
"""

import os
import platform

from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils, emitted, kernel, types

# A barrier is an int64 array; its elements in use lie on cache lines of their own. NEXT is the next
# item to take, round · ITEMS + item; DONE are the items of the round that are done.
NEXT, DONE, ABANDONED, BARRIER_SIZE = 0, 8, 16, 24
ITEMS = 1 << 16  # more than a round has
OVER = 1 << 62
# A thread waits for so many pauses, some 0.1 ms. Then it sleeps, twice as long each time: only to a
# core that is idle for long enough does the system move another thread.
_SPINS_TO_SLEEP = 4096
_FIRST_SLEEP, _LONGEST_SLEEP = 50, 800  # microseconds
_WORD = ir.IntType(64)
_HAS_PAUSE = platform.machine().lower() in {"x86_64", "amd64", "i686"}


@kernel
def begin_round(barrier, number):
    """Offer the items of a round, those of the last being done: the first thread does so."""
    add_atomically(barrier, DONE, -add_atomically(barrier, DONE, 0))
    add_atomically(barrier, NEXT, number * ITEMS - add_atomically(barrier, NEXT, 0))


@kernel
def take_item(barrier, thread, number, n_items):
    """Return an item of the round, n_items or more if there is none left; wait for its begin."""
    if thread == 0:
        return add_atomically(barrier, NEXT, 1) - number * ITEMS
    waited = 0
    while not is_past(barrier, number):
        following = add_atomically(barrier, NEXT, 0)
        item = following - number * ITEMS
        if 0 <= item < n_items:
            if swap_atomically(barrier, NEXT, following, following + 1):
                return item
        else:
            waited = wait(waited)
    return n_items


@kernel
def finish_item(barrier):
    """Count an item as done."""
    add_atomically(barrier, DONE, 1)


@kernel
def wait_for_items(barrier, n_items):
    """Return True once so many items of the round are done; False if a thread aborted."""
    waited = 0
    while add_atomically(barrier, DONE, 0) < n_items:
        if add_atomically(barrier, ABANDONED, 0) != 0:
            return False
        waited = wait(waited)
    return True


@kernel
def is_past(barrier, number):
    """Return whether a round is over: a later one has begun, all are, or a thread aborted."""
    is_over = add_atomically(barrier, NEXT, 0) >= (number + 1) * ITEMS
    return is_over or add_atomically(barrier, ABANDONED, 0) != 0


@kernel
def end_rounds(barrier):
    """Announce to the other threads that no round follows."""
    add_atomically(barrier, NEXT, OVER - add_atomically(barrier, NEXT, 0))


@kernel
def wait(waited):
    """Wait for a moment, and return for how many that is: for longer ones after many."""
    excess = waited - _SPINS_TO_SLEEP
    relax(min(_FIRST_SLEEP << min(excess, 4), _LONGEST_SLEEP) if excess >= 0 else 0)
    return waited + 1


def _emit_add(context, builder, signature, array, place, value):
    element = builder.gep(array.data, [place], source_etype=_WORD)
    return builder.atomic_rmw("add", element, value, "seq_cst")


@emitted(_emit_add, lambda *_: types.int64)
def add_atomically(array, place, value):
    """Add to an element of an int64 array atomically, and return its value before. OUT: array."""
    array[place] += value
    return array[place] - value


def _emit_swap(context, builder, signature, array, place, expected, value):
    element = builder.gep(array.data, [place], source_etype=_WORD)
    pair = builder.cmpxchg(element, expected, value, "seq_cst", "seq_cst")
    return builder.extract_value(pair, 1)


@emitted(_emit_swap, lambda *_: types.boolean)
def swap_atomically(array, place, expected, value):
    """Set an element of an int64 array if it is as expected; return whether. OUT: array."""
    is_expected = array[place] == expected
    if is_expected:
        array[place] = value
    return is_expected


def _emit_relax(context, builder, signature, microseconds):
    def call(name, returned, *values):
        kind = ir.FunctionType(returned, [value.type for value in values])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)

    if _HAS_PAUSE:
        call("llvm.x86.sse2.pause", ir.VoidType())
    if os.name == "posix":
        with builder.if_then(builder.icmp_signed(">", microseconds, ir.Constant(_WORD, 0))):
            call("usleep", ir.IntType(32), builder.trunc(microseconds, ir.IntType(32)))


@emitted(_emit_relax, lambda *_: types.void)
def relax(microseconds):
    """Pause for some cycles, or sleep so that another thread of the system may have the core."""
