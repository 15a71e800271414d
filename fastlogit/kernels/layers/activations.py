"""The hidden layer's activations and their derivatives, in place over a whole layer.

A model holds the addresses of two functions, (forward, derivative): an activation is chosen once
per block, and compiled only where it is used. The derivative is in terms of A, as S is gone.

Shapes: hidden, S and then A, and d_hidden, the gradient of A and then of S, are (B, H). OUT: the
last argument.
"""

from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import call, compiled_once
from fastlogit.kernels.layers import elementary


@inline
def activate(activation, hidden):
    """Replace the pre-activations S by A."""
    call(activation[0], (hidden,))


@inline
def activation_grad(activation, hidden, d_hidden):
    """Multiply the gradient of A by the derivative at S."""
    call(activation[1], (hidden, d_hidden))


@compiled_once
def logistic(hidden):
    """Compute A = σ(S) = 1 / (1 + e^−S)."""
    values = hidden.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.sigmoid(values[i])


@compiled_once
def logistic_grad(hidden, d_hidden):
    """Multiply by σ'(S) = A (1 − A)."""
    values, gradients = hidden.reshape(-1), d_hidden.reshape(-1)
    one = hidden.dtype.type(1)
    for i in range(values.size):
        # Not a − a²: next to 1 that keeps no digit of 1 − a, and Adam blows up what is left.
        gradients[i] *= values[i] * (one - values[i])
