"""Model-generic calls: a model's parameters are a named tuple, and its type names the model.

``loss_and_gradient(params, ...)`` in jitted code becomes the function of that name in the module
that defines the type of params. So the epoch loop is written once, each model's is compiled only
when it is used, and a further model needs no entry here.
"""

import sys

from numba.extending import overload

from fastlogit.kernels.jit import KERNEL_OPTIONS


def _of_model(params_type, name):
    return getattr(sys.modules[params_type.__module__], name)


def loss_and_gradient(params, X, y, weight, scale, accumulate, grads, work):
    """Call the model's own ``loss_and_gradient``."""
    function = _of_model(type(params), "loss_and_gradient")
    return function(params, X, y, weight, scale, accumulate, grads, work)


def predict_proba(params, X, proba, work):
    """Call the model's own ``predict_proba``."""
    return _of_model(type(params), "predict_proba")(params, X, proba, work)


@overload(loss_and_gradient, jit_options=KERNEL_OPTIONS, inline="always")
def _loss_and_gradient(params, X, y, weight, scale, accumulate, grads, work):
    function = _of_model(params.instance_class, "loss_and_gradient")
    return lambda params, X, y, weight, scale, accumulate, grads, work: function(
        params, X, y, weight, scale, accumulate, grads, work
    )


@overload(predict_proba, jit_options=KERNEL_OPTIONS, inline="always")
def _predict_proba(params, X, proba, work):
    function = _of_model(params.instance_class, "predict_proba")
    return lambda params, X, proba, work: function(params, X, proba, work)
