"""One step of an optimizer over the flat parameters, whatever model they belong to.

theta, grad (P,), used up as workspace; moments (M, P), the rows that an optimizer carries from
step to step; steps (1,) counts the steps taken; settings are the optimizer's hyper-parameters in
the order that its function names them.
"""

import math

import numpy as np


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
