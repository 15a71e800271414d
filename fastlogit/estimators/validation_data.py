"""Rows that a fit is judged by and not trained on, as its X_val and y_val give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from fastlogit.estimators.predicting import rows_of
from fastlogit.estimators.weights import row_weight, with_class_weight
from fastlogit.models import Indices, Rows


def class_indices(classes: Any, y: Any, name: str = "y") -> Indices:
    """Return labels as indices into the sorted classes; ValueError for one that is none of them."""
    y = np.asarray(y)
    if (y.dtype.kind in "US") != (classes.dtype.kind in "US") and "O" not in (
        y.dtype.kind,
        classes.dtype.kind,
    ):
        strange = np.ones(len(y), bool)
        indices = np.zeros(len(y), np.intp)
    else:
        try:
            indices = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        except TypeError as error:  # None, or labels of several types
            raise ValueError(
                f"{name} must hold labels of classes_={classes}, got some that do not compare with "
                f"them: {error}"
            ) from None
        strange = classes[indices] != y
    if strange.any():
        raise ValueError(
            f"{name} holds the label {y[strange].tolist()[0]!r}, which is not one of "
            f"classes_={classes}"
        )
    return np.asarray(indices, np.intp)


def validation_rows(estimator: Any, X_val: Any, y_val: Any, dtype: Any) -> Rows:
    """Return validation data checked like X and y, in the dtype of the parameters.

    A class's rows weigh what ``class_weight`` says; "balanced" is of y_val's own frequencies.
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
    weight = with_class_weight(est.class_weight, est.classes_, indices, None)
    try:
        weights = row_weight(weight, dtype, "class_weight of the rows")
    except ValueError as error:
        raise ValueError(f"y_val holds only classes that class_weight weighs 0: {error}") from error
    return Rows(rows_of(X, dtype), indices, weights)
