"""Model-generic calls: a model's parameters are a named tuple, and its type names the model.

``loss_and_gradient(params, ...)`` in jitted code compiles to the function of that name in the
module that defines the type of params. So the epoch loop is written once, each model's is compiled
only when it is used, and a further model needs no entry here.
"""

import sys

from numba.extending import overload

from fastlogit.kernels.jit import KERNEL_OPTIONS


def _function_of(params_type, name):
    return getattr(sys.modules[params_type.__module__], name)


def loss_and_gradient(params, *args):
    """Call the model's own ``loss_and_gradient``."""
    return _function_of(type(params), "loss_and_gradient")(params, *args)


def predict_proba(params, *args):
    """Call the model's own ``predict_proba``."""
    return _function_of(type(params), "predict_proba")(params, *args)


def shaped(params, *args):
    """Call the model's own ``shaped``."""
    return _function_of(type(params), "shaped")(params, *args)


def workspace(params, *args):
    """Call the model's own ``workspace``."""
    return _function_of(type(params), "workspace")(params, *args)


@overload(loss_and_gradient, jit_options=KERNEL_OPTIONS)
def _loss_and_gradient(params, *args):
    function = _function_of(params.instance_class, "loss_and_gradient")
    return lambda params, *args: function(params, *args)


@overload(predict_proba, jit_options=KERNEL_OPTIONS)
def _predict_proba(params, *args):
    function = _function_of(params.instance_class, "predict_proba")
    return lambda params, *args: function(params, *args)


@overload(shaped, jit_options=KERNEL_OPTIONS)
def _shaped(params, *args):
    function = _function_of(params.instance_class, "shaped")
    return lambda params, *args: function(params, *args)


@overload(workspace)
def _workspace(params, *args):
    function = _function_of(params.instance_class, "workspace")
    return lambda params, *args: function(params, *args)
