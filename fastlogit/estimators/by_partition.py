"""Predictions for a source, partition by partition."""

import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from fastlogit.models.checks import class_indices
from fastlogit.solvers import warn
from fastlogit.solvers.statistics import NO_ROWS, NO_TARGET
from fastlogit.sources import Labels, Partition, Source
from fastlogit.training.row_stream import distance_of_shares, sorted_by

# About how many rows of a partition tell its classes' shares.
COUNTED = 1000


def is_dask(X: Any) -> bool:
    """Return whether X is one of Dask's collections, which is asked without importing Dask."""
    return type(X).__module__.startswith("dask")


def by_partition(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Have a method that predicts take a source as well, and predict partition by partition.

    What it returns for a Dask collection, if anything, is up to ``_predict_lazily``.
    """

    @wraps(predict)
    def predict_all(self: Any, X: Any) -> Any:
        if type(X) is not np.ndarray and is_dask(X):
            return self._predict_lazily(predict.__name__, X)
        if type(X) is np.ndarray or not isinstance(X, Source):
            return predict(self, X)
        results = [result for _, result in predictions(self, predict, X)]
        if not results:
            raise ValueError(NO_ROWS)
        return np.concatenate(results)

    return predict_all


def predictions(
    estimator: Any, predict: Callable[[Any, Any], Any], source: Source
) -> Iterator[tuple[Partition, Any]]:
    """Yield each partition of a source, without its rows, and what is predicted of it."""
    check_names(estimator, source)
    for part in source:
        if part.X.shape[0]:
            with warnings.catch_warnings():  # their names have been compared
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                result = predict(estimator, part.X)
            part = part._replace(X=None)
            yield part, result


def check_names(estimator: Any, source: Source) -> None:
    """Raise ValueError if the source's columns are not those that the estimator was fitted to."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and source.feature_names not in (None, tuple(names)):
        raise ValueError(
            f"the columns of the source, {source.feature_names}, are not those of fit, "
            f"{tuple(names)}, in their order; name them in columns= of scan"
        )


def partial_fit(estimator: Any, source: Source, classes: Any) -> None:
    """Call an estimator's partial_fit with each partition; one without any weight is left out.

    Sorted rows are warned of, not refused: a stream is known once it has been read, and rows in the
    order of time may be meant to be learnt in it.
    """
    if not source.has_target:
        raise ValueError(NO_TARGET)
    check_names(estimator, source)
    is_first, counts = not hasattr(estimator, "n_features_in_"), list[Any]()
    with warnings.catch_warnings():  # their names have been compared
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        for part in source.stream():
            if part.weight is None or part.weight.any():
                y = labels_in(part)
                estimator.partial_fit(part.X, y, part.weight, classes)
                some = y[:: max(len(y) // COUNTED, 1)]
                indices = class_indices(estimator.classes_, some)
                counts.append(np.bincount(indices, minlength=len(estimator.classes_)))
    if not counts:
        raise ValueError("the source has no rows of a positive weight")
    if what := sorted_by(distance_of_shares(np.array(counts))):
        warn(
            f"{what}; partial_fit takes them as they come, and learns the last ones best",
            UserWarning,
        )
    if is_first and source.feature_names is not None:
        estimator.feature_names_in_ = np.array(source.feature_names, object)


def labels_in(part: Partition) -> Any:
    """Return the labels of a partition as an array."""
    y = part.y
    return y.values[y.codes] if isinstance(y, Labels) else y


def score(estimator: Any, source: Source) -> float:
    """Return the (weighted) accuracy on a source that has labels."""
    correct = total = 0.0
    for part, predicted in predictions(estimator, type(estimator).predict, source):
        if part.y is None:
            raise ValueError(NO_TARGET)
        weight = np.ones(len(predicted)) if part.weight is None else part.weight.astype(float)
        correct += float(weight @ (predicted == labels_in(part)))
        total += float(weight.sum())
    if not total > 0:
        raise ValueError(f"the weights of the source's rows sum to {total:g}, must be above 0")
    return correct / total
