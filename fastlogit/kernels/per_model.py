"""Model-generic calls: a model's parameters are a named tuple, and its type names the model.

``loss_and_gradient(params, ...)`` in jitted code becomes the function of that name in the module
that defines the type of params. So the epoch loop is written once, each model's is compiled only
when it is used, and a further model needs no entry here. For sparse rows it becomes that function
over the maps for sparse rows.
"""

import sys

from numba.extending import overload

from fastlogit.kernels.csr import is_csr, over_sparse_rows
from fastlogit.kernels.options import KERNEL_OPTIONS


def _module(params_type):
    return sys.modules[params_type.__module__]


def _of_model(params_type, name, X=None):
    function = getattr(_module(params_type), name)
    return over_sparse_rows(function) if is_csr(X) else function


def loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    """Call the model's own ``loss_and_gradient``."""
    function = _of_model(type(params), "loss_and_gradient", X)
    return function(params, X, rows, y, weight, scale, accumulate, grads, work)


def predict_proba(params, X, rows, proba, work):
    """Call the model's own ``predict_proba``."""
    return _of_model(type(params), "predict_proba", X)(params, X, rows, proba, work)


def has_train_rows(params, X):
    """Return whether the model has a ``train_rows``, its own way for batches of one dense row."""
    return hasattr(_module(type(params)), "train_rows") and not is_csr(X)


def train_rows(params, X, y, order, learning_rate, work):
    """Call the model's own ``train_rows``."""
    return _of_model(type(params), "train_rows")(params, X, y, order, learning_rate, work)


@overload(loss_and_gradient, jit_options=KERNEL_OPTIONS)
def _loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    function = _of_model(params.instance_class, "loss_and_gradient", X)
    return lambda params, X, rows, y, weight, scale, accumulate, grads, work: function(
        params, X, rows, y, weight, scale, accumulate, grads, work
    )


@overload(predict_proba, jit_options=KERNEL_OPTIONS)
def _predict_proba(params, X, rows, proba, work):
    function = _of_model(params.instance_class, "predict_proba", X)
    return lambda params, X, rows, proba, work: function(params, X, rows, proba, work)


def _yes(params, X):
    return True


def _no(params, X):
    return False


def _never_called(params, X, y, order, learning_rate, work):
    return 0.0


@overload(has_train_rows, jit_options=KERNEL_OPTIONS)
def _has_train_rows(params, X):
    return _yes if _trains_rows(params, X) else _no


def _trains_rows(params, X):
    return hasattr(_module(params.instance_class), "train_rows") and not is_csr(X)


@overload(train_rows, jit_options=KERNEL_OPTIONS)
def _train_rows(params, X, y, order, learning_rate, work):
    if not _trains_rows(params, X):
        return _never_called
    function = _of_model(params.instance_class, "train_rows")
    return lambda params, X, y, order, learning_rate, work: function(
        params, X, y, order, learning_rate, work
    )
