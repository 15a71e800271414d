"""What a look tells to be in order, so that scikit-learn need not check it.

scikit-learn's checks of one row take some fifty microseconds, many times what a prediction takes,
and so do those of its label. They take whatever can be made an array; of an array that is one
already little is left to be asked. Whatever is not plainly fine here goes the full way, where it is
converted, warned of or refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlogit.models import Indices
from fastlogit.models.checks import plain_matrix


def plain_rows(estimator: Any, X: Any) -> bool:
    """Return whether the estimator is fitted and scikit-learn would hand X back as it came."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[1] == estimator.__dict__.get("n_features_in_")
        and getattr(estimator, "feature_names_in_", None) is None
        and not hasattr(type(estimator), "__sklearn_is_fitted__")
        and plain_matrix(X)
    )


def plain_targets(y: Any, n_rows: int) -> bool:
    """Return whether scikit-learn would hand y back as it came, and take it for labels."""
    return type(y) is np.ndarray and y.shape == (n_rows,) and y.dtype.kind in "biuU"


def enter_features(estimator: Any, X: Any) -> None:
    """Enter X's features into an estimator that is to be fitted anew, as validate_data does.

    That X, an array, has no names takes scikit-learn a twentieth of a fit on few rows to find out.
    """
    estimator.__dict__.pop("feature_names_in_", None)
    estimator.n_features_in_ = X.shape[1]


def plain_labels(classes: Any, y: Any, n_rows: int) -> Indices | None:
    """Return y as indices into the classes if it is an array of n_rows of them."""
    if not (
        type(y) is np.ndarray
        and y.shape == (n_rows,)
        and y.dtype.kind == classes.dtype.kind
        and y.dtype.kind in "biufU"
    ):
        return None
    indices = classes.searchsorted(y)
    if n_rows == 1:  # a scalar's comparison takes a tenth of an array's
        index = indices.item()
        return indices if index < classes.size and classes[index] == y[0] else None
    np.minimum(indices, classes.size - 1, out=indices)
    return indices if (classes[indices] == y).all() else None


def same_classes(known: Any, classes: Any) -> bool:
    """Return whether classes, as partial_fit is given them, plainly are the known ones."""
    if classes is None:
        return True
    if type(classes) is list:
        classes = np.asarray(classes)
        if classes.dtype.kind not in "biuf":  # as strings these may have been something else
            return False
    return (
        type(classes) is np.ndarray
        and classes.shape == known.shape
        and classes.dtype == known.dtype
        and bool((classes == known).all())
    )


def plain_arguments(estimator: Any) -> bool:
    """Return whether those arguments that both estimators' partial_fit reads are plainly valid."""
    est = estimator
    return (
        (type(est.batch_size) is int and est.batch_size >= 1)
        or (type(est.batch_size) is str and est.batch_size == "auto")
    ) and (
        type(est.shuffle) is bool
        and type(est.exact_resume) is bool
        and est.early_stopping is False
        and est.class_weight is None
        and type(est.verbose) in (bool, int)
        and plain_number(est.tol)
        and (est.n_iter_no_change == np.inf or type(est.n_iter_no_change) is int)
        and est.n_iter_no_change >= 1
        and type(est.n_threads) is int
        and est.n_threads >= 1
        and _is_plain_random_state(est.random_state)
    )


def plain_number(value: Any) -> bool:
    """Return whether value is a number of Python's, or NumPy's float64, and at least 0."""
    return isinstance(value, float | int) and value >= 0


def _is_plain_random_state(value: Any) -> bool:
    if type(value) is int:
        return 0 <= value < 1 << 32
    return value is None or isinstance(value, np.random.RandomState)
