"""Softmax regression: one linear layer with K outputs, softmax.

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

from collections import namedtuple

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import chosen_by_type, inline
from fastlogit.kernels.dispatch import linear_backward, linear_forward
from fastlogit.kernels.layers.dense import linear_backward_by_class, linear_forward_by_class
from fastlogit.kernels.layers.output_losses import (
    most_probable,
    shape_by_class,
    softmax_loss,
    softmax_loss_by_class,
    softmax_proba,
)
from fastlogit.kernels.layers.sparse import is_csr
from fastlogit.kernels.training.in_place_sgd import softmax_rows

# The model has no settings; its parameters are (Wt, b).
Softmax = namedtuple("Softmax", "")
train_rows = softmax_rows
MOST_ROWS = 1  # of a batch that train_rows takes


@inline
def loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    return by_layout(X, params, rows, y, weight, scale, accumulate, grads, work)


def of_dense_rows(X, params, rows, y, weight, scale, accumulate, grads, work):
    """Take the step with logits class by class: on (30, 3) in 0.6 of the time. OUT: grads, work."""
    Wt, b = params
    grad_Wt, grad_b = grads
    logits = part(work[0], 0, shape_by_class(b.size, y.size))

    linear_forward_by_class(X, rows, Wt, b, y.size, logits)  # Z
    loss = softmax_loss_by_class(logits, y, weight, scale)  # Z becomes dZ
    linear_backward_by_class(X, rows, logits, y.size, accumulate, grad_Wt, grad_b)
    return loss


def of_sparse_rows(X, params, rows, y, weight, scale, accumulate, grads, work):
    """Take the step with a row's logits next to each other. OUT: grads, work."""
    Wt, b = params
    grad_Wt, grad_b = grads
    logits = part(work[0], 0, (y.size, b.size))

    linear_forward(X, rows, Wt, b, logits)  # Z
    loss = softmax_loss(logits, y, weight, scale)  # Z becomes dZ
    linear_backward(X, rows, logits, accumulate, grad_Wt, grad_b)
    return loss


@chosen_by_type(lambda _name, X, *_: of_sparse_rows if is_csr(X) else of_dense_rows)
def by_layout(X, params, rows, y, weight, scale, accumulate, grads, work):
    """Do what loss_and_gradient does: sparse rows have the logits of a row next to each other."""


@inline
def forward(model, params, X, rows, logits, work):
    """Fill the logits (B, K). OUT: logits, work."""
    Wt, b = params
    linear_forward(X, rows, Wt, b, logits)


@inline
def predict_proba(model, params, X, rows, proba, work):
    """Fill proba (B, K). OUT: proba, work."""
    logits = part(work[0], 0, proba.shape)
    forward(model, params, X, rows, logits, work)
    softmax_proba(logits, proba)


@inline
def predict_classes(model, params, X, rows, classes, work):
    """Fill classes (B,); return 0, or NaN if a logit is not finite. OUT: classes, work."""
    logits = part(work[0], 0, (classes.size, params[1].size))
    forward(model, params, X, rows, logits, work)
    return most_probable(logits, classes)
