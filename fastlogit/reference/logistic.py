"""Logistic regression in NumPy; the derivation is in :mod:`fastlogit.kernels.logistic`."""

from typing import Any, NamedTuple

from fastlogit.reference.layers import (
    linear_backward,
    linear_forward,
    logistic_loss,
    logistic_proba,
)


class LogisticParams(NamedTuple):
    """W (D, 1), b (1,)."""

    W: Any
    b: Any


def loss_and_gradient(params, X, y, weight, scale, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W, b = params
    grad_W, grad_b = grads
    logits = work[0][: X.shape[0]]

    linear_forward(X, W, b, logits)  # z
    loss = logistic_loss(logits, y, weight, scale)  # z becomes dz
    linear_backward(X, logits, grad_W, grad_b)
    return loss


def predict_proba(params, X, proba, work):
    """Fill the class probabilities. OUT: proba, work."""
    W, b = params
    logits = work[0][: X.shape[0]]
    linear_forward(X, W, b, logits)
    logistic_proba(logits, proba)
