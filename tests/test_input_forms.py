"""Arrays of every form and type: the same results, the same compiled kernels."""

import numpy as np
import pytest

import fastlogit
from fastlogit.kernels.codegen.cache import compilations
from fastlogit.models import BACKENDS, MODELS

X = [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]
Y = [0, 1, 1]
PARAMS = ([[0.5], [-0.5]], [0.0])


def evaluate(**changes):
    arguments = {"model": "logistic", "params": PARAMS, "X": X, "y": Y, **changes}
    return fastlogit.loss_and_gradient(**arguments)


def train(**changes):
    return fastlogit.train(**{"model": "logistic", "X": X, "y": Y, "random_state": 0, **changes})


FORMS = {
    "a list": lambda array: array.tolist(),
    "a tuple": lambda array: tuple(array.tolist()),
    "Fortran order": np.asfortranarray,
    "every other row of more": lambda array: np.repeat(array, 2, axis=0)[::2],
    "reversed twice": lambda array: array[::-1].copy()[::-1],
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "unaligned": lambda array: unaligned(array),
    "read-only": lambda array: read_only(array),
}


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array):
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def everything(model, task, form, backend):
    """Call all three functions with every array in that form."""
    params, rows, y = tuple(form(array) for array in task.params), form(task.X), form(task.y)
    weight, order = form(task.weight), form(np.arange(2 * len(task.X)).reshape(2, -1) % len(task.X))
    loss, gradient = fastlogit.loss_and_gradient(
        model, params, rows, y, sample_weight=weight, backend=backend
    )
    result = fastlogit.train(
        model, rows, y, params, sample_weight=weight, order=order, epochs=2, batch_size=4,
        backend=backend,
    )  # fmt: skip
    proba = fastlogit.predict_proba(model, params, rows, backend=backend)
    return [np.array(loss), *gradient, *result.params, result.loss_curve, proba]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_arrays_of_every_form(problem, model, backend, form):
    task = problem(model, 11, 3, 4, weighted=True)
    expected = everything(model, task, np.copy, backend)
    for array, other in zip(everything(model, task, FORMS[form], backend), expected, strict=True):
        # BLAS does not take unaligned arrays: NumPy then sums in another order.
        np.testing.assert_allclose(array, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS)
def test_no_form_compiles_anything_new(problem, model, dtype):
    task = problem(model, 11, 3, 4, dtype=dtype, weighted=True)
    everything(model, task, np.copy, "numba")
    before = compilations()
    for name in ("Fortran order", "every other row of more", "unaligned", "read-only"):
        everything(model, task, FORMS[name], "numba")
    assert compilations() == before


def test_memory_maps(problem, tmp_path):
    task = problem("softmax", 11, 3, weighted=True)

    def mapped(array):
        path = tmp_path / f"{array.ndim}{array.dtype}{array.size}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    expected = everything("softmax", task, np.copy, "numba")
    for array, other in zip(everything("softmax", task, mapped, "numba"), expected, strict=True):
        assert np.array_equal(array, other)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, np.float16, np.longdouble])
def test_rows_of_other_types_are_worked_on_in_float64(kind):
    rows = np.array([[0, 1], [1, 1], [1, 0]], kind)
    for call in (evaluate, train):
        expected = call(X=rows.astype(float))
        actual = call(X=rows)
        assert str(actual) == str(expected)
    assert fastlogit.predict_proba("logistic", PARAMS, rows).dtype == np.float64


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint8, np.int64, np.uint64, np.float32, float])
def test_labels_of_every_type(kind):
    for call in (evaluate, train):
        assert str(call(y=np.array(Y, kind))) == str(call(y=Y))


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, float])
def test_weights_of_every_type(kind):
    for call in (evaluate, train):
        assert str(call(sample_weight=np.array([1, 0, 1], kind))) == str(
            call(sample_weight=[1.0, 0.0, 1.0])
        )


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64])
def test_orders_of_every_type(kind):
    assert str(train(order=np.array([[2, 0, 1]], kind))) == str(train(order=[[2, 0, 1]]))


def test_params_are_cast_to_the_rows_dtype():
    for dtype in (np.float32, np.float64):
        gradient = evaluate(X=np.array(X, dtype), params=([[1], [2]], [0]))[1]
        assert {array.dtype for array in gradient} == {np.dtype(dtype)}
