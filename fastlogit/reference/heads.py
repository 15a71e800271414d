"""The output layers: loss and its gradient in the logits, and probabilities.

Shapes: logits (B, K), y (B,) class indices, weight (B,) or empty for unit weights. `scale` is one
over the sum of the weights of the rows that the mean is taken over. The loss is summed in float64.
Both heads replace the logits by their gradient: OUT: logits.
"""

import numpy as np

from fastlogit.reference.activations import sigmoid


def logistic_head(logits, y, weight, scale):
    """Return Σ w softplus(u) · scale, u = ∓z by label; logits become dz = w (p − y) · scale.

    It is fastest with y as floats of the logits' dtype.
    """
    z = logits[:, 0]
    losses = (1 - 2 * y).astype(z.dtype, copy=False)
    losses *= z
    np.logaddexp(0, losses, out=losses)
    sigmoid(z)
    z -= y
    return _weighted(losses, logits, weight, scale)


def softmax_head(logits, y, weight, scale):
    """Return Σ w (logsumexp(Z) − Z_y) · scale; logits become dZ = w (P − onehot(y)) · scale."""
    picked = np.arange(y.size), y
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    losses = -logits[picked]
    np.exp(logits, out=logits)
    total = np.add.reduce(logits, axis=1, keepdims=True)
    losses += np.log(total[:, 0])
    logits /= total
    logits[picked] -= 1
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
