"""L-BFGS by reverse communication, with the steps of SciPy's L-BFGS-B where no bounds are given.

Shapes: P parameters θ, gradient g (P,), M = 10 pairs of steps s and changes of the gradient y, both
(M, P), in a ring.

A search direction is d = −H g, where H is what the pairs make of (s · y / y · y) I (Nocedal and
Wright, Numerical Optimization, 2006, algorithm 7.4). Along it the line search of Moré and Thuente
(Line search algorithms with guaranteed sufficient decrease, 1994) looks for a length t with

    f(θ + t d) ≤ f(θ) + 1e-3 t g · d        |g(θ + t d) · d| ≤ 0.9 |g · d|

The caller evaluates f and g at each trial point: SciPy's driver in Python takes 20 µs for each,
longer than the loss of a few hundred rows. Of few rows the kernel evaluates them itself: between
two calls from Python lie 15 µs.
"""

from collections import namedtuple

import numpy as np

from fastlogit.kernels.codegen.compile import inline, kernel
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.training.epoch import train_on_batches

MEMORY = 10
SUFFICIENT_DECREASE, CURVATURE, INTERVAL = 1e-3, 0.9, 0.1
LONGEST = 1e10
EPSILON = float(np.finfo(np.float64).eps)

# What a call returns: evaluate at θ, or the end: the gradient is within tol, the loss falls by no
# more than ftol, the iterations are used up, no trial point goes down.
EVALUATE, CONVERGED, FLAT, OUT_OF_ITERATIONS, FAILED = range(5)

# start (P,), where the search along direction (P,) began, and gradient (P,) there; the ring's steps
# and changes (M, P) with their products s · y (M,), and weights (M,) for work; search, the floats
# below; counts, the integers below.
Memory = namedtuple(
    "Memory", "start gradient direction steps changes products weights search counts"
)
# The loss and slope at the start; the length tried; the best end of the interval and the other one,
# with loss and slope; the bounds of the next length; the interval's width, now and before; y · y.
F0, G0, T, TX, FX, GX, TY, FY, GY, T_MIN, T_MAX, WIDTH, WIDTH_BEFORE, CHANGE = range(14)
# 1 after the first call; whether the interval holds a minimum; 1 until the modified function of the
# search has served; trial points of the search; pairs, and the place of the next; iterations.
BEGUN, BRACKETED, FIRST_STAGE, TRIALS, PAIRS, PLACE, ITERATIONS = range(7)
# tol of the gradient, ftol of the loss, iterations and trial points of a search at most.
Limits = namedtuple("Limits", "tol ftol max_iter max_trials")


def allocate(size: int) -> Memory:
    """Allocate what a minimisation over so many parameters carries from call to call."""
    start, gradient, direction = np.empty((3, size))
    steps, changes = np.empty((2, MEMORY, size))
    products, weights = np.empty((2, MEMORY))
    search, counts = np.zeros(14), np.zeros(7, np.int64)
    return Memory(start, gradient, direction, steps, changes, products, weights, search, counts)


@entry_point
def change_penalty(change, n_weights, memory):
    """Make the pairs those of the objective plus change / 2 ‖w‖², for a start there. OUT: memory.

    w are the first n_weights parameters. The gradient's change y over a step s gains change · s.
    """
    counts = memory.counts
    for k in range(counts[PAIRS]):
        step, total = memory.steps[k], 0.0
        for i in range(n_weights):
            memory.changes[k, i] += change * step[i]
            total += step[i] * step[i]
        memory.products[k] += change * total
    if counts[PAIRS] > 0:
        last = memory.changes[(counts[PLACE] + MEMORY - 1) % MEMORY]
        memory.search[CHANGE] = dot(last, last)
    counts[BEGUN], counts[ITERATIONS] = 0, 0


@entry_point
def advance(loss, theta, gradient, memory, limits):
    """Given loss and gradient at theta, move theta to where they are wanted next.

    Returns what is to be done. At the end theta is the last iterate, and after FAILED the gradient
    is that there; the loss there is ``search[F0]``. OUT: theta, gradient, memory.
    """
    return move(loss, theta, gradient, memory, limits)


@entry_point
def evaluate_and_advance(evaluations, batch, theta, gradient, memory, limits):
    """Evaluate one batch of all rows and advance, again and again, at most so many times.

    batch are the arguments of ``epoch.run_batches`` for it, of which theta and gradient are a part.
    Returns what advance does. OUT: theta, gradient, memory, and batch as there.
    """
    team, model, params, state, gradients, rule, data, orders, batch_size, span, losses = batch
    status = EVALUATE
    while status == EVALUATE and evaluations > 0:
        evaluations -= 1
        losses[0] = 0.0
        train_on_batches(
            team, model, params, state, gradients, rule, data, orders, batch_size, span, losses
        )
        status = move(losses[0], theta, gradient, memory, limits)
    return status


@inline
def move(loss, theta, gradient, memory, limits):
    """Do what advance does."""
    search, counts = memory.search, memory.counts
    if counts[BEGUN] == 0:
        counts[BEGUN] = 1
        search[F0] = loss
        if largest(gradient) <= limits.tol:
            return CONVERGED
        return begin_search(loss, theta, gradient, memory)
    slope = dot(gradient, memory.direction)
    if not ends_search(loss, slope, search, counts):
        counts[TRIALS] += 1
        if counts[TRIALS] <= limits.max_trials:
            follow(memory, theta)
            return EVALUATE
        for i in range(theta.size):
            theta[i], gradient[i] = memory.start[i], memory.gradient[i]
        if counts[PAIRS] == 0:
            return FAILED
        counts[PAIRS] = 0
        return begin_search(search[F0], theta, gradient, memory)
    counts[ITERATIONS] += 1
    before = search[F0]
    search[F0] = loss
    if counts[ITERATIONS] >= limits.max_iter:
        return OUT_OF_ITERATIONS
    if largest(gradient) <= limits.tol:
        return CONVERGED
    if before - loss <= limits.ftol * max(abs(before), abs(loss), 1.0):
        return FLAT
    keep_pair(slope, gradient, memory)
    return begin_search(loss, theta, gradient, memory)


@kernel
def begin_search(loss, theta, gradient, memory):
    """Begin a line search at theta, and move it to the first trial point. OUT: theta, memory."""
    search, counts, direction = memory.search, memory.counts, memory.direction
    for i in range(theta.size):
        memory.start[i], memory.gradient[i] = theta[i], gradient[i]
    fill_direction(gradient, memory)
    slope = dot(gradient, direction)
    if slope >= 0.0 and counts[PAIRS] > 0:
        counts[PAIRS] = 0
        fill_direction(gradient, memory)
        slope = dot(gradient, direction)
    search[F0] = loss
    if not slope < 0.0:
        return FAILED
    length = 1.0
    if counts[ITERATIONS] == 0 and counts[PAIRS] == 0:
        length = min(1.0 / np.sqrt(dot(direction, direction)), LONGEST)
    search[G0], search[T] = slope, length
    search[TX], search[FX], search[GX] = 0.0, loss, slope
    search[TY], search[FY], search[GY] = 0.0, loss, slope
    search[T_MIN], search[T_MAX] = 0.0, 5.0 * length
    search[WIDTH], search[WIDTH_BEFORE] = LONGEST, 2.0 * LONGEST
    counts[BRACKETED], counts[FIRST_STAGE], counts[TRIALS] = 0, 1, 1
    follow(memory, theta)
    return EVALUATE


@kernel
def follow(memory, theta):
    """Move to the start plus the length tried times the direction. OUT: theta."""
    length = memory.search[T]
    for i in range(theta.size):
        theta[i] = memory.start[i] + length * memory.direction[i]


@kernel
def keep_pair(slope, gradient, memory):
    """Keep the step taken and the gradient's change, if the loss curves up there. OUT: memory."""
    search, counts, length = memory.search, memory.counts, memory.search[T]
    product = (slope - search[G0]) * length
    if product <= EPSILON * -search[G0] * length:
        return
    place = counts[PLACE]
    change = 0.0
    for i in range(gradient.size):
        y = gradient[i] - memory.gradient[i]
        memory.changes[place, i] = y
        memory.steps[place, i] = length * memory.direction[i]
        change += y * y
    memory.products[place] = product
    search[CHANGE] = change
    counts[PLACE] = (place + 1) % MEMORY
    counts[PAIRS] = min(counts[PAIRS] + 1, MEMORY)


@kernel
def fill_direction(gradient, memory):
    """Fill direction with −H g, by the two loops over the pairs. OUT: memory."""
    counts, d, weights = memory.counts, memory.direction, memory.weights
    for i in range(d.size):
        d[i] = -gradient[i]
    n_pairs, place = counts[PAIRS], counts[PLACE] + MEMORY
    if n_pairs == 0:
        return
    for n in range(1, n_pairs + 1):
        k = (place - n) % MEMORY
        s, y = memory.steps[k], memory.changes[k]
        weights[k] = dot(s, d) / memory.products[k]
        for i in range(d.size):
            d[i] -= weights[k] * y[i]
    scale = memory.products[(place - 1) % MEMORY] / memory.search[CHANGE]
    for i in range(d.size):
        d[i] *= scale
    for n in range(n_pairs, 0, -1):
        k = (place - n) % MEMORY
        s, y = memory.steps[k], memory.changes[k]
        weight = weights[k] - dot(y, d) / memory.products[k]
        for i in range(d.size):
            d[i] += weight * s[i]


@kernel
def ends_search(f, g, search, counts):
    """Return whether the length tried will do; if not, set the next. OUT: search, counts."""
    t, slope = search[T], SUFFICIENT_DECREASE * search[G0]
    most = search[F0] + t * slope
    if counts[FIRST_STAGE] == 1 and f <= most and g >= 0.0:
        counts[FIRST_STAGE] = 0
    low, high, bracketed = search[T_MIN], search[T_MAX], counts[BRACKETED] == 1
    if bracketed and (t <= low or t >= high or high - low <= INTERVAL * high):
        return True  # rounding leaves nothing to gain
    if t == LONGEST and f <= most and g <= slope:
        return True
    if t == 0.0 and (f > most or g >= slope):
        return True
    if f <= most and abs(g) <= CURVATURE * -search[G0]:
        return True
    if counts[FIRST_STAGE] == 1 and f <= search[FX] and f > most:
        # The modified function is f less the line of sufficient decrease.
        for end in (TX, TY):
            search[end + 1] -= search[end] * slope
            search[end + 2] -= slope
        narrow(f - t * slope, g - slope, search, counts)
        for end in (TX, TY):
            search[end + 1] += search[end] * slope
            search[end + 2] += slope
    else:
        narrow(f, g, search, counts)
    if counts[BRACKETED] == 1:
        width = abs(search[TY] - search[TX])
        if width >= 0.66 * search[WIDTH_BEFORE]:
            search[T] = search[TX] + 0.5 * (search[TY] - search[TX])
        search[WIDTH_BEFORE], search[WIDTH] = search[WIDTH], width
        search[T_MIN] = min(search[TX], search[TY])
        search[T_MAX] = max(search[TX], search[TY])
    else:
        search[T_MIN] = search[T] + 1.1 * (search[T] - search[TX])
        search[T_MAX] = search[T] + 4.0 * (search[T] - search[TX])
    t = min(max(search[T], 0.0), LONGEST)
    low, high = search[T_MIN], search[T_MAX]
    if counts[BRACKETED] == 1 and (t <= low or t >= high or high - low <= INTERVAL * high):
        t = search[TX]
    search[T] = t
    return False


@kernel
def narrow(f, g, search, counts):
    """Choose the next length by interpolation, and the interval's ends. OUT: search, counts.

    The cases are those of MINPACK-2's ``dcstep``.
    """
    t, tx, fx, gx = search[T], search[TX], search[FX], search[GX]
    ty, fy, gy, bracketed = search[TY], search[FY], search[GY], counts[BRACKETED] == 1
    same_sign = g * (gx / abs(gx)) >= 0.0
    if f > fx:  # the minimum is between
        theta = 3.0 * (fx - f) / (t - tx) + gx + g
        s = max(abs(theta), abs(gx), abs(g))
        gamma = s * np.sqrt((theta / s) ** 2 - (gx / s) * (g / s))
        gamma = -gamma if t < tx else gamma
        cubic = tx + (gamma - gx + theta) / (gamma - gx + gamma + g) * (t - tx)
        quadratic = tx + gx / ((fx - f) / (t - tx) + gx) / 2.0 * (t - tx)
        is_near = abs(cubic - tx) < abs(quadratic - tx)
        ahead = cubic if is_near else cubic + (quadratic - cubic) / 2.0
        bracketed = True
    elif not same_sign:  # so it is here
        theta = 3.0 * (fx - f) / (t - tx) + gx + g
        s = max(abs(theta), abs(gx), abs(g))
        gamma = s * np.sqrt((theta / s) ** 2 - (gx / s) * (g / s))
        gamma = -gamma if t > tx else gamma
        cubic = t + (gamma - g + theta) / (gamma - g + gamma + gx) * (tx - t)
        secant = t + g / (g - gx) * (tx - t)
        ahead = cubic if abs(cubic - t) > abs(secant - t) else secant
        bracketed = True
    elif abs(g) < abs(gx):  # the slope becomes less
        theta = 3.0 * (fx - f) / (t - tx) + gx + g
        s = max(abs(theta), abs(gx), abs(g))
        gamma = s * np.sqrt(max(0.0, (theta / s) ** 2 - (gx / s) * (g / s)))
        gamma = -gamma if t > tx else gamma
        r = (gamma - g + theta) / (gamma + (gx - g) + gamma)
        if r < 0.0 and gamma != 0.0:
            cubic = t + r * (tx - t)
        else:
            cubic = search[T_MAX] if t > tx else search[T_MIN]
        secant = t + g / (g - gx) * (tx - t)
        is_near = abs(cubic - t) < abs(secant - t)
        if bracketed:
            ahead = cubic if is_near else secant
            limit = t + 0.66 * (ty - t)
            ahead = min(limit, ahead) if t > tx else max(limit, ahead)
        else:
            ahead = secant if is_near else cubic
            ahead = min(max(ahead, search[T_MIN]), search[T_MAX])
    elif bracketed:
        theta = 3.0 * (f - fy) / (ty - t) + gy + g
        s = max(abs(theta), abs(gy), abs(g))
        gamma = s * np.sqrt((theta / s) ** 2 - (gy / s) * (g / s))
        gamma = -gamma if t > ty else gamma
        ahead = t + (gamma - g + theta) / (gamma - g + gamma + gy) * (ty - t)
    else:
        ahead = search[T_MAX] if t > tx else search[T_MIN]
    if f > fx:
        search[TY], search[FY], search[GY] = t, f, g
    else:
        if not same_sign:
            search[TY], search[FY], search[GY] = tx, fx, gx
        search[TX], search[FX], search[GX] = t, f, g
    counts[BRACKETED] = 1 if bracketed else 0
    search[T] = ahead


@kernel
def dot(a, b):
    """Return a · b."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@kernel
def largest(values):
    """Return the largest magnitude, NaN if there is one."""
    most = 0.0
    for i in range(values.size):
        size = abs(values[i])
        if size > most or size != size:
            most = size
    return most
