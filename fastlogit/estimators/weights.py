"""Row weights: what the classes weigh times what the rows weigh."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.models import Floats, Indices
from fastlogit.models.checks import total_weight


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
    else:
        _check_numbers(class_weight)
        # classes tells all that is asked of y, and is short
        by_class = compute_class_weight(class_weight, classes=classes, y=classes)
    weight = by_class[y]
    return weight if sample_weight is None else weight * sample_weight


def _check_numbers(class_weight: dict[Any, Any]) -> None:
    for label, value in class_weight.items():
        if not (isinstance(value, Real) and math.isfinite(value)):
            raise ValueError(
                f"class_weight={class_weight!r} must hold finite numbers, got {value!r} for class "
                f"{label!r}"
            )


def row_weight(sample_weight: Floats | None, dtype: Any, name: str = "sample_weight") -> Floats:
    """Return the weights as :class:`fastlogit.models.Rows` want them.

    Raises
    ------
    ValueError
        With the name, where they sum to 0 or to what the loss cannot be divided by in the dtype.
    """
    if sample_weight is None:
        return np.empty(0, dtype)
    with np.errstate(over="ignore"):
        weight: Floats = sample_weight.astype(dtype, copy=False)
    total_weight(name, weight)
    return weight
