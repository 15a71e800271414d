"""What solves for Newton's steps of the linear models: the factorised Hessian, or products with it.

Shapes: n rows, D features, K outputs (1 for two classes). Parameters θ, gradient and step are flat:
the weights Wt (K, D) row by row, then the biases (K,) if they are free. With sparse rows they are W
(D, K) row by row, and there is no Hessian but its products.

Loss and probabilities do not change when the parameters of all classes are shifted alike, so along
such shifts softmax's H is nothing but the penalty. The penalised optimum is centred, with mean
0 over the classes, and at centred parameters so are gradient and step: solvers keep to these.

A product costs what a gradient does, the Hessian K D / 8 times as much. Conjugate gradients take
tens or hundreds of products for a step, with a preconditioner a few. It is one for all classes,

    M = G + α I      G = Σ_rows v x xᵀ      v = w K / (K − 1) · mean over k of pₖ (1 − pₖ) / Σ w

with a 1 in x for the bias, or for one output v = w p (1 − p) / Σ w. So for two classes M is the
Hessian itself. For more it acts as the Hessian does at parameters of 0: there every pₖ is 1 / K and
H = Σ w x xᵀ / Σ w for the features times (I − 1 1ᵀ / K) / K for the classes, which on centred
parameters is 1 / K; and Newton's first step is solved for by one product.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from fastlogit.kernels.full_batch import hessian as kernels
from fastlogit.kernels.full_batch import sparse_hessian
from fastlogit.kernels.training.epoch import BLOCK_ROWS, CACHED_BYTES
from fastlogit.models import Floats, Rows

# Without a penalty a Hessian of so many weights is factorised: it may be singular, which only its
# factor tells.
MOST_UNPENALISED = 160
# What a Hessian may take in memory, and takes for each element: itself, and sums of its parts.
MOST_BYTES, BYTES_PER_ELEMENT = 1 << 29, 24
# Products at most for a step, as in scikit-learn's newton-cg.
MOST_PRODUCTS = 200
# A step's residual relative to the gradient.
RESIDUAL = 0.25
# A penalty of so many times the Hessian's norm makes its condition good enough.
SURELY_REGULAR = 1e4 * float(np.finfo(float).eps)
# What M's factor may cost, in products, else only its diagonal is taken.
MOST_FOR_FACTOR = 60


class LinearParams:
    """Splits flat parameters into Wt and b, of the rows' dtype for the kernels; b is 0 if fixed.

    The biases may have a penalty of their own, bias_alpha / 2 · b².
    """

    def __init__(self, rows: Rows, n_outputs: int, fit_bias: bool, bias_alpha: float = 0.0) -> None:
        self.rows, self.n_outputs, self.fit_bias = rows, n_outputs, fit_bias
        self.bias_alpha = bias_alpha
        self.n_features = rows.X.shape[1]
        self.n_weights = n_outputs * self.n_features
        self.scale = 1 / rows.total_weight

    def split(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return Wt (K, D), or W (D, K) for sparse rows, and b (K,) of the rows' dtype."""
        theta = theta.astype(self.rows.X.dtype)
        shape = self.n_outputs, self.n_features
        Wt = theta[: self.n_weights].reshape(shape[::-1] if self.rows.sparse else shape)
        b = theta[self.n_weights :] if self.fit_bias else np.zeros(self.n_outputs, theta.dtype)
        return Wt, b

    def centred(self, theta: Floats) -> Floats:
        """Return parameters in float64, those of softmax less their mean over the classes."""
        theta = theta.astype(np.float64)
        if self.n_outputs > 1:
            for part in self.by_class(theta):
                part -= np.add.reduce(part) / self.n_outputs
        return theta

    def by_class(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return views of the weights (K, D) and of the biases (K, 1 or 0)."""
        weights, biases = theta[: self.n_weights], theta[self.n_weights :]
        K, D = self.n_outputs, self.n_features
        weights = weights.reshape(D, K).T if self.rows.sparse else weights.reshape(K, D)
        return weights, biases.reshape(K, -1)


@cache
def precision(dtype: Any) -> float:
    """Return the machine precision of a dtype."""
    return float(np.finfo(dtype).eps)


class Hessian:
    """The Hessian in the first n_kept outputs' weights, then in their biases, in one array."""

    def __init__(self, params: LinearParams, n_outputs: int, n_kept: int) -> None:
        self._X = params.rows.X
        D = params.n_features
        self._buffers = kernels.hessian_buffers(D, n_outputs, n_kept, self._X.dtype)
        self._width = kernels.panel_width(D, self._buffers.corner.size, self._X.dtype)
        size = n_kept * (D + params.fit_bias)
        self._matrix = np.empty((size, size))

    def fill(
        self, Wt: Floats, b: Floats, weight: Floats, scale: float, same: float, other: float
    ) -> Floats:
        """Return it, by the arguments of the kernel; the next call fills the same array."""
        buffers, matrix = self._buffers, self._matrix
        kernels.hessian(Wt, b, self._X, weight, scale, self._width, same, other, buffers, matrix)
        return matrix

    def fill_gram(self, v: Floats, alpha: float) -> Floats:
        """Return Σ v x xᵀ of one output plus α for each weight, in the same array."""
        # At parameters of 0 p (1 − p) is 1/4, so v weighs 4-fold.
        zeros = np.zeros((1, self._X.shape[1]), self._X.dtype)
        return self.fill(zeros, zeros[0, :1], v, 4.0, alpha, 0.0)


def mean_curvature(params: LinearParams, curvature: Floats) -> Floats:
    """Return v of M's rows (n,) from their P (n, K), or from v itself of one output."""
    if params.n_outputs == 1:
        return curvature[:, 0].copy()
    v: Floats = 1 - np.einsum("ik,ik->i", curvature, curvature)
    v *= params.scale / (params.n_outputs - 1)
    v *= params.rows.weight if params.rows.weight.size else 1
    return v


class CholeskySteps:
    """Steps from the Hessian itself, factorised.

    Of softmax's K classes it is that of the first K − 1. With V the weights less those of the last
    class, W = V − mean(V) over the classes, and the penalty α/2 ‖W‖² has in V the Hessian
    α (I − 1 1ᵀ / K) for each feature, and the gradient α W.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        self._n_kept = max(params.n_outputs - 1, 1)
        self._hessian = Hessian(params, params.n_outputs, self._n_kept)
        # A penalty keeps H regular, whatever rounding makes of its condition.
        dtype = float if alpha > 0 else params.rows.X.dtype
        self._least: float | None = float(np.finfo(dtype).eps)

    def _penalties(self) -> tuple[float, float]:
        """Return the penalty's second derivative in a weight, and in a feature's two weights."""
        K, alpha = self._params.n_outputs, self._alpha
        return (alpha, 0.0) if K == 1 else (alpha * (1 - 1 / K), -alpha / K)

    def _hessian_at(self, theta: Floats, same: float, other: float) -> Floats:
        params = self._params
        weight, scale = params.rows.weight, params.scale
        return self._hessian.fill(*params.split(theta), weight, scale, same, other)

    def step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return the step at theta; raise LinAlgError where the Hessian is singular."""
        params, K, kept, alpha = self._params, self._params.n_outputs, self._n_kept, self._alpha
        H = self._hessian_at(theta, *self._penalties())
        if params.bias_alpha > 0:  # of one output
            H[-1, -1] += params.bias_alpha
        downhill = -gradient.astype(np.float64)
        if self._least and alpha > SURELY_REGULAR * lapack.dlange("1", H):
            self._least = None  # and it need not be asked for
        if K == 1:
            return solved(H, downhill, self._least)
        n_kept, step = kept * params.n_features, np.zeros(gradient.size)
        right = np.concatenate([downhill[:n_kept], downhill[params.n_weights :][:kept]])
        solution = solved(H, right, self._least)
        step[:n_kept], step[params.n_weights :][:kept] = solution[:n_kept], solution[n_kept:]
        return params.centred(step)


def solved(matrix: Floats, right: Floats, least: float | None) -> Floats:
    """Solve matrix x = right by Cholesky's factorisation. OUT: matrix.

    Raises LinAlgError if it is not positive definite, or its reciprocal condition not above least.
    """
    norm = 0.0 if least is None else lapack.dlange("1", matrix)
    factor, info = factorised(matrix)
    reciprocal = lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 and norm > 0 else 0.0
    if info != 0 or (least is not None and not reciprocal > least):
        raise LinAlgError(f"The reciprocal condition number is {reciprocal:.1g}.")
    x: Floats = lapack.dpotrs(factor, right, lower=1)[0]
    return x


def factorised(matrix: Floats) -> tuple[Floats, int]:
    """Return the lower Cholesky factor, and 0 or where it broke down. OUT: matrix."""
    factor, info = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
    return factor, int(info)


class ConjugateGradientSteps:
    """Steps solved for until the residual r is a quarter of the gradient, by the norm √(r · M⁻¹ r).

    Solving further, as in scikit-learn's newton-cg, takes fewer steps but 1.2 to 3 times the
    products. The preconditioner M is a Cholesky factor, or its diagonal where that costs too much.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        (n, D), dtype, n_outputs = params.rows.X.shape, params.rows.X.dtype, params.n_outputs
        self._curvature = np.empty((n, n_outputs), dtype)
        sparse, rows_at_once = params.rows.sparse, BLOCK_ROWS
        # A product reads a block's rows twice, the second time from a core's cache: blocks of 256
        # rows take 1.35 times as long in float64 at 3,000 x 2,000, 1.1 times in float32.
        row_bytes = 0 if sparse else D * dtype.itemsize
        while rows_at_once > 1 and rows_at_once * row_bytes > CACHED_BYTES:
            rows_at_once //= 2
        self._changes = np.empty((rows_at_once, n_outputs), dtype)
        self._product = np.empty(n_outputs * (D + 1), dtype)
        cheap = (D + D * D / (3 * n)) / (4 * n_outputs) <= MOST_FOR_FACTOR
        factorise = cheap and not sparse and fits_in_memory(D)
        self._gram = Hessian(params, 1, 1) if factorise else None
        self._kernels: Any = sparse_hessian if sparse else kernels
        self._X = params.rows.data(jitted=True).X
        self._M: Floats = np.empty(0)
        self._products = 0  # of the last step

    def step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return the step at theta."""
        params, rows = self._params, self._params.rows
        Wt, b = params.split(theta)
        fill = self._kernels.fill_curvature
        fill(Wt, b, self._X, rows.weight, params.scale, self._curvature)
        if self._products == 0 or self._products * params.n_outputs > params.n_features:
            self._update_preconditioner()
        gradient = gradient.astype(np.float64)
        step, residual, out = np.zeros(gradient.size), gradient.copy(), self._product
        z = self._precondition(residual)
        direction, rz = -z, float(residual @ z)
        enough = RESIDUAL**2 * rz
        for self._products in range(MOST_PRODUCTS):
            if rz <= enough:
                break
            V, u = params.split(direction)
            self._kernels.hessian_product(
                self._curvature, self._X, rows.weight, params.scale, V, u, self._changes,
                out[: V.size].reshape(V.shape), out[V.size :],
            )  # fmt: skip
            image = out[: direction.size].astype(np.float64)
            image[: V.size] += self._alpha * direction[: V.size]
            image[V.size :] += params.bias_alpha * direction[V.size :]
            bend = float(direction @ image)
            if bend <= 0:  # what is left is rounding
                break
            step += rz / bend * direction
            residual += rz / bend * image
            z = self._precondition(residual)
            rz, before = float(residual @ z), rz
            direction = rz / before * direction - z
        return step

    def _update_preconditioner(self) -> None:
        """Take M at the parameters that the curvature (n, K) is of."""
        params, curvature = self._params, self._curvature
        eps = np.finfo(params.rows.X.dtype).eps
        v = mean_curvature(params, curvature)
        if self._gram is None:
            squares = self._sums_of_squares(v) + self._alpha
            bias = v.sum() + params.bias_alpha
            diagonal = np.append(squares, bias) if params.fit_bias else squares
            self._M = np.asarray(np.maximum(diagonal, eps * diagonal.max()), np.float64)
            return
        M = self._gram.fill_gram(v, self._alpha)
        if params.bias_alpha > 0:
            M[-1, -1] += params.bias_alpha
        # Without a penalty it may be singular.
        M[np.diag_indices_from(M)] += 16 * eps * M.trace()
        factor, info = factorised(M)
        self._M = factor if info == 0 else np.identity(len(M))

    def _sums_of_squares(self, v: Floats) -> Floats:
        """Return Σ v x² over the rows."""
        X: Any = self._params.rows.X
        if not self._params.rows.sparse:
            return np.asarray(np.einsum("i,ij,ij->j", v, X, X))
        by_row = np.repeat(v, np.diff(X.indptr))
        return np.bincount(X.indices, by_row * X.data * X.data, X.shape[1]).astype(np.float64)

    def _precondition(self, residual: Floats) -> Floats:
        """Return M⁻¹ residual, class by class."""
        by_class = np.concatenate(self._params.by_class(residual), axis=1)
        if self._gram is None:
            by_class /= self._M
        else:
            by_class = lapack.dpotrs(self._M, by_class.T, lower=1)[0].T
        out = np.empty_like(residual)
        D = self._params.n_features
        for part, solution in zip(
            self._params.by_class(out), (by_class[:, :D], by_class[:, D:]), strict=True
        ):
            part[...] = solution
        return out


StepSolver = CholeskySteps | ConjugateGradientSteps


def newton_steps(params: LinearParams, alpha: float, tol: float) -> StepSolver:
    """Return what solves for Newton's steps fastest, in a fit to that tol."""
    if params.rows.sparse:
        return ConjugateGradientSteps(params, alpha)
    (n, D), K = params.rows.X.shape, params.n_outputs
    n_weights = D * max(K - 1, 1)
    is_faster = factor_is_faster(n, D, K, params.rows.X.dtype.itemsize, tol)
    may_be_singular = alpha == 0 and n_weights <= MOST_UNPENALISED
    if may_be_singular or (is_faster and fits_in_memory(n_weights)):
        return CholeskySteps(params, alpha)
    return ConjugateGradientSteps(params, alpha)


def fits_in_memory(n_weights: int) -> bool:
    """Return whether a Hessian of so many weights may be stored."""
    return n_weights**2 * BYTES_PER_ELEMENT <= MOST_BYTES


def factor_is_faster(n: int, D: int, n_outputs: int, itemsize: int, tol: float) -> bool:
    """Return whether a fit by the factorised Hessian is estimated to take less than by products.

    Of several classes, products solve for a step roughly: more steps follow, the more the smaller
    tol is.
    """
    # Microseconds per step, fitted to 356 fits in both dtypes: normal features of n = 150 to
    # 100,000 rows, D = 4 to 500 and 2 to 10 classes; scikit-learn's toy sets, scaled and raw, and
    # correlated features, C = 1 and 100, tol = 1e-4 to 1e-8. In each the choice has 0.90 of the
    # better one's speed or more, 0.997 in geometric mean; with up to 160 weights factorised it
    # had 0.34 and 0.91. Products take 0.02 (150 x 250 x 10) to 6.7 (raw wine, tol = 1e-6) of the
    # time, 0.38 on 20,000 x 30 x 6.
    kept, arithmetic = max(n_outputs - 1, 1), n * D * itemsize / 8
    pairs, size = kept * (kept + 1) / 2, kept * D
    gradient = 33 + n_outputs * (2.1e-3 * arithmetic + 2.9e-3 * n)
    hessian = pairs * (arithmetic * (8.4e-5 * D / 2 + 2.4e-4) + 1e-3 * n)
    factor = size**2 * (2.6e-3 + 2.6e-5 * size / 3)
    preconditioner = 2.2e-5 * arithmetic * D / 2 + 5.8e-4 * n_outputs * D * D
    products = 87 + n_outputs * (5e-3 * n + 1e-5 * arithmetic)
    steps = 1.0
    if n_outputs > 1:
        steps = 1.1 + 0.2 * max(math.log10(1e-4 / max(tol, 1e-12)), 0)
    return gradient + hessian + factor <= steps * (gradient + preconditioner + products)
