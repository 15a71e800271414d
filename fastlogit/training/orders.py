"""Row orders of the epochs, drawn by the jitted shuffles: NumPy's bits, or the fastest."""

import ctypes
import os
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.kernels.codegen.compile import DISABLE_JIT
from fastlogit.kernels.training import shuffle
from fastlogit.models import Indices

# Row indices drawn ahead, 2 MB: half or twice as many make no difference; far fewer cost calls, and
# 8 MB cost fresh pages, up to a twentieth of an epoch.
DRAWN_INDICES = 1 << 18
# The jitted shuffles draw 32 bits a row.
MOST_ROWS = 1 << 32
STATE_WORDS = 625
# NumPy would warn of it where the compiler is off.
_sums_wrap_around = partial(np.errstate, over="ignore") if DISABLE_JIT else nullcontext
_StateArray = ctypes.c_uint32 * STATE_WORDS  # which ctypes would make anew each time
WORD = np.dtype("<u8")
RandomSource = np.random.Generator | np.random.RandomState


def epochs_ahead(n_rows: int) -> int:
    """Return for how many epochs orders are drawn at once."""
    return max(DRAWN_INDICES // n_rows, 1)


class LegacyOrders:
    """Row orders with the bits of ``RandomState.shuffle``, which scikit-learn's estimators use.

    Each epoch shuffles the ``order`` of the one before, the first a copy of that given or 0..n−1.
    The RandomState, which shuffles by itself if no MT19937, is where NumPy's would leave it.
    """

    def __init__(self, random_state: np.random.RandomState, n_rows: int, order: Any = None) -> None:
        self._random_state = random_state
        # Half the size of an index: twice as many rows stay in a cache.
        dtype = np.uint32 if n_rows <= MOST_ROWS else np.intp
        self.order = np.arange(n_rows, dtype=dtype) if order is None else order.astype(dtype)
        self._partners = np.empty_like(self.order)
        self._words = np.empty(STATE_WORDS - 1, np.uint32)

    def draw(self, epochs: int) -> Indices:
        """Return the orders of the next epochs, (epochs, n)."""
        order, state = self.order, _plain_state(self._random_state)
        orders = np.empty((epochs, order.size), np.intp)
        if state is not None and order.size > 1 and order.dtype == np.uint32:
            with self._random_state._bit_generator.lock:
                shuffle.legacy_orders(state, self._words, self._partners, order, orders)
        else:
            for row in orders:
                self._random_state.shuffle(order)
                row[:] = order
        return orders

    def mark(self) -> tuple[Any, NDArray[Any]]:
        """Return the state of the generator and the order, for :meth:`go_back`."""
        return generator_state(self._random_state), self.order.copy()

    def go_back(self, mark: tuple[Any, NDArray[Any]]) -> None:
        """Set the generator and the order back to a mark."""
        state, self.order[:] = mark
        restore_generator(self._random_state, state)


class FreshOrders:
    """Row orders drawn anew for each epoch, ten times as fast as by NumPy, from a 256-bit seed.

    Without a random_state the seed is the operating system's.
    """

    def __init__(self, random_state: RandomSource | None, n_rows: int) -> None:
        self._n_rows, self._random_state = n_rows, random_state
        seed = os.urandom(32) if random_state is None else random_state.bytes(32)
        self._generator = np.frombuffer(seed, WORD).astype(np.uint64)

    def draw(self, epochs: int) -> Indices:
        """Return the orders of the next epochs, (epochs, n)."""
        orders = np.empty((epochs, self._n_rows), np.intp)
        if self._n_rows <= MOST_ROWS:
            with _sums_wrap_around():
                shuffle.fresh_orders(self._generator, orders)
        else:
            for order in orders:
                source = self._random_state or np.random.default_rng()
                order[:] = source.permutation(self._n_rows)
        return orders


def generator_state(random_state: np.random.RandomState) -> Any:
    """Return a copy of a generator's state for :func:`restore_generator`.

    Of an MT19937 it is (625,) in uint32, without the second of a pair of normal numbers.
    """
    words = _plain_state(random_state)
    if words is not None:
        with random_state._bit_generator.lock:
            return words.copy()
    state: Any = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return state
    return np.array([*state["state"]["key"], state["state"]["pos"]], np.uint32)


def restore_generator(random_state: np.random.RandomState, state: Any) -> None:
    """Set a generator of the same kind to a state that :func:`generator_state` returned."""
    if not isinstance(state, np.ndarray):
        random_state.set_state(state)
    elif (words := _plain_state(random_state)) is not None:
        with random_state._bit_generator.lock:
            words[:] = state
    else:
        random_state.set_state(("MT19937", state[:-1], int(state[-1]), 0, 0.0))


def _plain_state(random_state: np.random.RandomState) -> NDArray[np.uint32] | None:
    """Return the state of NumPy's own RandomState over an MT19937, in place, else None."""
    bit_generator = random_state._bit_generator
    plain = type(random_state) is np.random.RandomState and type(bit_generator) is np.random.MT19937
    return _state_of(bit_generator) if plain and _layout_is_known() else None


def _state_of(bit_generator: np.random.BitGenerator) -> NDArray[np.uint32]:
    """Return the 624 words of an MT19937, and then how many are used up, as they lie in memory.

    ``get_state`` and ``set_state`` take 50 µs, as long as all else in an epoch of 150 rows.
    """
    memory = _StateArray.from_address(bit_generator.ctypes.state_address)
    return np.frombuffer(memoryview(memory), np.uint32)


@cache
def _layout_is_known() -> bool:
    """Try on a generator of our own whether its memory is laid out so; else NumPy shuffles."""
    bit_generator = np.random.MT19937(0)
    bit_generator.random_raw(5)
    state = bit_generator.state["state"]
    return bool(np.array_equal(_state_of(bit_generator), [*state["key"], state["pos"]]))
