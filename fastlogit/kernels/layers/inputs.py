"""The layer that sees the data: one name for an operation, whose code the type of X chooses.

A call becomes the function of the same name in :mod:`fastlogit.kernels.layers.dense` where X is an
array, and in :mod:`fastlogit.kernels.layers.sparse` where X is a Csr. In jitted code it is chosen
by Numba's type of X when the caller is compiled, in plain Python by the type of X at the call. The
two modules give these functions the same arguments.
"""

from numba.extending import overload

from fastlogit.kernels.codegen.compile import INLINE_OPTIONS
from fastlogit.kernels.layers import dense, sparse


def layers_for(X):
    """Return the module with the operations on X, which is a value or Numba's type of one."""
    return sparse if sparse.is_csr(X) else dense


def linear_forward(X, rows, W, b, out):
    """Compute a linear model's logits, out = X[rows] W + b. OUT: out."""
    layers_for(X).linear_forward(X, rows, W, b, out)


@overload(linear_forward, jit_options=INLINE_OPTIONS)
def _linear_forward(X, rows, W, b, out):
    return layers_for(X).linear_forward.py_func


def linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = X[rows]ᵀ d_out and grad_b = Σ_rows d_out. OUT: d_out, grad_W, grad_b."""
    layers_for(X).linear_backward(X, rows, d_out, accumulate, grad_W, grad_b)


@overload(linear_backward, jit_options=INLINE_OPTIONS)
def _linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    return layers_for(X).linear_backward.py_func


def hidden_forward(X, rows, W, b, X_rows, panel, out):
    """Compute a hidden layer's pre-activations, out = X[rows] W + b. OUT: X_rows, panel, out."""
    layers_for(X).hidden_forward(X, rows, W, b, X_rows, panel, out)


@overload(hidden_forward, jit_options=INLINE_OPTIONS)
def _hidden_forward(X, rows, W, b, X_rows, panel, out):
    return layers_for(X).hidden_forward.py_func


def hidden_backward(X, rows, d_out, accumulate, X_rows, panel, grad_W, grad_b):
    """Compute grad_W = X[rows]ᵀ d_out and grad_b = Σ_rows d_out, after hidden_forward.

    OUT: d_out, panel, grad_W, grad_b.
    """
    layers_for(X).hidden_backward(X, rows, d_out, accumulate, X_rows, panel, grad_W, grad_b)


@overload(hidden_backward, jit_options=INLINE_OPTIONS)
def _hidden_backward(X, rows, d_out, accumulate, X_rows, panel, grad_W, grad_b):
    return layers_for(X).hidden_backward.py_func
