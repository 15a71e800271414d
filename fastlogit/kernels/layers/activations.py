"""The hidden layer's activations and their derivatives, in place over a whole layer.

A model holds the addresses of two functions, (forward, derivative): an activation is chosen once
per block, and compiled only where it is used. The derivative is in terms of A, as S is gone:

    logistic    A = σ(S)         A (1 − A)
    tanh        A = tanh(S)      (1 − A) (1 + A)
    relu        A = max(S, 0)    1 where A > 0, else 0
    identity    A = S            1

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
        values[i] = elementary.short_sigmoid(values[i])


@compiled_once
def logistic_grad(hidden, d_hidden):
    """Multiply by σ'(S) = A (1 − A)."""
    values, gradients = hidden.reshape(-1), d_hidden.reshape(-1)
    one = hidden.dtype.type(1)
    for i in range(values.size):
        # Not a − a²: next to 1 that keeps no digit of 1 − a, and Adam blows up what is left.
        gradients[i] *= values[i] * (one - values[i])


@compiled_once
def tanh(hidden):
    """Compute A = tanh(S)."""
    values = hidden.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.tanh(values[i])


@compiled_once
def tanh_grad(hidden, d_hidden):
    """Multiply by tanh'(S) = 1 − A² = (1 − A) (1 + A)."""
    values, gradients = hidden.reshape(-1), d_hidden.reshape(-1)
    one = hidden.dtype.type(1)
    for i in range(values.size):
        gradients[i] *= (one - values[i]) * (one + values[i])


@compiled_once
def relu(hidden):
    """Compute A = max(S, 0)."""
    values = hidden.reshape(-1)
    zero = hidden.dtype.type(0)
    for i in range(values.size):
        values[i] = zero if values[i] < zero else values[i]  # which keeps NaN


@compiled_once
def relu_grad(hidden, d_hidden):
    """Multiply by 1 where S > 0, by 0 elsewhere; at S = 0, too, as in scikit-learn."""
    values, gradients = hidden.reshape(-1), d_hidden.reshape(-1)
    zero = hidden.dtype.type(0)
    for i in range(values.size):
        gradients[i] = zero if values[i] == zero else gradients[i]


@compiled_once
def identity(hidden):
    """Compute A = S: a linear layer."""


@compiled_once
def identity_grad(hidden, d_hidden):
    """Multiply by 1."""
