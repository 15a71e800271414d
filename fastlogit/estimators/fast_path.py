"""Validation that can be skipped, and why that is safe.

scikit-learn's validation takes 50 µs for one row and as long for its label: many times a prediction
or an epoch of one row. It returns finite arrays of the right type, layout and shape as they are: a
few cheap tests recognise these here. Other input goes through it, to be converted or refused.
"""

import threading
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn import get_config
from sklearn.utils import check_random_state

from fastlogit.estimators.sklearn_compat import has_callbacks
from fastlogit.models import Indices, Rows
from fastlogit.models.checks import FLOATS, finite_matrix, is_plain_array, plain_matrix

CSR_TYPES = csr_array, csr_matrix
MOST_COUNTED = 1 << 10
_of_this_thread = threading.local()


def is_valid_matrix(estimator: Any, X: Any) -> bool:
    """Return whether the estimator is fitted and scikit-learn would return X unchanged."""
    return is_valid_if_finite(estimator, X) and finite_matrix(X)


def is_valid_if_finite(estimator: Any, X: Any) -> bool:
    """Return whether that is so provided that X is finite, for which its elements are not read."""
    is_sparse = type(X) in CSR_TYPES
    return (
        (is_sparse or type(X) is np.ndarray)
        and X.ndim == 2
        and X.shape[1] == estimator.__dict__.get("n_features_in_")
        and getattr(estimator, "feature_names_in_", None) is None
        and not hasattr(type(estimator), "__sklearn_is_fitted__")
        and ((X.dtype in FLOATS and 0 not in X.shape) if is_sparse else is_plain_array(X))
    )


def plain_labels(X: Any, y: Any) -> tuple[Any, Indices] | None:
    """Return the sorted labels in y, and y as indices into them.

    None unless scikit-learn would return X and y of a fit unchanged.
    """
    is_plain = type(y) is np.ndarray and y.dtype.kind in "biuU" and plain_matrix(X)
    if not is_plain or y.shape != (len(X),):
        return None
    classes, indices = encoded(y)
    return (classes, indices) if 2 * classes.size <= y.size else None  # of more, it warns


def encoded(y: Any) -> tuple[Any, Indices]:
    """Return what np.unique returns for an array, and y as indices into that.

    Of small indices of classes it takes a fifth of the time.
    """
    if y.dtype.kind in "iu" and np.maximum.reduce(y) <= MOST_COUNTED:
        with suppress(ValueError):  # of labels below 0
            indices = np.ascontiguousarray(y, np.intp)
            counts = np.bincount(indices)
            present = counts.nonzero()[0]
            if present.size < counts.size:
                indices = present.searchsorted(indices)
            return present.astype(y.dtype, copy=False), indices
    classes = np.unique(y)
    return classes, classes.searchsorted(y)


def set_n_features(estimator: Any, X: np.ndarray[Any, Any]) -> None:
    """Set what validate_data sets for an array X, which takes a twentieth of a fit on few rows."""
    estimator.__dict__.pop("feature_names_in_", None)
    estimator.n_features_in_ = X.shape[1]


def known_label_indices(classes: Any, y: Any, n_rows: int) -> Indices | None:
    """Return y as indices into the classes, None unless it is an array of n_rows of them."""
    is_plain = type(y) is np.ndarray and y.shape == (n_rows,) and y.dtype.kind in "biufU"
    if not is_plain or y.dtype.kind != classes.dtype.kind:
        return None
    indices = classes.searchsorted(y)
    if n_rows == 1:  # the comparison of scalars takes a tenth of that of arrays
        index = indices.item()
        return indices if index < classes.size and classes[index] == y[0] else None
    np.minimum(indices, classes.size - 1, out=indices)
    return indices if (classes[indices] == y).all() else None


def are_known_classes(known: Any, classes: Any) -> bool:
    """Return whether the classes given to partial_fit are None or the known ones."""
    if type(classes) is list and known.dtype.kind in "biuf":  # a mixed list becomes strings
        classes = np.asarray(classes)
    is_alike = type(classes) is np.ndarray and classes.dtype == known.dtype
    return classes is None or (is_alike and np.array_equal(classes, known))


def valid_partial_fit_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any
) -> Rows | None:
    """Return the rows of a partial_fit that resumes, None if they need the full validation."""
    est, state = estimator, estimator.__dict__
    if state.get("backend_") != "numba" or "_optimizer" not in state or has_callbacks(est):
        return None
    if not get_config()["skip_parameter_validation"]:  # scikit-learn misses arguments set since
        est._validate_params()
    is_plain = sample_weight is None and est.class_weight is None and est.early_stopping is False
    is_plain = is_plain and type(X) is np.ndarray
    if not (is_plain and is_valid_matrix(est, X) and are_known_classes(est.classes_, classes)):
        return None
    indices = known_label_indices(est.classes_, y, len(X))
    return None if indices is None else Rows(X, indices, np.empty(0, X.dtype))


def generator_of(random_state: Any) -> np.random.RandomState:
    """Return what scikit-learn's check_random_state returns, for use before the next call."""
    if type(random_state) is not int:
        generator: np.random.RandomState = check_random_state(random_state)
        return generator
    if not hasattr(_of_this_thread, "generator"):  # its construction outlasts an epoch of one row
        _of_this_thread.generator = np.random.RandomState(0)
    _of_this_thread.generator.seed(random_state)
    return _of_this_thread.generator  # type: ignore[no-any-return]
