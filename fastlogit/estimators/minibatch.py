"""The epoch loop of both estimators: schedules, stopping, callbacks.

The attributes that last from fit to fit have their names and meaning from scikit-learn's
MLPClassifier: ``t_``, ``n_iter_``, ``loss_``, ``loss_curve_``, ``best_loss_``,
``validation_scores_``, ``best_validation_score_``, ``_no_improvement_count`` and ``_optimizer``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastlogit.estimators import convergence, resume
from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.early_stopping import EarlyStopping, ValidationSet
from fastlogit.models import Floats, Indices, Model, Rows
from fastlogit.solvers import warn
from fastlogit.training.objective import Objective
from fastlogit.training.orders import epochs_ahead
from fastlogit.training.trainer import Trainer

# A fit has diverged if its loss ends at this many times that of equal probabilities. Steps that are
# merely too long, for example on features with a mean of 100, end at 100 times.
DIVERGED_FACTOR = 1000
LOG_2 = np.log(2)  # the loss of equal probabilities of two classes, the least of any number
BALANCED_PARTIAL_FIT = (
    "class_weight='balanced' needs all of y, which partial_fit does not see; pass the weights as a "
    "dict"
)


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
    """Trains an estimator's parameters epoch by epoch and records its history.

    Parameters
    ----------
    estimator : estimator
        The estimator with the arguments, the history and the ``_optimizer`` to continue with.
    model : Model
        The model to train.
    params : sequence of ndarray
        Initial parameters: weights and biases, alternating.
    rows : Rows
        Training data.
    random_state : RandomState
        Source of the row orders.
    alpha : float
        Factor of the penalty.
    alpha_by_row : bool
        Whether alpha is divided by the sum of a batch's weights.
    fit_bias : bool
        Whether the biases are trained; if not they stay as given.
    validation : ValidationSet or None
        Validation rows, which with early stopping decide when to stop.
    call : FitCall or None
        The call of fit, which may have callbacks.
    set_params : callable or None
        Called with the parameters after each epoch that callbacks follow: sets the attributes.
    """

    def __init__(
        self, estimator: Any, model: Model, params: Sequence[Floats], rows: Rows,
        random_state: Any, *, alpha: float, alpha_by_row: bool = False, fit_bias: bool = True,
        validation: ValidationSet | None = None, call: FitCall | None = None,
        set_params: Callable[[tuple[Floats, ...]], None] | None = None,
    ) -> None:  # fmt: skip
        self.estimator, self.rows, self._model = estimator, rows, model
        self._alpha, self._alpha_by_row = alpha, alpha_by_row
        self.optimizer = estimator._optimizer
        self.early_stopping = EarlyStopping(estimator, validation)
        self._call = call if call is not None and call.has_observers else None
        self._set_params = set_params
        self.n_rows = rows.y.size
        self._solver = resume.solver_of(self.optimizer)
        self.trainer = Trainer(
            model, params, solver=self._solver, settings=self._settings, alpha=alpha,
            alpha_by_row=alpha_by_row, batch_size=batch_size_of(estimator, self.n_rows),
            fit_bias=fit_bias, n_threads=int(estimator.n_threads), sparse=rows.sparse,
        )  # fmt: skip
        resume.load_moments(self.trainer, self.optimizer, self._solver)
        self.trainer.mark()
        self._start = self.trainer.checkpoint
        # The state before the last chunk of epochs that took a step, and the learning rate in it.
        self._last_chunk = self._start, self.trainer.learning_rate
        # The same bits as sklearn.utils.shuffle, which draws a permutation of range(n).
        self._random_state = random_state
        self._orders = resume.row_orders(estimator, random_state, self.n_rows)
        self._best: Floats | None = None

    @property
    def _settings(self) -> dict[str, float]:
        return resume.optimizer_settings(self.optimizer, self._solver)

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
                warn(
                    convergence.OPTIMUM_NOT_REACHED.format(max_iter)
                    + self._last_gradient(convergence.GRADIENT_AT_END)
                    + convergence.features_off_scale(estimator, self.rows.X)
                )
        except KeyboardInterrupt:
            if estimator.t_ == 0:  # there is no epoch to keep
                raise
            warn("Training interrupted by user.", UserWarning)
        finally:
            resume.save(estimator, self._random_state, self._orders)
        self._warn_of_large_loss()
        if self._call is not None:
            self._call.cancel_subtask()  # an epoch that was not recorded
        resume.store_moments(self.trainer, self.optimizer, self._solver)
        if self._best is not None:
            self.trainer.flat.flat[...] = self._best
        return tuple(self.trainer.flat.copies())

    def _run_chunk(self, epochs_left: int) -> bool:
        """Run the epochs up to the next decision; return whether training stops."""
        if self._call is not None:
            self._call.begin_subtask()
        mark = self._orders.mark() if self._orders and self.estimator.exact_resume else None
        ahead = self._epochs_to_decision() if epochs_left > 1 else 1
        orders = self._draw_orders(min(ahead, epochs_left))
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

    def _draw_orders(self, epochs: int) -> Indices:
        return np.empty((epochs, 0), np.intp) if self._orders is None else self._orders.draw(epochs)

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
        if self._call is not None and self._set_params is not None:
            self._set_params(tuple(self.trainer.flat.copies()))
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

    def _warn_of_divergence(self) -> None:
        """Warn of a loss that is not finite; raise ValueError in the first epoch."""
        estimator, rate = self.estimator, self._settings["learning_rate"]
        advice = convergence.features_off_scale(estimator, self.rows.X)
        if estimator.t_ == 0:
            raise ValueError(convergence.NON_FINITE.format(rate) + advice)
        message = convergence.DIVERGED.format(
            estimator.n_iter_ + 1, rate, self._last_gradient(convergence.GRADIENT_BEFORE)
        )
        warn(message + advice)

    def _warn_of_large_loss(self) -> None:
        """Warn of a loss far above those of equal probabilities and of the initial parameters."""
        if self.estimator.n_iter_ == 0 or self.estimator.loss_ <= DIVERGED_FACTOR * LOG_2:
            return
        trainer, rows, loss = self.trainer, self.rows, self.estimator.loss_
        baseline = np.log(max(trainer.flat.public[-1].size, 2))
        if loss <= DIVERGED_FACTOR * baseline:
            return
        alpha = self._alpha
        if self._alpha_by_row:
            weight = rows.weight.mean() if rows.weight.size else 1
            alpha /= trainer.batch_size * weight
        shapes = tuple(array.shape for array in trainer.flat.public)
        start = Objective(self._model, shapes, rows, alpha)
        start.params.flat[...] = self._start.theta
        if loss > start.evaluate():
            warn(
                convergence.FAR_FROM_START.format(loss, baseline, self._settings["learning_rate"])
                + convergence.features_off_scale(self.estimator, rows.X)
            )

    def _last_gradient(self, text: str) -> str:
        """Return the text with the gradient's largest element, empty before any step."""
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
        average = convergence.average_gradient(
            moment, steps, decay=decay, factor=factor, from_rest=from_rest
        )
        return text.format(average, settings["learning_rate"])
