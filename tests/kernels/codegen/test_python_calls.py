"""Calls of entry points by Python: how arguments arrive, what they return, which code they find."""

import gc
import sys
import threading
from collections import namedtuple

import numba
import numpy as np
import pytest

from fastlogit.kernels.codegen import cache, linking, objects
from fastlogit.kernels.codegen.barrier import add_atomically

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
Pair = namedtuple("Pair", "first second")
Other = namedtuple("Other", "first second")


def total(arrays, factor, count, negated):
    result = 0.0
    for array in arrays:
        for i in range(array.shape[0]):
            for j in range(array.shape[1]):
                result += (i + 2 * j + 1) * array[i, j]
    return (-result if negated else result) * factor + count


def first_of(pair):
    return pair.first


def fill(array, value):
    for i in range(array.size):
        array[i] = value


def several(x, n):
    return x, n, n > 1


def element(array, place):
    if place >= array.size:
        raise IndexError
    return array[place]


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """Return a function that makes an entry point with a cache of its own."""
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(objects, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(objects, "_addresses", {})
    return linking.entry_point


def test_arguments_of_every_kind_arrive(entry):
    called = entry(total)
    grid = np.arange(24.0).reshape(4, 6)
    layouts = [grid, grid.T, grid[::2, ::3], np.asfortranarray(grid)[1:], grid[:0], grid[::-1]]
    layouts.append(np.zeros(49, np.uint8)[1:].view(float).reshape(2, 3))
    for array in layouts:
        for negated in (False, True):
            args = (array, array), 0.5, 7, negated
            assert called(*args) == total(*args)
    assert len(called.signatures) == 3  # C, F and any


def test_what_is_returned(entry):
    array = np.zeros(3)
    assert entry(fill)(array, 2.5) is None
    assert array.tolist() == [2.5] * 3
    assert entry(several)(0.5, 2) == (0.5, 2, True)
    assert entry(element)(np.arange(3), 1) == 1


def test_the_class_of_a_named_tuple_chooses_the_code(entry):
    called = entry(first_of)
    assert called(Pair(1, 2.0)) == 1
    assert called(Other(3, 2.0)) == 3
    assert called(Pair(1.5, 2.0)) == 1.5
    assert len(called.signatures) == 3
    with pytest.raises(Exception, match="first"):
        called((1, 2.0))  # has no such name


def test_each_dtype_has_code_of_its_own_which_is_found_again(entry):
    called = entry(element)
    for _ in range(3):
        for dtype in (np.float32, np.float64, np.int64, np.uint32):
            assert called(np.array([1, 2], dtype), 1) == 2
    assert len(called.signatures) == 4


def test_read_only_arrays_subclasses_and_numpys_numbers_are_no_types_of_their_own(entry, tmp_path):
    called, array = entry(element), np.arange(3.0)
    array.flags.writeable = False
    mapped = np.memmap(tmp_path / "mapped", float, "w+", shape=3)
    mapped[:] = 5
    for given in (array, array.copy(), mapped):
        for place in (1, np.int64(1), np.uint8(1)):
            assert called(given, place) == given[1]
    assert len(called.signatures) == 1


def test_swapped_bytes_are_refused(entry):
    called = entry(element)
    assert called(np.arange(3.0), 1) == 1
    with pytest.raises(TypeError, match="takes no arguments such as"):
        called(np.arange(3.0).astype(">f8"), 1)


def test_an_error_in_a_kernel_is_one_in_python(entry):
    called = entry(element)
    with pytest.raises(SystemError, match=r"element"):
        called(np.arange(3), 5)
    assert called(np.arange(3), 2) == 2


def test_no_reference_is_kept_or_lost(entry):
    called, array = entry(fill), np.zeros(3)
    value = 12345.678
    called(array, value)
    gc.collect()
    counts = [sys.getrefcount(each) for each in (array, value, None)]
    for _ in range(1000):
        called(array, value)
    after = [sys.getrefcount(each) for each in (array, value, None)]
    assert after[:2] == counts[:2]
    assert abs(after[2] - counts[2]) < 100


def wait_for(flag, most):
    for count in range(most):
        if add_atomically(flag, 0, 0) != 0:
            return count
    return most


def test_other_threads_run_meanwhile(entry):
    called, flag, most = entry(wait_for), np.zeros(1, np.int64), 10**9
    called(flag, 1)  # compiled
    timer = threading.Timer(0.05, flag.__setitem__, (0, 1))
    timer.start()
    assert 0 < called(flag, most) < most
    timer.join()
