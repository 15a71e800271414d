"""The two-class loss with an L2 penalty, minimised in its dual by coordinate descent.

:mod:`fastlogit.kernels.full_batch.dual_descent` has the problem and a row's step. An epoch updates
all rows, in an order drawn anew, and costs about two products with X. It is fastest where features
outnumber rows or rows are sparse: there a row's step disturbs few others.

A free bias b would add a constraint to the dual, Σ a s = 0, which no step of a single row keeps. It
gets the penalty (b − centre)² / 2r instead, whose centre moves to b after each epoch: the proximal
point method (Rockafellar, Monotone operators and the proximal point algorithm, 1976). So does one
with a weak penalty of its own, b² / 2t, by which all rows disturb each other: with 1 / q = 1 / r +
1 / t the two are (b − q centre / r)² / 2q and a constant, so that b = q (centre / r + Σ a s).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from fastlogit.kernels.codegen.simd import NEAR_BYTES, VECTOR_BYTES
from fastlogit.kernels.full_batch.dual_descent import UNSEEN, descend
from fastlogit.kernels.training.epoch import calls
from fastlogit.models import Floats
from fastlogit.solvers.newton_steps import LinearParams

# r relative to the rows' mean ‖x‖²: 1 takes up to twice the epochs of 0.1.
BIAS_SQUARE = 0.1
SAMPLED_ROWS = 64
# Dense rows of float64 that do not fit the near cache are rounded to float32, half as much to read,
# until the gap is below this share of ‖w‖²: a fit of 500 × 5,000 takes 0.8 of the time.
ROUNDED = 1e-10
# Of so many elements, or fewer, Newton's steps are as fast, and do not depend on the rows' order.
FEW_ELEMENTS = 1 << 10
# Where after some epochs more than so many are ahead, the rest is left to Newton's steps. They are
# cheap where rows are dense and outnumber features.
EPOCHS_TO_JUDGE = 4
MOST_EPOCHS_AHEAD = 40
MOST_EPOCHS_TALL = 5


class Progress(NamedTuple):
    """What an epoch left: weights, bias, and of the rows' state before their updates the following.

    The duality gap of ‖w‖² / 2 + Σ C loss, and the largest |u − m|; steepest is the largest c q.
    """

    weights: Floats
    bias: float
    gap: float
    largest: float
    steepest: float


class DualDescent:
    """Epochs from the parameters θ, the weights and then the bias, if any."""

    def __init__(
        self, params: LinearParams, alpha: float, theta: Floats, random_state: Any = 0
    ) -> None:
        rows = params.rows
        self._D, self._params = params.n_features, params
        self._square = np.full(rows.y.size, -1.0)  # of rows not updated yet
        self._sums = np.zeros(params.n_features if rows.sparse else 0)
        self._sign = np.where(rows.y == 1, 1.0, -1.0)
        self._bound = np.full(rows.y.size, params.scale / alpha)
        if rows.weight.size:
            self._bound *= rows.weight
        self._weighted = np.flatnonzero(self._bound)
        self._bias_square, self._pull = 0.0, 0.0  # q, and q / r
        if params.fit_bias:
            r = BIAS_SQUARE * _mean_square(rows.X) or 1.0
            self._bias_square = 1 / (1 / r + params.bias_alpha / alpha)
            self._pull = self._bias_square / r
        self._bias_feature = alpha / params.bias_alpha if params.bias_alpha > 0 else 0.0
        self._b, self._centre, self._u = np.zeros(1), 0.0, np.full(rows.y.size, UNSEEN)
        self._gap = math.inf  # of the last epoch, over ‖w‖²
        self._rounded = not rows.sparse and rows.X.itemsize == 8 and rows.X.nbytes > NEAR_BYTES
        self._use(rows.X.astype(np.float32) if self._rounded else rows.data(jitted=True).X)
        if theta.any():
            self._start_at(theta)
        is_tall = not rows.sparse and rows.y.size > self._D and rows.X.size > FEW_ELEMENTS
        self.most_ahead = MOST_EPOCHS_TALL if is_tall else MOST_EPOCHS_AHEAD
        self._generator = check_random_state(random_state)
        self._multiply_adds = 8 * params.n_features * rows.density

    def _use(self, X: Any) -> None:
        """Continue on the rows X, dense or a Csr, from weights of their dtype, all 0."""
        dtype = X.data.dtype if self._params.rows.sparse else X.dtype
        lanes = VECTOR_BYTES // dtype.itemsize
        self._X, self._w = X, np.zeros(-(-self._D // lanes) * lanes, dtype)

    def _start_at(self, theta: Floats) -> None:
        """Start at the a that belongs to the parameters' margins."""
        X, bias = self._params.rows.X, float(theta[self._D :].sum())
        self._u = self._sign * (X @ theta[: self._D].astype(X.dtype) + bias)
        self._centre = bias
        self._b[0] = self._pull * bias + self._bias_square * self._sum_rows()

    def _sum_rows(self) -> float:
        """Set the weights to Σ a s x; return Σ a s."""
        X: Any = self._params.rows.X
        a = self._sign * self._bound / (1 + np.exp(np.minimum(self._u, 700)))
        self._w[: self._D] = X.T @ a.astype(X.dtype)
        return float(a.sum())

    def epoch(self) -> Progress:
        """Update all rows once; under a penalty next to none what it leaves may overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._epoch()

    def _epoch(self) -> Progress:
        if self._u[self._weighted[0]] != UNSEEN:
            moved = self._b[0] - self._centre
            self._centre += moved
            self._b[0] += self._pull * moved
        if self._rounded and self._gap < ROUNDED:
            self._rounded = False
            self._use(self._params.rows.X)
            self._sum_rows()
        order, gap, largest = self._generator.permutation(self._weighted), 0.0, 0.0
        for first, last in calls(order.size, self._multiply_adds):
            more, most = descend(
                self._X, order[first:last], self._sign, self._bound, self._bias_square,
                self._sums, self._square, self._u, self._w, self._b,
            )  # fmt: skip
            gap, largest = gap + more, max(largest, most)
        if self._params.fit_bias:
            away = abs(self._b[0] - self._centre)
            gap += away**2 * self._pull / self._bias_square
            largest = max(largest, away)
        weights = self._w[: self._D]
        self._gap = gap / max(float(weights @ weights), 1e-300)
        steepest = float((self._bound * (self._square + self._bias_square)).max())
        return Progress(weights, float(self._b[0]), gap, largest, steepest)

    def longest(self) -> float:
        """Return the largest ‖x‖ of the rows updated, with the feature of the bias."""
        return math.sqrt(max(float(self._square.max()), 0.0) + self._bias_feature)


def _mean_square(X: Any) -> float:
    """Return the mean ‖x‖² of dense rows, which some tell, or of sparse ones."""
    sample = X if issparse(X) else X[:: -(-X.shape[0] // SAMPLED_ROWS)]
    values = np.asarray(sample.data if issparse(X) else sample).ravel()
    return float(np.dot(values, values)) / int(sample.shape[0])


def is_slow(gaps: list[float], target: float, most_ahead: float = MOST_EPOCHS_AHEAD) -> bool:
    """Return whether the gaps of the epochs fall too slowly towards the target, or not at all."""
    if not math.isfinite(gaps[-1]):
        return True
    if len(gaps) <= EPOCHS_TO_JUDGE or gaps[-1] <= target:
        return False
    share = (gaps[-1] / gaps[-1 - EPOCHS_TO_JUDGE]) ** (1 / EPOCHS_TO_JUDGE)
    ahead = math.log(max(target, 1e-300) / gaps[-1])
    return bool(share >= 1 or ahead / math.log(share) > most_ahead)


def is_fastest(params: LinearParams) -> bool:
    """Return whether epochs of the dual are fastest for the rows' shape."""
    X: Any = params.rows.X
    size = X.nnz if params.rows.sparse else X.size
    is_wide = params.n_features > params.rows.y.size
    return params.n_outputs == 1 and size > FEW_ELEMENTS and (params.rows.sparse or is_wide)
