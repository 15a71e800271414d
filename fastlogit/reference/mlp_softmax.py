"""One hidden layer and a softmax output in NumPy.

The derivation is in :mod:`fastlogit.kernels.mlp_softmax`.
"""

from typing import Any, NamedTuple

from fastlogit.reference.layers import (
    activate,
    activation_grad,
    hidden_backward,
    hidden_forward,
    output_backward,
    output_forward,
    output_input_grad,
    softmax_loss,
    softmax_proba,
)


class MLPSoftmax(NamedTuple):
    """The model: its activation, (forward, derivative); its parameters are (W1, b1, W2, b2)."""

    activation: Any


def loss_and_gradient(model, params, X, y, weight, scale, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W1, b1, W2, b2 = params
    grad_W1, grad_b1, grad_W2, grad_b2 = grads
    hidden, d_hidden, logits = (array[: X.shape[0]] for array in work)

    hidden_forward(X, W1, b1, hidden)  # S
    activate(model.activation, hidden)  # S becomes A
    output_forward(hidden, W2, b2, logits)  # Z
    loss = softmax_loss(logits, y, weight, scale)  # Z becomes dZ
    output_input_grad(logits, W2, d_hidden)  # dA
    output_backward(hidden, logits, grad_W2, grad_b2)
    activation_grad(model.activation, hidden, d_hidden)  # dA becomes dS
    hidden_backward(X, d_hidden, grad_W1, grad_b1)
    return loss


def predict_proba(model, params, X, proba, work):
    """Fill the class probabilities. OUT: proba, work."""
    W1, b1, W2, b2 = params
    hidden, _, logits = (array[: X.shape[0]] for array in work)
    hidden_forward(X, W1, b1, hidden)
    activate(model.activation, hidden)
    output_forward(hidden, W2, b2, logits)
    softmax_proba(logits, proba)
