"""Newton's steps for two classes on few rows and features, by ``solvers.newton`` and ``.optimum``.

Shapes: P parameters θ, the weights and then the bias if it is free, step, gradient g (P,), Hessian
H (P, P) and its lower Cholesky factor L.

A step solves H step = −g. In Python a step takes 60 µs beside the arithmetic, which on a hundred
rows of five features takes 4. What is rare is left to Python, from where the kernel came to: a
Hessian that may be singular, and a step that does not go down.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import kernel
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.full_batch.hessian import (
    blocks_for_one_output,
    fill_hessian,
    views_for_one_output,
)
from fastlogit.kernels.full_batch.quasi_newton import dot, largest
from fastlogit.kernels.training.epoch import train_on_batches

# Of scikit-learn's line search: Armijo's constant, and the lengths 1, 1/2, 1/4 ... tried at most.
SUFFICIENT_DECREASE, MOST_LENGTHS = 1 / 2**11, 21

# theta, gradient and step (P,), of the last iterate, H (P, P), and numbers, the three below.
Memory = namedtuple("Memory", "theta gradient step H numbers")
LOSS, ITERATIONS, CHANGE = range(3)
# At convergence: the gradient's largest element, its norm relative to the first, the decrement, the
# largest change of a parameter relative to the largest parameter; the decrement relative to the
# loss, and the penalty from which on that counts. The machine precision of the rows; what share of
# the Hessian's norm the penalty's factor must be to make it regular; the factor of a penalty on the
# bias; whether to test the start.
Limits = namedtuple(
    "Limits", "tol norm decrement change gap rounding eps regular bias_alpha tests_start max_iter"
)
# The Hessian's arguments, see hessian.hessian.
Curvature = namedtuple("Curvature", "weight scale width buffers")


@entry_point
def minimise(start, batch, scale, width, limits, blocks, out):
    """Take steps from start to where the loss is least; return their number, below 0 if too few.

    batch are the arguments of ``epoch.run_batches`` for one batch of all rows. The number is −1 − n
    after n steps that did not converge. OUT: out, where they lead, blocks, and batch as there.
    """
    size, n_features = start.size, batch[6].X.shape[1]
    memory = Memory(
        out, part(blocks[2], 0, (size,)), part(blocks[2], size, (size,)),
        part(blocks[2], 2 * size, (size, size)), part(blocks[2], (2 + size) * size, (3,)),
    )  # fmt: skip
    buffers = views_for_one_output(n_features, blocks[0], blocks[1])
    curvature = Curvature(batch[6].weight, scale, width, buffers)
    for i in range(size):
        out[i] = start[i]
    memory.numbers[ITERATIONS] = 0.0
    done = take_steps(batch, curvature, memory, limits)
    n_steps = int(memory.numbers[ITERATIONS])
    return n_steps if done else -1 - n_steps


def allocate(n_features: int, size: int, dtype: Any) -> tuple[Any, Any, Any]:
    """Allocate the blocks for so many features and parameters."""
    return (*blocks_for_one_output(n_features, dtype), np.empty((2 + size) * size + 3))


@kernel
def take_steps(batch, curvature, memory, limits):
    """Take steps until they converge; return whether they did. OUT: memory, batch."""
    theta, gradient, numbers = memory.theta, memory.gradient, memory.numbers
    alpha = batch[5].alpha
    numbers[LOSS] = evaluate(theta, batch, limits.bias_alpha)
    read_gradient(batch, gradient)
    most = limits.norm * norm_of_weights(gradient, alpha, limits.bias_alpha)
    if limits.tests_start and largest(gradient) <= limits.tol:
        return True
    while numbers[ITERATIONS] < limits.max_iter:
        if not solve(batch, curvature, limits, memory):
            return False
        slope = dot(gradient, memory.step)
        if not (slope <= 0.0 and search(slope, batch, limits, memory)):
            return False
        numbers[ITERATIONS] += 1.0
        decrement, loss = -slope / 2, numbers[LOSS]
        n_weights = batch[2][0].size
        squares = 0.0
        for i in range(n_weights):
            squares += theta[i] * theta[i]
        is_near = alpha / 2 * squares <= limits.rounding or decrement <= limits.gap * loss
        if numbers[CHANGE] > limits.change * largest(theta):
            is_near = False
        if norm_of_weights(gradient, alpha, limits.bias_alpha) > most:
            is_near = False
        if largest(gradient) <= limits.tol and decrement <= limits.decrement and is_near:
            return True
    return False


@kernel
def norm_of_weights(gradient, alpha, bias_alpha):
    """Return ‖g‖ with a penalised bias as a weight that is penalised like the others."""
    squares = dot(gradient, gradient)
    if bias_alpha > 0.0:
        squares += gradient[gradient.size - 1] ** 2 * (alpha / bias_alpha - 1.0)
    return np.sqrt(squares)


@kernel
def evaluate(theta, batch, bias_alpha):
    """Return the loss at theta. OUT: batch, with the parameters and the gradient there."""
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses = batch
    for i in range(theta.size):
        state.theta[i] = theta[i]
    losses[0] = 0.0
    train_on_batches(
        team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
    )
    if bias_alpha > 0.0:  # the last parameter's penalty
        bias = theta[theta.size - 1]
        gradients.values[0, theta.size - 1] += bias_alpha * bias
        losses[0] += bias_alpha / 2 * bias * bias
    return losses[0]


@kernel
def read_gradient(batch, gradient):
    """Copy the gradient that was evaluated. OUT: gradient (P,)."""
    for i in range(gradient.size):
        gradient[i] = batch[4].values[0, i]


@kernel
def solve(batch, curvature, limits, memory):
    """Solve H step = −g by H = L Lᵀ; return whether H is sure to be regular. OUT: memory."""
    (Wt, b), X, alpha, H, step = batch[2], batch[6].X, batch[5].alpha, memory.H, memory.step
    fill_hessian(
        0, X.shape[0], Wt, b, X, curvature.weight, curvature.scale, curvature.width, alpha, 0.0,
        curvature.buffers, H,
    )  # fmt: skip
    size, norm = step.size, 0.0
    H[size - 1, size - 1] += limits.bias_alpha
    for i in range(size):
        total = 0.0
        for j in range(size):
            total += abs(H[i, j])
        norm = max(norm, total)
    if not alpha > limits.regular * norm:
        return False
    for j in range(size):
        for i in range(j, size):
            value = H[i, j]
            for k in range(j):
                value -= H[i, k] * H[j, k]
            if i > j:
                H[i, j] = value / H[j, j]
            elif value > 0.0:
                H[j, j] = np.sqrt(value)
            else:
                return False
    for i in range(size):
        value = -memory.gradient[i]
        for k in range(i):
            value -= H[i, k] * step[k]
        step[i] = value / H[i, i]
    for n in range(size):
        i = size - 1 - n
        value = step[i]
        for k in range(i + 1, size):
            value -= H[k, i] * step[k]
        step[i] = value / H[i, i]
    return True


@kernel
def search(slope, batch, limits, memory):
    """Go along the step as far as the loss goes down enough; return if it does. OUT: memory."""
    theta, gradient, step, H, numbers = memory
    length, before, trial, sum_before = 1.0, numbers[LOSS], H[0], absolute_sum(gradient)
    for _ in range(MOST_LENGTHS):
        for i in range(theta.size):
            trial[i] = theta[i] + length * step[i]
        loss = evaluate(trial, batch, limits.bias_alpha)
        gain = loss - before
        goes_down = gain <= length * SUFFICIENT_DECREASE * slope
        if not goes_down and abs(gain) <= abs(before) * (16 * limits.eps):
            goes_down = absolute_sum(batch[4].values[0, : theta.size]) < sum_before
        if goes_down:
            for i in range(theta.size):
                theta[i] = trial[i]
            read_gradient(batch, gradient)
            numbers[LOSS], numbers[CHANGE] = loss, length * largest(step)
            return True
        length /= 2
    return False


@kernel
def absolute_sum(values):
    """Return the sum of the magnitudes."""
    total = 0.0
    for i in range(values.size):
        total += abs(np.float64(values[i]))
    return total
