"""Calls of a model's own functions: the type of the model, a named tuple, names them.

``loss_and_gradient(model, ...)`` becomes the function of that name in the module that defines the
type of model: in jitted code when the caller is compiled, in plain Python at the call. So the
epoch is written once, each model's is compiled only when it is used, and a further model needs no
entry here.
"""

import sys

from numba import types
from numba.extending import overload

from fastlogit.kernels.codegen.compile import INLINE_OPTIONS


def model_function(model_type, name):
    """Return the function of that name in the model's module, jitted unless jitting is disabled."""
    return getattr(sys.modules[model_type.__module__], name)


def loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    """Call the model's ``loss_and_gradient``."""
    function = model_function(type(model), "loss_and_gradient")
    return function(model, params, X, rows, y, weight, scale, accumulate, grads, work)


@overload(loss_and_gradient, jit_options=INLINE_OPTIONS)
def _loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    return model_function(model.instance_class, "loss_and_gradient").py_func


def loss_and_hidden_gradient(model, params, y, weight, scale, accumulate, grads, work):
    """Call the ``loss_and_hidden_gradient`` of a model that has a hidden layer."""
    function = model_function(type(model), "loss_and_hidden_gradient")
    return function(model, params, y, weight, scale, accumulate, grads, work)


@overload(loss_and_hidden_gradient, jit_options=INLINE_OPTIONS)
def _loss_and_hidden_gradient(model, params, y, weight, scale, accumulate, grads, work):
    return model_function(model.instance_class, "loss_and_hidden_gradient").py_func


def predict_proba(model, params, X, rows, proba, work):
    """Call the model's ``predict_proba``."""
    return model_function(type(model), "predict_proba")(model, params, X, rows, proba, work)


@overload(predict_proba, jit_options=INLINE_OPTIONS)
def _predict_proba(model, params, X, rows, proba, work):
    return model_function(model.instance_class, "predict_proba").py_func


def train_rows(model, params, X, y, order, learning_rate, work):
    """Call the model's ``train_rows``, which takes dense rows only."""
    function = model_function(type(model), "train_rows")
    return function(model, params, X, y, order, learning_rate, work)


@overload(train_rows, jit_options=INLINE_OPTIONS)
def _train_rows(model, params, X, y, order, learning_rate, work):
    if not isinstance(X, types.Array):  # sparse: the branch with this call is typed, never taken
        return _unreachable
    return model_function(model.instance_class, "train_rows").py_func


def _unreachable(model, params, X, y, order, learning_rate, work):
    return 0.0
