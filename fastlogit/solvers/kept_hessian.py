"""Proximal Newton steps by the Hessian of dense rows, for several classes one that is kept.

Shapes: n rows, D features, K outputs, P parameters, the weights of all classes first.

For K classes the Hessian is K (K + 1) / 2 sums over the rows of D² / 2 elements each, a step by
coordinate descent a small share of that. So where it costs much

- the first steps, whose parameters are far from the optimum, have one sum for all classes, G with
  the rows' v of :mod:`fastlogit.solvers.newton_steps`, as H = (I − 1 1ᵀ / K) ⊗ G: what H is at 0;
- a Hessian is kept as long as a step by it leaves little of the subgradient.
"""

import numpy as np

from fastlogit.kernels.full_batch import hessian as kernels
from fastlogit.models import Floats, Indices, Rows
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton import Point
from fastlogit.solvers.newton_steps import Hessian, LinearParams, mean_curvature
from fastlogit.solvers.working_sets import Part

# A Hessian costs much at so many times the multiply-adds of a step, of which about so many are
# sweeps over its elements, and so many the time of Python's calls. Of digits, 27 times, a kept
# one takes 1.0 to 1.1 of the time, and at C = 10 2 to 5 times as long.
COSTLY, SWEEPS, CALLS = 64, 10, 1 << 20
# Steps by one sum for all classes. 20,000 x 200 x 10 takes 1.4 s with 2 or 3 at C = 0.1, with none
# but the first 2.4 s, and with a Hessian for every step 4.2 s.
FIRST_STEPS = 3
# What a step by a Hessian that was kept may leave of the subgradient.
MOST_LEFT = 0.5


class HessianSteps:
    """Steps by the Hessian in some features of dense rows; alpha is the L2 penalty's factor."""

    def __init__(self, rows: Rows, n_outputs: int, fit_bias: bool, alpha: float) -> None:
        self._rows, self._K, self._fit_bias, self._alpha = rows, n_outputs, fit_bias, alpha
        self._features: Indices | None = None
        self._n_steps, self._violation = 0, 0.0

    def step(self, _theta: Floats, part: Part, tol: float) -> Floats:
        """Return a part's step, to within tol of a subgradient of 0."""
        if self._features is None or not np.array_equal(part.features, self._features):
            self._use(part.features)
        H, shift = self._hessian_for(part), None
        if self._K > 1:
            strength = float(part.strength[0])

            def shift(theta: Floats, step: Floats) -> None:
                D = part.features.size
                proximal.shift_classes(theta, step, D, self._K, strength, self._alpha)

        return proximal.model_step(
            H, part.gradient.astype(np.float64), part.theta, part.strength, tol, shift=shift
        )

    def stretch(self, _problem: proximal.Penalised, _at: Point, _step: Floats) -> float:
        """Return 1: the rows' logits are not kept."""
        return 1.0

    def _use(self, features: Indices) -> None:
        rows, self._features = self._rows, features
        if features.size < rows.X.shape[1]:
            rows = Rows(np.ascontiguousarray(rows.X[:, features]), rows.y, rows.weight)
        self._params = LinearParams(rows, self._K, self._fit_bias)
        self._hessian = Hessian(self._params, self._K, self._K)
        self._H: Floats = np.empty(0)
        self._is_costly = self._K > 1 and is_costly(rows, self._K)

    def _hessian_for(self, part: Part) -> Floats:
        """Return the Hessian for a step, the last one while it suffices."""
        far = proximal.violations(part.theta, part.gradient, part.strength).max()
        suffices, self._violation = far <= MOST_LEFT * self._violation, float(far)
        self._n_steps += 1
        params = self._params
        Wt, b = params.split(part.theta)
        if self._is_costly and self._n_steps <= FIRST_STEPS:
            self._H = np.empty(0)
            return self._hessian_of_alike(Wt, b)
        if not (self._is_costly and suffices and self._H.size):
            weight = params.rows.weight
            self._H = self._hessian.fill(Wt, b, weight, params.scale, self._alpha, 0.0)
        return self._H

    def _hessian_of_alike(self, Wt: Floats, b: Floats) -> Floats:
        """Return (I − 1 1ᵀ / K) ⊗ G, plus α for each weight."""
        params, K, D = self._params, self._K, Wt.shape[1]
        curvature = np.empty((params.rows.y.size, K), Wt.dtype)
        kernels.fill_curvature(Wt, b, params.rows.X, params.rows.weight, params.scale, curvature)
        G = Hessian(params, 1, 1).fill_gram(mean_curvature(params, curvature), 0.0)
        classes, size = np.eye(K) - 1 / K, K * D
        H = np.empty((size + K * self._fit_bias,) * 2)
        H[:size, :size] = np.kron(classes, G[:D, :D])
        if self._fit_bias:
            H[size:, :size] = np.kron(classes, G[D:, :D])
            H[:size, size:] = H[size:, :size].T
            H[size:, size:] = classes * G[D, D]
        H[np.diag_indices(size)] += self._alpha
        return H


def is_costly(rows: Rows, n_outputs: int) -> bool:
    """Return whether a Hessian costs much more than the rest of a step."""
    (n, D), K = rows.X.shape, n_outputs
    step = 2 * n * K * D + SWEEPS * (K * D) ** 2 + CALLS
    return bool(n * D * D / 2 * K * (K + 1) / 2 > COSTLY * step)
