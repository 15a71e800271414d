"""The epoch loop of the mini-batch solvers: schedules, stopping, callbacks.

The attributes that last from fit to fit are those of scikit-learn's MLPClassifier and, with
``exact_resume``, ``_generator_state`` and ``_row_order``: the state of a generator seeded by an
integer, and the order that the next epoch shuffles.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit.estimators import sklearn_compat
from fastlogit.estimators.progress import EarlyStopping, FitCall, ValidationSet
from fastlogit.estimators.rows import features_off_scale
from fastlogit.models import Floats, Indices, Rows
from fastlogit.solvers import warn
from fastlogit.training.objective import Objective
from fastlogit.training.orders import LegacyOrders, epochs_ahead, generator_state
from fastlogit.training.trainer import Trainer

# A fit has diverged if its loss ends at this many times that of equal probabilities. Steps that are
# merely too long, for example on features with a mean of 100, end at 100 times.
DIVERGED_FACTOR = 1000
RESUME_ATTRIBUTES = ("_generator_state", "_row_order")


class EpochLoop:
    """Trains an estimator's model, from initial params on, and continues its history."""

    def __init__(
        self, estimator: Any, params: Sequence[Floats], rows: Rows, random_state: Any,
        validation: ValidationSet | None, call: FitCall | None,
    ) -> None:  # fmt: skip
        self.estimator, self.rows = estimator, rows
        # All rows if they are in partitions, of which rows are then a sample.
        self._partitions = None if call is None else call.partitions
        if self._partitions is not None:
            self._partitions.prepare(estimator, params[0].dtype)
        total = rows.total_weight if self._partitions is None else self._partitions.total_weight
        self.n_rows = rows.y.size if self._partitions is None else self._partitions.n_rows
        self.optimizer, self._random_state = estimator._optimizer, random_state
        self.early_stopping = EarlyStopping(estimator, validation)
        self._call = call if call is not None and call.has_observers else None
        self._solver = sklearn_compat.solver_of(self.optimizer)
        self._penalty = estimator._penalty(total)
        batch_size = 200 if estimator.batch_size == "auto" else int(estimator.batch_size)
        if batch_size > self.n_rows and estimator.batch_size != "auto":
            text = f"Got `batch_size`={batch_size} larger than the sample size {self.n_rows}"
            warn(f"{text}. It is going to be clipped", UserWarning)
        self.trainer = Trainer(
            estimator._model, params, solver=self._solver, settings=self._settings,
            batch_size=max(min(batch_size, self.n_rows), 1), n_threads=int(estimator.n_threads),
            sparse=rows.sparse, **self._penalty,
        )  # fmt: skip
        sklearn_compat.load_moments(self.trainer, self.optimizer)
        self._start = self.trainer.checkpoint
        # The state before the last chunk of epochs that took a step, and the learning rate in it.
        self._last_chunk = self._start, self.trainer.learning_rate
        self._orders: LegacyOrders | None = None
        if (
            estimator.shuffle and self._partitions is None
        ):  # with the same bits as sklearn.utils.shuffle
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
        estimator.n_iter_, stopped = 0, False
        try:
            while not stopped and estimator.n_iter_ < max_iter:
                stopped = self._run_chunk(max_iter - estimator.n_iter_)
            if not stopped and not one_epoch:
                self._warn(
                    lambda: (
                        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the "
                        "optimization hasn't converged yet."
                        + self._last_gradient("is {:.0e} at learning_rate={:g}.")
                    )
                )
        except KeyboardInterrupt:
            if estimator.t_ == 0:  # there is no epoch to keep
                raise
            warn("Training interrupted by user.", UserWarning)
        finally:
            if estimator.exact_resume:  # for the next call
                estimator._forget_generator()
                if isinstance(estimator.random_state, Integral):
                    estimator._generator_state = generator_state(self._random_state)
                if self._orders is not None:
                    estimator._row_order = self._orders.order
        self._warn_of_large_loss()
        if self._call is not None:
            self._call.end_subtask()  # an epoch that was not recorded
        sklearn_compat.store_moments(self.trainer, self.optimizer)
        if self._best is not None:
            self.trainer.flat.flat[...] = self._best
        params = tuple(self.trainer.flat.copies())
        self.trainer.release()
        return params

    def _run_chunk(self, epochs_left: int) -> bool:
        """Run the epochs up to the next decision; return whether training stops."""
        estimator, trainer = self.estimator, self.trainer
        if self._call is not None:
            self._call.begin_subtask("epoch")
        epochs = 1 if epochs_left == 1 else min(self._epochs_to_decision(), epochs_left)
        mark = None
        if self._orders is None:
            orders = np.empty((epochs, 0), np.intp)
        else:
            mark = self._orders.mark() if estimator.exact_resume else None
            orders = self._orders.draw(epochs)
        if self._solver == "sgd":
            trainer.learning_rate = self.optimizer.learning_rate
        before, losses = trainer.checkpoint, np.zeros(epochs)
        earlier, recorded, stopped = estimator.n_iter_, 0, False
        try:
            for done in self._run_epochs(orders, losses):
                for loss in losses[recorded:done].tolist():
                    stopped = self._record_epoch(loss)
                recorded = done
        finally:
            n_done = estimator.n_iter_ - earlier  # more than recorded if a callback raised
            if mark is not None and self._orders is not None and n_done < epochs:
                self._orders.go_back(mark)  # the next call draws the epochs that were not run
                self._orders.draw(n_done)
        if recorded:
            self._last_chunk = before, trainer.learning_rate
        if recorded < epochs:
            self._warn_of_divergence()
            return True
        return stopped

    def _run_epochs(self, orders: Indices, losses: NDArray[np.float64]) -> Iterator[int]:
        """Train as :meth:`Trainer.run_epochs` does, on partitions for one epoch."""
        if self._partitions is None:
            return self.trainer.run_epochs(self.rows, orders, losses)
        generator = self._random_state if self.estimator.shuffle else None
        epoch: Iterator[int] = self._partitions.run_epoch(self.trainer, generator, losses)
        return epoch

    def _epochs_to_decision(self) -> int:
        """Return the number of epochs before anything depends on their loss or score.

        On a tiny data set, one call for all of them takes a tenth of the time of one each.
        """
        estimator = self.estimator
        scheduled = getattr(self.optimizer, "lr_schedule", "constant") == "invscaling"
        observed = self._call is not None or self.early_stopping.validation is not None
        observed |= self._partitions is not None
        if estimator.verbose or scheduled or observed:
            return 1
        patience = estimator.n_iter_no_change - estimator._no_improvement_count + 1
        return int(max(min(patience, epochs_ahead(self.n_rows)), 1))

    def _record_epoch(self, loss: float) -> bool:
        """Record an epoch in the history; return whether training stops."""
        estimator, stops = self.estimator, False
        estimator.loss_, estimator.n_iter_ = loss, estimator.n_iter_ + 1
        estimator.t_ += self.n_rows
        if self.early_stopping.update(loss, self.trainer.flat.public) and estimator.early_stopping:
            self._best = self.trainer.flat.flat.copy()
        self.optimizer.iteration_ends(estimator.t_)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            stops = self.optimizer.trigger_stopping(
                f"{self.early_stopping.criterion} did not improve more than tol={estimator.tol:f} "
                f"for {estimator.n_iter_no_change:.0f} consecutive epochs.",
                estimator.verbose,
            )
            if not stops:  # the learning rate is reduced instead
                estimator._no_improvement_count = 0
        if self._call is not None:
            estimator._params = tuple(self.trainer.flat.copies())
            stops |= self._call.end_epoch()
        return stops

    def _warn(self, text: Callable[[], str]) -> None:
        """Warn with numbers of one digit: most fits of a search then share the message."""
        warn(lambda: text() + features_off_scale(self.estimator, self.rows.X))

    def _warn_of_divergence(self) -> None:
        """Warn of a loss that is not finite; raise ValueError in the first epoch."""
        estimator, rate = self.estimator, self._settings["learning_rate"]
        if estimator.t_ == 0:
            raise ValueError(
                "Solver produced non-finite parameter weights: the loss is not finite in epoch 1 "
                f"at learning_rate={rate:g}. Features of unit variance, or a smaller learning "
                f"rate, may help.{features_off_scale(estimator, self.rows.X)}"
            )
        self._warn(
            lambda: (
                f"The loss is no longer finite in epoch {estimator.n_iter_ + 1} at learning_rate="
                f"{rate:g}; the parameters are those before that epoch."
                f"{self._last_gradient('was {:.0e}.')} A smaller learning rate, or features of "
                "unit variance, may help."
            )
        )

    def _warn_of_large_loss(self) -> None:
        """Warn of a loss far above those of equal probabilities and of the initial parameters."""
        trainer, rows, loss = self.trainer, self.rows, getattr(self.estimator, "loss_", 0)
        baseline = math.log(max(trainer.flat.public[-1].size, 2))
        if self.estimator.n_iter_ == 0 or loss <= DIVERGED_FACTOR * baseline:
            return
        alpha = self._penalty["alpha"]
        if self._penalty.get("alpha_by_row"):
            weight = rows.weight.mean() if rows.weight.size else 1
            alpha /= trainer.batch_size * weight
        start = Objective(self.estimator._model, trainer.flat.public, rows, alpha)
        start.params.flat[...] = self._start.theta
        if loss > start.evaluate():
            self._warn(
                lambda: (
                    f"Training diverged: the loss of the last epoch is {loss:.0e}, equal "
                    f"probabilities have {baseline:.1g}, at learning_rate="
                    f"{self._settings['learning_rate']:g}. A smaller learning rate may help."
                )
            )

    def _last_gradient(self, value: str) -> str:
        """Return a sentence on the gradient of the last batches, empty before any step.

        The optimizer's first moment has it; the gradient over all rows takes as long as an epoch.
        """
        trainer, settings = self.trainer, self._settings
        moment, steps = trainer.moments[0], int(trainer.steps[0])
        if self._solver == "adam":
            decay, from_rest = float(settings["beta_1"]), True
            factor = 1 - decay
        elif decay := float(settings["momentum"]):
            factor, from_rest = trainer.learning_rate, not self._start.moments.any()
        else:
            # Without a velocity, fused steps store no gradient: take the change of the parameters.
            before, factor = self._last_chunk
            moment, steps = trainer.flat.flat - before.theta, steps - int(before.steps[0])
            decay, from_rest = 1.0, True
        if from_rest and steps == 0:
            return ""
        average = average_gradient(moment, steps, decay=decay, factor=factor, from_rest=from_rest)
        value = value.format(average, settings["learning_rate"])
        return f" Over the last batches, the gradient's largest element {value}"


def average_gradient(
    moment: Floats, steps: int, *, decay: float, factor: float, from_rest: bool
) -> float:
    """Return the largest element of the gradient that a first moment averages over the steps.

    It is ± factor · Σₖ decayᵏ · gradient of the k-th last step, over all steps or only from_rest.
    """
    numerator = 1 - decay**steps if from_rest else 1
    weights = numerator / (1 - decay) if decay < 1 else steps  # Σₖ decayᵏ
    return float(np.maximum.reduce(np.abs(moment))) / (factor * weights)
