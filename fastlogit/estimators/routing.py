"""Which code runs a fit: the kernels, or scikit-learn's own."""

from __future__ import annotations

import logging
import math
from typing import Any

from scipy.sparse import issparse

from fastlogit.models import Model

logger = logging.getLogger("fastlogit")


def on_kernels(estimator: Any, model: Model) -> None:
    """Record in ``backend_`` and ``model_`` that the kernels train this model."""
    estimator.backend_, estimator.model_ = "numba", model.name


def on_scikit_learn(estimator: Any, reason: str) -> None:
    """Record in ``backend_`` that scikit-learn's code runs the fit, and log why."""
    logger.info("%s runs on scikit-learn: %s", type(estimator).__name__, reason)
    estimator.backend_ = "scikit-learn"
    estimator.__dict__.pop("model_", None)  # from an earlier fit


def is_sparse(X: Any) -> bool:
    """Return whether X is a SciPy sparse container or a frame with sparse columns only."""
    return bool(issparse(X) or hasattr(X, "sparse"))  # pandas has the accessor on those alone


def is_nearly_dense(X: Any) -> bool:
    """Return whether a sparse X has so many elements, and not too many, that it may become dense.

    A proximal Newton fit is faster then than scikit-learn's saga on the sparse one.
    """
    size = math.prod(X.shape)
    return bool(issparse(X) and 0.25 * size <= X.nnz and size <= 1 << 22)
