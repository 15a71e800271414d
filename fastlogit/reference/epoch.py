"""The entry points: the batches of an epoch, and probabilities.

Arguments and results are those of :mod:`fastlogit.kernels.training.epoch`; one thread runs them,
and a batch is one group.
"""

import numpy as np
from scipy.sparse import issparse

from fastlogit.reference.optimizers import l2_penalty, update


def run_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Train on the batches of the span, none of which is cut.

    OUT: state, losses (and params, which are state's theta); gradients, the last batch's.
    """
    X, y, weight = data
    n_rows, n_weights = y.size, rule.n_weights
    batches = (n_rows + batch_size - 1) // batch_size
    gradient = gradients.values[0]
    grads = flat_views(params, gradient)
    if params[-1].size == 1:
        y = y.astype(X.dtype)  # once, not in the arithmetic of every batch
    labels, gathered, begin = y, -1, 0
    for batch in range(span.first_batch, span.last_batch):
        epoch = batch // batches
        first = (batch - epoch * batches) * batch_size
        last = min(first + batch_size, n_rows)
        if epoch != gathered and orders.shape[1]:  # once an epoch costs less than once a batch
            gathered, begin = epoch, first
            order = orders[epoch, first : (span.last_batch - epoch * batches) * batch_size]
            X = data.X[order] if issparse(data.X) else data.X.take(order, axis=0)
            y = labels.take(order)
            weight = data.weight.take(order) if data.weight.size else data.weight
        rows = slice(first - begin, last - begin)
        w = weight[rows] if weight.size else weight
        scale = mean_scale(w, last - first)
        if scale == 0:
            continue
        loss = model.loss_and_gradient(params, X[rows], y[rows], w, scale, grads, team.buffers)
        if rule.alpha > 0:
            alpha = rule.alpha * scale if rule.alpha_by_row else rule.alpha
            loss += l2_penalty(state.theta[:n_weights], alpha, gradient[:n_weights])
        update(rule.optimizer, state.theta, gradient, state.moments, state.steps, rule.settings)
        losses[epoch] += loss * ((last - first) / n_rows)


def predict_proba(buffers, model, params, X, proba):
    """Fill the rows' class probabilities. OUT: proba (n, max(K, 2))."""
    model.predict_proba(params, X, proba, buffers)


def mean_scale(weight, rows):
    """Return one over the sum of the rows' weights, or 0 where that would overflow their dtype."""
    if weight.size == 0:
        return 1.0 / rows
    total = float(np.add.reduce(weight, dtype=np.float64))
    return 1.0 / total if total >= np.finfo(weight.dtype).tiny else 0.0


def allocate(params, n_rows, sparse=False):  # noqa: ARG001
    """Allocate the workspace for n_rows rows: A and dA of a hidden layer, then the logits."""
    *hidden, outputs = (b.size for b in params[1::2])
    widths = [*hidden, *hidden, outputs]
    return tuple(np.empty((n_rows, width), params[0].dtype) for width in widths)


def flat_views(params, flat):
    """Return flat, all weights and then all biases, as arrays of params' shapes and order."""
    views, weights_end, biases_end = [], 0, sum(W.size for W in params[::2])
    for W, b in zip(params[::2], params[1::2], strict=True):
        views += [flat[weights_end:][: W.size].reshape(W.shape), flat[biases_end:][: b.size]]
        weights_end, biases_end = weights_end + W.size, biases_end + b.size
    return views
