"""The hidden layer's activation σ and its derivative, in place over a whole layer."""

import numpy as np


def sigmoid(hidden):
    """Replace the pre-activations by A = σ(hidden) = (1 + tanh(hidden / 2)) / 2. OUT: hidden."""
    hidden *= 0.5
    np.tanh(hidden, out=hidden)
    hidden += 1
    hidden *= 0.5


def sigmoid_grad(hidden, d_hidden):
    """Multiply the gradient of A by σ' = A (1 − A). OUT: d_hidden; hidden is used up."""
    d_hidden *= hidden
    np.subtract(1, hidden, out=hidden)
    d_hidden *= hidden
