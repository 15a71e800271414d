"""One step of an optimizer over the flat parameters, whatever model they belong to.

theta, grad (P,); moments (M, P), the rows that an optimizer carries from step to step; steps (1,)
counts the steps taken; settings are the optimizer's hyper-parameters in the order that its function
names them. A step is told its optimizer by its address.
"""

import math
from collections.abc import Callable

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import inline, kernel
from fastlogit.kernels.codegen.linking import call, compiled_once
from fastlogit.kernels.codegen.quotients import adam_step

NO_STEP = 0


@inline
def update(optimizer, theta, grad, moments, steps, settings):
    """Take one step with the optimizer at that address, if any. OUT: theta, moments, steps."""
    if optimizer != NO_STEP:
        call(optimizer, (theta, grad, moments, steps, settings))
    steps[0] += 1


def optimizer(function: Callable[..., None]) -> Callable[..., None]:
    """Compile an optimizer, as a function that is called by its address."""
    # Optimised by LLVM before it is linked in: in one pass it would fuse other multiply-adds.
    step = kernel(function)

    def take_step(theta, grad, moments, steps, settings):
        step(theta, grad, moments, steps, settings)

    take_step.__name__ = function.__name__
    return compiled_once(take_step)


@optimizer
def sgd(theta, grad, moments, steps, settings):
    """Step with momentum: v ← μ v − η g; θ ← θ + v, or with Nesterov's look-ahead θ + μ v − η g."""
    # settings: learning rate η, momentum μ, Nesterov (0 or 1)
    learning_rate = theta.dtype.type(settings[0])
    momentum = theta.dtype.type(settings[1])
    if momentum == 0:
        for i in range(theta.size):
            theta[i] -= learning_rate * grad[i]
    elif settings[2] == 0:
        velocity = moments[0]
        for i in range(theta.size):
            velocity[i] = momentum * velocity[i] - learning_rate * grad[i]
            theta[i] += velocity[i]
    else:
        velocity = moments[0]
        for i in range(theta.size):
            velocity[i] = momentum * velocity[i] - learning_rate * grad[i]
            theta[i] += momentum * velocity[i] - learning_rate * grad[i]


@optimizer
def adam(theta, grad, moments, steps, settings):
    """Step with Adam: m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; θ ← θ − η_t m / (√v + ε)."""
    # η_t = η √(1 − β₂ᵗ) / (1 − β₁ᵗ) corrects the bias of both moments, with ε outside the
    # correction: Kingma and Ba (2015), the efficient form at the end of section 2.
    # settings: learning rate η, β₁, β₂, ε
    # A float: an integer power is computed by products, whose rounding 1 − β₂ᵗ magnifies.
    t = np.float64(steps[0] + 1)
    corrected = settings[0] * math.sqrt(1 - settings[2] ** t) / (1 - settings[1] ** t)
    size, first = theta.size, part(moments, 0, theta.shape)
    second = part(moments, size, theta.shape)
    adam_step(
        theta, grad, first, second, size, corrected, settings[1], 1 - settings[1], settings[2],
        1 - settings[2], settings[3],
    )  # fmt: skip


@compiled_once
def l2_penalty(weights, alpha, grad) -> float:
    """Return α/2 ‖w‖² and add its gradient α w. OUT: grad."""
    factor = weights.dtype.type(alpha)
    total = 0.0
    for i in range(weights.size):
        grad[i] += factor * weights[i]
        total += np.float64(weights[i]) * np.float64(weights[i])
    return 0.5 * alpha * total
