"""Warnings of fits that stop before the optimum or diverge: the distance, and likely causes.

Shapes: n rows, D features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.models import Floats

# A feature is off scale at this many times the median scale, or at its inverse.
OFF_SCALE_FACTOR = 100
MAX_NAMED = 5
# Rows from which scales are estimated: so few that the calls of NumPy themselves take most of the
# time.
SAMPLED_ROWS = 1024

# Numbers have one digit: most fits of a search then have the same message, which Python shows once.
OPTIMUM_NOT_REACHED = (
    "Stochastic Optimizer: Maximum iterations ({}) reached and the optimization hasn't converged "
    "yet."
)
GRADIENT_AT_END = (
    " Over the last batches, the gradient's largest element is {:.0e} at learning_rate={:g}."
)
DIVERGED = (
    "The loss is no longer finite in epoch {} at learning_rate={:g}; the parameters are those "
    "before that epoch.{} A smaller learning rate, or features of unit variance, may help."
)
FAR_FROM_START = (
    "Training diverged: the loss of the last epoch is {:.0e}, equal probabilities have {:.1g}, at "
    "learning_rate={:g}. A smaller learning rate may help."
)
GRADIENT_BEFORE = " Over the last batches, the gradient's largest element was {:.0e}."
NON_FINITE = (
    "Solver produced non-finite parameter weights: the loss is not finite in epoch 1 at "
    "learning_rate={:g}. Features of unit variance, or a smaller learning rate, may help."
)


def features_off_scale(estimator: Any, X: Any) -> str:
    """Return a sentence, after a space, that names the features off scale; empty if there are none.

    A feature's scale is its root mean square over a sample of the rows. The gradient grows with it,
    whether it comes from the feature's variance or from its mean.

    Parameters
    ----------
    estimator : estimator
        The estimator with the ``feature_names_in_``, if any.
    X : ndarray or sparse array of shape (n, D)
        Training rows.
    """
    sample = X[:: -(-X.shape[0] // SAMPLED_ROWS)]
    with np.errstate(all="ignore"):
        if issparse(sample):
            square = np.asarray(sample.power(2).sum(axis=0, dtype=np.float64)).ravel()
        else:
            square = np.einsum("ij,ij->j", sample, sample, dtype=np.float64)
        scale = np.sqrt(square / sample.shape[0])
        varies = scale > 0  # a feature of zeros has no effect
        ordered = np.sort(scale[varies])  # np.median takes three times as long
        middle = ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1]
        ratio = scale / middle.mean() if ordered.size else scale
        distance = np.where(varies, np.abs(np.log(ratio)), 0)
    far = np.flatnonzero(distance > np.log(OFF_SCALE_FACTOR))
    if not far.size:
        return ""
    largest = far[np.argsort(-distance[far], kind="stable")][:MAX_NAMED]
    named = [f"{_name(estimator, i)} ({ratio[i]:.0e} times it)" for i in largest]
    if far.size > len(named):
        named.append(f"{far.size - len(named)} more")
    return (
        f" Features whose scale (root mean square) is more than {OFF_SCALE_FACTOR} times off the "
        f"median: {', '.join(named)}; sklearn.preprocessing.StandardScaler brings them together."
    )


def _name(estimator: Any, index: int) -> str:
    names: NDArray[Any] | None = getattr(estimator, "feature_names_in_", None)
    return f"feature {index}" if names is None else repr(str(names[index]))


def average_gradient(
    moment: Floats, steps: int, *, decay: float, factor: float, from_rest: bool
) -> float:
    """Return the largest element of the gradient that an optimizer's first moment averages.

    The moment is available at no cost; the gradient over all rows takes as long as an epoch.

    Parameters
    ----------
    moment : ndarray
        ± factor · Σₖ decayᵏ · gradient of the k-th step before the last.
    steps : int
        Steps taken, 1 or more.
    decay, factor : float
        Of the moment's formula.
    from_rest : bool
        Whether the moment was 0 before the first step; otherwise it is taken as stationary.
    """
    # Σₖ decayᵏ over the steps, or over infinitely many
    numerator = 1 - decay**steps if from_rest else 1
    weights = numerator / (1 - decay) if decay < 1 else steps
    return float(np.max(np.abs(moment))) / (factor * weights)
