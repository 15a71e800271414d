"""Functions that jitted code links to by name: what they are handed, and what they hand back."""

import numba
import numpy as np
import pytest

from fastlogit.kernels.codegen import cache, compiler, linking, objects

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


@linking.compiled_once
def weighted_total(values, places, factor, negated, shift) -> float:
    total = 0.0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            total += np.float64(values[i, j]) * places[j]
    return (-total if negated else total) * factor + shift


@linking.compiled_once
def double_in_place(values):
    for i in range(values.size):
        values[i] *= values.dtype.type(2)


def add_first_elements(builder, element, a, b, place):
    addresses = [builder.gep(array, [place], source_etype=element) for array in (a, b)]
    values = [builder.load(address, typ=element) for address in addresses]
    builder.store(builder.fadd(*values), addresses[0])


@linking.llvm_function(add_first_elements)
def add_at(a, b, place):
    """Add b's element at a place to a's. OUT: a."""
    a.reshape(-1)[place] += b.reshape(-1)[place]


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(objects, "_addresses", {})
    return tmp_path


def test_every_kind_of_argument_arrives(kernels, dtype):
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    values.flags.writeable = False
    places = np.array([1, 10, 100])
    call = numba.njit(lambda v, p, f, n, s: weighted_total(v, p, f, n, s))
    for negated in (False, True):
        expected = weighted_total(values, places, 0.5, negated, 7)
        assert call(values, places, 0.5, negated, 7) == expected
    assert call(values, places, np.float32(0.5), 1, np.int32(7)) == expected


def test_what_is_written_stays_and_nothing_is_returned(kernels, dtype):
    values = np.arange(5, dtype=dtype)
    assert numba.njit(lambda v: double_in_place(v))(values) is None
    assert np.array_equal(values, [0, 2, 4, 6, 8])


def test_emitted_code_sees_addresses(kernels, dtype):
    call = numba.njit(lambda a, b, place: add_at(a, b, place))
    jitted, plain = np.ones((2, 2, 3), dtype)
    b = np.arange(6, dtype=dtype)
    call(jitted, b, 4)
    add_at(plain, b, 4)
    assert np.array_equal(jitted, plain)
    assert jitted[1, 1] == 5


def test_a_copy_is_compiled_once_for_each_dtype_and_loaded_later(kernels, monkeypatch):
    symbol = "fastlogit.double_in_place.{}1"
    for letter in ("s", "d", "s", "d"):
        linking.provide_linked(symbol.format(letter))
    files = sorted(path.name.rpartition("-")[0] for path in kernels.iterdir())
    assert files == ["double_in_place.d1", "double_in_place.s1"]
    monkeypatch.setattr(objects, "_addresses", {})
    monkeypatch.setattr(compiler, "compile_linked", None)  # no longer needed
    before = cache.compilations()
    linking.provide_linked(symbol.format("s"))
    assert cache.compilations() == before + 1


def test_the_names_that_compiled_code_links_to_are_known(kernels):
    args = (np.ones(3),)
    code, linked = compiler.compile_entry("fastlogit.entry", lambda v: double_in_place(v), args)
    assert b"fastlogit.entry" in code
    assert "fastlogit.double_in_place.d1" in linked
    assert all(name.startswith(("fastlogit.", "Py")) for name in linked)
