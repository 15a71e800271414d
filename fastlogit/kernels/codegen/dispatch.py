"""Calls of a model's own functions: the type of the model, a named tuple, names them.

``loss_and_gradient(model, ...)`` becomes the function of that name in the module that defines the
type of model: in jitted code when the caller is compiled, in plain Python at the call. So the
epoch is written once, each model's is compiled only when it is used, and a further model needs no
entry here.
"""

import sys

from numba.core import types

from fastlogit.kernels.codegen.compile import chosen_by_type


def model_function(name, model, params=None, X=None, *_):
    """Return the function of that name in the module of the model, or of Numba's type of one.

    Sparse rows are not trained on one by one: the branch with that call is typed, but never taken.
    """
    if name == "train_rows" and isinstance(X, types.BaseTuple):
        return _unreachable
    return getattr(sys.modules[getattr(model, "instance_class", type(model)).__module__], name)


def _unreachable(model, params, X, y, order, learning_rate, work):
    return 0.0


@chosen_by_type(model_function)
def loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    """Call the model's ``loss_and_gradient``."""


@chosen_by_type(model_function)
def loss_and_hidden_gradient(model, params, y, weight, scale, accumulate, grads, work):
    """Call the ``loss_and_hidden_gradient`` of a model that has a hidden layer."""


@chosen_by_type(model_function)
def predict_proba(model, params, X, rows, proba, work):
    """Call the model's ``predict_proba``."""


@chosen_by_type(model_function)
def train_rows(model, params, X, y, order, learning_rate, work):
    """Call the model's ``train_rows``, which takes dense rows only."""
