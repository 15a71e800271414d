"""The shuffles against NumPy's, bit for bit, and against a derivation in Python's own integers."""

import math

import numpy as np
import pytest
from scipy import stats

from fastlogit.kernels.training import shuffle

SIZES = [1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 100, 623, 624, 625, 626, 1000, 2049]
# Of a statistic with a fixed seed: a failure is no accident.
LEAST_P_VALUE = 1e-3


def mt19937_state(bit_generator):
    state = bit_generator.state["state"]
    return np.array([*state["key"], state["pos"]], np.uint32)


def random_state_at(seed, used):
    """Return a RandomState of which so many words have been used."""
    generator = np.random.RandomState(seed)
    generator._bit_generator.random_raw(used)
    return generator


def sfc64_state(seed):
    return np.random.default_rng(seed).integers(0, 2**64, 4, np.uint64)


def sfc64(state):
    generator = np.random.SFC64(0)
    generator.state = generator.state | {"state": {"state": np.array(state, np.uint64)}}
    return generator


def fresh_orders(state, epochs, n):
    """Return the kernel's orders; state goes on."""
    orders = np.empty((epochs, n), np.intp)
    with np.errstate(over="ignore"):
        shuffle.fresh_orders(state, orders)
    return orders


def fresh_order_by_hand(generator, n):
    """Shuffle inside out: two rows share a word, and what Lemire's rule rejects is drawn anew."""
    order = []
    for i in range(n):
        if i % 2 == 0:
            word = int(generator.random_raw())
            half = word % 2**32
        else:
            half = word >> 32
        while half * (i + 1) % 2**32 < 2**32 % (i + 1):
            half = int(generator.random_raw()) % 2**32
        place = half * (i + 1) >> 32
        order.append(i)
        order[i] = order[place]
        order[place] = i
    return order


@pytest.mark.parametrize("used", [0, 1, 623, 624, 1000])
@pytest.mark.parametrize("n", SIZES)
def test_legacy_orders_are_numpys(n, used):
    for seed in range(3):
        generator, other = (random_state_at(seed, used) for _ in range(2))
        state = mt19937_state(generator._bit_generator)
        order, orders = np.arange(n, dtype=np.uint32), np.empty((4, n), np.intp)
        words, partners = np.empty(624, np.uint32), np.empty(n, np.uint32)
        shuffle.legacy_orders(state, words, partners, order, orders)
        expected = np.arange(n)
        for row in orders:
            other.shuffle(expected)
            np.testing.assert_array_equal(row, expected)
        np.testing.assert_array_equal(order, expected)
        np.testing.assert_array_equal(state, mt19937_state(other._bit_generator))


def test_words_are_those_of_mt19937(jit):
    @jit
    def next_block(state, words):
        shuffle.twist(state)
        shuffle.temper(state, words)

    generator = np.random.MT19937(3)
    generator.random_raw(624 - generator.state["state"]["pos"])
    state, words = mt19937_state(generator), np.empty(624, np.uint32)
    for _ in range(5):
        next_block(state, words)
        np.testing.assert_array_equal(words, generator.random_raw(624))


def test_words_are_those_of_sfc64(jit):
    @jit
    def fill(state, words):
        now = (state[0], state[1], state[2], state[3])
        for i in range(words.size):
            words[i], now = shuffle.next_word(now)

    state, words = sfc64_state(0), np.empty(1000, np.uint64)
    with np.errstate(over="ignore"):
        fill(state, words)
    np.testing.assert_array_equal(words, sfc64(state).random_raw(1000))


@pytest.mark.parametrize("bound", [1, 2, 3, 1000, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1, 2**32])
def test_bounded_draws(jit, bound):
    """Up to half of all draws are rejected, where the orders' own bounds are too low for any."""

    @jit
    def draw(state, halves, bound, draws):
        now = (state[0], state[1], state[2], state[3])
        for i in range(halves.size):
            draws[i], now = shuffle.bounded(halves[i], bound, now)

    state = sfc64_state(bound)
    halves = np.random.default_rng(1).integers(0, 2**32, 2000, np.uint64)
    draws = np.empty_like(halves)
    with np.errstate(over="ignore"):
        draw(state, halves, np.uint64(bound), draws)
    generator = sfc64(state)
    for half, drawn in zip(halves.tolist(), draws.tolist(), strict=True):
        while half * bound % 2**32 < 2**32 % bound:
            half = int(generator.random_raw()) % 2**32
        assert drawn == half * bound >> 32
    thirds = np.bincount((draws * np.uint64(3) // np.uint64(bound)).astype(int), minlength=3)
    if bound % 3 == 0:
        assert stats.chisquare(thirds).pvalue > LEAST_P_VALUE


@pytest.mark.parametrize("n", SIZES)
def test_fresh_orders_are_those_by_hand(n):
    for seed in range(3):
        state = sfc64_state(seed)
        generator = sfc64(state)
        for row in fresh_orders(state, 3, n):
            assert row.tolist() == fresh_order_by_hand(generator, n)
        np.testing.assert_array_equal(state, generator.state["state"]["state"])


def test_a_rejected_draw_takes_another_word():
    """The second word of this state is 0, which the bound 3 of its lower half does not accept."""
    c = 12345
    state = np.array([7, 0, c, 2**64 - 9 * c - 1], np.uint64)
    generator = sfc64(state)
    assert generator.random_raw(2)[1] == 0
    generator = sfc64(state)
    for row in fresh_orders(state, 2, 5):
        assert row.tolist() == fresh_order_by_hand(generator, 5)
    generator_of_words = sfc64(np.array([7, 0, c, 2**64 - 9 * c - 1], np.uint64))
    generator_of_words.random_raw(3 + 1 + 3)
    np.testing.assert_array_equal(state, generator_of_words.state["state"]["state"])


def ranks(orders):
    """Number each permutation of 0..n−1 by what follows each row that is less than it."""
    n = orders.shape[1]
    total = np.zeros(len(orders), int)
    for i in range(n):
        lesser = (orders[:, i + 1 :] < orders[:, i : i + 1]).sum(axis=1)
        total += lesser * math.factorial(n - 1 - i)
    return total


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_every_permutation_is_as_likely(n):
    count = math.factorial(n)
    orders = fresh_orders(sfc64_state(n), 40 * count, n)
    counts = np.bincount(ranks(orders), minlength=count)
    assert counts.size == count
    assert stats.chisquare(counts).pvalue > LEAST_P_VALUE


@pytest.mark.parametrize("n", [2, 3, 4])
def test_an_order_says_nothing_of_the_next(n):
    count = math.factorial(n)
    drawn = ranks(fresh_orders(sfc64_state(n), 20 * count**2 + 1, n))
    pairs = np.bincount(drawn[:-1] * count + drawn[1:], minlength=count**2)
    assert stats.chisquare(pairs).pvalue > LEAST_P_VALUE


@pytest.mark.parametrize(("n", "cells"), [(20, 20), (51, 51), (1000, 20)])
def test_every_row_is_as_likely_at_every_place(n, cells, sample_size):
    """The counts' rows and columns have fixed sums, which takes their freedom to (cells − 1)²."""
    epochs = sample_size // 100
    orders = fresh_orders(sfc64_state(n), epochs, n)
    places = np.broadcast_to(np.arange(n) * cells // n, orders.shape)
    cell = (orders * cells // n) * cells + places
    counts = np.bincount(cell.ravel(), minlength=cells**2)
    expected = epochs * n / cells**2
    # The variance of a cell's count of a random permutation is this multiple of Poisson's.
    share = (1 - 1 / cells) ** 2 * n / (n - 1)
    freedom = (cells - 1) ** 2
    statistic = ((counts - expected) ** 2).sum() / expected * freedom / cells**2 / share
    assert LEAST_P_VALUE < stats.chi2.sf(statistic, freedom) < 1 - LEAST_P_VALUE
