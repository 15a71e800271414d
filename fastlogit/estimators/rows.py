"""Rows, labels and weights in the form that the kernels read."""

import math
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.models import Floats, Indices, Rows
from fastlogit.models.checks import compressed, total_weight

# A feature is off scale at this many times the median scale, or at its inverse.
OFF_SCALE_FACTOR = 100
MAX_NAMED = 5
# Rows from which scales are estimated: so few that NumPy's calls themselves take most of the time.
SAMPLED_ROWS = 1024


def is_sparse(X: Any) -> bool:
    """Return whether X is a SciPy sparse container or a frame with sparse columns only."""
    return bool(issparse(X) or hasattr(X, "sparse"))  # pandas has the accessor on those alone


def as_kernel_rows(X: Any, dtype: Any) -> Any:
    """Return validated rows, dense or sparse, in the layout and dtype that the kernels read."""
    is_dense = type(X) is np.ndarray or not issparse(X)
    return np.ascontiguousarray(X, dtype) if is_dense else compressed("X", X, dtype)


def apply_class_weight(
    class_weight: Any, classes: Any, y: Indices, sample_weight: Floats | None
) -> Floats | None:
    """Return the row weights times the weights of the classes y, indices; None if all are 1."""
    if class_weight is None:
        return sample_weight
    sums: Any = np.bincount(y, sample_weight, len(classes))
    weight = weights_of_classes(class_weight, classes, sums)[y]
    return weight if sample_weight is None else weight * sample_weight


def weights_of_classes(class_weight: Any, classes: Any, sums: Floats) -> Floats:
    """Return the weight of each class, of which the sums of the rows' weights are given."""
    if isinstance(class_weight, str):  # "balanced": all classes get the same sum of weights
        by_class = np.zeros(len(classes))
        np.divide(sums.sum(), np.count_nonzero(sums) * sums, out=by_class, where=sums > 0)
    else:
        for label, value in class_weight.items():
            if not (isinstance(value, Real) and math.isfinite(value)):
                text = f"class_weight={class_weight!r} must hold finite numbers"
                raise ValueError(f"{text}, got {value!r} for class {label!r}")
        # compute_class_weight asks y for its classes only, and classes is shorter
        by_class = compute_class_weight(class_weight, classes=classes, y=classes)
    return by_class


def kernel_rows(
    X: Any, y: Indices, sample_weight: Floats | None, dtype: Any, name: str = "sample_weight"
) -> Rows:
    """Return validated rows with class indices and weights as the kernels read them."""
    weight: Floats = np.empty(0, dtype)
    if sample_weight is not None:
        with np.errstate(over="ignore"):
            weight = sample_weight.astype(dtype, copy=False)
        total_weight(name, weight)
    return Rows(as_kernel_rows(X, dtype), y, weight)


def features_off_scale(estimator: Any, X: Any) -> str:
    """Return a sentence, after a space, that names the features off scale; empty if there are none.

    The gradient grows with a feature's root mean square, whether that is variance or mean.
    """
    sample = X if X.shape[0] <= SAMPLED_ROWS else X[:: -(-X.shape[0] // SAMPLED_ROWS)]
    with np.errstate(all="ignore"):
        if issparse(sample):
            square = np.asarray(sample.power(2).sum(axis=0, dtype=np.float64)).ravel()
        else:
            square = np.einsum("ij,ij->j", sample, sample, dtype=np.float64)
        largest, least = np.maximum.reduce(square), np.minimum.reduce(square)
        if largest <= OFF_SCALE_FACTOR**2 * least:  # then none is, from any median
            return ""
        scale = np.sqrt(square / sample.shape[0])
        varies = scale > 0  # a feature of zeros has no effect
        ordered = np.sort(scale[varies])  # np.median takes three times as long
        middle = ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1]
        ratio = scale / middle.mean() if ordered.size else scale
        distance = np.where(varies, np.abs(np.log(ratio)), 0)
    far = np.flatnonzero(distance > np.log(OFF_SCALE_FACTOR))
    if not far.size:
        return ""
    names = getattr(estimator, "feature_names_in_", None)
    named = []
    for i in far[np.argsort(-distance[far], kind="stable")][:MAX_NAMED]:
        label = f"feature {i}" if names is None else repr(str(names[i]))
        named.append(f"{label} ({ratio[i]:.0e} times it)")
    if far.size > len(named):
        named.append(f"{far.size - len(named)} more")
    return (
        f" Features whose scale (root mean square) is more than {OFF_SCALE_FACTOR} times off the "
        f"median: {', '.join(named)}; sklearn.preprocessing.StandardScaler brings them together."
    )
