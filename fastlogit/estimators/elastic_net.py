"""LogisticRegression with an L1 penalty, alone or with L2: "saga", and "liblinear" for L1 alone.

Shapes: n rows, D features, K outputs (1 for two classes). Parameters are flat and in float64: the
weights (K, D) class by class, then the biases (K,) if they are free.
"""

from typing import Any

import numpy as np

from fastlogit.estimators import liblinear
from fastlogit.models import Floats, Rows
from fastlogit.solvers import LossAndGradient, columns, lbfgs, working_sets
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.kept_hessian import HessianSteps
from fastlogit.solvers.newton import Point
from fastlogit.training.objective import Objective

# A sparse X with this share of non-zeros, and so few elements, is fitted as a dense one.
DENSE_SHARE, DENSE_SIZE = 0.25, 1 << 22
# Weights of two and of more classes up to which the rows' Hessian solves for the steps. Columns
# take 0.6 to 0.9 of its time at 3,000 x 300 and 500 x 5,000, 2.3 to 3.5 times it at 100,000 x 30;
# of more weights of several classes it would take more than 128 MB.
MOST_BY_HESSIAN = 64, 4096
# What a step by columns leaves of a violation. Of dense X 0.3 takes 1.07 of the time, and 0.1 1.09.
# Of sparse X, 0.01 takes 1.02 and 0.3 1.2 of it.
ROUGH, SPARSE_ROUGH = 0.2, 0.03


def minimise(
    estimator: Any, rows: Rows, params: tuple[Floats, ...]
) -> tuple[tuple[Floats, Floats], int]:
    """Return W (D, K) and b (K,) where the estimator's loss is least, and the iterations."""
    est, (W, b), dtype = estimator, params, rows.X.dtype
    rows = as_dense(rows)
    alpha, n_weights = est._penalty(rows.total_weight)["alpha"], W.size
    start = np.concatenate([W.T.ravel(), b if est.fit_intercept else b[:0]]).astype(np.float64)
    smooth, steps, residual = problem_of(est, rows, b.size, alpha)
    end, n_iter = working_sets.minimise(
        proximal.Penalised(smooth, strengths(est, n_weights, start.size, alpha)), start,
        W.shape[0], b.size, steps, max_iter=est.max_iter, tol=est.tol, unit=alpha,
        eps=float(np.finfo(dtype).eps), verbose=est.verbose,
        # At most as many weights as rows are not 0, and usually a part of them.
        fewest=max(rows.y.size // 2, 64), residual=residual,
    )  # fmt: skip
    weights, bias = end[:n_weights].reshape(b.size, -1), end[n_weights:]
    if b.size > 1 and est.fit_intercept:  # does not change the loss
        bias = bias - bias.mean()
    bias = bias if est.fit_intercept else np.zeros(b.size)
    return (weights.T.astype(dtype), bias.astype(dtype)), n_iter


def as_dense(rows: Rows) -> Rows:
    """Return the rows, as dense ones if they are small and nearly so."""
    if not rows.sparse or rows.density < DENSE_SHARE or np.prod(rows.X.shape) > DENSE_SIZE:
        return rows
    return Rows(rows.X.toarray(), rows.y, rows.weight)


def strengths(est: Any, n_weights: int, size: int, alpha: float) -> Floats:
    """Return the L1 penalty of every parameter."""
    strength = np.zeros(size)
    strength[:n_weights] = est._l1_share * alpha
    if est.solver == "liblinear":
        strength[n_weights:] = liblinear.intercept_strength(est, alpha)
    return strength


def problem_of(
    est: Any, rows: Rows, n_outputs: int, alpha: float
) -> tuple[LossAndGradient, working_sets.Steps, float]:
    """Return the smooth part of the loss, its steps, and what share of a violation they leave."""
    alpha *= 1 - est._l1_share
    if not rows.sparse and n_outputs * rows.X.shape[1] <= MOST_BY_HESSIAN[n_outputs > 1]:
        return (
            rows_loss(est, rows, n_outputs, alpha),
            HessianSteps(rows, n_outputs, est.fit_intercept, alpha),
            0.1,
        )
    loss = columns.ColumnLoss(rows, n_outputs, est.fit_intercept, alpha)
    if rows.sparse:
        return loss, loss, SPARSE_ROUGH
    return loss, MixedSteps(loss, HessianSteps(rows, n_outputs, est.fit_intercept, alpha)), ROUGH


def rows_loss(est: Any, rows: Rows, n_outputs: int, alpha: float) -> LossAndGradient:
    """Return the loss at flat parameters, evaluated by the fit's threads."""
    dtype = rows.X.dtype
    zeros = np.zeros((rows.X.shape[1], n_outputs), dtype), np.zeros(n_outputs, dtype)
    objective = Objective(est._model, zeros, rows, alpha, n_threads=est.n_threads)
    return objective if est.fit_intercept else lbfgs.weights_only(objective)


class MixedSteps:
    """Steps by columns, or by the Hessian where a set has few features."""

    def __init__(self, loss: columns.ColumnLoss, hessian: HessianSteps) -> None:
        self._loss, self._hessian = loss, hessian
        self._last: working_sets.Steps = loss

    def step(self, theta: Floats, part: working_sets.Part, tol: float) -> Floats:
        """Return a part's step at θ, to within tol of a subgradient of 0."""
        most = MOST_BY_HESSIAN[self._loss.n_outputs > 1]
        is_small = part.features.size * self._loss.n_outputs <= most
        self._last = self._hessian if is_small else self._loss
        return self._last.step(theta, part, tol)

    def stretch(self, problem: proximal.Penalised, at: Point, step: Floats) -> float:
        """Return the multiple of the last step, 1 or more, that is tried first."""
        return self._last.stretch(problem, at, step)
