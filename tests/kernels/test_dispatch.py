"""Calls of a model's own functions, chosen by the type of the model."""

import inspect
import sys

import numpy as np
import pytest

import fastlogit
from fastlogit.kernels import dispatch, softmax
from fastlogit.models import BACKENDS, MODELS, arrange

GENERIC = (
    "loss_and_gradient",
    "loss_and_hidden_gradient",
    "predict_proba",
    "predict_classes",
    "train_rows",
)


def plain(function):
    return getattr(function, "py_func", function)


def type_of(model):
    return MODELS[model].kernels


def record_of(model):
    kind = type_of(model)
    return kind._make((0, 0) for _ in kind._fields)


@pytest.mark.parametrize("name", GENERIC)
def test_the_type_names_the_functions(model, name):
    if name == "loss_and_hidden_gradient" and not MODELS[model].has_hidden:
        assert not hasattr(sys.modules[type_of(model).__module__], name)
        return
    function = dispatch.model_function(name, record_of(model))
    assert function is getattr(sys.modules[type_of(model).__module__], name)
    # Numba wants an overload to name its arguments as what it overloads.
    arguments = inspect.signature(plain(getattr(dispatch, name))).parameters
    assert list(arguments) == list(inspect.signature(plain(function)).parameters)


def test_models_reach_their_rows_by_the_input_layer_alone(model):
    """Or sparse rows would be taken for an array."""
    for name in ("loss_and_gradient", "forward"):
        function = plain(dispatch.model_function(name, record_of(model)))
        if "by_layout" in function.__code__.co_names:  # which is chosen by the rows, too
            function = softmax.of_sparse_rows
        forward = "hidden_forward" if MODELS[model].has_hidden else "linear_forward"
        assert function.__globals__[forward] is getattr(dispatch, forward)
        assert forward in function.__code__.co_names


def test_a_call_in_jitted_code(model, jit, dtype):
    spec, rng = MODELS[model], np.random.default_rng(0)
    shapes = spec.shapes(3, 4 if spec.has_hidden else None, spec.n_outputs(3))
    params = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    X, proba = rng.normal(size=(5, 3)).astype(dtype), np.empty((5, 2 if spec.binary else 3), dtype)
    named, code = arrange(params, transposed=True), BACKENDS["numba"]
    predict = dispatch.predict_proba
    call = jit(lambda model, params, X, *rest: predict(model, params, X, *rest))
    record, work = spec.record(code, dtype), code.allocate(named, 5).work
    call(record, named, X, np.arange(5), proba, work)
    expected = fastlogit.predict_proba(model, params, X, backend="numpy")
    np.testing.assert_allclose(proba, expected, rtol=1e-5 if dtype is np.float32 else 1e-12)
