"""Newton's steps for the linear models, by conjugate gradients on products with the Hessian.

Shapes: n rows, D features, K outputs (1 for two classes). Parameters, gradient and step are flat:
the weights Wt (K, D) row by row, then the biases (K,) if they are free.

A product costs what a gradient does, and the Hessian K D / 8 times as much. The preconditioner
brings the products a step takes from tens or hundreds to a few. It is the same for all classes,

    M = G + α I      G = Σ_rows v x xᵀ      v = w K / (K − 1) · mean over k of pₖ (1 − pₖ) / Σ w

with a 1 in x for the bias, or for one output v = w p (1 − p) / Σ w. So for two classes M is the
Hessian itself. For more it acts as the Hessian does at parameters of 0: there every pₖ is 1 / K and
H = Σ w x xᵀ / Σ w for the features times (I − 1 1ᵀ / K) / K for the classes, which on centred
parameters is 1 / K; and Newton's first step is solved for by one product.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from fastlogit.kernels.full_batch.hessian import hessian, hessian_buffers, panel_width
from fastlogit.kernels.full_batch.hessian_product import fill_curvature, hessian_product
from fastlogit.kernels.training.blocks import BLOCK_ROWS
from fastlogit.models import Floats
from fastlogit.solvers.newton import StepSolver
from fastlogit.solvers.newton_steps import CholeskySteps, LinearParams, factorised

# Products at most for a step, as in scikit-learn's newton-cg.
MOST_PRODUCTS = 200
# A step's residual relative to the gradient.
RESIDUAL = 0.25
# What M's factor may cost, in products, else only its diagonal is taken.
MOST_FOR_FACTOR = 60
# A Hessian of more weights costs more than the products that solve for a step without it.
MOST_FACTORISED = 160


def newton_steps(params: LinearParams, alpha: float) -> StepSolver:
    """Return what solves for Newton's steps fastest."""
    if params.n_features * max(params.n_outputs - 1, 1) <= MOST_FACTORISED:
        return CholeskySteps(params, alpha)
    return ConjugateGradientSteps(params, alpha)


class ConjugateGradientSteps:
    """Steps solved for until the residual r is a quarter of the gradient, by the norm √(r · M⁻¹ r).

    To solve further, as scikit-learn's newton-cg does, takes fewer steps, but 1.2 to 3 times the
    products in all.

    Parameters
    ----------
    params : LinearParams
        The model and its data.
    alpha : float
        Factor of the penalty.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        (n, D), dtype, n_outputs = params.rows.X.shape, params.rows.X.dtype, params.n_outputs
        self._curvature = np.empty((n, n_outputs), dtype)
        self._changes = np.empty((BLOCK_ROWS, n_outputs), dtype)
        self._product = np.empty(n_outputs * (D + 1), dtype)
        self._preconditioner = Preconditioner(self._params, alpha)
        self._products = 0  # of the last step

    def step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return the step at theta."""
        params, rows = self._params, self._params.rows
        fill_curvature(*params.split(theta), rows.X, rows.weight, params.scale, self._curvature)
        if self._products == 0 or self._products * params.n_outputs > params.n_features:
            self._preconditioner.update(self._curvature)
        gradient = gradient.astype(np.float64)
        step, residual = np.zeros(gradient.size), gradient.copy()
        z = self._preconditioner.solve(residual)
        direction, rz = -z, float(residual @ z)
        enough = RESIDUAL**2 * rz
        for self._products in range(MOST_PRODUCTS):
            if rz <= enough:
                break
            image = self._times(direction)
            bend = float(direction @ image)
            if bend <= 0:  # what is left is rounding
                break
            step += rz / bend * direction
            residual += rz / bend * image
            z = self._preconditioner.solve(residual)
            rz, before = float(residual @ z), rz
            direction = rz / before * direction - z
        return step

    def _times(self, direction: Floats) -> Floats:
        """Return the Hessian's product with a direction."""
        params, rows, out = self._params, self._params.rows, self._product
        V, u = params.split(direction)
        hessian_product(
            self._curvature, rows.X, rows.weight, params.scale, V, u, self._changes,
            out[: V.size].reshape(V.shape), out[V.size :],
        )  # fmt: skip
        product = out[: direction.size].astype(np.float64)
        product[: V.size] += self._alpha * direction[: V.size]
        return product


class Preconditioner:
    """M of the module's text: its Cholesky factor, or its diagonal where that costs too much.

    Parameters
    ----------
    params : LinearParams
        The model.
    alpha : float
        Factor of the penalty.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        (n, D), K = params.rows.X.shape, params.n_outputs
        self._whole = (D + D * D / (3 * n)) / (4 * K) <= MOST_FOR_FACTOR
        self._M: Floats = np.empty(0)
        if self._whole:
            self._buffers = hessian_buffers(D, 1, 1, params.rows.X.dtype)

    def update(self, curvature: Floats) -> None:
        """Take M at the parameters of this curvature, as hessian_product.py defines it (n, K)."""
        params, rows, K = self._params, self._params.rows, self._params.n_outputs
        if K == 1:
            v = curvature[:, 0].copy()
        else:
            v = 1 - np.einsum("ik,ik->i", curvature, curvature)
            v *= params.scale / (K - 1)
            v *= rows.weight if rows.weight.size else 1
        size = params.n_features + params.fit_bias
        self._M = self._gram(v, size) if self._whole else self._diagonal(v, size)

    def _gram(self, v: Floats, size: int) -> Floats:
        """Return the factor. Parameters of 0 stand for p (1 − p) = 1/4, so v weighs 4-fold."""
        X = self._params.rows.X
        gram, zeros = np.empty((size, size)), np.zeros((1, X.shape[1]), X.dtype)
        width = panel_width(X.shape[1], 1, X.dtype)
        hessian(zeros, zeros[0, :1], X, v, 4.0, width, self._alpha, 0.0, self._buffers, gram)
        # Without a penalty it may be singular.
        gram[np.diag_indices(size)] += 16 * np.finfo(X.dtype).eps * gram.trace()
        factor, info = factorised(gram)
        return factor if info == 0 else np.identity(size)

    def _diagonal(self, v: Floats, size: int) -> Floats:
        X = self._params.rows.X
        diagonal = np.append(np.einsum("i,ij,ij->j", v, X, X) + self._alpha, v.sum())[:size]
        diagonal = np.maximum(diagonal, np.finfo(X.dtype).eps * diagonal.max())
        return np.asarray(diagonal, np.float64)

    def solve(self, residual: Floats) -> Floats:
        """Return M⁻¹ residual, class by class."""
        params = self._params
        by_class = residual[: params.n_weights].reshape(params.n_outputs, -1)
        if params.fit_bias:
            by_class = np.hstack([by_class, residual[params.n_weights :, None]])
        if self._whole:
            solution = lapack.dpotrs(self._M, by_class.T, lower=1)[0].T
        else:
            solution = by_class / self._M
        if params.fit_bias:
            return np.append(solution[:, :-1], solution[:, -1])
        return np.ravel(solution)
