"""Rounds of items that threads share, step by step in one thread and by several at once."""

import threading

import numba
import numpy as np
import pytest

from fastlogit.kernels.codegen import barrier as jitted


@pytest.fixture(scope="module")
def rounds(jit):
    def released(function):
        return numba.njit(nogil=True)(function)

    class Called:
        begin = jit(lambda barrier, number: jitted.begin_round(barrier, number))
        take = released(lambda barrier, t, number, n: jitted.take_item(barrier, t, number, n))
        finish = jit(lambda barrier: jitted.finish_item(barrier))
        all_done = released(lambda barrier, n: jitted.wait_for_items(barrier, n))
        is_past = jit(lambda barrier, number: jitted.is_past(barrier, number))
        end = jit(lambda barrier: jitted.end_rounds(barrier))

    return Called


def new_barrier():
    return np.zeros(jitted.BARRIER_SIZE, np.int64)


def test_items_are_taken_once_and_counted(rounds):
    barrier = new_barrier()
    for number, n_items in ((1, 3), (2, 1), (4, 2)):  # the third is skipped
        assert not rounds.is_past(barrier, number)
        rounds.begin(barrier, number)
        assert not rounds.is_past(barrier, number)
        assert [rounds.take(barrier, item % 2, number, n_items) for item in range(n_items)] == list(
            range(n_items)
        )
        assert rounds.take(barrier, 0, number, n_items) >= n_items
        for _ in range(n_items):
            rounds.finish(barrier)
        assert rounds.all_done(barrier, n_items)
    assert rounds.is_past(barrier, 3)
    assert rounds.take(barrier, 1, 3, 5) == 5, "a thread that comes too late"


def test_nothing_is_left_after_the_end(rounds):
    barrier = new_barrier()
    rounds.begin(barrier, 1)
    rounds.end(barrier)
    for number in (1, 2, 10**9):
        assert rounds.is_past(barrier, number)
        assert rounds.take(barrier, 1, number, 7) == 7


def test_threads_give_up_where_one_aborts(rounds):
    barrier = new_barrier()
    rounds.begin(barrier, 1)
    barrier[jitted.ABANDONED] = 1
    assert not rounds.all_done(barrier, 1)
    assert rounds.take(barrier, 1, 2, 3) == 3


def test_threads_share_all_items(rounds):
    barrier, n_items, n_rounds = new_barrier(), 5, 200
    done = np.zeros((n_rounds + 1, n_items), int)

    def take_part(thread):
        for number in range(1, n_rounds + 1):
            if thread == 0:
                rounds.begin(barrier, number)
            while (item := rounds.take(barrier, thread, number, n_items)) < n_items:
                done[number, item] += 1
                rounds.finish(barrier)
            if thread == 0:
                assert rounds.all_done(barrier, n_items)
                assert (done[number] == 1).all()
        if thread == 0:
            rounds.end(barrier)

    others = [threading.Thread(target=take_part, args=(thread,)) for thread in (1, 2)]
    for other in others:
        other.start()
    take_part(0)
    for other in others:
        other.join(30)
    assert (done[1:] == 1).all()
