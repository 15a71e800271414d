"""Row weights: what the classes weigh times what the rows weigh."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.models import Floats, Indices


def with_class_weight(
    class_weight: Any, classes: Any, y: Indices, sample_weight: Floats | None
) -> Floats | None:
    """Return the rows' weights with those of their classes multiplied in.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights by class label; "balanced" are those that make the classes' sums of weights equal.
    classes : ndarray of shape (K,)
        Class labels.
    y : ndarray of shape (n,)
        Class indices.
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows; left as they are.

    Returns
    -------
    ndarray of shape (n,) or None
        None where every row weighs 1.
    """
    if class_weight is None:
        return sample_weight
    if isinstance(class_weight, str):
        sums = np.bincount(y, sample_weight, len(classes))
        by_class = np.zeros(len(classes))
        np.divide(sums.sum(), np.count_nonzero(sums) * sums, out=by_class, where=sums > 0)
    else:  # labels tells all that is asked of y, and is short
        by_class = compute_class_weight(class_weight, classes=classes, y=classes)
    weight = by_class[y]
    return weight if sample_weight is None else weight * sample_weight


def row_weight(sample_weight: Floats | None, dtype: Any) -> Floats:
    """Return the weights as :class:`fastlogit.models.Rows` want them."""
    if sample_weight is None:
        return np.empty(0, dtype)
    with np.errstate(over="ignore"):
        weight = sample_weight.astype(dtype, copy=False)
        total = float(weight.sum(dtype=np.float64))
    if not 0 < total < np.inf:
        raise ValueError(f"sample_weight sums to {total:g}, must sum to a positive finite number")
    return weight
