"""Fits to rows in partitions that need not fit in memory, by passes over them.

The first pass collects the classes, their weights, the features' means and scales, and a sample.
scikit-learn's own code validates the sample and sets the attributes that every fit sets. Then

- up to MOST_BY_NEWTON free parameters of a linear model take Newton's steps, each by one pass for
  loss, gradient and Hessian, from the sample's optimum: on 2,000,000 x 30 the largest error of a
  parameter is 5e-2 there, and after each pass 2e-3, 5e-6 and 4e-11. Loss and gradient are in
  float64 for rows in float32, too, 5 ns more for a row of 30 features, so that the result alone
  is rounded;
- more take L-BFGS's, in coordinates where features have mean 0 and variance 1;
- mini-batches take the rows in a seeded order.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.estimators.progress import FitCall
from fastlogit.estimators.rows import weights_of_classes
from fastlogit.estimators.sklearn_compat import MINIBATCH_SOLVERS
from fastlogit.models import Floats, Rows
from fastlogit.models.arrays import Shapes
from fastlogit.solvers import LossAndGradient, collected_warnings, lbfgs, newton
from fastlogit.solvers.newton_steps import LinearParams, newton_steps, precision
from fastlogit.solvers.passes import Encoder, Passes
from fastlogit.solvers.statistics import NO_ROWS, Statistics, StatisticsWork
from fastlogit.solvers.summed_loss import LossWork, SummedObjective, SummedSteps
from fastlogit.sources.base import LOAD
from fastlogit.training.objective import Objective
from fastlogit.training.row_stream import check_shuffled
from fastlogit.training.trainer import Trainer

MOST_BY_NEWTON = 500
# Rows of the sample: so many for each feature, within these bounds.
SAMPLED_BY_FEATURE, LEAST_SAMPLED, MOST_SAMPLED = 100, 20_000, 200_000
SAMPLE_TOL, SAMPLE_STEPS = 1e-6, 100
# L-BFGS to a tol below it has loss and gradient in float64 of rows in float32, too. In float32 its
# line search ends where rounding hides the loss's change: on 40,000 x 20 of 75 classes at tol 1e-6
# it took 1,960 passes, in float64 367 to a nearer point. Newton's few passes always have them.
LBFGS_SINGLE_TOL = 1e-5
FTOL, MOST_TRIALS = 64 * float(np.finfo(float).eps), 50


class PartitionedRows:
    """The training rows of one fit, in partitions, after the first pass over them."""

    def __init__(self, passes: Passes, random_state: Any) -> None:
        self.passes = passes
        if not passes.n_partitions:
            raise ValueError(NO_ROWS)
        per_feature = SAMPLED_BY_FEATURE * passes.n_features
        size = min(max(per_feature, LEAST_SAMPLED), MOST_SAMPLED)
        seed = random_state if isinstance(random_state, int) else 0
        work = StatisticsWork(
            seed, -(-size // passes.n_partitions), passes.feature_names, passes.starts
        )
        self.statistics = Statistics(passes.run(work, None, 0))
        self.n_rows = self.statistics.n_rows

    def name_features(self, est: Any) -> None:
        """Set the estimator's names of features, if they have names."""
        if self.passes.feature_names is not None:
            est.feature_names_in_ = np.array(self.passes.feature_names, object)

    def prepare(self, est: Any, dtype: Any) -> None:
        """Choose how partitions are read, once the estimator knows its classes."""
        by_class, sums = None, self.statistics.class_weights
        if est.class_weight is not None:
            by_class = weights_of_classes(est.class_weight, est.classes_, sums)
        if est.solver in MINIBATCH_SOLVERS and not self.passes.in_place:
            check_shuffled(*self.statistics.differences)
        self.encoder = Encoder(est.classes_, by_class, np.dtype(dtype))
        self.total_weight = float(sums.sum() if by_class is None else sums @ by_class)
        if not 0 < self.total_weight < math.inf:
            text = f"the weights of all rows sum to {self.total_weight:g}"
            raise ValueError(f"{text}, must sum to a positive finite number")

    def summed_loss(
        self, est: Any, shapes: Shapes, theta: Floats, alpha: float, *, with_hessian: bool = False,
        precise: bool = False,
    ) -> SummedObjective:  # fmt: skip
        """Return the loss over all partitions as a function of flat parameters like theta."""
        activation = "" if est._model.activation is None else est._model.activation.name
        work = LossWork(
            est._model.name, activation, shapes, theta, with_hessian, precise, int(est.n_threads)
        )
        return SummedObjective(self.passes, self.encoder, work, alpha, self.total_weight)

    def run_epoch(
        self, trainer: Trainer, generator: Any, losses: NDArray[np.float64]
    ) -> Iterator[int]:
        """Train on all rows once, in an order drawn by the generator if there is one."""
        return self.passes.run_epoch(trainer, self.encoder, generator, losses)


def fit(
    est: Any, passes: Passes, y: Any, sample_weight: Any, X_val: Any, y_val: Any, callback: Any
) -> None:
    """Fit an estimator to all partitions."""
    refuse_labels(y, sample_weight)
    if est.solver in MINIBATCH_SOLVERS and est.early_stopping and X_val is None:
        text = f"early_stopping={est.early_stopping!r} needs X_val and y_val with a source"
        raise ValueError(f"{text}, of which no rows are held out")
    rows = PartitionedRows(passes, est.random_state)
    X, y, weight = rows.statistics.sample
    weights: Any = weight
    weight = None if np.ptp(weights) == 0 else weight
    call = FitCall(est, X, y, weight, X_val, y_val, callback)
    call.partitions = rows
    est._fit_or_restore(call, X, y, weight)
    est.n_passes_ = passes.n_passes
    rows.name_features(est)


def refuse_labels(y: Any, sample_weight: Any) -> None:
    """Refuse labels and weights beside a source."""
    for name, value, argument in (("y", y, "target"), ("sample_weight", sample_weight, "weight")):
        if value is not None:
            raise ValueError(
                f"{name} must be None with a source, which has its own ({argument}= of scan). A "
                f"meta-estimator that passes {name} on needs arrays as X and y: {LOAD}"
            )


def minimise(
    est: Any, sample: Rows, params: tuple[Floats, ...], call: FitCall
) -> tuple[tuple[Floats, ...], int]:
    """Return a linear model's parameters at the minimum over all partitions, and the iterations.

    Without a warm start the params, zeros, are replaced by those at the sample's minimum.
    """
    call.begin(0)
    rows = call.partitions
    rows.prepare(est, sample.X.dtype)
    alpha = est._penalty(rows.total_weight)["alpha"]
    objective = Objective(est._model, params, sample, alpha, n_threads=int(est.n_threads))
    on_sample: LossAndGradient = objective
    if not est.fit_intercept:
        on_sample = lbfgs.weights_only(objective)
    linear = LinearParams(sample, params[1].size, est.fit_intercept)
    theta = objective.params.flat[: None if est.fit_intercept else linear.n_weights]
    n_free = max(linear.n_outputs - 1, 1) * (linear.n_features + est.fit_intercept)
    by_newton = n_free <= MOST_BY_NEWTON and not sample.sparse
    scaled = StandardisedCoordinates(linear, rows.statistics)
    start: Floats = theta.astype(np.float64)
    if not any(array.any() for array in params):
        start = minimum_of_sample(on_sample, start, linear, alpha, scaled, by_newton=by_newton)
    shapes = tuple([array.shape for array in params])
    precise = by_newton or est.tol < LBFGS_SINGLE_TOL
    on_all = rows.summed_loss(est, shapes, start, alpha, with_hessian=by_newton, precise=precise)
    by_lbfgs = partial(minimise_scaled, on_all, scaled, est.tol)
    if by_newton:
        end, n_iter = newton.minimise(
            on_all, linear.centred(start), SummedSteps(linear, alpha, on_all), by_lbfgs,
            max_iter=est.max_iter, tol=est.tol, eps=precision(np.float64), name="newton-cholesky",
            gap=newton.allowed_gap(linear, alpha, est.tol), foresee=True,
        )  # fmt: skip
    else:
        end, n_iter = by_lbfgs(start, est.max_iter)
    theta[:] = end
    return tuple(objective.params.copies()), n_iter


def minimum_of_sample(
    loss_and_gradient: LossAndGradient, start: Floats, linear: LinearParams, alpha: float,
    scaled: "StandardisedCoordinates", *, by_newton: bool,
) -> Floats:  # fmt: skip
    """Return about where the loss over the sample is least."""
    with collected_warnings(), np.errstate(all="ignore"):
        if by_newton:
            point, _ = newton.finish(
                loss_and_gradient, start, newton_steps(linear, alpha, SAMPLE_TOL),
                max_iter=SAMPLE_STEPS, tol=SAMPLE_TOL, eps=float(np.finfo(linear.rows.X.dtype).eps),
            )  # fmt: skip
            return point.theta
        end, *_ = lbfgs.minimise(
            scaled.wrap(loss_and_gradient), scaled.scaled(start), max_iter=SAMPLE_STEPS,
            tol=SAMPLE_TOL, advice=str, maxls=MOST_TRIALS, ftol=FTOL,
        )  # fmt: skip
        return scaled.original(end)


def minimise_scaled(
    loss_and_gradient: LossAndGradient, scaled: "StandardisedCoordinates", tol: float,
    start: Floats, max_iter: int,
) -> tuple[Floats, int]:  # fmt: skip
    """Minimise by L-BFGS in standardised coordinates, in which tol bounds the gradient."""
    end, _, n_iter = lbfgs.minimise(
        scaled.wrap(loss_and_gradient), scaled.scaled(start), max_iter=max_iter, tol=tol,
        refine=max_iter, by_gradient=True, advice=str, maxls=MOST_TRIALS, ftol=FTOL,
    )  # fmt: skip
    return scaled.original(end), n_iter


class StandardisedCoordinates:
    """Flat parameters (w, b) of a linear model as those of features with mean 0 and variance 1.

    w'ⱼ = sⱼ wⱼ and b' = b + Σⱼ mⱼ wⱼ give the same logits for (x − m) / s. The loss is that of
    (w, b), penalty included; its gradient is ∂L/∂w'ⱼ = (∂L/∂wⱼ − mⱼ ∂L/∂b) / sⱼ, and that in b' is
    ∂L/∂b. Without a free bias m is taken as 0.
    """

    def __init__(self, linear: LinearParams, statistics: Statistics) -> None:
        self._linear, mean, scale = linear, statistics.mean, statistics.scale
        self._mean = mean if linear.fit_bias else np.zeros_like(mean)
        self._scale = scale if linear.fit_bias else np.hypot(scale, mean)

    def scaled(self, theta: Floats) -> Floats:
        """Return (w', b') of (w, b)."""
        theta = theta.copy()
        weights, biases = self._linear.by_class(theta)
        biases += (weights @ self._mean)[:, None]
        weights *= self._scale
        return theta

    def original(self, theta: Floats) -> Floats:
        """Return (w, b) of (w', b')."""
        theta = theta.copy()
        weights, biases = self._linear.by_class(theta)
        weights /= self._scale
        biases -= (weights @ self._mean)[:, None]
        return theta

    def wrap(self, loss_and_gradient: LossAndGradient) -> LossAndGradient:
        """Return the loss as a function of (w', b')."""

        def evaluate(theta: Floats) -> tuple[float, Floats]:
            loss, gradient = loss_and_gradient(self.original(theta))
            gradient = gradient.astype(np.float64)
            weights, biases = self._linear.by_class(gradient)
            if biases.size:
                weights -= biases * self._mean
            weights /= self._scale
            return loss, gradient

        return evaluate
