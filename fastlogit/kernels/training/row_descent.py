"""Plain gradient descent with a row a step.

The models' own text is compiled once more with the maps of
:mod:`fastlogit.kernels.layers.single_row`, in which the first layer takes its step and works out
the next row's output in one pass. A model may have a loop of its own instead, a function
``train_rows``.

Shapes: X (n, D), y (n,), order of row numbers.
"""

from numba.extending import overload

from fastlogit.kernels.codegen import dispatch
from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.jit import inlined
from fastlogit.kernels.codegen.linking import linked
from fastlogit.kernels.codegen.options import KERNEL_OPTIONS
from fastlogit.kernels.codegen.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_row
from fastlogit.kernels.layers.csr import is_csr
from fastlogit.kernels.layers.single_row import RowPair, affine_grad, rows_affine_grad
from fastlogit.kernels.layers.sparse import clear


def train_rows(params, X, y, order, learning_rate, work):
    """Descend on the rows in that order, a step each; return the sum of their losses.

    OUT: params, work.
    """
    own = dispatch.of_model(type(params), "train_rows")
    ways = {2: linear_rows, 4: network_rows}
    return (own or ways[len(params)])(params, X, y, order, learning_rate, work)


@overload(train_rows, jit_options=KERNEL_OPTIONS, inline="always")
def _train_rows(params, X, y, order, learning_rate, work):
    if is_csr(X):
        return _never_called
    own = dispatch.of_model(params.instance_class, "train_rows")
    function = own or {2: linear_rows, 4: network_rows}[len(params.types)]
    return lambda params, X, y, order, learning_rate, work: function(
        params, X, y, order, learning_rate, work
    )


def _never_called(params, X, y, order, learning_rate, work):
    return 0.0


@inlined
def linear_rows(params, X, y, order, learning_rate, work):
    """Descend with a linear model, whose weights are whole vectors meanwhile. OUT: params, work."""
    Wt, b = params
    logits, padded = rows_from(work[0], 0, 1), work[1]
    copy_columns(Wt, padded)
    clear(logits)
    first = RowPair(X, order[0], order[0], padded, logits)
    rows_affine_grad(first, first, logits, True, Wt, b)  # a step of 0: the first logits
    loss = descend(params, X, y, order, learning_rate, padded, logits, work)
    copy_columns(padded, Wt)
    return loss


@inlined
def network_rows(params, X, y, order, learning_rate, work):
    """Descend with a network. OUT: params, work."""
    W1, b1, _W2t, _b2 = params
    hidden, d_hidden = rows_from(work[0], 0, 1), rows_from(work[1], 0, 1)
    clear(d_hidden)
    first = RowPair(X, order[0], order[0], hidden, hidden)
    affine_grad(first, d_hidden, True, work[4], W1, b1)
    return descend(params, X, y, order, learning_rate, hidden, hidden, work)


@inlined
def descend(params, X, y, order, learning_rate, padded, out, work):
    """Step by each row, the first one's output given in out. OUT: params, padded, out, work."""
    loss, last, far = 0.0, order.size - 1, X.size * X.itemsize > NEAR_BYTES
    unit_weight = part(out, 0, (0,))
    for i in range(order.size):
        if far:
            prefetch_row(X, order[min(i + PREFETCH_ROWS, last)])
        pair = RowPair(X, order[i], order[min(i + 1, last)], padded, out)
        loss += dispatch.loss_and_gradient(
            params, pair, pair, part(y, order[i], (1,)), unit_weight, -learning_rate, True, params,
            work,
        )  # fmt: skip
    return loss / -learning_rate


@linked
def copy_columns(source, target):
    """Copy the columns that both have, and set others to 0. OUT: target."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[i, j] if j < source.shape[1] else 0
