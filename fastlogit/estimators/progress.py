"""The progress of a fit: the history of its epochs, early stopping and callbacks."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastlogit.estimators.sklearn_compat import MINIBATCH_SOLVERS, has_callbacks, root_task
from fastlogit.models import Model, Rows
from fastlogit.models.checks import total_weight
from fastlogit.training.objective import Objective, predict

# What may end a fit: its curve in the history, its best value, and -1 if larger is better. The last
# is ours, the rest scikit-learn's.
CRITERIA = {
    "Training loss": ("loss_curve_", "best_loss_", 1),
    "Validation score": ("validation_scores_", "best_validation_score_", -1),
    "Validation loss": ("validation_loss_curve_", "best_validation_loss_", 1),
}
HISTORY_ATTRIBUTES = ["_no_improvement_count", *chain(*(names for *names, _ in CRITERIA.values()))]


def start_history(estimator: Any) -> None:
    """Set the attributes that record epochs to those of an estimator without any."""
    stops_early = bool(estimator.early_stopping)
    vars(estimator).update(
        t_=0, loss_curve_=[], _no_improvement_count=0, best_loss_=None if stops_early else np.inf,
        validation_scores_=[] if stops_early else None,
        best_validation_score_=-np.inf if stops_early else None,
    )  # fmt: skip


def split_rows(
    rows: Rows, validation_fraction: float, random_state: Any, *, stratified: bool
) -> list[Rows]:
    """Return training and validation rows, drawn as by scikit-learn."""
    strata: Any = rows.y if stratified else None
    if stratified and np.bincount(rows.y, minlength=2).min() <= 1:
        strata = rows.y.astype(bool).astype(str)  # scikit-learn's error names 'True' or 'False'
    train, validation = train_test_split(
        np.arange(rows.y.size), random_state=random_state, test_size=validation_fraction,
        stratify=strata,
    )  # fmt: skip
    if validation.size < 2:
        text = f"The validation set is too small: {validation.size} of {rows.y.size} rows"
        raise ValueError(f"{text} at validation_fraction={validation_fraction}.")
    parts = []
    for name, indices in (("training", train), ("validation", validation)):
        weight = rows.weight[indices] if rows.weight.size else rows.weight
        if weight.size:
            total_weight(f"sample_weight of the {indices.size} {name} rows", weight)
        parts.append(Rows(rows.X[indices], rows.y[indices], weight))
    return parts


@dataclass
class ValidationSet:
    """Validation rows, with the score of parameters on them, and the loss if it is wanted."""

    model: Model
    rows: Rows
    n_threads: int = 1
    has_loss: bool = False
    _objective: Objective | None = None

    def score(self, params: Any) -> float:
        """Return the (weighted) accuracy on the rows."""
        proba = predict(self.model, params, self.rows.X, n_threads=self.n_threads)
        # For a tie of a binary model, argmax returns the first class.
        correct = proba.argmax(axis=1) == self.rows.y
        if self.rows.weight.size:
            return float(np.average(correct, weights=self.rows.weight))
        return float(np.count_nonzero(correct) / correct.size)

    def loss(self, params: Any) -> float:
        """Return the (weighted) mean loss of the rows, without the penalty."""
        if self._objective is None:
            self._objective = Objective(self.model, params, self.rows, 0, n_threads=self.n_threads)
        self._objective.params.assign(params)
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            return self._objective.evaluate()


class EarlyStopping:
    """Records each epoch in the estimator's history and counts epochs without improvement."""

    def __init__(self, estimator: Any, validation: ValidationSet | None) -> None:
        est = estimator
        self.estimator, self.validation = est, validation
        on_validation = "Validation loss" if est.early_stopping == "loss" else "Validation score"
        self.criterion = on_validation if est.early_stopping else "Training loss"
        if est.t_ == 0:  # an earlier fit's
            for name in CRITERIA["Validation loss"][:2]:
                vars(est).pop(name, None)
        if validation is None:
            return
        if est.validation_scores_ is None:
            est.validation_scores_, est.best_validation_score_ = [], -np.inf
        if validation.has_loss and not hasattr(est, "validation_loss_curve_"):
            est.validation_loss_curve_, est.best_validation_loss_ = [], np.inf

    def update(self, loss: float, params: Any) -> bool:
        """Record an epoch; return whether its parameters are the best on the validation rows."""
        validation = self.validation
        self._record("Training loss", loss, "Iteration {epoch}, loss = {value:.8f}")
        if validation is None:
            return False
        score = validation.score(params)
        is_best = self._record("Validation score", score, "Validation score: {value:f}")
        if validation.has_loss:
            loss = validation.loss(params)
            has_least = self._record("Validation loss", loss, "Validation loss: {value:.8f}")
            is_best = has_least if self.criterion == "Validation loss" else is_best
        return is_best

    def _record(self, criterion: str, value: float, text: str) -> bool:
        """Append a value to its curve and count it; return whether it is the best so far."""
        est, (curve, best_name, sign) = self.estimator, CRITERIA[criterion]
        getattr(est, curve).append(value)
        if est.verbose:
            print(text.format(epoch=est.n_iter_, value=value))
        best = getattr(est, best_name)
        if criterion == self.criterion:
            improved = not sign * value > sign * best - est.tol
            est._no_improvement_count = 0 if improved else est._no_improvement_count + 1
        elif criterion == "Training loss":  # the best is kept only if it ends a fit, else None
            return False
        is_best = bool(sign * value < sign * best)
        if is_best:
            setattr(est, best_name, value)
        return is_best


class FitCall:
    """The arguments of one call of fit, before any validation, and the callbacks that follow it."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None,
        y_val: Any = None, callback: Callable[[int, float, Any], Any] | None = None,
    ) -> None:  # fmt: skip
        if (X_val is None) != (y_val is None):
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"X_val and y_val go together, got {missing}=None alone")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, got {callback!r}")
        self.estimator, self.X_val, self.y_val, self.callback = estimator, X_val, y_val, callback
        self.sklearn_reason = ""  # why scikit-learn's code runs, if it does
        self.partitions: Any = None  # PartitionedRows, of which X and y are a sample
        self.waiting_reason: str | None = None  # why it runs what the kernels support
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._task: Any = None
        self._subtask: Any = None

    @property
    def has_observers(self) -> bool:
        """Whether anything has to be called after each epoch."""
        return self._task is not None or self.callback is not None

    @property
    def is_alone(self) -> bool:
        """Whether no code but the fit's own runs until it ends: no callback's, no source's."""
        has_others = self.callback is not None or self.partitions is not None
        return not (has_others or has_callbacks(self.estimator))

    def refuse_epoch_arguments(self, reason: str) -> None:
        """Raise ValueError for arguments that need epochs on the kernels, which do not run."""
        est = self.estimator
        given = [name for name in ("X_val", "callback") if getattr(self, name) is not None]
        if est.solver in MINIBATCH_SOLVERS and est.early_stopping == "loss":
            given.append("early_stopping='loss'")
        if given:
            text = f"{given[0]} is for the solvers 'sgd' and 'adam' on the kernels"
            raise ValueError(f"{text}; here {reason}")

    def begin(self, max_subtasks: int) -> None:
        """Begin the task of the fit, with 0 subtasks if callbacks do not follow its epochs."""
        if has_callbacks(self.estimator):
            self._task = root_task(self.estimator, max_subtasks)
            self._task.call_on_fit_task_begin(**self._data)

    def end(self) -> None:
        """End the task of the fit."""
        if self._task is not None:
            self._task.call_on_fit_task_end(**self._data, reconstruction_attributes={})

    def begin_subtask(self, name: str, fitted: dict[str, Any] | None = None) -> None:
        """Begin an epoch or iteration, which starts from the fitted attributes given, if any."""
        if self._task is not None:
            self._subtask = self._task.subcontext(task_name=name)
            attributes = {} if fitted is None else {"reconstruction_attributes": fitted}
            self._subtask.call_on_fit_task_begin(**self._data, **attributes)

    def end_subtask(self, fitted: dict[str, Any] | None = None) -> bool:
        """End it, if there is one; without attributes it is cancelled. Return whether to stop."""
        subtask, self._subtask = self._subtask, None
        if subtask is None:
            return False
        data = {"estimator": self.estimator}
        if fitted is not None:
            data = {**self._data, "reconstruction_attributes": fitted}
        return bool(subtask.call_on_fit_task_end(**data))

    def end_epoch(self) -> bool:
        """End an epoch whose parameters are in the estimator; return whether to stop."""
        est, stop = self.estimator, False
        if self._subtask is not None:
            curves = {name: getattr(est, name, None) for name, *_ in CRITERIA.values()}
            # The lists grow on: callbacks see copies.
            stop = self.end_subtask({k: list(v) for k, v in curves.items() if v is not None})
        if self.callback is not None and self.callback(est.n_iter_ - 1, est.loss_, est):
            stop = True
        return stop
