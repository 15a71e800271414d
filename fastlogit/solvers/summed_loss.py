"""A model's loss over all partitions of a source, with gradient and Hessian, by one pass each."""

from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import numpy as np

from fastlogit.models import MODELS, Floats, Rows
from fastlogit.models.arrays import Shapes
from fastlogit.solvers.newton_steps import CholeskySteps, Hessian, LinearParams
from fastlogit.solvers.passes import Encoder, Passes
from fastlogit.training.objective import Objective


class Sums(NamedTuple):
    """Sums over rows: of w · loss, its gradient and, unless empty, its Hessian, in float64."""

    loss: float
    gradient: Floats
    hessian: Floats


@dataclass(frozen=True)
class LossWork:
    """The loss at theta and its gradient, and for a linear model its Hessian if asked."""

    model: str
    activation: str
    shapes: Shapes
    theta: Floats
    with_hessian: bool
    n_threads: int

    @property
    def n_weights(self) -> int:
        """Number of weights, which theta begins with; the biases follow unless they are fixed."""
        return sum([prod(shape) for shape in self.shapes[::2]])

    @property
    def n_curved(self) -> int:
        """Number of parameters that the Hessian is of: of softmax's, all but the last class's."""
        (D, K), fit_bias = self.shapes[0], self.theta.size > self.n_weights
        return max(K - 1, 1) * (D + fit_bias) if self.with_hessian else 0

    def __call__(self, _index: int, rows: Rows) -> Sums:
        """Return the sums over the rows."""
        size = self.n_curved
        if rows.total_weight == 0:
            return Sums(0.0, np.zeros(self.theta.size), np.zeros((size, size)))
        model, total = MODELS[self.model].with_activation(self.activation), rows.total_weight
        start = [np.zeros(shape, rows.X.dtype) for shape in self.shapes]
        objective = Objective(model, start, rows, 0.0, n_threads=self.n_threads)
        n_given = self.theta.size  # without the biases if they are fixed
        objective.params.flat[:n_given] = self.theta
        loss = objective.evaluate()
        gradient = objective.gradient.flat[:n_given].astype(np.float64)
        gradient *= total
        hessian: Floats = np.empty((0, 0))
        if self.with_hessian:
            K = self.shapes[-1][0]
            linear = LinearParams(rows, K, self.theta.size > self.n_weights)
            filled = Hessian(linear, K, max(K - 1, 1))
            hessian = filled.fill(*linear.split(self.theta), rows.weight, 1.0, 0.0, 0.0)
        return Sums(loss * total, gradient, hessian)

    def add(self, total: Sums, part: Sums) -> Sums:
        """Return the sum of both."""
        total.gradient[:] += part.gradient
        total.hessian[:] += part.hessian
        return total._replace(loss=total.loss + part.loss)


class SummedObjective:
    """Mean loss over all partitions plus α/2 ‖w‖², and its gradient, each by one pass.

    ``hessian`` is that of the mean loss at the last parameters, without the penalty, if asked for.
    """

    def __init__(
        self, passes: Passes, encoder: Encoder, work: LossWork, alpha: float, total: float
    ) -> None:
        self._passes, self._encoder, self._work = passes, encoder, work
        self._alpha, self._total = alpha, total
        self._n_bytes, self._n_weights = 8 * (work.theta.size + work.n_curved**2), work.n_weights
        self.hessian: Floats = np.empty((0, 0))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at theta, flat parameters, and its gradient, flat too."""
        work = replace(self._work, theta=theta.copy())
        sums = self._passes.run(work, self._encoder, self._n_bytes)
        self.hessian = sums.hessian / self._total
        weights, gradient = theta[: self._n_weights], sums.gradient / self._total
        gradient[: self._n_weights] += self._alpha * weights
        penalty = self._alpha / 2 * float(weights @ weights)
        return sums.loss / self._total + penalty, gradient


class SummedSteps(CholeskySteps):
    """Newton's steps by the Hessian that the last pass has summed."""

    def __init__(self, params: LinearParams, alpha: float, objective: SummedObjective) -> None:
        super().__init__(params, alpha)
        self._objective = objective

    def _hessian_at(self, _theta: Floats, same: float, other: float) -> Floats:
        H, D, kept = self._objective.hessian.copy(), self._params.n_features, self._n_kept
        penalty = np.full((kept, kept), other)
        np.fill_diagonal(penalty, same)
        H[: kept * D, : kept * D] += np.kron(penalty, np.identity(D))
        return H
