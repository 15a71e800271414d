"""The output layers: loss and its gradient in the logits, and probabilities.

Shapes: logits (B, K), y (B,) class indices, weight (B,) or empty for unit weights. `scale` is one
over the sum of the weights of the rows that the mean is taken over. The loss is summed in float64.
Both heads replace the logits by their gradient: OUT: logits.
"""

import numpy as np
from scipy.special import expit


def logistic_head(logits, y, weight, scale):
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


def softmax_head(logits, y, weight, scale):
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
