"""LogisticRegression with an L1 penalty, alone or with L2: "saga", and "liblinear" for L1 alone.

Shapes: n rows, D features, K outputs (1 for two classes). Parameters are flat and in float64: the
weights (K, D) class by class, then the biases (K,) if they are free.
"""

from typing import Any

import numpy as np

from fastlogit.estimators import liblinear
from fastlogit.kernels.full_batch.columns import take_columns
from fastlogit.models import Floats, Indices, Rows
from fastlogit.solvers import StepAt, columns, lbfgs, working_sets
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton_steps import LinearParams
from fastlogit.training.objective import Objective

# A sparse X with this share of non-zeros, and so few elements, is fitted as a dense one.
DENSE_SHARE, DENSE_SIZE = 0.25, 1 << 22
# Weights of two and of more classes up to which the rows' Hessian solves for the steps. Columns
# take 0.6 to 0.9 of its time at 3,000 x 300 and 500 x 5,000, 2.3 to 3.5 times it at 100,000 x 30;
# of more weights of several classes it would take more than 128 MB.
MOST_BY_HESSIAN = 64, 4096
# What a step by columns leaves of a violation. Of dense X 0.1 takes up to 1.2 of the time. Of
# sparse X, 20,000 x 50,000 with C=10, 0.03 takes 1.08 and 0.1 takes 1.45 of it, 32 steps for 13.
ROUGH, SPARSE_ROUGH = 0.3, 0.01


def minimise(
    estimator: Any, rows: Rows, params: tuple[Floats, ...]
) -> tuple[tuple[Floats, Floats], int]:
    """Return W (D, K) and b (K,) where the estimator's loss is least, and the iterations."""
    est, (W, b), dtype = estimator, params, rows.X.dtype
    rows = as_dense(rows)
    alpha, n_weights = est._penalty(rows.total_weight)["alpha"], W.size
    start = np.concatenate([W.T.ravel(), b if est.fit_intercept else b[:0]]).astype(np.float64)
    problem = (SparseProblem if rows.sparse else DenseProblem)(est, rows, b.size, alpha)
    end, n_iter = working_sets.minimise(
        proximal.Penalised(problem.whole, strengths(est, n_weights, start.size, alpha)), start,
        W.shape[0], b.size, problem.restrict, max_iter=est.max_iter, tol=est.tol, unit=alpha,
        eps=float(np.finfo(dtype).eps), verbose=est.verbose, fewest=problem.fewest,
        residual=problem.residual,
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


class DenseProblem:
    """The smooth part of the loss on all features and on some of them, X being an array."""

    def __init__(self, est: Any, rows: Rows, n_outputs: int, alpha: float) -> None:
        self._est, self._rows, self._n_outputs = est, rows, n_outputs
        self._l2_alpha = alpha * (1 - est._l1_share)
        self._last: columns.ColumnLoss | None = None
        n, D = rows.X.shape
        # At most n weights are not 0, and usually a part of them.
        self.fewest = max(n // 2, 64)
        self.residual = 0.1 if n_outputs > 1 or MOST_BY_HESSIAN[0] >= D else ROUGH
        self.whole = self._objective(rows)

    def _objective(self, rows: Rows) -> Any:
        est, dtype = self._est, rows.X.dtype
        zeros = (
            np.zeros((rows.X.shape[1], self._n_outputs), dtype),
            np.zeros(self._n_outputs, dtype),
        )
        objective = Objective(est._model, zeros, rows, self._l2_alpha, n_threads=est.n_threads)
        return objective if est.fit_intercept else lbfgs.weights_only(objective)

    def restrict(self, features: Indices) -> tuple[Any, StepAt]:
        """Return the loss on some features, the others being 0, and steps towards its minimum."""
        rows, (n, D), fit_bias = self._rows, self._rows.X.shape, self._est.fit_intercept
        n_weights = self._n_outputs * features.size
        if n_weights <= MOST_BY_HESSIAN[self._n_outputs > 1]:
            loss = self.whole
            if features.size < D:
                rows = Rows(np.ascontiguousarray(rows.X[:, features]), rows.y, rows.weight)
                loss = self._objective(rows)
            linear = LinearParams(rows, self._n_outputs, fit_bias)
            return loss, proximal.quadratic_steps(linear, self._l2_alpha)
        X = np.empty((features.size, n), rows.X.dtype)
        take_columns(rows.X, features, X)
        loss = columns.ColumnLoss(X, rows, self._n_outputs, fit_bias, self._l2_alpha)
        if self._last is not None:
            loss.takes_hessian = self._last.takes_hessian  # once it was needed, it will be again
        self._last = loss
        return loss, loss.step


class SparseProblem:
    """The smooth part of the loss on all features and on some of them, X being sparse."""

    def __init__(self, est: Any, rows: Rows, n_outputs: int, alpha: float) -> None:
        self._columns = rows.X.tocsc()
        self._columns.sum_duplicates()  # the curvature of a column is that of their sums
        l2_alpha = alpha * (1 - est._l1_share)
        self._arguments = rows, n_outputs, est.fit_intercept, l2_alpha
        self.fewest, self.residual = max(rows.X.shape[0] // 2, 64), SPARSE_ROUGH
        self.whole = columns.ColumnLoss(self._columns, *self._arguments)

    def restrict(self, features: Indices) -> tuple[Any, StepAt]:
        """Return the loss on some features, the others being 0, and steps towards its minimum."""
        loss = columns.ColumnLoss(self._columns[:, features], *self._arguments)
        return loss, loss.step
