"""Linear models by the columns of X: logits, gradient, and coordinate descent without a Hessian.

Shapes: n rows, M columns, K outputs (1 for two classes). X is a Csc, or dense (M, n), one column of
the data after the other; see dense_rows.py for the loss of dense rows. Parameters θ are flat, in
float64: the weights (K, M) class by class, then the biases (K,) if they are free. logits and
residual (K, n), class by class, of X's dtype.

With v = w / Σ w and r = v (p − y), the gradient is gₖⱼ = xⱼ · rₖ. A step d of the parameters
changes the logits by u = X d, and the loss by about (see hessian.py)

    g · d + Σ_rows v (Σₖ pₖ uₖ² − (Σₖ pₖ uₖ)²) / 2         K > 1
    g · d + Σ_rows v p (1 − p) u² / 2                      one output

The slope of the first in dₖⱼ is gₖⱼ + Σ_rows xⱼ v pₖ (uₖ − Σₗ pₗ uₗ), and its second derivative
there Σ_rows xⱼ² v pₖ (1 − pₖ). u is kept up to date while one element of d changes after the other
(Yuan, Ho and Lin, An improved GLMNET for L1-regularized logistic regression, 2012): a coordinate
takes two passes over its column, and no memory of M² elements. For one output the columns are
scaled by √(v p (1 − p)) first, which makes the two passes a dot product and a sum.
"""

from collections import namedtuple

import numpy as np

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import chosen_by_type, kernel
from fastlogit.kernels.codegen.linking import entry_point
from fastlogit.kernels.full_batch.coordinate_descent import best_move, moved
from fastlogit.kernels.layers.output_losses import logistic_loss, softmax_loss, softmax_proba
from fastlogit.kernels.training.epoch import BLOCK_ROWS

# Columns by their non-zeros: those of column j are data[starts[j]:ends[j]], a row once.
# data (nnz,), rows (nnz,) uint32, starts and ends (M,) int64. Some of the columns are other starts.
Csc = namedtuple("Csc", "data rows starts ends")


def _is_csc(X):
    return isinstance(X, Csc) or getattr(X, "instance_class", None) is Csc


def _by_columns(dense, sparse):
    return chosen_by_type(lambda _name, X, *_: sparse if _is_csc(X) else dense)(dense)


def _dense_dot(X, j, values):
    n, total = values.size, values.dtype.type(0)
    column = part(X, j * n, (n,))
    for i in range(n):
        total += column[i] * values[i]
    return total


def _sparse_dot(X, j, values):
    total = values.dtype.type(0)
    for p in range(X.starts[j], X.ends[j]):
        total += X.data[p] * values[X.rows[p]]
    return total


def _dense_add(X, j, factor, values):
    n, scale = values.size, values.dtype.type(factor)
    column = part(X, j * n, (n,))
    for i in range(n):
        values[i] += scale * column[i]


def _sparse_add(X, j, factor, values):
    scale = values.dtype.type(factor)
    for p in range(X.starts[j], X.ends[j]):
        values[X.rows[p]] += scale * X.data[p]


def _dense_scale(X, feature, factors, j, out):
    n, total = factors.size, 0.0
    column, target = part(X, feature * n, (n,)), part(out, j * n, (n,))
    for i in range(n):
        target[i] = column[i] * factors[i]
        total += np.float64(target[i]) * np.float64(target[i])
    return total


def _sparse_scale(X, feature, factors, j, out):
    total = 0.0
    for p in range(X.starts[feature], X.ends[feature]):
        out.data[p] = X.data[p] * factors[X.rows[p]]
        total += np.float64(out.data[p]) * np.float64(out.data[p])
    return total


def _dense_slope(X, j, weighted, changes, mean):
    n, total = mean.size, mean.dtype.type(0)
    column = part(X, j * n, (n,))
    for i in range(n):
        total += column[i] * weighted[i] * (changes[i] - mean[i])
    return total


def _sparse_slope(X, j, weighted, changes, mean):
    total = mean.dtype.type(0)
    for p in range(X.starts[j], X.ends[j]):
        i = X.rows[p]
        total += X.data[p] * weighted[i] * (changes[i] - mean[i])
    return total


def _dense_move(X, j, move, proba, changes, mean):
    n, scale = mean.size, mean.dtype.type(move)
    column = part(X, j * n, (n,))
    for i in range(n):
        u = scale * column[i]
        changes[i] += u
        mean[i] += proba[i] * u


def _sparse_move(X, j, move, proba, changes, mean):
    scale = mean.dtype.type(move)
    for p in range(X.starts[j], X.ends[j]):
        i, u = X.rows[p], scale * X.data[p]
        changes[i] += u
        mean[i] += proba[i] * u


def _dense_bend(X, j, proba, weighted):
    n, total, one = proba.size, 0.0, proba.dtype.type(1)
    column = part(X, j * n, (n,))
    for i in range(n):
        total += column[i] * column[i] * weighted[i] * (one - proba[i])
    return total


def _sparse_bend(X, j, proba, weighted):
    total, one = 0.0, proba.dtype.type(1)
    for p in range(X.starts[j], X.ends[j]):
        i = X.rows[p]
        total += X.data[p] * X.data[p] * weighted[i] * (one - proba[i])
    return total


# Of column j: x · values; values += factor x; a feature's x ∘ factors as column j, and its square.
# For several outputs: Σ x v pₖ (uₖ − Σ pₗ uₗ); what a move of dₖⱼ changes in uₖ and in Σ pₗ uₗ;
# Σ x² v pₖ (1 − pₖ).
column_dot = _by_columns(_dense_dot, _sparse_dot)
add_column = _by_columns(_dense_add, _sparse_add)
scale_column = _by_columns(_dense_scale, _sparse_scale)
class_slope = _by_columns(_dense_slope, _sparse_slope)
move_class = _by_columns(_dense_move, _sparse_move)
class_bend = _by_columns(_dense_bend, _sparse_bend)


@entry_point
def loss_and_gradient(X, columns, theta, y, weight, scale, work, logits, residual, gradient):
    """Return Σ w loss · scale at θ of a Csc; its gradient. OUT: work (256 K,), the last three."""
    (outputs, n), biases = logits.shape, free_biases(theta, columns, logits)
    for k in range(outputs):
        z = part(logits, k * n, (n,))
        z[:] = theta[outputs * columns + k] if biases > 0 else 0.0
        for j in range(columns):
            if theta[k * columns + j] != 0.0:
                add_column(X, j, theta[k * columns + j], z)
    loss = 0.0
    for start in range(0, n, BLOCK_ROWS):
        count = min(n - start, BLOCK_ROWS)
        block = part(work, 0, (count, outputs))
        copy_block(logits, start, block)
        loss += block_loss(block, y, weight, start, scale)
        fill_residual(block, start, residual)
    fill_gradient(X, columns, residual, gradient)
    return loss


@kernel
def free_biases(theta, columns, logits):
    """Return how many biases are free: K or none."""
    return theta.size - logits.shape[0] * columns


@kernel
def copy_block(values, start, block):
    """Copy rows from start on of values (K, n). OUT: block (B, K)."""
    for i in range(block.shape[0]):
        for k in range(block.shape[1]):
            block[i, k] = values[k, start + i]


@kernel
def block_loss(block, y, weight, start, scale):
    """Return Σ w loss · scale of the rows from start on. OUT: block (B, K), v (p − y)."""
    count = block.shape[0]
    w = part(weight, start, (count,)) if weight.size > 0 else part(weight, 0, (0,))
    if block.shape[1] == 1:
        return logistic_loss(block, part(y, start, (count,)), w, scale)
    return softmax_loss(block, part(y, start, (count,)), w, scale)


@kernel
def fill_residual(block, start, residual):
    """Copy a block (B, K) to its rows, from start on. OUT: residual (K, n)."""
    for i in range(block.shape[0]):
        for k in range(block.shape[1]):
            residual[k, start + i] = block[i, k]


@kernel
def fill_gradient(X, columns, residual, gradient):
    """Fill the gradient from v (p − y). OUT: gradient, as θ."""
    outputs, n = residual.shape
    for k in range(outputs):
        r = part(residual, k * n, (n,))
        for j in range(columns):
            gradient[k * columns + j] = column_dot(X, j, r)
        if gradient.size > outputs * columns:
            gradient[outputs * columns + k] = total_of(r)


@kernel
def total_of(values):
    """Return the sum in float64."""
    total = 0.0
    for i in range(values.size):
        total += np.float64(values[i])
    return total


@entry_point
def scale_columns(X, features, residual, weight, scale, root, bend, scaled):
    """Fill √(v p (1 − p)), those columns of X times it, and their squares. OUT: the last three.

    root (n,), bend (M,) or with the bias's (M + 1,); scaled: (M, n), or with the places of X's Csc.
    """
    # |r| is v p or v (1 − p).
    one, unit = residual.dtype.type(1), residual.dtype.type(scale)
    for i in range(root.size):
        v = weight[i] * unit if weight.size > 0 else unit
        r = abs(residual[0, i])
        root[i] = np.sqrt(r * max(one - r / v, one - one)) if r > 0 else one - one
    for j in range(features.size):
        bend[j] = scale_column(X, features[j], root, j, scaled)
    if bend.size > features.size:
        total = 0.0
        for i in range(root.size):
            total += np.float64(root[i]) * np.float64(root[i])
        bend[features.size] = total


@entry_point
def descend_columns(
    X, columns, root, bend, gradient, x, penalty, alpha, tol, max_sweeps, step, changes
):
    """Continue from step and changes u √h to a subgradient within tol of 0; return the sweeps.

    X is scaled, α the L2 penalty of weights. OUT: step, changes (n,).
    """
    sweeps, only_nonzero = 0, False
    while sweeps < max_sweeps:
        gain = sweep_columns(
            X, columns, root, bend, gradient, x, penalty, alpha, only_nonzero, step, changes
        )
        sweeps += 1
        if gain <= tol and not only_nonzero:
            break
        only_nonzero = gain > tol
    return sweeps


@kernel
def sweep_columns(X, columns, root, bend, gradient, x, penalty, alpha, only_nonzero, step, changes):
    """Move every coordinate to its minimum; return the largest gain. OUT: step, changes."""
    largest = 0.0
    for j in range(step.size):
        value, ridge = x[j] + step[j], alpha if j < columns else 0.0
        curve = bend[j] + ridge
        if curve <= 0.0 or (only_nonzero and value == 0.0 and penalty[j] > 0.0):
            continue
        slope = gradient[j] + ridge * step[j]
        if j < columns:
            slope += column_dot(X, j, changes)
        else:
            for i in range(root.size):
                slope += root[i] * changes[i]
        move = best_move(value, slope, curve, penalty[j])
        if move != 0.0:
            step[j] = moved(x[j], step[j], move)
            if j < columns:
                add_column(X, j, move, changes)
            else:
                factor = changes.dtype.type(move)
                for i in range(root.size):
                    changes[i] += factor * root[i]
            largest = max(largest, curve * abs(move))
    return largest


@entry_point
def add_columns(X, places, factors, values):
    """Add factors (m,) times those columns. OUT: values (n,)."""
    for i in range(places.size):
        add_column(X, places[i], factors[i], values)


@entry_point
def dot_columns(X, places, values, dots):
    """Multiply those columns by values (n,). OUT: dots (m,)."""
    for i in range(places.size):
        dots[i] = column_dot(X, places[i], values)


@entry_point
def prepare_classes(X, columns, logits, weight, scale, work, proba, weighted, bend):
    """Fill P and v P (K, n), and Σ x² v p (1 − p). OUT: work (256 K,), and the last three."""
    (outputs, n), unit = proba.shape, proba.dtype.type(scale)
    for start in range(0, n, BLOCK_ROWS):
        count = min(n - start, BLOCK_ROWS)
        block = part(work, 0, (count, outputs))
        copy_block(logits, start, block)
        softmax_proba(block, block)
        for k in range(outputs):
            for i in range(count):
                v = weight[start + i] * unit if weight.size > 0 else unit
                proba[k, start + i] = block[i, k]
                weighted[k, start + i] = v * block[i, k]
    one = proba.dtype.type(1)
    for k in range(outputs):
        p, vp = part(proba, k * n, (n,)), part(weighted, k * n, (n,))
        for j in range(columns):
            bend[k * columns + j] = class_bend(X, j, p, vp)
        if bend.size > outputs * columns:
            total = 0.0
            for i in range(n):
                total += np.float64(vp[i]) * np.float64(one - p[i])
            bend[outputs * columns + k] = total


@entry_point
def descend_classes(
    X, columns, proba, weighted, bend, gradient, x, penalty, alpha, tol, max_sweeps, step, changes,
    mean,
):  # fmt: skip
    """Do what descend_columns does for several outputs. OUT: step, changes u (K, n), mean (n,)."""
    sweeps, only_nonzero = 0, False
    while sweeps < max_sweeps:
        gain = sweep_classes(
            X, columns, proba, weighted, bend, gradient, x, penalty, alpha, only_nonzero, step,
            changes, mean,
        )  # fmt: skip
        sweeps += 1
        if gain <= tol and not only_nonzero:
            break
        only_nonzero = gain > tol
    return sweeps


@kernel
def sweep_classes(
    X, columns, proba, weighted, bend, gradient, x, penalty, alpha, only_nonzero, step, changes,
    mean,
):  # fmt: skip
    """Move every coordinate to its minimum; return the largest gain. OUT: step, changes, mean."""
    largest, (outputs, n) = 0.0, proba.shape
    for place in range(step.size):
        is_weight = place < outputs * columns
        # All classes of a column follow each other: it stays in cache.
        j, k = place // outputs, place % outputs
        at = k * columns + j if is_weight else place
        value, ridge = x[at] + step[at], alpha if is_weight else 0.0
        curve = bend[at] + ridge
        if curve <= 0.0 or (only_nonzero and value == 0.0 and penalty[at] > 0.0):
            continue
        p, vp, u = part(proba, k * n, (n,)), part(weighted, k * n, (n,)), part(changes, k * n, (n,))
        slope = gradient[at] + ridge * step[at]
        if is_weight:
            slope += class_slope(X, j, vp, u, mean)
        else:
            for i in range(mean.size):
                slope += vp[i] * (u[i] - mean[i])
        move = best_move(value, slope, curve, penalty[at])
        if move != 0.0:
            step[at] = moved(x[at], step[at], move)
            if is_weight:
                move_class(X, j, move, p, u, mean)
            else:
                factor = mean.dtype.type(move)
                for i in range(mean.size):
                    u[i] += factor
                    mean[i] += factor * p[i]
            largest = max(largest, curve * abs(move))
    return largest
