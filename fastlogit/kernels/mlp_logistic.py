"""One hidden layer, one output, σ.

Shapes: B rows, D features, H hidden units. X (B, D), y (B,) of 0 and 1, W1 (D, H), b1 (H,),
pre-activations S and hidden A (B, H), W2 (H, 1) kept transposed as W2t (1, H), b2 (1,), logits
z (B, 1).

    S = X W1 + b1      A = φ(S)      z = A W2 + b2      p = σ(z)
    loss of a row = softplus(z) − y z

The output layer sees A as its input, so its gradient is that of logistic regression:

    ∂L/∂z = p − y      ∂L/∂w2ⱼ = (p − y) aⱼ      ∂L/∂b2 = p − y

A hidden unit j acts through aⱼ = φ(sⱼ), sⱼ = Σᵢ xᵢ w1ᵢⱼ + b1ⱼ. φ is the activation (see
layers/activations.py), by default σ, for which σ'(s) = σ(s) (1 − σ(s)) = a (1 − a):

    ∂L/∂aⱼ = (p − y) w2ⱼ      ∂L/∂sⱼ = (p − y) w2ⱼ φ'(sⱼ)
    ∂L/∂w1ᵢⱼ = ∂L/∂sⱼ · xᵢ    ∂L/∂b1ⱼ = ∂L/∂sⱼ

z is the output's logit, y always the label, and every hidden unit has a bias of its own: b1 is a
vector. Over a batch, with row weights w (1 if none) and the mean taken as Σ w loss / Σ w:

    dz = w (p − y) / Σ w     dW2 = Aᵀ dz      db2 = Σ_rows dz
    dA = dz W2ᵀ              dS = dA ∘ φ'(S)
    dW1 = Xᵀ dS              db1 = Σ_rows dS
"""

from collections import namedtuple

from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.dispatch import hidden_backward, hidden_forward
from fastlogit.kernels.layers.activations import activate
from fastlogit.kernels.layers.dense import output_backward, output_forward, output_forward_by_class
from fastlogit.kernels.layers.output_losses import (
    logistic_loss_by_class,
    logistic_proba,
    most_probable,
    shape_by_class,
)
from fastlogit.kernels.training.in_place_sgd import network_rows

# The model: its activation, see layers.activations; its parameters are (W1, b1, W2t, b2).
MLPLogistic = namedtuple("MLPLogistic", "activation")
train_rows = network_rows
MOST_ROWS = 1  # of a batch that train_rows takes


@inline
def loss_and_gradient(model, params, X, rows, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss; scale is 1 / Σ w. OUT: grads, work."""
    W1, b1, _W2t, _b2 = params
    grad_W1, _grad_b1, _grad_W2t, _grad_b2 = grads
    hidden, d_hidden = rows_from(work[0], 0, y.size), rows_from(work[1], 0, y.size)

    hidden_forward(X, rows, W1, b1, work[3], hidden)  # S
    loss = loss_and_hidden_gradient(model, params, y, weight, scale, accumulate, grads, work)  # dS
    hidden_backward(X, rows, d_hidden, accumulate, work[3], grad_W1)
    return loss


@inline
def loss_and_hidden_gradient(model, params, y, weight, scale, accumulate, grads, work):
    """Return the batch's loss and fill dS, given S in work. OUT: work; grads but W1's."""
    _W1, _b1, W2t, b2 = params
    hidden, d_hidden = rows_from(work[0], 0, y.size), rows_from(work[1], 0, y.size)
    logits = part(work[2], 0, shape_by_class(b2.size, y.size))

    activate(model.activation, hidden)  # S becomes A
    output_forward_by_class(hidden, W2t, b2, logits)  # z
    loss = logistic_loss_by_class(logits, y, weight, scale)  # z becomes dz
    output_backward(model.activation, hidden, logits, W2t, accumulate, grads, d_hidden)  # dS
    return loss


@inline
def forward(model, params, X, rows, logits, work):
    """Fill the logits (B, 1). OUT: logits, work."""
    W1, b1, W2t, b2 = params
    hidden = rows_from(work[0], 0, logits.shape[0])

    hidden_forward(X, rows, W1, b1, work[3], hidden)  # S
    activate(model.activation, hidden)  # S becomes A
    output_forward(hidden, W2t, b2, logits)  # z


@inline
def predict_proba(model, params, X, rows, proba, work):
    """Fill proba (B, 2) with 1 − p and p. OUT: proba, work."""
    logits = part(work[2], 0, (proba.shape[0], params[3].size))
    forward(model, params, X, rows, logits, work)
    logistic_proba(logits, proba)


@inline
def predict_classes(model, params, X, rows, classes, work):
    """Fill classes (B,); return 0, or NaN if a logit is not finite. OUT: classes, work."""
    logits = part(work[2], 0, (classes.size, params[3].size))
    forward(model, params, X, rows, logits, work)
    return most_probable(logits, classes)
