"""Softmax regression: one linear map, K outputs, softmax.

Shapes: B rows, D features, K classes. X (B, D), y (B,) of 0..K−1, W (D, K), b (K,), logits
Z (B, K).

    Z = X W + b        pⱼ = e^zⱼ / Σₖ e^zₖ
    loss of a row = −log p_y = logsumexp(z) − z_y

The gradient, with yⱼ = 1 for the row's class and 0 elsewhere:

    ∂/∂zⱼ logsumexp(z) = pⱼ           so  ∂L/∂zⱼ = pⱼ − yⱼ
    ∂zⱼ/∂wᵢⱼ = xᵢ,  ∂zⱼ/∂bⱼ = 1       so  ∂L/∂wᵢⱼ = (pⱼ − yⱼ) xᵢ,  ∂L/∂bⱼ = pⱼ − yⱼ

Over a batch, with row weights w (1 if none) and the mean taken as Σ w loss / Σ w:

    dZ = w (P − onehot(y)) / Σ w      dW = Xᵀ dZ      db = Σ_rows dZ
"""

from typing import Any, NamedTuple

import numpy as np

from fastlogit.kernels.heads import softmax_head, softmax_proba
from fastlogit.kernels.jit import allocator, kernel
from fastlogit.kernels.linear_maps import affine, affine_grad


class SoftmaxParams(NamedTuple):
    """W (D, K), b (K,)."""

    W: Any
    b: Any


@allocator
def workspace(params, rows):
    """Allocate what one batch of up to `rows` rows needs."""
    return (np.empty((rows, params.b.size), params.W.dtype),)


@kernel
def loss_and_gradient(params, X, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W, b = params
    grad_W, grad_b = grads
    logits = work[0][: X.shape[0]]

    affine(X, W, b, logits)  # Z
    loss = softmax_head(logits, y, weight, scale)  # Z becomes dZ
    affine_grad(X, logits, accumulate, grad_W, grad_b)
    return loss


@kernel
def predict_proba(params, X, proba, work):
    """Fill proba (B, K). OUT: proba, work."""
    W, b = params
    logits = work[0][: X.shape[0]]
    affine(X, W, b, logits)
    softmax_proba(logits, proba)
