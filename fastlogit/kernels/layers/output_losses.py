"""The output layers: loss and its gradient in the logits, probabilities and classes.

Shapes: logits (B, K), y (B,) class indices, weight (B,) or empty for unit weights. `scale` is 1 / Σ
w of the rows that the mean is taken over. The loss is summed in float64. Losses replace the logits
by their gradient. OUT: logits.

A network's logits lie class by class, so that vectors run along the rows: by_class (K, pitch), see
``codegen.output_layer``. The gradient of what lies beyond the batch's rows is 0.
"""

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import inline, kernel
from fastlogit.kernels.codegen.exponentials import SMALL, softmax_gradient, softmax_of_row
from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.codegen.logistic_steps import logistic_gradient
from fastlogit.kernels.layers import elementary

# A product of totals that one more cannot make overflow.
LARGE = 1e150
# A sum of exp(zₖ − max Z) of which an eighth and more is not the largest's.
MANY_OTHERS = 1.125
# Rows whose factors, from 1 to 2, cannot overflow; a block has fewer.
ROWS_A_LOG = 512
# A whole number of vectors, on every CPU.
LANES = 16


@inline
def shape_by_class(classes, n_rows):
    """Return the shape of what holds so many rows' logits, class by class."""
    pitch = 1 if n_rows == 1 else (n_rows + LANES - 1) // LANES * LANES
    return classes, pitch


@compiled_once
def logistic_loss(logits, y, weight, scale) -> float:
    """Return Σ w softplus(u) · scale; logits become dz = w (p − y) · scale.

    u = z for y = 0 and −z for y = 1, so that softplus(z) − y z = softplus(u), and p − y = σ(u) or
    −σ(u): neither subtracts nearly equal numbers.
    """
    losses = logistic_gradient(logits, y, y.size, weight, weight.size, scale)
    return losses * scale


@compiled_once
def softmax_loss(logits, y, weight, scale) -> float:
    """Return Σ w (logsumexp(Z) − Z_y) · scale; logits become dZ = w (P − onehot(y)) · scale.

    With eₖ = exp(zₖ − max Z), p_y − 1 is minus the sum of the other classes' e over that of all: a
    difference would keep no digit of it where p_y is next to 1. A sum over k ≠ y for every row, by
    another loop, a masked one or vectors with one row per lane, takes 1.05 to 1.9 of the time.
    """
    (rows, classes), factor, loss = logits.shape, logits.dtype.type(scale), 0.0
    if classes == 2:
        return two_class_softmax_loss(logits, y, weight, factor) * scale
    if classes == 3:
        return three_class_softmax_loss(logits, y, weight, factor) * scale
    for i in range(rows):
        subtract_row_max(logits, i)
        w = weight[i] if weight.size > 0 else logits.dtype.type(1)
        loss -= np.float64(logits[i, y[i]]) * np.float64(w)
    exp_in_place(logits)
    product = 1.0
    if weight.size > 0:
        for i in range(rows):
            loss += np.log(normalise(logits, i, y[i], weight[i] * factor)) * np.float64(weight[i])
    else:
        for i in range(rows):  # a logarithm for many rows: a total is from 1 to K
            product *= normalise(logits, i, y[i], factor)
            if product > LARGE:
                loss += np.log(product)
                product = 1.0
    return (loss + np.log(product)) * scale


@kernel
def normalise(logits, i, label, scale):
    """Return the sum of row i, exp(Z − max Z), in float64. OUT: logits, the row as dZ."""
    total, own = row_sum(logits, i), logits[i, label]
    # Where own is not the one largest or the others are many, a difference is exact enough.
    others = total - own if total > MANY_OTHERS or own < 1 else sum_below_one(logits, i)
    share = scale / total
    for k in range(logits.shape[1]):
        logits[i, k] *= share
    logits[i, label] = -others * share
    return np.float64(own) + np.float64(others)


@kernel
def two_class_softmax_loss(logits, y, weight, factor):
    """Do what softmax_loss does for K = 2, where P = (1 − σ(z), σ(z)) with z = Z₁ − Z₀.

    It vectorises along the rows: a step of 32 rows on 30 features takes 0.74 of the time.
    """
    loss, product, one = 0.0, 1.0, logits.dtype.type(1)
    if weight.size == 0 and y.size <= ROWS_A_LOG:
        for i in range(y.size):
            u = two_class_row(logits, y[i], i, one, factor)
            loss += softplus_term(u)
            product *= softplus_factor(u)
    else:
        for i in range(y.size):
            w = weight[i] if weight.size > 0 else one
            u = two_class_row(logits, y[i], i, w, factor)
            loss += np.float64(elementary.softplus(u)) * np.float64(w)
    return loss + np.log(product)


@kernel
def two_class_row(logits, label, i, w, factor):
    """Return u = z or −z, by label. OUT: logits, row i as dZ."""
    z = logits[i, 1] - logits[i, 0]
    u = -z if label == 1 else z
    d = elementary.sigmoid(u) * (w * factor)
    d = -d if label == 1 else d
    logits[i, 0] = -d
    logits[i, 1] = d
    return u


@kernel
def three_class_softmax_loss(logits, y, weight, factor):
    """Do what softmax_loss does for K = 3; it vectorises along the rows.

    Rows without weights have a loop of their own. In a common one LLVM would ask whether the empty
    array of weights, wherever it is, overlaps the logits, and sum in another order if so.
    """
    values, one = logits.reshape(-1), logits.dtype.type(1)
    loss, product = 0.0, 1.0
    if weight.size == 0 and y.size <= ROWS_A_LOG:
        for i in range(y.size):
            largest, total = three_class_row(values, y[i], i, one, factor)
            loss += largest
            product *= total  # from 1 to 3
    else:
        for i in range(y.size):
            w = weight[i] if weight.size > 0 else one
            largest, total = three_class_row(values, y[i], i, w, factor)
            loss += (largest + np.log(total)) * np.float64(w)
    return loss + np.log(product)


@kernel
def three_class_row(values, label, i, w, factor):
    """Return the two terms of row i's loss, max Z − z_y and the total. OUT: values, as dZ.

    u and v are the logits of the two other classes, in their order, less the row's own.
    """
    first, middle, last = values[3 * i], values[3 * i + 1], values[3 * i + 2]
    is_first, is_last = label == 0, label == 2
    own = first if is_first else (last if is_last else middle)
    u, v = (middle if is_first else first) - own, (middle if is_last else last) - own
    largest = max(max(u, v), values.dtype.type(0))
    e_own = elementary.exp(-largest)
    e_u, e_v = elementary.exp(u - largest), elementary.exp(v - largest)
    others = e_u + e_v
    share = w * factor / (e_own + others)
    d_u, d_v, d_own = e_u * share, e_v * share, -others * share
    values[3 * i] = d_own if is_first else d_u
    values[3 * i + 1] = d_u if is_first else (d_v if is_last else d_own)
    values[3 * i + 2] = d_own if is_last else d_v
    return np.float64(largest), np.float64(e_own) + np.float64(others)


@inline
def logistic_loss_by_class(by_class, y, weight, scale):
    """Do what logistic_loss does. OUT: by_class, the first row."""
    loss = logistic_loss(part(by_class, 0, (y.size, 1)), y, weight, scale)
    for i in range(y.size, by_class.shape[1]):
        by_class[0, i] = 0
    return loss


@compiled_once
def softmax_loss_by_class(by_class, y, weight, scale) -> float:
    """Do what softmax_loss does, in 0.3 of its time. OUT: by_class."""
    classes, pitch = by_class.shape
    if y.size == 1:
        factor = scale * np.float64(weight[0]) if weight.size > 0 else scale
        return softmax_of_row(by_class, classes, y[0], factor) * factor
    losses = softmax_gradient(by_class, classes, pitch, y, y.size, weight, weight.size, scale)
    return losses * scale


@kernel
def log_series(e):
    """Return log(1 + e) of a small e."""
    return e * (1.0 - e * (1 / 2 - e * (1 / 3 - e * (1 / 4 - e * (1 / 5)))))


@kernel
def softplus_term(u):
    """Return t of softplus(u) = t + log f, in float64, with f of softplus_factor.

    So many rows share a logarithm: logistic regression on 4 features takes 0.75 to 0.9 of the time.
    Of a small e = exp(-|u|) 1 + e would keep too little, so t has the series of its logarithm.
    """
    e = np.float64(elementary.exp(-abs(u)))
    return np.float64(max(u, type(u)(0))) + (log_series(e) if e < SMALL else 0.0)


@kernel
def softplus_factor(u):
    """Return f of softplus_term, from 1 to 2."""
    e = np.float64(elementary.exp(-abs(u)))
    return 1.0 if e < SMALL else 1.0 + e


@compiled_once
def logistic_proba(logits, proba):
    """Fill both columns, P(y = 0) = σ(−z) and P(y = 1) = σ(z). OUT: proba (B, 2)."""
    # One e^−|z| serves both, and of a constant stride the stores vectorise: 0.2 of the time.
    values, pairs, one = logits.reshape(-1), proba.reshape(-1), logits.dtype.type(1)
    for i in range(values.size):
        e = elementary.exp(-abs(values[i]))
        upper = one / (one + e)
        lower = e - e * (e * upper)
        pairs[2 * i] = lower if values[i] >= 0 else upper
        pairs[2 * i + 1] = upper if values[i] >= 0 else lower


@compiled_once
def softmax_proba(logits, proba):
    """Fill P = softmax(Z). OUT: proba (B, K), logits."""
    rows, classes = logits.shape
    for i in range(rows):
        subtract_row_max(logits, i)
    exp_in_place(logits)
    for i in range(rows):
        total = row_sum(logits, i)
        for k in range(classes):
            proba[i, k] = logits[i, k] / total


@compiled_once
def most_probable(logits, classes) -> float:
    """Fill the class of each row's largest logit; return 0, or NaN if one is not finite.

    It is the first of equal ones; of a single logit it is 1 above 0. OUT: classes (B,) int64.
    """
    values, zero = logits.reshape(-1), logits.dtype.type(0)
    check = zero
    for i in range(values.size):
        check += values[i] * zero
    if logits.shape[1] == 1:
        for i in range(classes.size):
            classes[i] = 1 if values[i] > zero else 0
        return check
    for i in range(classes.size):
        largest, best = logits[i, 0], 0
        for k in range(1, logits.shape[1]):
            is_larger = logits[i, k] > largest
            largest, best = logits[i, k] if is_larger else largest, k if is_larger else best
        classes[i] = best
    return check


@kernel
def subtract_row_max(logits, i):
    """Subtract the largest of row i from it. OUT: logits."""
    largest = logits[i, 0]
    for k in range(1, logits.shape[1]):
        largest = max(largest, logits[i, k])
    for k in range(logits.shape[1]):
        logits[i, k] -= largest


@kernel
def row_sum(logits, i):
    """Return the sum of row i."""
    total = logits.dtype.type(0)
    for k in range(logits.shape[1]):
        total += logits[i, k]
    return total


@kernel
def sum_below_one(logits, i):
    """Return the sum of row i without what is 1."""
    total, one = logits.dtype.type(0), logits.dtype.type(1)
    for k in range(logits.shape[1]):
        total += logits[i, k] if logits[i, k] < one else logits.dtype.type(0)
    return total


@kernel
def exp_in_place(logits):
    """Replace every element by its exp. OUT: logits."""
    values = logits.reshape(-1)
    for i in range(values.size):
        values[i] = elementary.exp(values[i])
