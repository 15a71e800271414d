"""Calls of a model's own functions: the type of its parameters, a named tuple, names the model.

``loss_and_gradient(params, ...)`` becomes the function of that name in the module that defines the
type of params: in jitted code when the caller is compiled, in plain Python at the call. So the
epoch is written once, each model's is compiled only when it is used, and a further model needs no
entry here.
"""

import sys

from numba import types
from numba.extending import overload

from fastlogit.kernels.codegen.compile import INLINE_OPTIONS


def model_function(params_type, name):
    """Return the function of that name in the model's module, jitted unless jitting is disabled."""
    return getattr(sys.modules[params_type.__module__], name)


def loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    """Call the model's ``loss_and_gradient``."""
    function = model_function(type(params), "loss_and_gradient")
    return function(params, X, rows, y, weight, scale, accumulate, grads, work)


@overload(loss_and_gradient, jit_options=INLINE_OPTIONS)
def _loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    return model_function(params.instance_class, "loss_and_gradient").py_func


def loss_and_hidden_gradient(params, y, weight, scale, accumulate, grads, work):
    """Call the ``loss_and_hidden_gradient`` of a model that has a hidden layer."""
    function = model_function(type(params), "loss_and_hidden_gradient")
    return function(params, y, weight, scale, accumulate, grads, work)


@overload(loss_and_hidden_gradient, jit_options=INLINE_OPTIONS)
def _loss_and_hidden_gradient(params, y, weight, scale, accumulate, grads, work):
    return model_function(params.instance_class, "loss_and_hidden_gradient").py_func


def predict_proba(params, X, rows, proba, work):
    """Call the model's ``predict_proba``."""
    return model_function(type(params), "predict_proba")(params, X, rows, proba, work)


@overload(predict_proba, jit_options=INLINE_OPTIONS)
def _predict_proba(params, X, rows, proba, work):
    return model_function(params.instance_class, "predict_proba").py_func


def train_rows(params, X, y, order, learning_rate, work):
    """Call the model's ``train_rows``, which takes dense rows only."""
    function = model_function(type(params), "train_rows")
    return function(params, X, y, order, learning_rate, work)


@overload(train_rows, jit_options=INLINE_OPTIONS)
def _train_rows(params, X, y, order, learning_rate, work):
    if not isinstance(X, types.Array):  # sparse: the branch with this call is typed, never taken
        return _unreachable
    return model_function(params.instance_class, "train_rows").py_func


def _unreachable(params, X, y, order, learning_rate, work):
    return 0.0
