"""The epoch loop of both estimators: schedules, stopping, callbacks.

The attributes that last from fit to fit have their names and meaning from scikit-learn's
MLPClassifier: ``t_``, ``n_iter_``, ``loss_``, ``loss_curve_``, ``best_loss_``,
``validation_scores_``, ``best_validation_score_``, ``_no_improvement_count`` and ``_optimizer``.
With ``exact_resume``, ``_generator_state`` and ``_row_order`` are added: the state of a generator
seeded by an integer, and the order that the next epoch shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from fastlogit.estimators import sklearn_compat
from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.early_stopping import EarlyStopping, ValidationSet
from fastlogit.estimators.rows import features_off_scale
from fastlogit.models import Floats, Rows
from fastlogit.solvers import warn
from fastlogit.training.objective import Objective
from fastlogit.training.orders import LegacyOrders, epochs_ahead, generator_state
from fastlogit.training.trainer import Trainer

# A fit has diverged if its loss ends at this many times that of equal probabilities. Steps that are
# merely too long, for example on features with a mean of 100, end at 100 times.
DIVERGED_FACTOR = 1000
LOG_2 = np.log(2)  # the loss of equal probabilities of two classes, the least of any number
RESUME_ATTRIBUTES = ("_generator_state", "_row_order")


def batch_size_of(estimator: Any, n_rows: int) -> int:
    """Return the rows per batch; warn if batch_size is clipped to the number of rows."""
    if estimator.batch_size == "auto":
        return min(200, n_rows)
    if estimator.batch_size > n_rows:
        warn(
            f"Got `batch_size`={estimator.batch_size} larger than the sample size {n_rows}. "
            "It is going to be clipped",
            UserWarning,
        )
    return max(min(int(estimator.batch_size), n_rows), 1)


class EpochLoop:
    """Trains an estimator's model epoch by epoch and records its history.

    The estimator holds the arguments, and the history and ``_optimizer`` to continue with.
    ``params`` are the initial weights and biases, alternating.
    """

    def __init__(
        self, estimator: Any, params: Sequence[Floats], rows: Rows, random_state: Any, *,
        validation: ValidationSet | None = None, call: FitCall | None = None,
    ) -> None:  # fmt: skip
        self.estimator, self.rows, self.n_rows = estimator, rows, rows.y.size
        self.optimizer = estimator._optimizer
        self.early_stopping = EarlyStopping(estimator, validation)
        self._call = call if call is not None and call.has_observers else None
        self._solver = sklearn_compat.solver_of(self.optimizer)
        self._penalty = estimator._penalty(rows)
        self.trainer = Trainer(
            estimator._model, params, solver=self._solver, settings=self._settings,
            batch_size=batch_size_of(estimator, self.n_rows), n_threads=int(estimator.n_threads),
            sparse=rows.sparse, **self._penalty,
        )  # fmt: skip
        sklearn_compat.load_moments(self.trainer, self.optimizer)
        self.trainer.mark()
        self._start = self.trainer.checkpoint
        # The state before the last chunk of epochs that took a step, and the learning rate in it.
        self._last_chunk = self._start, self.trainer.learning_rate
        self._random_state = random_state
        self._orders: LegacyOrders | None = None
        if estimator.shuffle:  # with the same bits as sklearn.utils.shuffle
            order = estimator.__dict__.get("_row_order")  # of the same rows if there are as many
            order = order if order is not None and order.size == self.n_rows else None
            self._orders = LegacyOrders(random_state, self.n_rows, order)
        self._best: Floats | None = None

    @property
    def _settings(self) -> dict[str, float]:
        return sklearn_compat.optimizer_settings(self.optimizer)

    def run(self, *, one_epoch: bool) -> tuple[Floats, ...]:
        """Train for one epoch or until tol or max_iter stops it, and return the parameters."""
        estimator = self.estimator
        max_iter = 1 if one_epoch else estimator.max_iter
        estimator.n_iter_ = 0
        stopped = False
        try:
            while not stopped and estimator.n_iter_ < max_iter:
                stopped = self._run_chunk(max_iter - estimator.n_iter_)
            if not stopped and not one_epoch:
                self._warn_of_max_iter()
        except KeyboardInterrupt:
            if estimator.t_ == 0:  # there is no epoch to keep
                raise
            warn("Training interrupted by user.", UserWarning)
        finally:
            if estimator.exact_resume:
                self._save_generator()
        self._warn_of_large_loss()
        if self._call is not None:
            self._call.cancel_subtask()  # an epoch that was not recorded
        sklearn_compat.store_moments(self.trainer, self.optimizer)
        if self._best is not None:
            self.trainer.flat.flat[...] = self._best
        return tuple(self.trainer.flat.copies())

    def _save_generator(self) -> None:
        """Save the generator and the row order for the next call."""
        estimator = self.estimator
        estimator._forget_generator()
        if isinstance(estimator.random_state, Integral):
            estimator._generator_state = generator_state(self._random_state)
        if self._orders is not None:
            estimator._row_order = self._orders.order

    def _run_chunk(self, epochs_left: int) -> bool:
        """Run the epochs up to the next decision; return whether training stops."""
        if self._call is not None:
            self._call.begin_subtask()
        mark = self._orders.mark() if self._orders and self.estimator.exact_resume else None
        ahead = self._epochs_to_decision() if epochs_left > 1 else 1
        epochs = min(ahead, epochs_left)
        orders = np.empty((epochs, 0), np.intp)
        if self._orders is not None:
            orders = self._orders.draw(epochs)
        if self._solver == "sgd":
            self.trainer.learning_rate = self.optimizer.learning_rate
        before = self.trainer.checkpoint
        losses = np.zeros(len(orders))
        earlier, recorded = self.estimator.n_iter_, 0
        stopped = False
        try:
            for done in self.trainer.run_epochs(self.rows, orders, losses):
                for loss in losses[recorded:done].tolist():
                    stopped = self._record_epoch(loss)
                recorded = done
        finally:
            n_done = self.estimator.n_iter_ - earlier  # more than recorded if a callback raised
            if mark is not None and self._orders is not None and n_done < len(orders):
                self._orders.go_back(mark)  # the next call draws the epochs that were not run
                self._orders.draw(n_done)
        if recorded:
            self._last_chunk = before, self.trainer.learning_rate
        if recorded < len(orders):
            self._warn_of_divergence()
            return True
        return stopped

    def _epochs_to_decision(self) -> int:
        """Return the number of epochs before anything depends on their loss or score.

        Training stops when more than n_iter_no_change epochs in a row bring no improvement. On a
        tiny data set, one call for all epochs up to then takes a tenth of the time of one each.
        """
        estimator = self.estimator
        scheduled = getattr(self.optimizer, "lr_schedule", "constant") == "invscaling"
        observed = self._call is not None or self.early_stopping.validation is not None
        if estimator.verbose or scheduled or observed:
            return 1
        patience = estimator.n_iter_no_change - estimator._no_improvement_count + 1
        return int(max(min(patience, epochs_ahead(self.n_rows)), 1))

    def _record_epoch(self, loss: float) -> bool:
        """Record an epoch in the history; return whether training stops."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.n_rows
        best = self.early_stopping.update(loss, self.trainer.flat.public)
        if best and estimator.early_stopping:
            self._best = self.trainer.flat.flat.copy()
        self.optimizer.iteration_ends(estimator.t_)
        stops = self._patience_exhausted()
        if self._call is not None:
            estimator._params = tuple(self.trainer.flat.copies())
            stops |= self._call.end_epoch()
        return stops

    def _patience_exhausted(self) -> bool:
        """Return whether training stops; a schedule may reduce the learning rate instead."""
        estimator = self.estimator
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        stops: bool = self.optimizer.trigger_stopping(
            f"{self.early_stopping.criterion} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change:.0f} consecutive epochs.",
            estimator.verbose,
        )
        if not stops:
            estimator._no_improvement_count = 0
        return stops

    # Numbers in the warnings have one digit: most fits of a search then have the same message,
    # which Python shows once.

    def _warn_of_max_iter(self) -> None:
        gradient = self._last_gradient("is {:.0e} at learning_rate={:g}.")
        warn(
            f"Stochastic Optimizer: Maximum iterations ({self.estimator.max_iter}) reached and the "
            f"optimization hasn't converged yet.{gradient}{self._advice()}"
        )

    def _warn_of_divergence(self) -> None:
        """Warn of a loss that is not finite; raise ValueError in the first epoch."""
        estimator, rate = self.estimator, self._settings["learning_rate"]
        if estimator.t_ == 0:
            raise ValueError(
                "Solver produced non-finite parameter weights: the loss is not finite in epoch 1 "
                f"at learning_rate={rate:g}. Features of unit variance, or a smaller learning "
                f"rate, may help.{self._advice()}"
            )
        gradient = self._last_gradient("was {:.0e}.")
        warn(
            f"The loss is no longer finite in epoch {estimator.n_iter_ + 1} at learning_rate="
            f"{rate:g}; the parameters are those before that epoch.{gradient} A smaller learning "
            f"rate, or features of unit variance, may help.{self._advice()}"
        )

    def _warn_of_large_loss(self) -> None:
        """Warn of a loss far above those of equal probabilities and of the initial parameters."""
        if self.estimator.n_iter_ == 0 or self.estimator.loss_ <= DIVERGED_FACTOR * LOG_2:
            return
        trainer, rows, loss = self.trainer, self.rows, self.estimator.loss_
        baseline = np.log(max(trainer.flat.public[-1].size, 2))
        if loss <= DIVERGED_FACTOR * baseline:
            return
        alpha = self._penalty["alpha"]
        if self._penalty.get("alpha_by_row"):
            weight = rows.weight.mean() if rows.weight.size else 1
            alpha /= trainer.batch_size * weight
        start = Objective(self.estimator._model, trainer.flat.public, rows, alpha)
        start.params.flat[...] = self._start.theta
        if loss > start.evaluate():
            warn(
                f"Training diverged: the loss of the last epoch is {loss:.0e}, equal probabilities "
                f"have {baseline:.1g}, at learning_rate={self._settings['learning_rate']:g}. A "
                f"smaller learning rate may help.{self._advice()}"
            )

    def _advice(self) -> str:
        return features_off_scale(self.estimator, self.rows.X)

    def _last_gradient(self, value: str) -> str:
        """Return a sentence on the gradient of the last batches, empty before any step.

        It is taken from the optimizer's first moment, which is available at no cost; the gradient
        over all rows takes as long as an epoch.
        """
        trainer, settings = self.trainer, self._settings
        if self._solver == "adam":
            from_rest, decay = True, float(settings["beta_1"])
            factor = 1 - decay
        else:
            from_rest, decay = not self._start.moments.any(), float(settings["momentum"])
            factor = trainer.learning_rate
        moment, steps = trainer.moments[0], int(trainer.steps[0])
        if self._solver == "sgd" and decay == 0:
            # Without a velocity, fused steps store no gradient: take the change of the parameters.
            before, factor = self._last_chunk
            moment, steps = trainer.flat.flat - before.theta, steps - int(before.steps[0])
            from_rest, decay = True, 1.0
        if from_rest and steps == 0:
            return ""
        average = average_gradient(moment, steps, decay=decay, factor=factor, from_rest=from_rest)
        return " Over the last batches, the gradient's largest element " + value.format(
            average, settings["learning_rate"]
        )


def average_gradient(
    moment: Floats, steps: int, *, decay: float, factor: float, from_rest: bool
) -> float:
    """Return the largest element of the gradient that a first moment averages over the steps.

    The moment is ± factor · Σₖ decayᵏ · gradient of the k-th step before the last. It was 0 before
    the first step with from_rest; otherwise it is taken as stationary.
    """
    # Σₖ decayᵏ over the steps, or over infinitely many
    numerator = 1 - decay**steps if from_rest else 1
    weights = numerator / (1 - decay) if decay < 1 else steps
    return float(np.max(np.abs(moment))) / (factor * weights)
