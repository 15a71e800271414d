"""Probabilities and logits of fitted parameters.

Shapes: n rows, D features, H hidden units, K outputs; params (W, b) or (W1, b1, W2, b2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, log_expit, log_softmax

from fastlogit.models import MODELS, Floats, Model
from fastlogit.models.checks import FLOATS, compressed, finite
from fastlogit.solvers.convergence import warn
from fastlogit.training.objective import predict


def predicted_proba(
    model: str, params: Sequence[Floats], X: Any, n_threads: int = 1
) -> Floats | None:
    """Return the class probabilities of rows, (n, K) or (n, 2), on the kernels.

    They are of the wider of the dtypes of parameters and rows. None where the parameters are none
    of that model's for such rows: whoever assigned them is to hear of it from NumPy, the kernels
    ask for no shapes.
    """
    spec = MODELS[model]
    if not are_of_a_model(spec, params, X.shape[1]):
        return None
    dtype = X.dtype if params[0].dtype == X.dtype else np.result_type(params[0], X.dtype)
    if dtype not in FLOATS:
        return None
    arrays = [np.ascontiguousarray(array, dtype) for array in params]
    rows = rows_of(X, dtype)
    proba = predict(spec, arrays, rows, n_threads=n_threads)
    if not finite(proba) and finite(rows.data if issparse(rows) else rows):  # NumPy would say so
        warn(f"Logits overflow {dtype}; the probabilities of their rows are NaN.", RuntimeWarning)
    return proba


def rows_of(X: Any, dtype: Any) -> Any:
    """Return validated rows as the kernels want them, sparse ones too."""
    return compressed("X", X, dtype) if issparse(X) else np.ascontiguousarray(X, dtype)


def are_of_a_model(model: Model, params: Sequence[Floats], n_features: int) -> bool:
    """Return whether the parameters are arrays of a model's shapes for so many features."""
    if not all(isinstance(array, np.ndarray) for array in params):
        return False
    if model.binary and params[-1].shape != (1,):
        return False
    fan_in = n_features
    for weights, bias in zip(params[::2], params[1::2], strict=True):
        if bias.ndim != 1 or weights.shape != (fan_in, bias.size):
            return False
        fan_in = bias.size
    return True


def logits_of(params: Sequence[Floats], X: Any) -> Floats:
    """Return the logits of rows, (n, K)."""
    layer = X
    for weights, bias in zip(params[::2], params[1::2], strict=True):
        if layer is not X:
            expit(layer, out=layer)
        layer = layer @ weights
        layer += bias
    return np.asarray(layer)


def log_proba_from(logits: Floats) -> Floats:
    """Return the logarithms of the class probabilities: logits (n,), (n, 1) or (n, K)."""
    if logits.ndim == 1 or logits.shape[1] == 1:
        column = logits.reshape(-1)
        log_proba = np.empty((column.size, 2), column.dtype)
        log_expit(-column, out=log_proba[:, 0])
        log_expit(column, out=log_proba[:, 1])
        return log_proba
    largest = logits.max(axis=1, keepdims=True)
    if not finite(largest):
        return np.asarray(log_softmax(logits, axis=1))
    # What SciPy computes, without its look at what kind of array it was given.
    shifted = logits - largest
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(shifted)


class ProbabilityPrediction:
    """Probabilities from the kernels and from logits, scikit-learn's where there are none."""

    def predict_proba(self, X: Any) -> Any:
        """Return the class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Classes in the order of ``classes_``; for MLPClassifier (n, labels) where y had several
            labels a row.
        """
        proba = self._kernels_proba(X)
        return super().predict_proba(X) if proba is None else proba  # type: ignore[misc]

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the class probabilities, from the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Finite for finite logits, classes in the order of ``classes_``.
        """
        logits = self._logits(X)
        if logits is None:
            return super().predict_log_proba(X)  # type: ignore[misc]
        return log_proba_from(logits)

    def _kernels_proba(self, X: Any) -> Floats | None:
        raise NotImplementedError

    def _logits(self, X: Any) -> Floats | None:
        raise NotImplementedError
