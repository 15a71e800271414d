"""One hidden sigmoid layer, K outputs, softmax.

Shapes: B rows, D features, H hidden units, K classes. X (B, D), y (B,) of 0..K−1, W1 (D, H),
b1 (H,), hidden A (B, H), W2 (H, K) kept transposed as W2t (K, H), b2 (K,), logits Z (B, K).

    A = σ(X W1 + b1)      Z = A W2 + b2      P = softmax(Z)
    loss of a row = logsumexp(z) − z_y

The output layer sees A as its input, so its gradient is that of softmax regression, with yₖ = 1
for the row's class and 0 elsewhere:

    ∂L/∂zₖ = pₖ − yₖ      ∂L/∂w2ⱼₖ = (pₖ − yₖ) aⱼ      ∂L/∂b2ₖ = pₖ − yₖ

A hidden unit j feeds every output, so its derivative sums over all of them. With sⱼ the unit's
pre-activation, aⱼ = σ(sⱼ) and σ'(s) = σ(s) (1 − σ(s)):

    ∂L/∂aⱼ = Σₖ (pₖ − yₖ) w2ⱼₖ      ∂L/∂sⱼ = ∂L/∂aⱼ · aⱼ (1 − aⱼ)
    ∂L/∂w1ᵢⱼ = ∂L/∂sⱼ · xᵢ          ∂L/∂b1ⱼ = ∂L/∂sⱼ

Every hidden unit has a bias of its own: b1 is a vector. Over a batch, with row weights w (1 if
none) and the mean taken as Σ w loss / Σ w:

    dZ = w (P − onehot(y)) / Σ w     dW2 = Aᵀ dZ      db2 = Σ_rows dZ
    dA = dZ W2ᵀ                      dS = dA ∘ A ∘ (1 − A)
    dW1 = Xᵀ dS                      db1 = Σ_rows dS
"""

from typing import Any, NamedTuple

from fastlogit.kernels.codegen.arrays import rows_from
from fastlogit.kernels.codegen.jit import inlined
from fastlogit.kernels.layers.activations import sigmoid, sigmoid_grad
from fastlogit.kernels.layers.dense import (
    affine,
    affine_grad,
    gathered,
    output_affine,
    output_affine_grad,
    output_input_grad,
)
from fastlogit.kernels.layers.output_losses import softmax_head, softmax_proba


class MLPSoftmaxParams(NamedTuple):
    """W1 (D, H), b1 (H,), W2t (K, H), b2 (K,)."""

    W1: Any
    b1: Any
    W2t: Any
    b2: Any


@inlined
def loss_and_gradient(params, X, rows, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W1, b1, W2t, b2 = params
    grad_W1, grad_b1, grad_W2t, grad_b2 = grads
    hidden, d_hidden = rows_from(work[0], 0, y.size), rows_from(work[1], 0, y.size)
    logits = rows_from(work[2], 0, y.size)

    X, panel = gathered(X, rows, y.size, work[3]), work[4]
    affine(X, W1, b1, panel, hidden)
    sigmoid(hidden)  # A
    output_affine(hidden, W2t, b2, logits)  # Z
    loss = softmax_head(logits, y, weight, scale)  # Z becomes dZ
    output_input_grad(logits, W2t, d_hidden)  # dA
    output_affine_grad(hidden, logits, accumulate, grad_W2t, grad_b2)
    sigmoid_grad(hidden, d_hidden)  # dA becomes dS
    affine_grad(X, d_hidden, accumulate, panel, grad_W1, grad_b1)
    return loss


@inlined
def predict_proba(params, X, rows, proba, work):
    """Fill proba (B, K). OUT: proba, work."""
    W1, b1, W2t, b2 = params
    hidden, logits = rows_from(work[0], 0, len(proba)), rows_from(work[2], 0, len(proba))
    X, panel = gathered(X, rows, len(proba), work[3]), work[4]
    affine(X, W1, b1, panel, hidden)
    sigmoid(hidden)
    output_affine(hidden, W2t, b2, logits)
    softmax_proba(logits, proba)
