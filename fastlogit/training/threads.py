"""Threads that make one jitted call together, or share out the rows of one.

A call is shared if it is estimated to take long enough, and while that is measured to be faster:
with a core taken by another process, two threads may take longer than one. Which threads run a call
does not change one bit of its result.
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.kernels.codegen.barrier import ABANDONED, BARRIER_SIZE
from fastlogit.kernels.training.epoch import (
    BLOCK_ROWS,
    MAX_GROUPS,
    ROW_MULTIPLY_ADDS,
    Gradients,
    Team,
    blocks_a_call,
)

# What a thread does in a second, roughly: multiply-adds, and reading of rows.
MULTIPLY_ADDS_A_SECOND = 3e10
BYTES_A_SECOND = 1e10
# Seconds of a call from which on threads may share it: to wake one takes some 0.1 ms, or 0.2 ms on
# a virtual machine.
WORTH_SHARING = 1e-3
# The slower of two choices is measured again once its pace, shrunk by this share with every call,
# appears to be the faster: after 70 calls if it takes twice as long, which costs 1.5 %.
FORGOTTEN = 0.01
# Slices of the rows per thread: one that another process holds up leaves the rest to the others.
SLICES_PER_THREAD = 4


def estimate_seconds(n_rows: int, multiply_adds: float, row_bytes: float) -> float:
    """Return about how long a thread takes for rows of so many multiply-adds and bytes each."""
    arithmetic = (ROW_MULTIPLY_ADDS + multiply_adds) / MULTIPLY_ADDS_A_SECOND
    return n_rows * max(arithmetic, row_bytes / BYTES_A_SECOND)


def team_size(n_threads: int, n_rows: int) -> int:
    """Return how many of n_threads can share so many rows, a group of whole blocks each."""
    return usable_threads(min(n_threads, n_groups(n_rows)))


def usable_threads(most: int = sys.maxsize) -> int:
    """Return how many threads there may be: most, as many as cores, fewer in joblib's workers."""
    if most <= 1:  # spares the system a question
        return 1
    if (limit := os.environ.get("NUMBA_NUM_THREADS")) is not None:  # joblib sets it there
        return min(max(int(limit), 1), most)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), most)
    return min(os.cpu_count() or 1, most)


def n_groups(n_rows: int) -> int:
    """Return how many groups the blocks of so many rows fall into."""
    return min(-(-n_rows // BLOCK_ROWS), MAX_GROUPS)


def workspace(theta: NDArray[Any], n_rows: int) -> Gradients:
    """Return room for the gradients of the groups of so many rows."""
    groups = n_groups(n_rows)
    return Gradients(np.zeros((groups, theta.size), theta.dtype), np.zeros(groups))


def cut(n_rows: int, multiply_adds: float) -> list[tuple[int, int]]:
    """Return each call's first and last block in their group: few calls, none long, for Ctrl-C."""
    if n_rows <= BLOCK_ROWS:
        return [(0, 1)]
    groups = n_groups(n_rows)
    largest = math.ceil(n_rows / BLOCK_ROWS / groups)
    step = max(blocks_a_call(multiply_adds) // groups, 1)
    return [(first, first + step) for first in range(0, largest, step)]


class Pace:
    """How long calls take by one thread and by all, relative to what is expected.

    The first call may compile, and is not measured. The second is one thread's too, the third
    wakes the others: if it takes longer nevertheless, as with a core taken, one thread goes on.
    From then on the faster way is taken, until the slower is due again.
    """

    def __init__(self) -> None:
        self._paces: dict[bool, float] = {}
        self._calls, self._last = 0, False

    def shares(self) -> bool:
        """Return whether all threads are to make the next call."""
        if len(self._paces) < 2:
            return self._calls > 1
        return self._paces[True] <= self._paces[False]

    def is_trial(self) -> bool:
        """Return whether the next call is made in another way than the last."""
        return len(self._paces) < 2 or self.shares() is not self._last

    def record(self, shared: bool, pace: float) -> None:
        """Record how long the call took."""
        self._calls, self._last = self._calls + 1, shared
        if self._calls > 1:
            self._paces[shared] = pace
            if (not shared) in self._paces:
                self._paces[not shared] *= 1 - FORGOTTEN


class ThreadPool:
    """Threads that make calls together, the caller's among them; each allocates its buffers."""

    def __init__(self, n_threads: int, allocate: Callable[[], Any]) -> None:
        self._n_threads, self.is_shared = n_threads, n_threads > 1
        self._buffers = [allocate() for _ in range(n_threads)]
        # Not shared: two pools could each hold a thread that the other waits for.
        self._executor = ThreadPoolExecutor(n_threads - 1) if n_threads > 1 else None
        self.alone = Team(0, 1, np.zeros(BARRIER_SIZE, np.int64), self._buffers[0])
        self._pace = Pace()

    @property
    def is_trial(self) -> bool:
        """Whether the next call tries by how many threads it is faster, and had better be short."""
        return self.is_shared and self._pace.is_trial()

    def bind(self, function: Callable[..., None], seconds: float) -> Callable[..., None]:
        """Return function(team, ...) without team, for calls that take one thread so long.

        One thread makes a short call; all together make a long one while that is faster.
        """
        if self._executor is None or seconds < WORTH_SHARING:
            return partial(function, self.alone)
        return partial(self._call_fastest, self._executor, function, seconds)

    def _call_fastest(
        self, executor: ThreadPoolExecutor, function: Callable[..., None], expected: float,
        *args: Any,
    ) -> None:  # fmt: skip
        """Call function(team, *args) in all threads, or in one if that is faster."""
        shared, began = self._pace.shares(), time.perf_counter()
        if shared:
            self._call_together(executor, function, *args)
        else:
            function(self.alone, *args)
        self._pace.record(shared, (time.perf_counter() - began) / expected)

    def _call_together(
        self, executor: ThreadPoolExecutor, function: Callable[..., None], *args: Any
    ) -> None:
        """Call function(team, *args) in all threads; if one raises, the others give up.

        It returns once the first thread's call does: then the others have nothing left to do.
        """
        barrier = np.zeros(BARRIER_SIZE, np.int64)

        def take_part(thread: int) -> None:
            try:
                function(Team(thread, self._n_threads, barrier, self._buffers[thread]), *args)
            except BaseException:
                barrier[ABANDONED] = 1
                raise

        others = []
        try:
            for thread in range(1, self._n_threads):
                others.append(executor.submit(take_part, thread))
            take_part(0)
        except BaseException:
            barrier[ABANDONED] = 1
            wait(others)
            raise
        for other in others:
            if not other.cancel() and barrier[ABANDONED]:
                other.result()


def by_rows(
    n_threads: int, function: Callable[[slice], None], n_rows: int, multiply_adds: float,
    row_bytes: float,
) -> None:  # fmt: skip
    """Share slices of the rows, whole blocks, out to threads; between two, Python sees Ctrl-C."""
    seconds = estimate_seconds(n_rows, multiply_adds, row_bytes)
    if n_rows <= BLOCK_ROWS or seconds < WORTH_SHARING:
        function(slice(0, n_rows))
        return
    blocks = -(-n_rows // BLOCK_ROWS)
    n_threads = usable_threads(min(n_threads, blocks))
    n_slices = -(-blocks // blocks_a_call(multiply_adds))
    if n_threads > 1:
        n_slices = min(max(n_slices, SLICES_PER_THREAD * n_threads), blocks)
    ends = [blocks * n // n_slices * BLOCK_ROWS for n in range(n_slices)]
    left = deque(slice(first, last) for first, last in pairwise([*ends, n_rows]))

    if n_threads == 1:
        _take_slices(left, function)
        return
    with ThreadPoolExecutor(n_threads - 1) as pool:
        others = [pool.submit(_take_slices, left, function) for _ in range(n_threads - 1)]
        _take_slices(left, function)
        for other in others:
            other.result()


def _take_slices(left: deque[slice], function: Callable[[slice], None]) -> None:
    """Call the function for slices of those left, which others take from too, until none is."""
    while True:
        try:
            rows = left.popleft()
        except IndexError:
            return
        try:
            function(rows)
        except BaseException:
            left.clear()
            raise
