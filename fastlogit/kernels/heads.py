"""The output layers: loss and its gradient in the logits, and probabilities.

Shapes: logits (B, K), y (B,) class indices, weight (B,) or empty for unit weights. `scale` is one
over the sum of the weights of the rows that the mean is taken over. The loss is summed in float64.
Both heads replace the logits by their gradient: OUT: logits.
"""

import numpy as np

from fastlogit.kernels import elementary
from fastlogit.kernels.jit import kernel
from fastlogit.kernels.linking import linked

# A product of totals that one more cannot make overflow.
LARGE = 1e150
# Below it five terms of the series of log(1 + e) are all that float64 can show.
SMALL = 2.0**-10
# Rows whose factors, from 1 to 2, cannot overflow; a block has fewer.
ROWS_A_LOG = 512


@linked
def logistic_head(logits, y, weight, scale) -> float:
    """Return Σ w softplus(u) · scale; logits become dz = w (p − y) · scale.

    u = z for y = 0 and −z for y = 1, so that softplus(z) − y z = softplus(u), and p − y = σ(u) or
    −σ(u): neither subtracts nearly equal numbers.
    """
    factor = logits.dtype.type(scale)
    loss, product, few = 0.0, 1.0, y.size <= ROWS_A_LOG
    for i in range(y.size):
        z = logits[i, 0]
        u = -z if y[i] == 1 else z
        w = weight[i] if weight.size > 0 else logits.dtype.type(1)
        if weight.size > 0 or not few:
            loss += np.float64(elementary.softplus(u)) * np.float64(w)
        else:
            loss += softplus_term(u)
            product *= softplus_factor(u)
        d = elementary.sigmoid(u) * (w * factor)
        logits[i, 0] = -d if y[i] == 1 else d
    return (loss + np.log(product)) * scale


@linked
def softmax_head(logits, y, weight, scale) -> float:
    """Return Σ w (logsumexp(Z) − Z_y) · scale; logits become dZ = w (P − onehot(y)) · scale."""
    rows, classes = logits.shape
    factor = logits.dtype.type(scale)
    loss = 0.0
    if classes == 2:
        return two_class_head(logits, y, weight, factor) * scale
    for i in range(rows):
        largest = row_max(logits, i)
        w = weight[i] if weight.size > 0 else logits.dtype.type(1)
        loss -= np.float64(logits[i, y[i]] - largest) * np.float64(w)
        for k in range(classes):
            logits[i, k] -= largest
    exp_in_place(logits)
    product = 1.0
    for i in range(rows):
        total = row_sum(logits, i)
        w = weight[i] if weight.size > 0 else logits.dtype.type(1)
        if weight.size > 0:
            loss += np.log(np.float64(total)) * np.float64(w)
        else:  # a logarithm for many rows: a total is from 1 to K
            product *= np.float64(total)
            if product > LARGE:
                loss += np.log(product)
                product = 1.0
        share = w * factor / total
        for k in range(classes):
            logits[i, k] *= share
        logits[i, y[i]] -= w * factor
    return (loss + np.log(product)) * scale


@kernel
def two_class_head(logits, y, weight, factor):
    """Do what softmax_head does for K = 2, where P = (1 − σ(z), σ(z)) with z = Z₁ − Z₀.

    It vectorises along the rows: a step of 32 rows on 30 features takes 0.74 of the time.
    """
    loss, product, few = 0.0, 1.0, y.size <= ROWS_A_LOG
    for i in range(y.size):
        z = logits[i, 1] - logits[i, 0]
        u = -z if y[i] == 1 else z
        w = weight[i] if weight.size > 0 else logits.dtype.type(1)
        if weight.size > 0 or not few:
            loss += np.float64(elementary.softplus(u)) * np.float64(w)
        else:
            loss += softplus_term(u)
            product *= softplus_factor(u)
        d = elementary.sigmoid(u) * (w * factor)
        d = -d if y[i] == 1 else d
        logits[i, 0] = -d
        logits[i, 1] = d
    return loss + np.log(product)


@kernel
def softplus_term(u):
    """Return t with softplus(u) = t + log f, where f is softplus_factor(u), in float64.

    So many rows take one logarithm: logistic regression on 4 features takes 0.75 to 0.9 of the
    time. Of a small e = exp(-|u|) the sum 1 + e would keep too little, so t has the series of its
    logarithm.
    """
    e = np.float64(elementary.exp(-abs(u)))
    series = e * (1.0 - e * (1 / 2 - e * (1 / 3 - e * (1 / 4 - e * (1 / 5)))))
    return np.float64(max(u, type(u)(0))) + (series if e < SMALL else 0.0)


@kernel
def softplus_factor(u):
    """Return f of softplus_term, from 1 to 2."""
    e = np.float64(elementary.exp(-abs(u)))
    return 1.0 if e < SMALL else 1.0 + e


@linked
def logistic_proba(logits, proba):
    """Fill both columns, P(y = 0) = σ(−z) and P(y = 1) = σ(z). OUT: proba (B, 2)."""
    for i in range(logits.shape[0]):
        proba[i, 0] = elementary.sigmoid(-logits[i, 0])
        proba[i, 1] = elementary.sigmoid(logits[i, 0])


@linked
def softmax_proba(logits, proba):
    """Fill P = softmax(Z). OUT: proba (B, K), logits."""
    rows, classes = logits.shape
    for i in range(rows):
        largest = row_max(logits, i)
        for k in range(classes):
            logits[i, k] -= largest
    exp_in_place(logits)
    for i in range(rows):
        total = row_sum(logits, i)
        for k in range(classes):
            proba[i, k] = logits[i, k] / total


@kernel
def row_max(logits, i):
    """Return the largest of row i."""
    largest = logits[i, 0]
    for k in range(1, logits.shape[1]):
        largest = max(largest, logits[i, k])
    return largest


@kernel
def row_sum(logits, i):
    """Return the sum of row i."""
    total = logits.dtype.type(0)
    for k in range(logits.shape[1]):
        total += logits[i, k]
    return total


@kernel
def exp_in_place(logits):
    """Replace every element by its exp. OUT: logits."""
    values = logits.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.exp(values[i])
