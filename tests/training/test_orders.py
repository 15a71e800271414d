"""The row orders: NumPy's own bits for the estimators, and the generator that seeds ours."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastlogit.training import orders as orders_module
from fastlogit.training.orders import (
    FreshOrders,
    LegacyOrders,
    epochs_ahead,
    generator_state,
    restore_generator,
)

SIZES = [0, 1, 2, 3, 4, 5, 7, 16, 17, 150, 255, 256, 257, 1797]
SOURCES = {"Generator": np.random.default_rng, "RandomState": np.random.RandomState}


def shuffled(random_state, n, epochs, order=None):
    """Return the orders of NumPy's own shuffle."""
    order = np.arange(n) if order is None else order
    drawn = np.empty((epochs, n), np.intp)
    for row in drawn:
        random_state.shuffle(order)
        row[:] = order
    return drawn


def assert_same_state(one, other):
    left, right = (generator.get_state(legacy=False) for generator in (one, other))
    for name in ("bit_generator", "has_gauss", "gauss"):
        assert left[name] == right[name]
    for name in left["state"]:
        np.testing.assert_array_equal(left["state"][name], right["state"][name])


@pytest.fixture
def no_kernel(monkeypatch):
    def fail(*_):
        raise AssertionError("NumPy's own shuffle was to run")

    monkeypatch.setattr(orders_module.shuffle, "legacy_orders", fail)
    monkeypatch.setattr(orders_module.shuffle, "fresh_orders", fail)


@pytest.mark.parametrize("n", SIZES)
def test_legacy_orders_and_what_follows_are_numpys(n):
    """A deviate is left over from before, and one from between the draws."""
    for seed in range(4):
        one, other = np.random.RandomState(seed), np.random.RandomState(seed)
        assert one.randn(3).tolist() == other.randn(3).tolist()
        drawing, order = LegacyOrders(one, n), np.arange(n)
        for epochs in (1, 3, 0, 2):
            np.testing.assert_array_equal(
                drawing.draw(epochs), shuffled(other, n, epochs, order), strict=True
            )
            assert_same_state(one, other)
            assert one.randn() == other.randn()
        assert one.randint(1000, size=700).tolist() == other.randint(1000, size=700).tolist()


def test_many_rows():
    one, other = np.random.RandomState(1), np.random.RandomState(1)
    np.testing.assert_array_equal(LegacyOrders(one, 70_001).draw(1), shuffled(other, 70_001, 1))
    assert_same_state(one, other)


def test_a_pickled_state_goes_on():
    one, other = np.random.RandomState(2), np.random.RandomState(2)
    for _ in range(3):
        expected = shuffled(other, 500, 2)
        np.testing.assert_array_equal(LegacyOrders(one, 500).draw(2), expected)
        one = pickle.loads(pickle.dumps(one))  # noqa: S301
        assert_same_state(one, other)


def test_a_state_that_is_set_between_draws_is_seen():
    random_state, order = np.random.RandomState(0), np.arange(50)
    drawing = LegacyOrders(random_state, 50)
    for seed in (3, 4):
        random_state.seed(seed)
        expected = shuffled(np.random.RandomState(seed), 50, 1, order)
        np.testing.assert_array_equal(drawing.draw(1), expected)


def test_the_global_random_state():
    everyones = np.random.mtrand._rand
    before = everyones.get_state()
    other = np.random.RandomState()
    other.set_state(before)
    try:
        drawn = LegacyOrders(everyones, 100).draw(3)
        np.testing.assert_array_equal(drawn, shuffled(other, 100, 3))
        assert_same_state(everyones, other)
    finally:
        everyones.set_state(before)


class Reversing(np.random.RandomState):
    def shuffle(self, x):
        x[:] = x[::-1].copy()


def test_what_is_not_numpys_own_shuffles_by_itself(no_kernel):
    for bit_generator in (np.random.PCG64, np.random.SFC64):
        one, other = (np.random.RandomState(bit_generator(5)) for _ in range(2))
        np.testing.assert_array_equal(LegacyOrders(one, 30).draw(2), shuffled(other, 30, 2))
        assert one.randint(1000) == other.randint(1000)
    drawn = LegacyOrders(Reversing(0), 3).draw(2)
    np.testing.assert_array_equal(drawn, [[2, 1, 0], [0, 1, 2]])


def test_a_bit_generator_of_ones_own_is_followed():
    one, other = (np.random.RandomState(np.random.MT19937(5)) for _ in range(2))
    np.testing.assert_array_equal(LegacyOrders(one, 30).draw(2), shuffled(other, 30, 2))
    assert_same_state(one, other)


def test_an_unknown_layout_is_left_alone(no_kernel, monkeypatch):
    monkeypatch.setattr(orders_module, "_layout_is_known", lambda: False)
    drawn = LegacyOrders(np.random.RandomState(5), 30).draw(2)
    np.testing.assert_array_equal(drawn, shuffled(np.random.RandomState(5), 30, 2))


def test_this_numpys_layout_is_known(monkeypatch):
    assert orders_module._layout_is_known()
    monkeypatch.setattr(
        orders_module, "_state_of", lambda _: np.zeros(orders_module.STATE_WORDS, np.uint32)
    )
    assert not orders_module._layout_is_known.__wrapped__()


def test_rows_beyond_32_bits_are_shuffled_by_numpy(no_kernel, monkeypatch):
    monkeypatch.setattr(orders_module, "MOST_ROWS", 29)
    drawn = LegacyOrders(np.random.RandomState(5), 30).draw(2)
    np.testing.assert_array_equal(drawn, shuffled(np.random.RandomState(5), 30, 2))
    fresh = FreshOrders(np.random.default_rng(5), 30).draw(3)
    np.testing.assert_array_equal(np.sort(fresh), np.broadcast_to(np.arange(30), (3, 30)))
    assert not np.array_equal(fresh[0], fresh[1])


def test_threads_share_a_random_state():
    """Each draws what no other draws: as many different orders as one thread would."""
    n, threads = 2000, 8
    one, other = np.random.RandomState(6), np.random.RandomState(6)
    with ThreadPoolExecutor(threads) as pool:
        drawn = list(pool.map(lambda _: LegacyOrders(one, n).draw(1)[0].tolist(), range(threads)))
    expected = [shuffled(other, n, 1)[0].tolist() for _ in range(threads)]
    assert sorted(drawn) == sorted(expected)
    assert_same_state(one, other)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", SIZES)
def test_fresh_orders_are_permutations_that_the_seed_alone_decides(n, source):
    make = SOURCES[source]
    at_once = FreshOrders(make(1), n).draw(6)
    assert at_once.dtype == np.intp
    np.testing.assert_array_equal(np.sort(at_once), np.broadcast_to(np.arange(n), (6, n)))
    drawing = FreshOrders(make(1), n)
    in_parts = np.concatenate([drawing.draw(epochs) for epochs in (1, 0, 3, 2)])
    np.testing.assert_array_equal(in_parts, at_once)
    if n > 10:
        assert not np.array_equal(at_once, FreshOrders(make(2), n).draw(6))


@pytest.mark.parametrize("source", SOURCES)
def test_fresh_orders_take_256_bits_of_their_source(source):
    one, other = SOURCES[source](3), SOURCES[source](3)
    drawing = FreshOrders(one, 100)
    drawing.draw(5)
    state = [
        int.from_bytes(word, "little") for word in np.split(np.frombuffer(other.bytes(32), "u1"), 4)
    ]
    assert one.bytes(8) == other.bytes(8)
    generator = np.random.SFC64(0)
    generator.state = generator.state | {"state": {"state": np.array(state, np.uint64)}}
    generator.random_raw(5 * 50)
    np.testing.assert_array_equal(drawing._generator, generator.state["state"]["state"])


def test_a_chunk_holds_an_epoch_at_least():
    assert epochs_ahead(1) == orders_module.DRAWN_INDICES
    assert epochs_ahead(orders_module.DRAWN_INDICES // 2) == 2
    assert epochs_ahead(10**9) == 1


GENERATORS = {
    "plain": lambda: np.random.RandomState(3),
    "a subclass": lambda: type("Heir", (np.random.RandomState,), {})(3),
    "PCG64": lambda: np.random.RandomState(np.random.PCG64(3)),
}


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_orders_go_back_to_a_mark(make):
    orders = LegacyOrders(make(), 30)
    orders.draw(2)
    mark = orders.mark()
    expected = orders.draw(3)
    orders.go_back(mark)
    np.testing.assert_array_equal(orders.draw(1), expected[:1])
    np.testing.assert_array_equal(orders.order, expected[0])
    np.testing.assert_array_equal(orders.draw(2), expected[1:])


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_orders_go_on_from_a_kept_state(make):
    whole = LegacyOrders(make(), 30).draw(4)
    first = make()
    orders = LegacyOrders(first, 30)
    orders.draw(2)
    second = make()
    restore_generator(second, generator_state(first))
    further = LegacyOrders(second, 30, orders.order)
    np.testing.assert_array_equal(further.draw(2), whole[2:])
    np.testing.assert_array_equal(orders.order, whole[1])


def test_a_state_serves_where_the_memory_is_laid_out_otherwise(monkeypatch):
    plain = np.random.RandomState(5)
    plain.random_sample(7)
    state = generator_state(plain)
    monkeypatch.setattr("fastlogit.training.orders._layout_is_known", lambda: False)
    np.testing.assert_array_equal(generator_state(plain), state)
    other = np.random.RandomState(0)
    restore_generator(other, state)
    np.testing.assert_array_equal(other.random_sample(1000), plain.random_sample(1000))
