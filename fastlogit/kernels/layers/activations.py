"""The hidden layer's activations, in place over a whole layer, and their derivatives.

A model holds the addresses of two functions, (forward, backward): an activation is chosen once per
block, and compiled only where it is used. The second is the pass back through the output layer, see
``codegen.output_layer``, that ends in the derivative, in terms of A, as S is gone:

    logistic    A = σ(S)         A (1 − A)
    tanh        A = tanh(S)      (1 − A) (1 + A)
    relu        A = max(S, 0)    1 where A > 0, else 0
    identity    A = S            1

Shapes: hidden, S and then A, is (B, H). OUT: hidden.
"""

from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.exponentials import sigmoids
from fastlogit.kernels.codegen.linking import call, compiled_once
from fastlogit.kernels.codegen.output_layer import hidden_gradient
from fastlogit.kernels.layers import elementary


@inline
def activate(activation, hidden):
    """Replace the pre-activations S by A."""
    call(activation[0], (hidden,))


@compiled_once
def logistic(hidden):
    """Compute A = σ(S) = 1 / (1 + e^−S)."""
    sigmoids(hidden, hidden.size)


# Not a − a²: next to 1 that keeps no digit of 1 − a, and Adam blows up what is left.
logistic_grad = hidden_gradient("logistic_grad", lambda a, d, _where: d * (a * (1 - a)))


@compiled_once
def tanh(hidden):
    """Compute A = tanh(S)."""
    values = hidden.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.tanh(values[i])


tanh_grad = hidden_gradient("tanh_grad", lambda a, d, _where: d * ((1 - a) * (1 + a)))


@compiled_once
def relu(hidden):
    """Compute A = max(S, 0)."""
    values = hidden.reshape(-1)
    zero = hidden.dtype.type(0)
    for i in range(values.size):
        values[i] = zero if values[i] < zero else values[i]  # which keeps NaN


relu_grad = hidden_gradient("relu_grad", lambda a, d, where: where(a == 0, 0, d))


@compiled_once
def identity(hidden):
    """Compute A = S: a linear layer."""


identity_grad = hidden_gradient("identity_grad", lambda _a, d, _where: d)
