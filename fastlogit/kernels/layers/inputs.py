"""The layer that sees the data: one name for an operation, whose code the type of X chooses.

A call becomes the function of the same name in :mod:`fastlogit.kernels.layers.dense` where X is an
array, and in :mod:`fastlogit.kernels.layers.sparse` where X is a Csr. The two modules give these
functions the same arguments.
"""

from fastlogit.kernels.codegen.compile import chosen_by_type
from fastlogit.kernels.layers import dense, sparse


def layers_for(X):
    """Return the module with the operations on X, which is a value or Numba's type of one."""
    return sparse if sparse.is_csr(X) else dense


_chosen_by_rows = chosen_by_type(lambda name, X, *_: getattr(layers_for(X), name))


@_chosen_by_rows
def linear_forward(X, rows, W, b, out):
    """Compute a linear model's logits, out = X[rows] W + b. OUT: out."""


@_chosen_by_rows
def linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = X[rows]ᵀ d_out and grad_b = Σ_rows d_out. OUT: d_out, grad_W, grad_b."""


@_chosen_by_rows
def hidden_forward(X, rows, W, b, X_rows, panel, out):
    """Compute a hidden layer's pre-activations, out = X[rows] W + b. OUT: X_rows, panel, out."""


@_chosen_by_rows
def hidden_backward(X, rows, d_out, accumulate, X_rows, panel, grad_W, grad_b):
    """Compute grad_W = X[rows]ᵀ d_out and grad_b = Σ_rows d_out, after hidden_forward.

    OUT: d_out, panel, grad_W, grad_b.
    """
