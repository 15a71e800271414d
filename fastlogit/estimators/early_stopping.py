"""Early stopping: validation rows, the history of the epochs, and how long nothing has improved.

The training loss ends a fit; with ``early_stopping`` the score on the validation rows does, or with
``early_stopping="loss"`` the loss on them. Names and meaning are those of scikit-learn's
MLPClassifier; ``validation_loss_curve_`` and ``best_validation_loss_`` are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from fastlogit.estimators.base import apply_class_weight, class_indices, row_weight
from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.prediction import as_kernel_rows
from fastlogit.models import Indices, Model, Rows
from fastlogit.models.checks import total_weight
from fastlogit.training.objective import Objective, predict

# Attributes that scikit-learn's MLPClassifier does not have.
ADDED_ATTRIBUTES = ("validation_loss_curve_", "best_validation_loss_")


def start_history(estimator: Any) -> None:
    """Set the attributes that record epochs to those of an estimator without any."""
    estimator.t_ = 0
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    early_stopping = estimator.early_stopping
    estimator.best_loss_ = None if early_stopping else np.inf
    estimator.validation_scores_ = [] if early_stopping else None
    estimator.best_validation_score_ = -np.inf if early_stopping else None


def stops_on_loss(estimator: Any) -> bool:
    """Return whether the loss on validation rows ends a fit."""
    return isinstance(estimator.early_stopping, str) and estimator.early_stopping == "loss"


class ValidationSet:
    """Validation rows, with the score and the loss of parameters on them.

    Parameters
    ----------
    model : Model
        The model that the parameters belong to.
    rows : Rows
        Validation rows.
    n_threads : int
        Threads that share the rows.
    has_loss : bool
        Whether the loss is wanted, which takes as long as a step on the rows.
    """

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
            shapes = tuple(array.shape for array in params)
            self._objective = Objective(
                self._model, shapes, self._rows, 0.0, n_threads=self._n_threads
            )
        self._objective.params.assign(params)
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            return self._objective.evaluate()


def split_rows(
    estimator: Any, model: Model, rows: Rows, random_state: Any, call: FitCall | None = None
) -> tuple[Rows, ValidationSet | None]:
    """Return the training rows and the validation set, if any.

    The latter is the X_val and y_val of the call of fit, or with early stopping a part of the rows.
    That is drawn as by scikit-learn: stratified for a binary model.
    """
    if call is not None and call.X_val is not None:
        given = validated_rows(estimator, call.X_val, call.y_val, rows.X.dtype)
        return rows, ValidationSet(model, given, int(estimator.n_threads), has_loss=True)
    if not estimator.early_stopping:
        return rows, None
    train, validation = train_test_split(
        np.arange(rows.y.size),
        random_state=random_state,
        test_size=estimator.validation_fraction,
        stratify=_strata(rows.y) if model.binary else None,
    )
    if validation.size < 2:
        raise ValueError(
            f"The validation set is too small: {validation.size} of {rows.y.size} rows at "
            f"validation_fraction={estimator.validation_fraction}."
        )
    for part, indices in (("training", train), ("validation", validation)):
        if rows.weight.size:
            total_weight(f"sample_weight of the {indices.size} {part} rows", rows.weight[indices])
    validation_set = ValidationSet(
        model, _take(rows, validation), int(estimator.n_threads), has_loss=stops_on_loss(estimator)
    )
    return _take(rows, train), validation_set


def validated_rows(estimator: Any, X_val: Any, y_val: Any, dtype: Any) -> Rows:
    """Return validation data validated like X and y, in the dtype of the parameters.

    ``class_weight`` applies to them; "balanced" refers to the frequencies in y_val.
    """
    est = estimator
    try:
        X = validate_data(
            est, X_val, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_val: {error}") from error
    try:
        y = column_or_1d(y_val, warn=True)
        check_consistent_length(X, y)
    except ValueError as error:
        raise ValueError(f"y_val: {error}") from error
    indices = class_indices(est.classes_, y, "y_val")
    weight = apply_class_weight(est.class_weight, est.classes_, indices, None)
    try:
        weights = row_weight(weight, dtype, "class_weight of the rows")
    except ValueError as error:
        raise ValueError(f"y_val holds only classes of class_weight 0: {error}") from error
    return Rows(as_kernel_rows(X, dtype), indices, weights)


def _strata(y: Indices) -> Any:
    # scikit-learn's error names the class that has one row 'True' or 'False'.
    return y if np.bincount(y, minlength=2).min() > 1 else y.astype(bool).astype(str)


def _take(rows: Rows, indices: Indices) -> Rows:
    weight = rows.weight[indices] if rows.weight.size else rows.weight
    return Rows(rows.X[indices], rows.y[indices], weight)


class EarlyStopping:
    """Records each epoch in the estimator's history and counts epochs without improvement.

    Parameters
    ----------
    estimator : estimator
        The estimator whose history is continued.
    validation : ValidationSet or None
        Validation rows to score and, if it has a loss, to compute the loss on.
    """

    def __init__(self, estimator: Any, validation: ValidationSet | None) -> None:
        est = estimator
        self.estimator, self.validation = est, validation
        self.criterion = "Training loss"
        if est.early_stopping:
            self.criterion = f"Validation {'loss' if stops_on_loss(est) else 'score'}"
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
        estimator, validation = self.estimator, self.validation
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.criterion == "Training loss":
            estimator.best_loss_ = self._update_best(loss, estimator.best_loss_)
        if validation is None:
            return False
        best = self._record_score(validation.score(params))
        if validation.has_loss:
            best_by_loss = self._record_loss(validation.loss(params))
            return best_by_loss if self.criterion == "Validation loss" else best
        return best

    def _update_best(self, loss: float, best: float) -> float:
        """Count an epoch by the loss that is the criterion; return the smallest loss."""
        self._count(not loss > best - self.estimator.tol)
        return min(best, loss)

    def _count(self, improved: bool) -> None:
        count = 0 if improved else self.estimator._no_improvement_count + 1
        self.estimator._no_improvement_count = count

    def _record_score(self, score: float) -> bool:
        est = self.estimator
        est.validation_scores_.append(score)
        if est.verbose:
            print(f"Validation score: {score:f}")
        if self.criterion == "Validation score":
            self._count(not score < est.best_validation_score_ + est.tol)
        best = bool(score > est.best_validation_score_)
        est.best_validation_score_ = max(est.best_validation_score_, score)
        return best

    def _record_loss(self, loss: float) -> bool:
        est = self.estimator
        est.validation_loss_curve_.append(loss)
        if est.verbose:
            print(f"Validation loss: {loss:.8f}")
        best = bool(loss < est.best_validation_loss_)
        if self.criterion == "Validation loss":
            est.best_validation_loss_ = self._update_best(loss, est.best_validation_loss_)
        else:
            est.best_validation_loss_ = min(est.best_validation_loss_, loss)
        return best
