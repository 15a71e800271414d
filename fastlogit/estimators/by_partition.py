"""Predictions for a source, partition by partition."""

import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from fastlogit.sources import Labels, Partition, Source


def by_partition(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Have a method that predicts take a source as well, and predict partition by partition."""

    @wraps(predict)
    def predict_all(self: Any, X: Any) -> Any:
        if not isinstance(X, Source):
            return predict(self, X)
        return np.concatenate([result for _, result in predictions(self, predict, X)])

    return predict_all


def predictions(
    estimator: Any, predict: Callable[[Any, Any], Any], source: Source
) -> Iterator[tuple[Partition, Any]]:
    """Yield each partition of a source and what is predicted of it."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and source.feature_names not in (None, tuple(names)):
        raise ValueError(
            f"the columns of the source, {source.feature_names}, are not those of fit, "
            f"{tuple(names)}, in their order; name them in columns= of scan"
        )
    for part in source:
        if part.X.shape[0]:
            with warnings.catch_warnings():  # their names have been compared
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                result = predict(estimator, part.X)
            yield part, result


def labels_in(part: Partition) -> Any:
    """Return the labels of a partition as an array."""
    y = part.y
    return y.values[y.codes] if isinstance(y, Labels) else y


def score(estimator: Any, source: Source) -> float:
    """Return the (weighted) accuracy on a source that has labels."""
    correct = total = 0.0
    for part, predicted in predictions(estimator, type(estimator).predict, source):
        if part.y is None:
            raise ValueError("the source has no target; name its column, or pass labels, to scan")
        weight = np.ones(len(predicted)) if part.weight is None else part.weight
        correct += float(weight @ (predicted == labels_in(part)))
        total += float(weight.sum(dtype=np.float64))
    return correct / total
