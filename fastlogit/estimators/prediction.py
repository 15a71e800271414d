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
from fastlogit.solvers import warn
from fastlogit.training.objective import has_nan_rows, predict


def kernel_proba(model: str, params: Sequence[Floats], X: Any, n_threads: int = 1) -> Floats | None:
    """Return the class probabilities of rows, (n, K) or (n, 2), on the kernels.

    Their dtype is the wider of those of the parameters and the rows. The kernels check no shapes:
    for parameters that do not fit the model and the rows, the result is None, and NumPy raises the
    error in scikit-learn's code.
    """
    spec = MODELS[model]
    if not match_model(spec, params, X.shape[1]):
        return None
    dtype = X.dtype if params[0].dtype == X.dtype else np.result_type(params[0], X.dtype)
    if dtype not in FLOATS:
        return None
    arrays = [np.ascontiguousarray(array, dtype) for array in params]
    rows = as_kernel_rows(X, dtype)
    proba = predict(spec, arrays, rows, n_threads=n_threads)
    # NumPy's own operations would warn of the overflow.
    if has_nan_rows(proba) and finite(rows.data if issparse(rows) else rows):
        warn(f"Logits overflow {dtype}; the probabilities of their rows are NaN.", RuntimeWarning)
    return proba


def as_kernel_rows(X: Any, dtype: Any) -> Any:
    """Return validated rows, dense or sparse, in the layout and dtype that the kernels read."""
    return compressed("X", X, dtype) if issparse(X) else np.ascontiguousarray(X, dtype)


def match_model(model: Model, params: Sequence[Floats], n_features: int) -> bool:
    """Return whether the parameters are arrays of the model's shapes for so many features."""
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


def compute_logits(params: Sequence[Floats], X: Any) -> Floats:
    """Return the logits of rows, (n, K)."""
    layer = X
    for weights, bias in zip(params[::2], params[1::2], strict=True):
        if layer is not X:
            expit(layer, out=layer)
        layer = layer @ weights
        layer += bias
    return np.asarray(layer)


def log_proba(logits: Floats) -> Floats:
    """Return the logarithms of the class probabilities of logits (n,), (n, 1) or (n, K)."""
    if logits.ndim == 1 or logits.shape[1] == 1:
        column = logits.reshape(-1)
        result = np.empty((column.size, 2), column.dtype)
        log_expit(-column, out=result[:, 0])
        log_expit(column, out=result[:, 1])
        return result
    largest = logits.max(axis=1, keepdims=True)
    if not finite(largest):
        return np.asarray(log_softmax(logits, axis=1))
    # The formula of scipy.special.log_softmax, without its checks.
    shifted = logits - largest
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(shifted)
