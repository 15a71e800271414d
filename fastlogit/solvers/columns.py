"""The loss of a linear model by the columns of X, and its proximal Newton steps.

Shapes: n rows, M columns, K outputs; parameters and what is like them flat, as in
:mod:`fastlogit.kernels.full_batch.columns`.

A step need not be exact, since the gradient that follows it is. So for one output the scaled
columns are of single precision, which halves the memory that coordinate descent passes over.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastlogit.kernels.full_batch import columns as kernels
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.models import Floats, Rows
from fastlogit.models.arrays import matrix_for_kernels
from fastlogit.solvers import proximal_newton as proximal

# Sweeps of coordinate descent for a step at most.
SWEEPS = 30
# Where so many do not suffice, the Hessian of up to so many parameters solves for the next steps.
MOST_IN_HESSIAN = 4096
# Added to its diagonal, relative to the trace: its own rounding, in single precision.
RIDGE = 1e-9
# Squares of columns that single precision holds, and products of which it does.
LEAST_SQUARE, MOST_SQUARE = 1e-24, 1e24


class ColumnLoss:
    """f at flat parameters, the mean loss plus α/2 ‖w‖², by columns, and Newton steps.

    X is a csc_array without duplicates, or the columns of a dense one, (M, n).
    """

    def __init__(self, X: Any, rows: Rows, n_outputs: int, fit_bias: bool, alpha: float) -> None:
        self._sparse = issparse(X)
        self.n_columns = X.shape[1 if self._sparse else 0]
        self.X: Any = kernels.Csc(*matrix_for_kernels(X)) if self._sparse else X
        self.alpha, self.y, self.weight = alpha, rows.y, rows.weight
        total = rows.weight.sum(dtype=np.float64) if rows.weight.size else rows.y.size
        self.scale, dtype, n = float(1 / total), rows.X.dtype, rows.y.size
        self.n_weights, self.fit_bias = n_outputs * self.n_columns, fit_bias
        self.size = self.n_weights + fit_bias * n_outputs
        self._work = np.empty(BLOCK_ROWS * n_outputs, dtype)
        self.logits, self.residual = (np.empty((n_outputs, n), dtype) for _ in range(2))
        self._last: Floats | None = None  # the parameters that these are of
        self.takes_hessian = False

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at θ and its gradient."""
        gradient = np.empty(self.size)
        loss = kernels.loss_and_gradient(
            self.X, self.n_columns, theta, self.y, self.weight, self.scale, self._work,
            self.logits, self.residual, gradient,
        )  # fmt: skip
        weights, self._last = theta[: self.n_weights], theta
        gradient[: self.n_weights] += self.alpha * weights
        return loss + self.alpha / 2 * float(weights @ weights), gradient

    def step(self, theta: Floats, gradient: Floats, strength: Floats, tol: float) -> Floats:
        """Return the step at θ, to within tol of a subgradient of 0 or by so many sweeps."""
        if self._last is not theta:
            self(theta)
        find = self._binary_step if len(self.logits) == 1 else self._class_step
        return find(gradient, theta, strength, tol)

    def _binary_step(self, gradient: Floats, theta: Floats, strength: Floats, tol: float) -> Floats:
        A, root, bend = self._scaled(np.float32)
        squares = bend[bend > 0]
        if squares.size and not LEAST_SQUARE < squares.min() <= squares.max() < MOST_SQUARE:
            A, root, bend = self._scaled(self.logits.dtype)
        if self.takes_hessian:
            H = hessian_of(A, root, bend, self.alpha, self.fit_bias)
            return proximal.model_step(H, gradient, theta, strength, tol, RIDGE)
        step, changes = np.zeros(self.size), np.zeros(self.y.size, root.dtype)
        sweeps = kernels.descend_columns(
            A, self.n_columns, root, bend, gradient, theta, strength, self.alpha, tol, SWEEPS, step,
            changes,
        )  # fmt: skip
        fits = not self._sparse and self.size <= MOST_IN_HESSIAN
        self.takes_hessian = fits and sweeps == SWEEPS
        return step

    def _scaled(self, dtype: Any) -> tuple[Any, Floats, Floats]:
        """Return the columns times √(v p (1 − p)), this root, and their squares."""
        root, bend = np.empty(self.y.size, dtype), np.empty(self.size)
        if self._sparse:
            scaled = self.X._replace(data=np.empty(self.X.data.shape, dtype))
        else:
            scaled = np.empty(self.X.shape, dtype)
        kernels.scale_columns(
            self.X, self.n_columns, self.residual, self.weight, self.scale, root, bend, scaled
        )
        return scaled, root, bend

    def _class_step(self, gradient: Floats, theta: Floats, strength: Floats, tol: float) -> Floats:
        proba, weighted, changes = (np.zeros_like(self.logits) for _ in range(3))
        bend, mean, step = (
            np.empty(self.size),
            np.zeros(self.y.size, proba.dtype),
            np.zeros(self.size),
        )
        kernels.prepare_classes(
            self.X, self.n_columns, self.logits, self.weight, self.scale, self._work, proba,
            weighted, bend,
        )  # fmt: skip
        kernels.descend_classes(
            self.X, self.n_columns, proba, weighted, bend, gradient, theta, strength, self.alpha,
            tol, SWEEPS, step, changes, mean,
        )  # fmt: skip
        return step


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
