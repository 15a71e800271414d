"""The four models in NumPy, from their layers; :mod:`fastlogit.kernels` derives what they compute.

The names are those of the kernels. Shapes: X (B, D), W (D, H), b (H,), out and d_out (B, H), logits
(B, K), y (B,) class indices, weight (B,) or empty for unit weights. X may be one of SciPy's sparse
arrays, whose products have no out. `scale` is one over the sum of the weights of the rows that the
mean is taken over; losses are summed in float64, and replace the logits by their gradient. A
model's `params` and `grads` are (W, b) or (W1, b1, W2, b2), its `work` what `training.allocate`
makes. OUT: logits, grads, proba, classes, work; of a derivative d_hidden, and hidden, read no more.
"""

from functools import partial

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit


def _product(a, b, out):
    if issparse(a):
        out[...] = a @ b
    else:
        np.matmul(a, b, out=out)


def linear_forward(X, W, b, out):
    """Compute out = X W + b. OUT: out."""
    _product(X, W, out)
    out += b


def linear_backward(X, d_out, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    _product(X.T, d_out, grad_W)
    np.add.reduce(d_out, axis=0, out=grad_b)


# One text for every layer, under the names that the kernels' layers have.
hidden_forward = output_forward = linear_forward
hidden_backward = output_backward = linear_backward


def output_input_grad(d_out, W, d_X):
    """Compute d_X = d_out Wᵀ. OUT: d_X."""
    np.matmul(d_out, W.T, out=d_X)


def activate(activation, hidden):
    """Replace the pre-activations S by A. OUT: hidden."""
    activation[0](hidden)


def activation_grad(activation, hidden, d_hidden):
    """Multiply the gradient of A by the derivative at S. OUT: d_hidden; hidden is used up."""
    activation[1](hidden, d_hidden)


def logistic(hidden):
    """Compute A = σ(S) = (1 + tanh(S / 2)) / 2. OUT: hidden."""
    hidden *= 0.5
    np.tanh(hidden, out=hidden)
    hidden += 1
    hidden *= 0.5


def logistic_grad(hidden, d_hidden):
    """Multiply by σ'(S) = A (1 − A). OUT: d_hidden; hidden is used up."""
    d_hidden *= hidden
    np.subtract(1, hidden, out=hidden)
    d_hidden *= hidden


def tanh(hidden):
    """Compute A = tanh(S). OUT: hidden."""
    np.tanh(hidden, out=hidden)


def tanh_grad(hidden, d_hidden):
    """Multiply by tanh'(S) = (1 − A) (1 + A). OUT: d_hidden; hidden is used up."""
    d_hidden *= 1 + hidden
    np.subtract(1, hidden, out=hidden)
    d_hidden *= hidden


def relu(hidden):
    """Compute A = max(S, 0). OUT: hidden."""
    np.maximum(hidden, 0, out=hidden)


def relu_grad(hidden, d_hidden):
    """Multiply by 1 where S > 0, by 0 elsewhere. OUT: d_hidden."""
    d_hidden[hidden == 0] = 0


def identity(hidden):
    """Compute A = S. OUT: hidden."""


def identity_grad(hidden, d_hidden):
    """Multiply by 1. OUT: d_hidden."""


def logistic_loss(logits, y, weight, scale):
    """Return Σ w softplus(u) · scale, u = ∓z by label; logits become dz = w (p − y) · scale.

    p − y is σ(u) for y = 0 and −σ(u) for y = 1, without a difference of nearly equal numbers. It
    is fastest with y as floats of the logits' dtype.
    """
    u = logits[:, 0]
    sign = (1 - 2 * y).astype(u.dtype, copy=False)
    u *= sign
    losses = np.logaddexp(0, u)
    expit(u, out=u)
    u *= sign
    return _weighted(losses, logits, weight, scale)


def softmax_loss(logits, y, weight, scale):
    """Return Σ w (logsumexp(Z) − Z_y) · scale; logits become dZ = w (P − onehot(y)) · scale.

    With eₖ = exp(zₖ − max Z) and others = Σ eₖ over k ≠ y, p_y − 1 is −others / (e_y + others), and
    logsumexp(Z) − max Z is log1p(others + (e_y − 1)).
    """
    picked = np.arange(y.size), y
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    losses = -logits[picked]
    np.exp(logits, out=logits)
    own = logits[picked]
    logits[picked] = 0
    others = np.add.reduce(logits, axis=1)
    losses += np.log1p(others + (own - 1))
    own += others
    logits /= own[:, None]
    logits[picked] = -others / own
    return _weighted(losses, logits, weight, scale)


def _weighted(losses, d_logits, weight, scale):
    if weight.size > 0:
        losses *= weight
        d_logits *= weight[:, None]
    d_logits *= d_logits.dtype.type(scale)
    return float(np.add.reduce(losses, dtype=np.float64)) * scale


def logistic_proba(logits, proba):
    """Fill both columns, P(y = 0) = σ(−z) and P(y = 1) = σ(z). OUT: proba (B, 2)."""
    both = np.concatenate([-logits, logits], axis=1)
    e = np.exp(-np.abs(both))
    np.divide(np.where(both >= 0, 1, e), 1 + e, out=proba)


def softmax_proba(logits, proba):
    """Fill P = softmax(Z). OUT: proba (B, K), logits."""
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    np.exp(logits, out=proba)
    proba /= np.add.reduce(proba, axis=1, keepdims=True)


def most_probable(logits, classes):
    """Fill the class of each row's largest logit, the first of equal ones; of one, 1 above 0.

    Return 0, or NaN if a logit is not finite. OUT: classes (B,).
    """
    classes[:] = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
    return 0.0 if np.isfinite(logits).all() else np.nan


class OneLayer:
    """A linear layer and an output loss."""

    def __init__(self, loss, proba, activation=None):
        self.loss, self.proba, self.activation = loss, proba, activation

    def forward(self, params, X, work):
        """Compute the layers; return those of work for the rows of X, the logits last."""
        (W, b), logits = params, work[0][: X.shape[0]]
        linear_forward(X, W, b, logits)  # Z
        return (logits,)

    def loss_and_gradient(self, params, X, y, weight, scale, grads, work):
        """Return the batch's loss."""
        (grad_W, grad_b), (logits,) = grads, self.forward(params, X, work)
        loss = self.loss(logits, y, weight, scale)  # Z becomes dZ
        linear_backward(X, logits, grad_W, grad_b)
        return loss

    def predict_proba(self, params, X, proba, work):
        """Fill the class probabilities."""
        self.proba(self.forward(params, X, work)[-1], proba)

    def predict_classes(self, params, X, classes, work):
        """Fill the most probable classes; return 0, or NaN if a logit is not finite."""
        return most_probable(self.forward(params, X, work)[-1], classes)


class OneHiddenLayer(OneLayer):
    """A hidden layer with its activation, (forward, derivative), a linear one, an output loss."""

    def forward(self, params, X, work):
        """Compute the layers; return those of work for the rows of X, the logits last."""
        W1, b1, W2, b2 = params
        hidden, d_hidden, logits = (array[: X.shape[0]] for array in work)
        hidden_forward(X, W1, b1, hidden)  # S
        activate(self.activation, hidden)  # S becomes A
        output_forward(hidden, W2, b2, logits)  # Z
        return hidden, d_hidden, logits

    def loss_and_gradient(self, params, X, y, weight, scale, grads, work):
        """Return the batch's loss."""
        grad_W1, grad_b1, grad_W2, grad_b2 = grads
        hidden, d_hidden, logits = self.forward(params, X, work)
        loss = self.loss(logits, y, weight, scale)  # Z becomes dZ
        output_input_grad(logits, params[2], d_hidden)  # dA
        output_backward(hidden, logits, grad_W2, grad_b2)
        activation_grad(self.activation, hidden, d_hidden)  # dA becomes dS
        hidden_backward(X, d_hidden, grad_W1, grad_b1)
        return loss


Logistic = partial(OneLayer, logistic_loss, logistic_proba)
Softmax = partial(OneLayer, softmax_loss, softmax_proba)
MLPLogistic = partial(OneHiddenLayer, logistic_loss, logistic_proba)
MLPSoftmax = partial(OneHiddenLayer, softmax_loss, softmax_proba)
