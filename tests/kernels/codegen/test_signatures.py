"""The signatures of arguments, and examples of arguments with a signature."""

import numpy as np
import pytest

from fastlogit.kernels.codegen.signatures import canonical, example, signature, tuple_types
from fastlogit.kernels.layers.sparse import Csr, csr
from fastlogit.kernels.logistic import Logistic

CSR = "fastlogit.kernels.layers.sparse.Csr"
ROWS = csr(np.ones(2, np.float32), np.zeros(2, np.uint32), np.array([0, 2]))
SIGNATURES = [
    (True, "b"),
    (3, "i"),
    (0.5, "r"),
    ((), "()"),
    ((1, (2.0, False)), "(i,(r,b))"),
    (Logistic(), "fastlogit.kernels.logistic.Logistic()"),
    (ROWS, f"{CSR}(f4:1C,u4:1C,i8:1C,f8:1C)"),
    (np.ones((2, 3)), "f8:2C"),
    (np.ones((2, 3)).T, "f8:2F"),
    (np.ones((4, 4))[::2, ::2], "f8:2A"),
    (np.ones(4)[::2], "f8:1A"),
    (np.zeros(17, np.uint8)[1:].view(float), "f8:1C"),
    ((np.ones((2, 3), np.float32).T, ROWS, 1), f"(f4:2F,{CSR}(f4:1C,u4:1C,i8:1C,f8:1C),i)"),
]


@pytest.mark.parametrize(("value", "text"), SIGNATURES, ids=[text for _, text in SIGNATURES])
def test_the_signature_of_a_value_and_of_its_example(value, text):
    assert signature(value) == text
    assert signature(example(text)) == text
    assert tuple_types(example(text)) == tuple_types(value)


def test_classes_of_tuples_are_named_from_outside_to_inside():
    assert tuple_types((ROWS, 1, (Logistic(),))) == [tuple, Csr, tuple, Logistic]


def test_arrays_and_numbers_become_plain_ones_in_place():
    class Own(np.ndarray):
        pass

    array = np.zeros(3, np.dtype("longlong")).view(Own)
    plain = canonical((array, np.float64(0.5), np.int32(2), np.bool_(True), Logistic()))
    assert type(plain[0]) is np.ndarray
    assert plain[0].dtype.num == np.dtype("int64").num
    plain[0][1] = 7
    assert array[1] == 7
    assert [type(value) for value in plain[1:4]] == [float, int, bool]
    assert plain[4] == Logistic()


@pytest.mark.parametrize("value", [None, "text", [1.0], np.complex128(1)])
def test_other_values_are_refused_by_name(value):
    with pytest.raises(TypeError, match=f"no {type(value).__name__}"):
        canonical((1, value))


def test_a_signature_that_goes_on_is_refused():
    with pytest.raises(ValueError, match="is left of the signature"):
        example("(i)i")
