"""One hidden layer, K outputs, softmax.

Shapes: B rows, D features, H hidden units, K classes. X (B, D), y (B,) of 0..K−1, W1 (D, H),
b1 (H,), pre-activations S and hidden A (B, H), W2 (H, K) kept transposed as W2t (K, H), b2 (K,),
logits Z (B, K).

    S = X W1 + b1      A = φ(S)      Z = A W2 + b2      P = softmax(Z)
    loss of a row = logsumexp(z) − z_y

The output layer sees A as its input, so its gradient is that of softmax regression, with yₖ = 1
for the row's class and 0 elsewhere:

    ∂L/∂zₖ = pₖ − yₖ      ∂L/∂w2ⱼₖ = (pₖ − yₖ) aⱼ      ∂L/∂b2ₖ = pₖ − yₖ

A hidden unit j feeds every output, so its derivative sums over all of them. With sⱼ the unit's
pre-activation and aⱼ = φ(sⱼ), where φ is the activation (see layers/activations.py), by default σ,
for which σ'(s) = σ(s) (1 − σ(s)) = a (1 − a):

    ∂L/∂aⱼ = Σₖ (pₖ − yₖ) w2ⱼₖ      ∂L/∂sⱼ = ∂L/∂aⱼ · φ'(sⱼ)
    ∂L/∂w1ᵢⱼ = ∂L/∂sⱼ · xᵢ          ∂L/∂b1ⱼ = ∂L/∂sⱼ

Every hidden unit has a bias of its own: b1 is a vector. Over a batch, with row weights w (1 if
none) and the mean taken as Σ w loss / Σ w:

    dZ = w (P − onehot(y)) / Σ w     dW2 = Aᵀ dZ      db2 = Σ_rows dZ
    dA = dZ W2ᵀ                      dS = dA ∘ φ'(S)
    dW1 = Xᵀ dS                      db1 = Σ_rows dS
"""

from collections import namedtuple

from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.dispatch import hidden_backward, hidden_forward
from fastlogit.kernels.layers.activations import activate
from fastlogit.kernels.layers.dense import output_backward, output_forward, output_forward_by_class
from fastlogit.kernels.layers.output_losses import (
    most_probable,
    shape_by_class,
    softmax_loss_by_class,
    softmax_proba,
)
from fastlogit.kernels.training.in_place_sgd import network_rows

# The model: its activation, see layers.activations; its parameters are (W1, b1, W2t, b2).
MLPSoftmax = namedtuple("MLPSoftmax", "activation")
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
    output_forward_by_class(hidden, W2t, b2, logits)  # Z
    loss = softmax_loss_by_class(logits, y, weight, scale)  # Z becomes dZ
    output_backward(model.activation, hidden, logits, W2t, accumulate, grads, d_hidden)  # dS
    return loss


@inline
def forward(model, params, X, rows, logits, work):
    """Fill the logits (B, K). OUT: logits, work."""
    W1, b1, W2t, b2 = params
    hidden = rows_from(work[0], 0, logits.shape[0])

    hidden_forward(X, rows, W1, b1, work[3], hidden)  # S
    activate(model.activation, hidden)  # S becomes A
    output_forward(hidden, W2t, b2, logits)  # Z


@inline
def predict_proba(model, params, X, rows, proba, work):
    """Fill proba (B, K). OUT: proba, work."""
    logits = part(work[2], 0, (proba.shape[0], params[3].size))
    forward(model, params, X, rows, logits, work)
    softmax_proba(logits, proba)


@inline
def predict_classes(model, params, X, rows, classes, work):
    """Fill classes (B,); return 0, or NaN if a logit is not finite. OUT: classes, work."""
    logits = part(work[2], 0, (classes.size, params[3].size))
    forward(model, params, X, rows, logits, work)
    return most_probable(logits, classes)
