"""Training in NumPy: the batches of an epoch, the optimizers' steps, and predictions.

Arguments and results are those of :mod:`fastlogit.kernels.training`; one thread runs the batches,
each of which is one group. theta, grad (P,), which is used up; moments (M, P), the rows that an
optimizer carries from step to step; steps (1,) counts the steps taken; settings are the optimizer's
hyper-parameters in the order that its function names them.
"""

import math

import numpy as np
from scipy.sparse import issparse


def run_batches(
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
):
    """Train on the batches of the span. OUT: state, losses, params; gradients, the last batch's."""
    X, y, weight = data
    n_rows, n_weights = orders.shape[1] or y.size, rule.n_weights
    batches = (n_rows + batch_size - 1) // batch_size
    gradient = gradients.values[0]
    # Parameters are views of theta: the gradient of each lies where it does.
    starts = [(p.ctypes.data - state.theta.ctypes.data) // p.itemsize for p in params]
    grads = [gradient[i : i + p.size].reshape(p.shape) for i, p in zip(starts, params, strict=True)]
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


def predict_classes(buffers, model, params, X, classes):
    """Fill the most probable classes; return 0, or NaN if a logit is not finite. OUT: classes."""
    return model.predict_classes(params, X, classes, buffers)


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


def sgd(theta, grad, moments, steps, settings):  # noqa: ARG001
    """Step with momentum: v ← μ v − η g; θ ← θ + v, or with Nesterov's look-ahead θ + μ v − η g.

    settings: learning rate η, momentum μ, Nesterov (0 or 1).
    """
    learning_rate, momentum, nesterov = settings.tolist()
    grad *= learning_rate
    if momentum == 0:
        theta -= grad
        return
    velocity = moments[0]
    velocity *= momentum
    velocity -= grad
    if nesterov:
        theta += momentum * velocity
        theta -= grad
    else:
        theta += velocity


def adam(theta, grad, moments, steps, settings):
    """Step with Adam: m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; θ ← θ − η_t m / (√v + ε).

    η_t = η √(1 − β₂ᵗ) / (1 − β₁ᵗ). settings: learning rate η, β₁, β₂, ε.
    """
    learning_rate, beta_1, beta_2, epsilon = settings.tolist()
    t = int(steps[0]) + 1
    first, second = moments
    first *= beta_1
    first += (1 - beta_1) * grad
    second *= beta_2
    np.square(grad, out=grad)
    grad *= 1 - beta_2
    second += grad
    np.sqrt(second, out=grad)
    grad += epsilon
    np.divide(first, grad, out=grad)
    grad *= learning_rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    theta -= grad


def update(optimizer, theta, grad, moments, steps, settings):
    """Take one step with that optimizer, if any. OUT: theta, moments, steps."""
    if optimizer:
        optimizer(theta, grad, moments, steps, settings)
    steps[0] += 1


def l2_penalty(weights, alpha, grad):
    """Return α/2 ‖w‖² and add its gradient α w. OUT: grad."""
    grad += weights.dtype.type(alpha) * weights
    return 0.5 * alpha * float(np.square(weights, dtype=np.float64).sum())
