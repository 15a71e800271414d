"""Early stopping: validation rows, the history of the epochs, and how long nothing has improved.

The training loss ends a fit; with ``early_stopping`` the score on the validation rows does, or with
``early_stopping="loss"`` the loss on them. Names and meaning are those of scikit-learn's
MLPClassifier; ``validation_loss_curve_`` and ``best_validation_loss_`` are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastlogit.models import Indices, Model, Rows
from fastlogit.models.checks import total_weight
from fastlogit.training.objective import Objective, predict

# Attributes that scikit-learn's MLPClassifier does not have.
ADDED_ATTRIBUTES = ("validation_loss_curve_", "best_validation_loss_")


# What may end a fit: its curve in the history, its best value, and -1 if larger is better.
CRITERIA = {
    "Training loss": ("loss_curve_", "best_loss_", 1),
    "Validation score": ("validation_scores_", "best_validation_score_", -1),
    "Validation loss": ("validation_loss_curve_", "best_validation_loss_", 1),
}


def stops_on_loss(early_stopping: Any) -> bool:
    """Return whether the loss on validation rows ends a fit with this value of the argument."""
    return isinstance(early_stopping, str) and early_stopping == "loss"


def start_history(estimator: Any) -> None:
    """Set the attributes that record epochs to those of an estimator without any."""
    estimator.t_ = 0
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    early_stopping = estimator.early_stopping
    estimator.best_loss_ = None if early_stopping else np.inf
    estimator.validation_scores_ = [] if early_stopping else None
    estimator.best_validation_score_ = -np.inf if early_stopping else None


def split_rows(
    rows: Rows, validation_fraction: float, random_state: Any, *, stratified: bool
) -> tuple[Rows, Rows]:
    """Return training and validation rows, drawn as by scikit-learn."""
    strata: Any = rows.y if stratified else None
    if stratified and np.bincount(rows.y, minlength=2).min() <= 1:
        strata = rows.y.astype(bool).astype(str)  # scikit-learn's error names 'True' or 'False'
    train, validation = train_test_split(
        np.arange(rows.y.size), random_state=random_state, test_size=validation_fraction,
        stratify=strata,
    )  # fmt: skip
    if validation.size < 2:
        raise ValueError(
            f"The validation set is too small: {validation.size} of {rows.y.size} rows at "
            f"validation_fraction={validation_fraction}."
        )
    for part, indices in (("training", train), ("validation", validation)):
        if rows.weight.size:
            total_weight(f"sample_weight of the {indices.size} {part} rows", rows.weight[indices])
    return _take(rows, train), _take(rows, validation)


def _take(rows: Rows, indices: Indices) -> Rows:
    weight = rows.weight[indices] if rows.weight.size else rows.weight
    return Rows(rows.X[indices], rows.y[indices], weight)


class ValidationSet:
    """Validation rows, with the score of parameters on them, and the loss if it is wanted."""

    def __init__(
        self, model: Model, rows: Rows, n_threads: int = 1, *, has_loss: bool = False
    ) -> None:
        self._model, self._rows, self._n_threads = model, rows, n_threads
        self.has_loss = has_loss
        self._objective: Objective | None = None

    def score(self, params: Any) -> float:
        """Return the (weighted) accuracy on the rows."""
        proba = predict(self._model, params, self._rows.X, n_threads=self._n_threads)
        # For a tie of a binary model, argmax returns the first class.
        correct = proba.argmax(axis=1) == self._rows.y
        if self._rows.weight.size:
            return float(np.average(correct, weights=self._rows.weight))
        return float(np.count_nonzero(correct) / correct.size)

    def loss(self, params: Any) -> float:
        """Return the (weighted) mean loss of the rows, without the penalty."""
        if self._objective is None:
            threads = self._n_threads
            self._objective = Objective(self._model, params, self._rows, 0.0, n_threads=threads)
        self._objective.params.assign(params)
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            return self._objective.evaluate()


class EarlyStopping:
    """Records each epoch in the estimator's history and counts epochs without improvement."""

    def __init__(self, estimator: Any, validation: ValidationSet | None) -> None:
        est = estimator
        self.estimator, self.validation = est, validation
        self.criterion = "Training loss"
        if est.early_stopping:
            self.criterion = (
                f"Validation {'loss' if stops_on_loss(est.early_stopping) else 'score'}"
            )
        if est.t_ == 0:  # an earlier fit's
            for name in ADDED_ATTRIBUTES:
                est.__dict__.pop(name, None)
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
        best = self._record("Validation score", score, "Validation score: {value:f}")
        if validation.has_loss:
            loss = validation.loss(params)
            best_by_loss = self._record("Validation loss", loss, "Validation loss: {value:.8f}")
            return best_by_loss if self.criterion == "Validation loss" else best
        return best

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
