"""Softmax regression in NumPy; the derivation is in :mod:`fastlogit.kernels.softmax`."""

from typing import NamedTuple

from fastlogit.reference.layers import linear_backward, linear_forward, softmax_loss, softmax_proba


class Softmax(NamedTuple):
    """The model, which has no settings; its parameters are (W, b)."""


def loss_and_gradient(model, params, X, y, weight, scale, grads, work):  # noqa: ARG001
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W, b = params
    grad_W, grad_b = grads
    logits = work[0][: X.shape[0]]

    linear_forward(X, W, b, logits)  # Z
    loss = softmax_loss(logits, y, weight, scale)  # Z becomes dZ
    linear_backward(X, logits, grad_W, grad_b)
    return loss


def predict_proba(model, params, X, proba, work):  # noqa: ARG001
    """Fill the class probabilities. OUT: proba, work."""
    W, b = params
    logits = work[0][: X.shape[0]]
    linear_forward(X, W, b, logits)
    softmax_proba(logits, proba)
