"""Model-generic calls: a model's parameters are a named tuple, and its type names the model.

``loss_and_gradient(params, ...)`` in jitted code becomes the function of that name in the module
that defines the type of params. So the epoch loop is written once, each model's is compiled only
when it is used, and a further model needs no entry here.

The models are written over the names of the maps of :mod:`fastlogit.kernels.layers.dense`. Where X
is not an array, the same text is compiled with the maps of those names for what X is.
"""

import sys
from functools import cache
from types import FunctionType

from numba.extending import overload

from fastlogit.kernels.codegen.jit import inlined
from fastlogit.kernels.codegen.options import KERNEL_OPTIONS
from fastlogit.kernels.layers import single_row as row_maps
from fastlogit.kernels.layers import sparse as sparse_maps
from fastlogit.kernels.layers.csr import Csr
from fastlogit.kernels.layers.single_row import RowPair

MAPS = ("affine", "affine_grad", "gathered", "rows_affine", "rows_affine_grad")
OTHER_MAPS = {Csr: sparse_maps, RowPair: row_maps}


def of_model(params_type, name, X=None):
    """Return the function of that name of a model, over the maps for X; None if it has none."""
    function = getattr(sys.modules[params_type.__module__], name, None)
    kind = getattr(X, "instance_class", type(X))
    return over(function, OTHER_MAPS[kind]) if kind in OTHER_MAPS else function


@cache
def over(function, maps):
    """Return a model's function with other maps in the place of those for dense rows."""
    plain = getattr(function, "py_func", function)
    names = plain.__globals__ | {name: getattr(maps, name) for name in MAPS}
    return inlined(FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__))


def loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    """Call the model's own ``loss_and_gradient``."""
    function = of_model(type(params), "loss_and_gradient", X)
    return function(params, X, rows, y, weight, scale, accumulate, grads, work)


def predict_proba(params, X, rows, proba, work):
    """Call the model's own ``predict_proba``."""
    return of_model(type(params), "predict_proba", X)(params, X, rows, proba, work)


@overload(loss_and_gradient, jit_options=KERNEL_OPTIONS, inline="always")
def _loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    function = of_model(params.instance_class, "loss_and_gradient", X)
    return lambda params, X, rows, y, weight, scale, accumulate, grads, work: function(
        params, X, rows, y, weight, scale, accumulate, grads, work
    )


@overload(predict_proba, jit_options=KERNEL_OPTIONS, inline="always")
def _predict_proba(params, X, rows, proba, work):
    function = of_model(params.instance_class, "predict_proba", X)
    return lambda params, X, rows, proba, work: function(params, X, rows, proba, work)
