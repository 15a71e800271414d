"""The loss of a linear model, and its proximal Newton steps by the columns of some features.

Shapes: n rows, D features, M of them in a step, K outputs; parameters and what is like them flat,
as in :mod:`fastlogit.kernels.full_batch.columns`.

A step need not be exact, since the gradient that follows it is. So for one output the columns are
of single precision, which halves the memory that coordinate descent passes over.
"""

from typing import Any

import numpy as np

from fastlogit.kernels.full_batch import columns as kernels
from fastlogit.kernels.full_batch import dense_rows
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.models import Floats, Indices, Rows
from fastlogit.models.arrays import matrix_for_kernels
from fastlogit.solvers import faces
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton import Point
from fastlogit.solvers.working_sets import Part

# Sweeps of coordinate descent, and then products of conjugate gradients, in a round at most, and
# rounds of a step. 30 sweeps alone take 2 times as long for 20,000 x 50,000 sparse with C = 10; 6
# sweeps take up to 1.4 of the time; 15 sweeps, and 6 or 20 products, 0.9 to 1.1.
SWEEPS, PRODUCTS, MOST_ROUNDS = 10, 10, 4
# Where so many do not suffice, the Hessian solves for the next steps, if for M columns it costs
# less than so many sweeps: that of one is n M multiply-adds, n M² it, and 5 M³ its factors. With
# correlated features, 2,000 x 500, and squares of pixels, 1,797 x 860, rounds alone take 2 to 7
# times as long; at 3,000 x 1,025 and C = 10 0.6 of the time.
HESSIAN_ROUNDS, MOST_SWEEPS_FOR_HESSIAN = 2, 2000
# Added to its diagonal, relative to the trace: its own rounding, in single precision.
RIDGE = 1e-9
CLASS_SWEEPS = 30
# Squares of columns that single precision holds, and products of which it does.
LEAST_SQUARE, MOST_SQUARE = 1e-24, 1e24
# A step is stretched by this factor as often as F falls by that share of what it has fallen.
STRETCH, MOST_STRETCHES, LEAST_GAIN = 1.25, 6, 0.01
SINGLE_EPS = float(np.finfo(np.float32).eps)


class ColumnLoss:
    """f at flat parameters, the mean loss plus α/2 ‖w‖², and Newton steps by columns."""

    def __init__(self, rows: Rows, n_outputs: int, fit_bias: bool, alpha: float) -> None:
        self.alpha, self.y, self.weight = alpha, rows.y, rows.weight
        total = rows.weight.sum(dtype=np.float64) if rows.weight.size else rows.y.size
        self.scale, dtype, n = float(1 / total), rows.X.dtype, rows.y.size
        self.n_outputs, self.n_features, self.fit_bias = n_outputs, rows.X.shape[1], fit_bias
        self.n_weights = n_outputs * self.n_features
        self.size = self.n_weights + fit_bias * n_outputs
        self._work = np.empty(BLOCK_ROWS * n_outputs, dtype)
        self.logits, self.residual = (np.empty((n_outputs, n), dtype) for _ in range(2))
        self._last: Floats | None = None  # the parameters that these are of
        self._changes = np.zeros_like(self.logits)  # of these by the last step
        self._scaled_dtype, self._takes_hessian = np.dtype(np.float32), False
        columns = SparseColumns if rows.sparse else DenseColumns
        self.columns: DenseColumns | SparseColumns = columns(rows.X, n_outputs > 1)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at θ and its gradient."""
        gradient = np.empty(self.size)
        loss = self.columns.loss_and_gradient(
            theta, self.fit_bias, self.y, self.weight, self.scale, self._work, self.logits,
            self.residual, gradient,
        )  # fmt: skip
        weights, self._last = theta[: self.n_weights], theta
        gradient[: self.n_weights] += self.alpha * weights
        return loss + self.alpha / 2 * float(weights @ weights), gradient

    def step(self, theta: Floats, part: Part, tol: float) -> Floats:
        """Return a part's step at θ, to within tol of a subgradient of 0 or by so many sweeps."""
        if self._last is not theta:
            self(theta)
        return (self._binary_step if self.n_outputs == 1 else self._class_step)(part, tol)

    def stretch(self, problem: proximal.Penalised, at: Point, step: Floats) -> float:
        """Return the multiple of the last step, 1 or more, where F is roughly least.

        Far from the optimum Newton's steps are short, since the loss's curvature falls along them.
        A length costs the rows' losses only, and a fit takes 4 steps for 6 at 3,000 x 300.
        """

        def value(length: float) -> float:
            theta = at.theta + length * step
            weights = theta[: self.n_weights]
            loss = dense_rows.loss_along(
                self.logits, self._changes, length, self.y, self.weight, self.scale, self._work
            )
            return float(loss + self.alpha / 2 * (weights @ weights) + problem.penalty(theta))

        length, now = 1.0, value(1.0)
        fall = at.loss + problem.penalty(at.theta) - now
        enough = LEAST_GAIN * max(fall, SINGLE_EPS * now)
        for _ in range(MOST_STRETCHES):
            ahead = value(STRETCH * length)
            if not ahead < now - enough:
                break
            length, now = STRETCH * length, ahead
        return length

    def _binary_step(self, part: Part, tol: float) -> Floats:
        A, root, bend = self._scaled(part.features)
        if self._scaled_dtype != self.logits.dtype and not fit_single_precision(bend):
            self._scaled_dtype = self.logits.dtype
            A, root, bend = self._scaled(part.features)
        cheap = self._has_cheap_hessian(part.features.size)
        if self._takes_hessian and cheap:
            H = hessian_of(A, root, bend, self.alpha, self.fit_bias)
            step = proximal.model_step(H, part.gradient, part.theta, part.strength, tol, RIDGE)
            self._changes = self._in_logits(step[: len(A)].astype(root.dtype) @ A, root)
            if self.fit_bias:
                self._changes += self._changes.dtype.type(step[-1])
            return step
        step, changes = np.zeros(bend.size), np.zeros(root.size, root.dtype)
        model = model_of(A, root, bend, self.alpha, part)
        for _ in range(HESSIAN_ROUNDS if cheap else MOST_ROUNDS):
            sweeps = kernels.descend_columns(
                A, part.features.size, root, bend, part.gradient, part.theta, part.strength,
                self.alpha, tol, SWEEPS, step, changes,
            )  # fmt: skip
            if faces.minimise(model, tol, PRODUCTS, step, changes) and sweeps < SWEEPS:
                break
        else:
            self._takes_hessian = cheap
        self._changes = self._in_logits(changes, root)
        return step

    def _has_cheap_hessian(self, M: int) -> bool:
        sweeps = M + 5 * M * M / self.y.size
        return isinstance(self.columns, DenseColumns) and sweeps <= MOST_SWEEPS_FOR_HESSIAN

    def _in_logits(self, changes: Floats, root: Floats) -> Floats:
        """Return changes u √h as u."""
        return np.divide(changes, root, out=np.zeros_like(self.logits), where=root > 0)

    def _scaled(self, features: Indices) -> tuple[Any, Floats, Floats]:
        """Return the columns times √(v p (1 − p)), this root, and their squares."""
        dtype = self._scaled_dtype
        root, bend = np.empty(self.y.size, dtype), np.empty(features.size + self.fit_bias)
        X, scaled = self.columns.scalable(features, dtype)
        kernels.scale_columns(
            X, features, self.residual, self.weight, self.scale, root, bend, scaled
        )
        return scaled, root, bend

    def _class_step(self, part: Part, tol: float) -> Floats:
        proba, weighted, changes = (np.zeros_like(self.logits) for _ in range(3))
        bend, mean = np.empty(part.theta.size), np.zeros(self.y.size, proba.dtype)
        step, X = np.zeros(bend.size), self.columns.take(part.features)
        kernels.prepare_classes(
            X, part.features.size, self.logits, self.weight, self.scale, self._work, proba,
            weighted, bend,
        )  # fmt: skip
        kernels.descend_classes(
            X, part.features.size, proba, weighted, bend, part.gradient, part.theta, part.strength,
            self.alpha, tol, CLASS_SWEEPS, step, changes, mean,
        )  # fmt: skip
        self._changes = changes
        return step


class SparseColumns:
    """The columns of a sparse X."""

    def __init__(self, X: Any, _keeps_dtype: bool) -> None:
        columns = X.tocsc()
        columns.sum_duplicates()  # the curvature of a column is that of their sums
        data, rows, starts = matrix_for_kernels(columns)
        self._X = kernels.Csc(data, rows, starts[:-1].copy(), starts[1:].copy())
        self._scaled = np.empty(0)

    def loss_and_gradient(self, theta: Floats, _fit_bias: bool, *arguments: Any) -> float:
        """Return the loss at θ, by the arguments of the kernel. OUT: the last three."""
        return float(kernels.loss_and_gradient(self._X, self._X.starts.size, theta, *arguments))

    def take(self, features: Indices) -> Any:
        """Return some of the columns."""
        return self._X._replace(starts=self._X.starts[features], ends=self._X.ends[features])

    def scalable(self, features: Indices, dtype: Any) -> tuple[Any, Any]:
        """Return all columns, and room for some of them, scaled and of the dtype."""
        if self._scaled.dtype != dtype or self._scaled.size == 0:
            self._scaled = np.empty(self._X.data.size, dtype)
        return self._X, self.take(features)._replace(data=self._scaled)


class DenseColumns:
    """The columns of an array, copied one after the other where a step first takes them."""

    def __init__(self, X: Floats, keeps_dtype: bool) -> None:
        self._X, self._scaled = X, np.empty((0, len(X)), np.float32)
        self._use(X.dtype if keeps_dtype else np.float32)

    def _use(self, dtype: Any) -> None:
        self._columns = np.empty(self._X.shape[::-1], dtype)  # pages not written cost nothing
        self._is_taken = np.zeros(self._X.shape[1], bool)

    def loss_and_gradient(
        self, theta: Floats, fit_bias: bool, y: Indices, weight: Floats, scale: float, work: Floats,
        logits: Floats, residual: Floats, gradient: Floats,
    ) -> float:  # fmt: skip
        """Return the loss at θ, by the arguments of the kernel. OUT: the last three."""
        (K, _), D, dtype = logits.shape, self._X.shape[1], self._X.dtype
        Wt = theta[: K * D].reshape(K, D).astype(dtype)
        b = theta[K * D :].astype(dtype) if fit_bias else np.zeros(K, dtype)
        return float(
            dense_rows.loss_and_gradient(
                self._X, Wt, b, y, weight, scale, work, np.empty(K * D, dtype), logits, residual,
                gradient,
            )
        )  # fmt: skip

    def take(self, features: Indices) -> Floats:
        """Return some of the columns."""
        return self._with(features)[features]

    def _with(self, features: Indices) -> Floats:
        """Return all columns, of which those are taken."""
        missing = features[~self._is_taken[features]]
        if missing.size:
            dense_rows.take_columns(self._X, missing, self._columns)
            self._is_taken[missing] = True
        return self._columns

    def scalable(self, features: Indices, dtype: Any) -> tuple[Any, Any]:
        """Return all columns, and room for some of them, scaled and of the dtype."""
        if self._columns.dtype != dtype:
            self._use(dtype)
        if len(self._scaled) < features.size or self._scaled.dtype != dtype:
            self._scaled = np.empty((features.size, len(self._X)), dtype)
        return self._with(features), self._scaled[: features.size]


def model_of(A: Any, root: Floats, bend: Floats, alpha: float, part: Part) -> faces.Model:
    """Return the model of F at the part's parameters, of scaled columns."""
    M, ridge = part.features.size, np.full(bend.size, alpha)
    ridge[M:] = 0

    def times(places: Indices, factors: Floats) -> Floats:
        out = np.zeros_like(root)
        n_weights = int(np.searchsorted(places, M))
        kernels.add_columns(A, places[:n_weights], factors, out)
        for factor in factors[n_weights:]:
            out += root.dtype.type(factor) * root
        return out

    def dots(places: Indices, values: Floats) -> Floats:
        out = np.empty(places.size)
        n_weights = int(np.searchsorted(places, M))
        kernels.dot_columns(A, places[:n_weights], values, out)
        out[n_weights:] = root @ values
        return out

    return faces.Model(times, dots, bend + ridge, ridge, part.gradient, part.theta, part.strength)


def fit_single_precision(squares: Floats) -> bool:
    """Return whether single precision holds columns of these squares, and products of them."""
    positive = squares[squares > 0]
    fits = positive.size == 0 or LEAST_SQUARE < positive.min() <= positive.max() < MOST_SQUARE
    return bool(fits and np.isfinite(squares).all())


def hessian_of(A: Floats, root: Floats, bend: Floats, alpha: float, fit_bias: bool) -> Floats:
    """Return the Hessian in float64: A Aᵀ of the scaled columns and of the bias's."""
    M = len(A)
    H = np.empty((M + fit_bias, M + fit_bias))
    H[:M, :M] = A @ A.T
    if fit_bias:
        H[M, :M] = H[:M, M] = A @ root
    H[np.diag_indices(len(H))] = bend
    H[np.diag_indices(M)] += alpha
    return H
