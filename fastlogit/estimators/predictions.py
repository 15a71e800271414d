"""Probabilities and classes by the kernels, in the dtype that scikit-learn's would have."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import log_expit, log_softmax

from fastlogit.estimators import background
from fastlogit.estimators.rows import as_kernel_rows
from fastlogit.kernels.codegen import waiting
from fastlogit.models import Floats, Indices, Model
from fastlogit.models.checks import FEW, FLOATS, finite_matrix
from fastlogit.solvers import warn
from fastlogit.training.objective import has_nan_rows, is_extreme, predict, predict_classes


def match_model(model: Model, params: Sequence[Floats], n_features: int) -> bool:
    """Return whether the parameters are arrays of the model's shapes for so many features."""
    if not all(isinstance(array, np.ndarray) for array in params):
        return False
    n_hidden = params[1].size if model.has_hidden else None
    n_outputs = 1 if model.binary else params[-1].size
    shapes = model.shapes(n_features, n_hidden, n_outputs)
    return shapes == tuple([array.shape for array in params])


def kernel_input(model: Model, params: Sequence[Floats], X: Any) -> tuple[list[Floats], Any] | None:
    """Return params and rows in the wider of their dtypes, None if params do not fit."""
    # The kernels check no shapes; scikit-learn's code then raises the error.
    if not match_model(model, params, X.shape[1]):
        return None
    dtype = X.dtype if params[0].dtype == X.dtype else np.result_type(params[0], X.dtype)
    if dtype not in FLOATS:
        return None
    return [array.astype(dtype, copy=False) for array in params], as_kernel_rows(X, dtype)


def kernel_proba(
    model: Model, params: Sequence[Floats], X: Any, n_threads: int = 1,
    refuse: Callable[[Any], Any] | None = None,
) -> Floats | None:  # fmt: skip
    """Return class probabilities in the wider dtype of params and X.

    None if params do not fit, or if the kernels are being compiled. An X that is not finite is
    given to refuse, if its logits tell.
    """
    given = kernel_input(model, params, X)
    if given is None:
        return None
    rows = given[1]
    proba: Floats | None = _computed(predict, model, *given, "numba", n_threads)
    if proba is None:
        return None
    if is_extreme(proba):
        is_finite = finite_matrix(rows)
        if refuse is not None and not is_finite:
            refuse(X)
        if is_finite and has_nan_rows(proba):  # NumPy's own operations would warn of the overflow
            text = f"Logits overflow {proba.dtype}; the probabilities of their rows are NaN."
            warn(text, RuntimeWarning)
    return proba


def kernel_classes(
    model: Model, params: Sequence[Floats], X: Any, n_threads: int = 1
) -> Indices | None:
    """Return the most probable classes' indices.

    None if params do not fit, a logit overflows, or the kernels are being compiled.
    """
    given = kernel_input(model, params, X)
    if given is None:
        return None
    indices: Indices | None = _computed(predict_classes, model, *given, "numba", n_threads)
    return indices


def _computed(function: Callable[..., Any], *args: Any) -> Any:
    """Return what the kernels compute, None where they are not compiled yet and not waited for."""
    token = waiting.do_without()
    try:
        return function(*args)
    except waiting.NotCompiledError as error:
        missing = error.request
    finally:
        waiting.end(token)
    if background.start(missing):
        return None
    return function(*args)


def labels_of(classes: Any, indices: Indices) -> Any:
    """Return the labels of sorted classes at the indices, of many these themselves if they are."""
    is_large = indices.size > FEW and classes.dtype == indices.dtype
    if is_large and classes[0] == 0 and classes[-1] == classes.size - 1:
        return indices
    return classes.take(indices)


def log_proba(logits: Floats) -> Floats:
    """Return the logarithms of the class probabilities of logits (n,), (n, 1) or (n, K)."""
    if logits.ndim == 1 or logits.shape[1] == 1:
        column = logits.reshape(-1)
        return np.column_stack([log_expit(-column), log_expit(column)])
    return np.asarray(log_softmax(logits, axis=1))
