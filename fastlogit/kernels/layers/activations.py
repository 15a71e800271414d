"""The hidden layer's activation σ and its derivative, in place over a whole layer."""

from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.layers import elementary


@compiled_once
def sigmoid(hidden):
    """Replace the pre-activations by A = σ(hidden). OUT: hidden (B, H)."""
    values = hidden.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.sigmoid(values[i])


@compiled_once
def sigmoid_grad(hidden, d_hidden):
    """Multiply the gradient of A by σ' = A (1 − A). OUT: d_hidden (B, H)."""
    values, gradients = hidden.reshape(-1), d_hidden.reshape(-1)
    one = hidden.dtype.type(1)
    for i in range(values.size):
        # Not a − a²: next to 1 that keeps no digit of 1 − a, and Adam blows up what is left.
        gradients[i] *= values[i] * (one - values[i])
