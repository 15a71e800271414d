"""Newton's steps for the linear models, from the factorised Hessian.

Shapes: n rows, D features, K outputs (1 for two classes). Parameters θ, gradient and step are flat:
the weights Wt (K, D) row by row, then the biases (K,) if they are free.

Loss and probabilities do not change when the parameters of all classes are shifted alike, so along
such shifts softmax's H is nothing but the penalty. The penalised optimum is centred, with mean
0 over the classes, and at centred parameters so are gradient and step: solvers keep to these.
"""

from __future__ import annotations

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from fastlogit.kernels.full_batch.hessian import hessian, hessian_buffers, panel_width
from fastlogit.models import Floats, Rows


class LinearParams:
    """Splits flat parameters into Wt and b, of the rows' dtype for the kernels.

    Parameters
    ----------
    rows : Rows
        The data.
    n_outputs : int
        K.
    fit_bias : bool
        Whether the biases are free; they are 0 if not.
    """

    def __init__(self, rows: Rows, n_outputs: int, fit_bias: bool) -> None:
        self.rows, self.n_outputs, self.fit_bias = rows, n_outputs, fit_bias
        self.n_features = rows.X.shape[1]
        self.n_weights = n_outputs * self.n_features
        total = rows.weight.sum(dtype=np.float64) if rows.weight.size else rows.y.size
        self.scale = float(1 / total)

    def split(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return Wt (K, D) and b (K,) of the rows' dtype."""
        theta = theta.astype(self.rows.X.dtype)
        Wt = theta[: self.n_weights].reshape(self.n_outputs, self.n_features)
        b = theta[self.n_weights :] if self.fit_bias else np.zeros(self.n_outputs, theta.dtype)
        return Wt, b

    def centred(self, theta: Floats) -> Floats:
        """Return parameters, in float64, with those of softmax less their mean over the classes."""
        theta = theta.astype(np.float64)
        if self.n_outputs > 1:
            weights, biases = theta[: self.n_weights], theta[self.n_weights :]
            by_class = weights.reshape(self.n_outputs, -1)
            by_class -= by_class.mean(axis=0)
            if self.fit_bias:
                biases -= biases.mean()
        return theta


class CholeskySteps:
    """Steps from the Hessian itself, factorised.

    Of softmax's K classes the Hessian of the first K − 1 is worked out. With V the weights less
    those of the last class, W = V − mean(V) over the classes, and the penalty α/2 ‖W‖² has in V
    the Hessian α (I − 1 1ᵀ / K) for each feature, and the gradient α W.

    Parameters
    ----------
    params : LinearParams
        The model and its data.
    alpha : float
        Factor of the penalty.
    """

    def __init__(self, params: LinearParams, alpha: float) -> None:
        self._params, self._alpha = params, alpha
        (_, D), dtype, n_outputs = params.rows.X.shape, params.rows.X.dtype, params.n_outputs
        self._n_kept = max(n_outputs - 1, 1)
        self._buffers = hessian_buffers(D, n_outputs, self._n_kept, dtype)
        self._width = panel_width(D, self._buffers.border.shape[0], dtype)
        size = self._n_kept * (D + params.fit_bias)
        self._hessian = np.empty((size, size))
        # A penalty keeps H regular, whatever rounding makes of its condition.
        self._least: float | None = float(np.finfo(float if alpha > 0 else dtype).eps)

    def step(self, theta: Floats, gradient: Floats) -> Floats:
        """Return the step at theta; raise LinAlgError where the Hessian is singular."""
        params, rows, kept = self._params, self._params.rows, self._n_kept
        K, alpha = params.n_outputs, self._alpha
        same, other = (alpha, 0.0) if K == 1 else (alpha * (1 - 1 / K), -alpha / K)
        hessian(
            *params.split(theta), rows.X, rows.weight, params.scale, self._width, same, other,
            self._buffers, self._hessian,
        )  # fmt: skip
        downhill = -gradient.astype(np.float64)
        weights = downhill[: kept * params.n_features]
        if K > 1:
            downhill = np.append(weights, downhill[params.n_weights :][:kept])
        if self._least and alpha > 1e4 * self._least * lapack.dlange("1", self._hessian):
            self._least = None  # and it need not be asked for
        solution = solved(self._hessian, downhill, self._least)
        if K == 1:
            return solution
        step = np.zeros(gradient.size)
        step[: weights.size] = solution[: weights.size]
        step[params.n_weights :][:kept] = solution[weights.size :]
        return params.centred(step)


def solved(matrix: Floats, right: Floats, least: float | None) -> Floats:
    """Solve matrix x = right by Cholesky's factorisation. OUT: matrix.

    Raises LinAlgError where the matrix is not positive definite, or the reciprocal of its condition
    number is not above the least, if one is given: to estimate it takes as long as to solve.
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
