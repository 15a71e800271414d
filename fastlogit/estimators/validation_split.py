"""Early stopping: rows held out or given, the accuracy on them and the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastlogit.estimators.validation_data import validation_rows
from fastlogit.models import Indices, Model, Rows
from fastlogit.models.checks import total_weight
from fastlogit.training.objective import Objective, predict


class ValidationSplit:
    """Rows that an estimator does not train on.

    Parameters
    ----------
    model : Model
        What is to be scored.
    rows : Rows
        The rows held out.
    n_threads : int
        Threads that share them.
    has_loss : bool
        Whether the loss on them is wanted, which takes as long as a step on them.
    """

    def __init__(
        self, model: Model, rows: Rows, n_threads: int = 1, *, has_loss: bool = False
    ) -> None:
        self._model, self._rows, self._n_threads = model, rows, n_threads
        self.has_loss = has_loss
        self._objective: Objective | None = None

    def score(self, params: Any) -> float:
        """Return the (weighted) share of the rows whose likeliest class is theirs."""
        proba = predict(self._model, params, self._rows.X, n_threads=self._n_threads)
        # A binary model's tie goes to the first class, as an argmax has it.
        correct = proba.argmax(axis=1) == self._rows.y
        if self._rows.weight.size:
            return float(np.average(correct, weights=self._rows.weight))
        return float(np.count_nonzero(correct) / correct.size)

    def loss(self, params: Any) -> float:
        """Return the (weighted) mean loss of the rows, without a penalty."""
        if self._objective is None:
            shapes = tuple(array.shape for array in params)
            self._objective = Objective(
                self._model, shapes, self._rows, 0.0, n_threads=self._n_threads
            )
        self._objective.params.assign(params)
        with np.errstate(all="ignore"):  # what overflows makes a loss that is not finite
            return self._objective.evaluate()


def split(
    estimator: Any, model: Model, rows: Rows, random_state: Any, call: Any = None
) -> tuple[Rows, ValidationSplit | None]:
    """Return the rows to train on and those to validate on, if any.

    The latter are the X_val and y_val that the call of fit was given, or with early stopping some
    held out. Their draw is scikit-learn's: stratified for a binary model.
    """
    if call is not None and call.X_val is not None:
        given = validation_rows(estimator, call.X_val, call.y_val, rows.X.dtype)
        return rows, ValidationSplit(model, given, int(estimator.n_threads), has_loss=True)
    if not estimator.early_stopping:
        return rows, None
    train, held_out = train_test_split(
        np.arange(rows.y.size),
        random_state=random_state,
        test_size=estimator.validation_fraction,
        stratify=_strata(rows.y) if model.binary else None,
    )
    if held_out.size < 2:
        raise ValueError(
            f"The validation set is too small: {held_out.size} of {rows.y.size} rows at "
            f"validation_fraction={estimator.validation_fraction}."
        )
    for part, indices in (("trained on", train), ("held out by early_stopping", held_out)):
        if rows.weight.size:
            total_weight(f"sample_weight of the {indices.size} rows {part}", rows.weight[indices])
    has_loss = isinstance(estimator.early_stopping, str) and estimator.early_stopping == "loss"
    held = ValidationSplit(
        model, _taken(rows, held_out), int(estimator.n_threads), has_loss=has_loss
    )
    return _taken(rows, train), held


def _strata(y: Indices) -> Any:
    # An error names the class that has one row as scikit-learn would, 'True' or 'False'.
    return y if np.bincount(y, minlength=2).min() > 1 else y.astype(bool).astype(str)


def _taken(rows: Rows, taken: Indices) -> Rows:
    weight = rows.weight[taken] if rows.weight.size else rows.weight
    return Rows(rows.X[taken], rows.y[taken], weight)
