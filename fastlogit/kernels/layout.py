"""Parameters in one flat block: the weights of all layers, then their biases.

An optimizer then is one loop over the block that knows no model, and the penalty one over its
weights.
"""

from numba.extending import overload

from fastlogit.kernels.jit import KERNEL_OPTIONS


def flat_views(params, flat):
    """Return the parts of flat as arrays of params' shapes and order: W, b of each layer."""
    views, weights_end, biases_end = [], 0, sum(W.size for W in params[::2])
    for W, b in zip(params[::2], params[1::2], strict=True):
        views += [flat[weights_end:][: W.size].reshape(W.shape), flat[biases_end:][: b.size]]
        weights_end, biases_end = weights_end + W.size, biases_end + b.size
    return tuple(views)


def _linear_views(params, flat):
    W, _ = params
    return flat[: W.size].reshape(W.shape), flat[W.size :]


def _network_views(params, flat):
    W1, b1, W2, _ = params
    hidden, weights = W1.size, W1.size + W2.size
    return (
        flat[:hidden].reshape(W1.shape),
        flat[weights : weights + b1.size],
        flat[hidden:weights].reshape(W2.shape),
        flat[weights + b1.size :],
    )


@overload(flat_views, jit_options=KERNEL_OPTIONS, inline="always")
def _flat_views(params, flat):
    return {2: _linear_views, 4: _network_views}[len(params.types)]
