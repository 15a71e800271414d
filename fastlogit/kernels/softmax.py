"""Softmax regression: one linear map, K outputs, softmax.

Shapes: B rows, D features, K classes. X (B, D), y (B,) of 0..K−1, W (D, K) kept transposed as
Wt (K, D), b (K,), logits Z (B, K).

    Z = X W + b        pⱼ = e^zⱼ / Σₖ e^zₖ
    loss of a row = −log p_y = logsumexp(z) − z_y

The gradient, with yⱼ = 1 for the row's class and 0 elsewhere:

    ∂/∂zⱼ logsumexp(z) = pⱼ           so  ∂L/∂zⱼ = pⱼ − yⱼ
    ∂zⱼ/∂wᵢⱼ = xᵢ,  ∂zⱼ/∂bⱼ = 1       so  ∂L/∂wᵢⱼ = (pⱼ − yⱼ) xᵢ,  ∂L/∂bⱼ = pⱼ − yⱼ

Over a batch, with row weights w (1 if none) and the mean taken as Σ w loss / Σ w:

    dZ = w (P − onehot(y)) / Σ w      dW = Xᵀ dZ      db = Σ_rows dZ
"""

from typing import Any, NamedTuple

from fastlogit.kernels.codegen.arrays import rows_from
from fastlogit.kernels.codegen.jit import inlined
from fastlogit.kernels.layers.dense import rows_affine, rows_affine_grad
from fastlogit.kernels.layers.output_losses import softmax_head, softmax_proba


class SoftmaxParams(NamedTuple):
    """Wt (K, D), b (K,)."""

    Wt: Any
    b: Any


@inlined
def loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    Wt, b = params
    grad_Wt, grad_b = grads
    logits = rows_from(work[0], 0, y.size)

    rows_affine(X, rows, Wt, b, logits)  # Z
    loss = softmax_head(logits, y, weight, scale)  # Z becomes dZ
    rows_affine_grad(X, rows, logits, accumulate, grad_Wt, grad_b)
    return loss


@inlined
def predict_proba(params, X, rows, proba, work):
    """Fill proba (B, K). OUT: proba, work."""
    Wt, b = params
    logits = rows_from(work[0], 0, proba.shape[0])
    rows_affine(X, rows, Wt, b, logits)
    softmax_proba(logits, proba)
