"""Probabilities and logits of fitted parameters.

Shapes: n rows, D features, H hidden units, K outputs; params (W, b) or (W1, b1, W2, b2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax

from fastlogit.models import MODELS, Floats, unlocked
from fastlogit.objective import predict


def predicted_proba(model: str, params: Sequence[Floats], X: Any) -> Floats:
    """Return the class probabilities of dense rows, (n, K) or (n, 2), on the kernels.

    They are of the wider of the dtypes of parameters and rows.
    """
    dtype = np.result_type(params[0], X.dtype)
    arrays = [np.ascontiguousarray(array, dtype) for array in params]
    return predict(MODELS[model], arrays, unlocked(np.ascontiguousarray(X, dtype)))


def logits_of(params: Sequence[Floats], X: Any) -> Floats:
    """Return the logits of dense rows, (n, K)."""
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
        return np.stack([log_expit(-column), log_expit(column)], axis=1)
    return np.asarray(log_softmax(logits, axis=1))
