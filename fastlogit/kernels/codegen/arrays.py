"""Parameters in one flat block: the weights of all layers, then their biases.

An optimizer then is one loop over the block that knows no model, and the penalty one over its
weights.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import lower_builtin, overload, type_callable

from fastlogit.kernels.codegen.compile import KERNEL_OPTIONS
from fastlogit.kernels.codegen.linking import contiguous


def flat_views(params, flat):
    """Return the parts of flat as arrays of params' shapes and order: W, b of each layer."""
    views, weights_end, biases_end = [], 0, sum(W.size for W in params[::2])
    for W, b in zip(params[::2], params[1::2], strict=True):
        views += [flat[weights_end:][: W.size].reshape(W.shape), flat[biases_end:][: b.size]]
        weights_end, biases_end = weights_end + W.size, biases_end + b.size
    return tuple(views)


def part(array, start, shape):
    """Return a contiguous array's elements from start on as an array of that shape: a view.

    Numba checks the ends of a slice, and calls its library for a reshape.
    """
    return array.reshape(-1)[start : start + np.prod(shape)].reshape(shape)


@type_callable(part)
def _typed_part(_context: Any) -> Callable[..., Any]:
    def typer(array: Any, start: Any, shape: Any) -> Any:
        return types.Array(array.dtype, len(shape), "C") if array.layout == "C" else None

    return typer


@lower_builtin(part, types.Array, types.Integer, types.UniTuple)
def _lower_part(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    kind = signature.return_type
    array = context.make_array(signature.args[0])(context, builder, values[0])
    lengths = [builder.extract_value(values[2], n) for n in range(kind.ndim)]
    element = context.get_data_type(kind.dtype)
    start = builder.gep(array.data, [values[1]], source_etype=element)
    return contiguous(context, builder, kind, start, lengths)


def rows_from(X, start, n_rows):
    """Return the n_rows rows of X from start on as a view; sparse ones are in ``csr``."""
    if isinstance(X, tuple):
        sparse: Any = X
        return sparse._replace(indptr=part(sparse.indptr, start, (n_rows + 1,)))
    return part(X, start * X.shape[1], (n_rows, X.shape[1]))


@type_callable(rows_from)
def _typed_rows_from(_context: Any) -> Callable[..., Any]:
    def typer(X: Any, start: Any, n_rows: Any) -> Any:
        return X if isinstance(X, types.Array) and X.layout == "C" else None

    return typer


@lower_builtin(rows_from, types.Array, types.Integer, types.Integer)
def _lower_rows_from(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    kind = signature.return_type
    array = context.make_array(kind)(context, builder, values[0])
    width = builder.extract_value(array.shape, 1)
    element = context.get_data_type(kind.dtype)
    start = builder.gep(array.data, [builder.mul(values[1], width)], source_etype=element)
    return contiguous(context, builder, kind, start, [values[2], width])


def _linear_views(params, flat):
    W, b = params
    return part(flat, 0, W.shape), part(flat, W.size, b.shape)


def _network_views(params, flat):
    W1, b1, W2, b2 = params
    weights = W1.size + W2.size
    return (
        part(flat, 0, W1.shape),
        part(flat, weights, b1.shape),
        part(flat, W1.size, W2.shape),
        part(flat, weights + b1.size, b2.shape),
    )


@overload(flat_views, jit_options=KERNEL_OPTIONS, inline="always")
def _flat_views(params, flat):
    return {2: _linear_views, 4: _network_views}[len(params.types)]
