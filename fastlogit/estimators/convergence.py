"""What a fit says that stopped before its optimum or diverged: how far it was off, and why.

Shapes: n rows, D features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastlogit.models import Floats

# A feature's scale is far off at this many times the median of all, or at its inverse.
FAR_OFF = 100
MOST_NAMED = 5
# Rows that scales are estimated from: as long as a call of NumPy takes anyway.
SAMPLED_ROWS = 1024

# Numbers have one digit: the fits of a search then mostly share a text, which Python shows once.
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
    """Return a sentence, after a space, that names features of a scale far off the others'.

    A feature's scale is the root of its mean square, over rows spread over all of X: it is what a
    gradient grows with, whether by the feature's spread or by its mean.

    Parameters
    ----------
    estimator : estimator
        Whose ``feature_names_in_``, if any, name the features.
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
        varies = scale > 0  # one that is all zeros has no effect
        ordered = np.sort(scale[varies])  # np.median takes three times as long
        middle = ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1]
        ratio = scale / middle.mean() if ordered.size else scale
        distance = np.where(varies, np.abs(np.log(ratio)), 0)
    far = np.flatnonzero(distance > np.log(FAR_OFF))
    if not far.size:
        return ""
    farthest = far[np.argsort(-distance[far], kind="stable")][:MOST_NAMED]
    named = [f"{_name(estimator, i)} ({ratio[i]:.0e} times it)" for i in farthest]
    if far.size > len(named):
        named.append(f"{far.size - len(named)} more")
    return (
        f" Features whose scale (root mean square) is more than {FAR_OFF} times off the median: "
        f"{', '.join(named)}; sklearn.preprocessing.StandardScaler brings them together."
    )


def _name(estimator: Any, index: int) -> str:
    names: NDArray[Any] | None = getattr(estimator, "feature_names_in_", None)
    return f"feature {index}" if names is None else repr(str(names[index]))


def average_gradient(
    moment: Floats, steps: int, *, decay: float, factor: float, from_rest: bool
) -> float:
    """Return the largest element of the gradient that an optimizer's first moment averages.

    It costs nothing, where the gradient over all rows would cost as much as an epoch.

    Parameters
    ----------
    moment : ndarray
        ± factor · Σ decayᵏ · gradient of the k-th last step.
    steps : int
        Steps taken, 1 or more.
    decay, factor : float
        As above.
    from_rest : bool
        Whether the moment was 0 before the first of them; else it is taken as settled.
    """
    settled = 1 - decay**steps if from_rest else 1
    terms = settled / (1 - decay) if decay < 1 else steps
    return float(np.max(np.abs(moment))) / (factor * terms)
