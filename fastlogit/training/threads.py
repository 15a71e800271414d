"""Threads that make one jitted call together, or share out the rows of one."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from fastlogit.kernels.codegen.barrier import ABANDONED, BARRIER_SIZE
from fastlogit.kernels.training.epoch import BLOCK_ROWS, MAX_GROUPS, Gradients, Team, blocks_a_call

# Waking a thread takes some ten microseconds, the time of a few million multiply-adds.
WORTH_SHARING = 1 << 22


def team_size(n_threads: int, n_rows: int) -> int:
    """Return how many of n_threads can share so many rows, a group of whole blocks each."""
    limit: int = numba.config.NUMBA_NUM_THREADS  # joblib lowers it in its workers
    return max(min(n_threads, n_groups(n_rows), limit), 1)


def n_groups(n_rows: int) -> int:
    """Return how many groups the blocks of so many rows fall into."""
    return min(-(-n_rows // BLOCK_ROWS), MAX_GROUPS)


def workspace(theta: NDArray[Any], n_rows: int) -> Gradients:
    """Return room for the gradients of the groups of so many rows."""
    groups = n_groups(n_rows)
    return Gradients(np.zeros((groups, theta.size), theta.dtype), np.zeros(groups))


def cut(n_rows: int, multiply_adds: float) -> list[tuple[int, int]]:
    """Return each call's first and last block in their group: few calls, none long, for Ctrl-C."""
    groups = n_groups(n_rows)
    largest = math.ceil(n_rows / BLOCK_ROWS / groups)
    step = max(blocks_a_call(multiply_adds) // groups, 1)
    return [(first, first + step) for first in range(0, largest, step)]


class ThreadPool:
    """Threads that make calls together, the caller's among them; each allocates its buffers."""

    def __init__(self, n_threads: int, allocate: Callable[[], Any]) -> None:
        self._n_threads = n_threads
        self._buffers = [allocate() for _ in range(n_threads)]
        # Not shared: two pools could each hold a thread that the other waits for.
        self._executor = ThreadPoolExecutor(n_threads - 1) if n_threads > 1 else None
        self._alone = Team(0, 1, np.zeros(BARRIER_SIZE, np.int64), self._buffers[0])

    def bind(self, function: Callable[..., None], multiply_adds: float) -> Callable[..., None]:
        """Return function(team, ...) without team: all threads call it, or one if it is short."""
        if self._executor is None or multiply_adds < WORTH_SHARING:
            return partial(function, self._alone)
        return partial(self._call_together, self._executor, function)

    def _call_together(
        self, executor: ThreadPoolExecutor, function: Callable[..., None], *args: Any
    ) -> None:
        """Call function(team, *args) in all threads; if one raises, the others give up."""
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
            raise
        finally:
            wait(others)
        for other in others:
            other.result()


def by_rows(
    n_threads: int, function: Callable[[slice], None], n_rows: int, multiply_adds: float
) -> None:
    """Share slices of the rows, whole blocks, out to threads; between two, Python sees Ctrl-C."""
    if n_rows <= BLOCK_ROWS:
        function(slice(0, n_rows))
        return
    blocks = -(-n_rows // BLOCK_ROWS)
    n_threads = max(min(n_threads, blocks, numba.config.NUMBA_NUM_THREADS), 1)
    n_slices = n_threads * -(-blocks // (n_threads * blocks_a_call(multiply_adds)))
    ends = [blocks * n // n_slices * BLOCK_ROWS for n in range(n_slices)]
    slices = [slice(first, last) for first, last in pairwise([*ends, n_rows])]
    if n_threads == 1:
        list(map(function, slices))
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(function, slices))
