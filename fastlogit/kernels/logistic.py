"""Logistic regression: one linear layer with one output, σ.

Shapes: B rows, D features. X (B, D), y (B,) of 0 and 1, W (D, 1) kept transposed as Wt (1, D),
b (1,), logits z (B, 1).

    z = X W + b        p = σ(z) = 1 / (1 + e^−z)
    loss of a row = −y log p − (1 − y) log(1 − p) = softplus(z) − y z

The gradient, by the chain rule ∂L/∂σ · ∂σ/∂z · ∂z/∂w:

    ∂L/∂p = (p − y) / (p (1 − p))     ∂p/∂z = p (1 − p)     so  ∂L/∂z = p − y
    ∂z/∂wᵢ = xᵢ,  ∂z/∂b = 1           so  ∂L/∂wᵢ = (p − y) xᵢ,  ∂L/∂b = p − y

Here z is the logit and y always the label. Over a batch, with row weights w (1 if none) and the
mean taken as Σ w loss / Σ w:

    dz = w (p − y) / Σ w      dW = Xᵀ dz      db = Σ_rows dz
"""

from collections import namedtuple

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.dispatch import linear_backward, linear_forward
from fastlogit.kernels.layers.output_losses import logistic_loss, logistic_proba, most_probable
from fastlogit.kernels.training.in_place_sgd import FEW_ROWS, logistic_batches, logistic_rows

# The model has no settings; its parameters are (Wt, b).
Logistic = namedtuple("Logistic", "")
MOST_ROWS = FEW_ROWS  # of a batch that train_rows takes


@inline
def loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    Wt, b = params
    grad_Wt, grad_b = grads
    logits = part(work[0], 0, (y.size, 1))

    linear_forward(X, rows, Wt, b, logits)  # z
    loss = logistic_loss(logits, y, weight, scale)  # z becomes dz
    linear_backward(X, rows, logits, accumulate, grad_Wt, grad_b)
    return loss


@inline
def train_rows(model, params, X, y, order, batch_size, learning_rate, work):
    """Train on a few rows per step, in that order; return the sum of losses. OUT: params, work."""
    (Wt, b), padded = params, part(work[1], 0, (work[1].size,))
    w = part(Wt, 0, (Wt.size,))
    if batch_size == 1:
        return logistic_rows(X, y, order, learning_rate, padded, w, b)
    return logistic_batches(X, y, order, batch_size, learning_rate, padded, w, b)


@inline
def forward(model, params, X, rows, logits, work):
    """Fill the logits (B, 1). OUT: logits, work."""
    Wt, b = params
    linear_forward(X, rows, Wt, b, logits)


@inline
def predict_proba(model, params, X, rows, proba, work):
    """Fill proba (B, 2) with 1 − p and p. OUT: proba, work."""
    logits = part(work[0], 0, (proba.shape[0], 1))
    forward(model, params, X, rows, logits, work)
    logistic_proba(logits, proba)


@inline
def predict_classes(model, params, X, rows, classes, work):
    """Fill classes (B,); return 0, or NaN if a logit is not finite. OUT: classes, work."""
    logits = part(work[0], 0, (classes.size, 1))
    forward(model, params, X, rows, logits, work)
    return most_probable(logits, classes)
