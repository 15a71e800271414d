"""Validation that can be skipped, and why that is safe.

scikit-learn's validation accepts whatever can be converted to an array, and takes 50 µs for one
row and as long for its label: many times a prediction, or an epoch of one row. It returns an array
of the right type, layout and shape with finite values as it is. The functions here recognise such
input by a few cheap tests. Their True is sufficient, never necessary: any other input goes through
the full validation, which converts it, warns or raises.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastlogit.estimators import resume
from fastlogit.estimators.sklearn_compat import has_callbacks, validate_arguments
from fastlogit.models import Indices, Rows
from fastlogit.models.checks import plain_matrix

_of_this_thread = threading.local()


def is_valid_matrix(estimator: Any, X: Any) -> bool:
    """Return whether the estimator is fitted and scikit-learn would return X unchanged."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[1] == estimator.__dict__.get("n_features_in_")
        and getattr(estimator, "feature_names_in_", None) is None
        and not hasattr(type(estimator), "__sklearn_is_fitted__")
        and plain_matrix(X)
    )


def are_valid_targets(y: Any, n_rows: int) -> bool:
    """Return whether scikit-learn would return y unchanged and take it for labels."""
    return type(y) is np.ndarray and y.shape == (n_rows,) and y.dtype.kind in "biuU"


def set_n_features(estimator: Any, X: np.ndarray[Any, Any]) -> None:
    """Set what validate_data sets for an array X in a fit that does not resume.

    scikit-learn's search for feature names takes a twentieth of a fit on few rows.
    """
    estimator.__dict__.pop("feature_names_in_", None)
    estimator.n_features_in_ = X.shape[1]


def known_label_indices(classes: Any, y: Any, n_rows: int) -> Indices | None:
    """Return y as indices into the classes, None unless it is an array of n_rows of them."""
    if not (
        type(y) is np.ndarray
        and y.shape == (n_rows,)
        and y.dtype.kind == classes.dtype.kind
        and y.dtype.kind in "biufU"
    ):
        return None
    indices = classes.searchsorted(y)
    if n_rows == 1:  # the comparison of scalars takes a tenth of that of arrays
        index = indices.item()
        return indices if index < classes.size and classes[index] == y[0] else None
    np.minimum(indices, classes.size - 1, out=indices)
    return indices if (classes[indices] == y).all() else None


def are_known_classes(known: Any, classes: Any) -> bool:
    """Return whether the argument classes of partial_fit is None or equals the known classes."""
    if classes is None:
        return True
    if type(classes) is list:
        classes = np.asarray(classes)
        if classes.dtype.kind not in "biuf":  # a mixed list becomes strings
            return False
    return (
        type(classes) is np.ndarray
        and classes.shape == known.shape
        and classes.dtype == known.dtype
        and bool((classes == known).all())
    )


def are_valid_arguments(estimator: Any) -> bool:
    """Return whether the arguments that both estimators' partial_fit reads are valid."""
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
        and is_nonnegative_number(est.tol)
        and (est.n_iter_no_change == np.inf or type(est.n_iter_no_change) is int)
        and est.n_iter_no_change >= 1
        and type(est.n_threads) is int
        and est.n_threads >= 1
        and _is_valid_random_state(est.random_state)
    )


def is_nonnegative_number(value: Any) -> bool:
    """Return whether value is a Python number or NumPy float64, and at least 0."""
    return isinstance(value, float | int) and value >= 0


def _is_valid_random_state(value: Any) -> bool:
    if type(value) is int:
        return 0 <= value < 1 << 32
    return value is None or isinstance(value, np.random.RandomState)


def valid_partial_fit_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any, *, own_arguments: bool
) -> Rows | None:
    """Return the rows of a partial_fit that resumes, None if they need the full validation.

    scikit-learn validates the arguments in the first call only. Where they are not recognised as
    valid here, they are validated again.

    Parameters
    ----------
    estimator : estimator
        The estimator whose partial_fit is called.
    X, y, sample_weight, classes : object
        The arguments of partial_fit.
    own_arguments : bool
        Whether the arguments that only this class of estimator has are valid.
    """
    state = estimator.__dict__
    if state.get("backend_") != "numba" or "_optimizer" not in state or has_callbacks(estimator):
        return None
    if not (own_arguments and are_valid_arguments(estimator)):
        validate_arguments(estimator)
        return None
    if not (
        sample_weight is None
        and is_valid_matrix(estimator, X)
        and are_known_classes(estimator.classes_, classes)
    ):
        return None
    indices = known_label_indices(estimator.classes_, y, len(X))
    return None if indices is None else Rows(X, indices, np.empty(0, X.dtype))


def resumed_generator(estimator: Any) -> np.random.RandomState:
    """Return the generator of a partial_fit that resumes."""
    generator = generator_of(estimator.random_state)
    resume.restore(estimator, generator, incremental=True)
    return generator


def generator_of(random_state: Any) -> np.random.RandomState:
    """Return what scikit-learn's check_random_state returns, for use before the next call.

    To construct a generator takes longer than an epoch of one row, and to seed one does not:
    integers seed one generator per thread.
    """
    if type(random_state) is not int:
        generator: np.random.RandomState = check_random_state(random_state)
        return generator
    if not hasattr(_of_this_thread, "generator"):
        _of_this_thread.generator = np.random.RandomState(0)
    generator = _of_this_thread.generator
    generator.seed(random_state)
    return generator
