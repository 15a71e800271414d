"""Calls whose code the type of an argument chooses: a model's own functions, and X's layer.

``loss_and_gradient(model, ...)`` becomes the function of that name in the module that defines the
type of model, a named tuple: in jitted code when the caller is compiled, in plain Python at the
call. So the epoch is written once, each model's is compiled only when it is used, and a further
model needs no entry here.

``linear_forward(X, ...)`` and the other operations of the layer that sees the data become those of
``layers.sparse`` where X is a Csr, else of ``layers.dense``, which give them the same arguments.
"""

import sys
from typing import Any

from fastlogit.kernels.codegen.compile import INLINE_OPTIONS, chosen_by_type, compiled_as
from fastlogit.kernels.layers import dense, sparse


def model_function(name, model, params=None, X=None, *_):
    """Return the function of that name in the module of the model, or of Numba's type of one."""
    # Sparse rows are not trained on one by one: the branch with that call is typed, never taken.
    if name == "train_rows" and sparse.is_csr(X):
        return lambda model, params, X, y, order, batch_size, learning_rate, work: 0.0  # noqa: ARG005
    return getattr(_module_of(model), name)


def _module_of(model):
    return sys.modules[getattr(model, "instance_class", type(model)).__module__]


def most_rows(model: Any) -> int:
    """Return how many rows a batch may have that ``train_rows`` takes."""
    most: int = _module_of(model).MOST_ROWS
    return most


@compiled_as(most_rows, jit_options=INLINE_OPTIONS)
def _most_rows(model):
    most = most_rows(model)
    return lambda model: most  # noqa: ARG005


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
def predict_classes(model, params, X, rows, classes, work):
    """Call the model's ``predict_classes``."""


@chosen_by_type(model_function)
def train_rows(model, params, X, y, order, batch_size, learning_rate, work):
    """Call the model's ``train_rows``, which takes dense rows only."""


def layers_for(X):
    """Return the module with the operations on X, which is a value or Numba's type of one."""
    return sparse if sparse.is_csr(X) else dense


_chosen_by_rows = chosen_by_type(lambda name, X, *_: getattr(layers_for(X), name))
linear_forward = _chosen_by_rows(dense.linear_forward)
linear_backward = _chosen_by_rows(dense.linear_backward)
hidden_forward = _chosen_by_rows(dense.hidden_forward)
hidden_backward = _chosen_by_rows(dense.hidden_backward)
