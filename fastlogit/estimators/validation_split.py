"""Early stopping: rows held out, and the accuracy on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from fastlogit.models import Indices, Model, Rows
from fastlogit.objective import predict


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
    """

    def __init__(self, model: Model, rows: Rows, n_threads: int = 1) -> None:
        self._model, self._rows, self._n_threads = model, rows, n_threads

    def score(self, params: Any) -> float:
        """Return the (weighted) share of the rows whose likeliest class is theirs."""
        proba = predict(self._model, params, self._rows.X, n_threads=self._n_threads)
        # A binary model's tie goes to the first class, as an argmax has it.
        correct = proba.argmax(axis=1) == self._rows.y
        if self._rows.weight.size:
            return float(np.average(correct, weights=self._rows.weight))
        return float(np.count_nonzero(correct) / correct.size)


def split(
    estimator: Any, model: Model, rows: Rows, random_state: Any
) -> tuple[Rows, ValidationSplit | None]:
    """Return the rows to train on and, with early stopping, those held out.

    The draw is scikit-learn's: stratified for a binary model.
    """
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
    held = ValidationSplit(model, _taken(rows, held_out), int(estimator.n_threads))
    return _taken(rows, train), held


def _strata(y: Indices) -> Any:
    # An error names the class that has one row as scikit-learn would, 'True' or 'False'.
    return y if np.bincount(y, minlength=2).min() > 1 else y.astype(bool).astype(str)


def _taken(rows: Rows, taken: Indices) -> Rows:
    weight = rows.weight[taken] if rows.weight.size else rows.weight
    return Rows(rows.X[taken], rows.y[taken], weight)
