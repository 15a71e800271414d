"""One hidden sigmoid layer and a softmax output in NumPy.

The derivation stands in :mod:`fastlogit.kernels.mlp_softmax`.
"""

from typing import Any, NamedTuple

from fastlogit.reference.activations import sigmoid, sigmoid_grad
from fastlogit.reference.dense import affine, affine_grad, input_grad
from fastlogit.reference.output_losses import softmax_head, softmax_proba


class MLPSoftmaxParams(NamedTuple):
    """W1 (D, H), b1 (H,), W2 (H, K), b2 (K,)."""

    W1: Any
    b1: Any
    W2: Any
    b2: Any


def loss_and_gradient(params, X, y, weight, scale, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W1, b1, W2, b2 = params
    grad_W1, grad_b1, grad_W2, grad_b2 = grads
    hidden, d_hidden, logits = (array[: X.shape[0]] for array in work)

    affine(X, W1, b1, hidden)
    sigmoid(hidden)  # A
    affine(hidden, W2, b2, logits)  # Z
    loss = softmax_head(logits, y, weight, scale)  # Z becomes dZ
    input_grad(logits, W2, d_hidden)  # dA
    affine_grad(hidden, logits, grad_W2, grad_b2)
    sigmoid_grad(hidden, d_hidden)  # dA becomes dS
    affine_grad(X, d_hidden, grad_W1, grad_b1)
    return loss


def predict_proba(params, X, proba, work):
    """Fill the class probabilities. OUT: proba, work."""
    W1, b1, W2, b2 = params
    hidden, _, logits = work
    affine(X, W1, b1, hidden)
    sigmoid(hidden)
    affine(hidden, W2, b2, logits)
    softmax_proba(logits, proba)
