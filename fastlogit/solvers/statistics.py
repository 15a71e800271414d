"""The first pass over a source: classes, weights, means and scales, and a sample of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse, vstack

from fastlogit.kernels.full_batch.moments import column_moments
from fastlogit.models import Floats
from fastlogit.models.arrays import as_writable_view
from fastlogit.models.checks import finite
from fastlogit.sources import Labels, Partition
from fastlogit.training.row_stream import chance_distance, distance_of_shares

# Integers that few values apart are counted by their value, not sorted.
MOST_COUNTED = 1 << 16
NO_TARGET = "the source has no target; name its column, or pass labels, to scan"
NO_ROWS = "the source has no rows"


class PartitionStatistics(NamedTuple):
    """What is found in a partition. Weights of the sampled rows stand for all of its rows."""

    n_rows: int
    labels: NDArray[Any]
    counts: NDArray[np.intp]
    weights: Floats
    mean: Floats
    squares: Floats
    sample: Partition


@dataclass(frozen=True)
class StatisticsWork:
    """The statistics of a partition, in a list; with a seeded sample of so many rows at most.

    Errors name columns, if they have names, and rows counted from the partitions' starts if these
    are known.
    """

    seed: int
    sample_rows: int
    feature_names: tuple[str, ...] | None
    starts: Sequence[int] | None

    def __call__(self, index: int, part: Partition) -> list[PartitionStatistics]:
        """Return the statistics; raise ValueError for what no model can be fitted to."""
        X, y, weight = part
        n_rows = X.shape[0]
        if y is None:
            raise ValueError(NO_TARGET)
        if n_rows == 0:
            return []
        with np.errstate(all="ignore"):  # what is not finite is refused next
            mean, squares = moments(X)
        if not finite(squares):
            self._check_finite(index, X)
        if weight is not None and not (finite(weight) and weight.min() >= 0):
            row = int(np.argmin(np.where(np.isfinite(weight), weight, -np.inf)))
            text = f"weight={weight[row]:g} in {self._row(index, row)}"
            raise ValueError(f"{text} must be finite and at least 0")
        try:
            labels, codes = distinct(y)
        except TypeError as error:  # objects that do not compare
            self._check_present(index, y)
            raise ValueError(f"the target must hold labels of one type: {error}") from None
        if labels.dtype.kind == "f" and not (whole := is_whole(labels)).all():
            row = int(np.argmin(whole[codes]))
            raise ValueError(
                f"Unknown label type: the target is {labels[codes[row]]} in "
                f"{self._row(index, row)}; classes must be text, booleans or whole numbers"
            )
        counts = np.bincount(codes, minlength=len(labels))
        weights = np.bincount(codes, weight, len(labels)).astype(np.float64)
        sample = self._sample(index, X, labels, codes, weight)
        return [PartitionStatistics(n_rows, labels, counts, weights, mean, squares, sample)]

    def add(
        self, total: list[PartitionStatistics], part: list[PartitionStatistics]
    ) -> list[PartitionStatistics]:
        """Return both lists as one, the first."""
        total.extend(part)
        return total

    def _sample(
        self, index: int, X: Any, labels: NDArray[Any], codes: NDArray[np.intp], weight: Any
    ) -> Partition:
        n_rows, size = X.shape[0], min(self.sample_rows, X.shape[0])
        generator = np.random.default_rng([self.seed, index])
        rows = np.zeros(n_rows, bool)
        rows[generator.choice(n_rows, size, replace=False, shuffle=False)] = True
        first = np.empty(len(labels), np.intp)  # row of each label, so that none is missing
        first[codes[::-1]] = np.arange(n_rows)[::-1]
        rows[first] = True
        weight = np.ones(n_rows, X.dtype) if weight is None else weight
        return Partition(X[rows], labels[codes[rows]], weight[rows] * (n_rows / size))

    def _check_finite(self, index: int, X: Any) -> None:
        values = X.data if issparse(X) else X
        bad = ~np.isfinite(values)
        if not bad.any():  # only their squares overflow
            return
        if issparse(X):
            at = int(np.argmax(bad))
            row, column = int(np.searchsorted(X.indptr, at, "right")) - 1, int(X.indices[at])
        else:
            row, column = np.argwhere(bad)[0].tolist()
        name = repr(self.feature_names[column]) if self.feature_names else str(column)
        value = X[row, column]
        raise ValueError(
            f"X must be finite, got {value} in column {name}, {self._row(index, row)}; impute it, "
            "or leave such rows out"
        )

    def _check_present(self, index: int, y: Any) -> None:
        """Raise ValueError if labels, Python's objects, have a None or a NaN among them."""
        given = y.values if isinstance(y, Labels) else y
        missing = np.array([value is None or value != value for value in given], bool)
        missing = missing[y.codes] if isinstance(y, Labels) else missing
        if missing.any():
            where = self._row(index, int(np.argmax(missing)))
            raise ValueError(f"the target is missing in {where}; leave such rows out")

    def _row(self, index: int, row: int) -> str:
        if self.starts is not None:
            return f"row {self.starts[index] + row}"
        return f"row {row} of partition {index}"


def moments(X: Any) -> tuple[Floats, Floats]:
    """Return the mean of each column and the sum of squared distances from it."""
    n_rows, n_features = X.shape
    if issparse(X):
        mean = np.asarray(X.sum(axis=0, dtype=np.float64)).ravel() / n_rows
        squares = np.asarray(X.power(2).sum(axis=0, dtype=np.float64)).ravel()
        return mean, squares - n_rows * mean**2
    shift = X[0].astype(np.float64)
    if not finite(shift):
        shift = np.zeros(n_features)
    sums, squares = np.zeros(n_features), np.zeros(n_features)
    column_moments(as_writable_view(X), shift, sums, squares)
    return shift + sums / n_rows, squares - sums * sums / n_rows


def is_whole(labels: Floats) -> NDArray[np.bool_]:
    """Return which labels are finite and whole numbers."""
    return np.asarray(np.isfinite(labels) & (labels == np.floor(labels)))


def distinct(y: NDArray[Any] | Labels) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted distinct labels and each row's position among them."""
    if isinstance(y, Labels):
        values, codes = np.unique(y.values, return_inverse=True)
        present, positions = np.unique(codes[y.codes], return_inverse=True)
        return values[present], positions
    if y.dtype.kind in "iu" and y.size:
        low = y.min()
        if int(y.max()) - int(low) < MOST_COUNTED:
            # A difference may exceed the range of signed integers, not of as long unsigned ones.
            shifted = (y - low).view(f"u{y.itemsize}").astype(np.intp)
            present = np.flatnonzero(np.bincount(shifted))
            position = np.zeros(present[-1] + 1, np.intp)
            position[present] = np.arange(present.size)
            return present.astype(y.dtype) + low, position[shifted]
    labels, codes = np.unique(y, return_inverse=True)
    return labels, codes


class Statistics:
    """What all partitions have in all."""

    def __init__(self, parts: list[PartitionStatistics]) -> None:
        if not parts:
            raise ValueError(NO_ROWS)
        self.n_rows = sum([part.n_rows for part in parts])
        self.classes: NDArray[Any] = np.unique(np.concatenate([part.labels for part in parts]))
        K = len(self.classes)
        counts = np.zeros((len(parts), K), np.intp)
        self.class_weights = np.zeros(K)
        for row, part in zip(counts, parts, strict=True):
            positions = self.classes.searchsorted(part.labels)
            row[positions] = part.counts
            self.class_weights[positions] += part.weights
        with np.errstate(over="ignore", invalid="ignore"):  # of squares
            self.mean, self.scale = self._moments(parts)
        self.sample = self._sample(parts)
        self.differences = self._differences(parts, counts)

    def _moments(self, parts: Sequence[PartitionStatistics]) -> tuple[Floats, Floats]:
        """Return each feature's mean and standard deviation, 1 if it is constant.

        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances (1979).
        """
        n_rows, mean, squares = 0, np.zeros_like(parts[0].mean), np.zeros_like(parts[0].mean)
        for part in parts:
            distance, total = part.mean - mean, n_rows + part.n_rows
            squares += part.squares + distance**2 * (n_rows * part.n_rows / total)
            mean += distance * (part.n_rows / total)
            n_rows = total
        deviation = np.sqrt(np.maximum(squares / n_rows, 0))
        varies = deviation > np.finfo(float).eps * 16 * np.abs(mean)
        return mean, np.where(varies & np.isfinite(deviation), deviation, 1.0)

    def _differences(
        self, parts: Sequence[PartitionStatistics], counts: NDArray[np.intp]
    ) -> tuple[float, float]:
        """Return how far partitions are from the whole beyond chance, in class shares and means.

        The second is of the feature whose means differ most, in standard deviations.
        """
        n_rows = np.array([part.n_rows for part in parts])
        means = np.abs(np.array([part.mean for part in parts]) - self.mean) / self.scale
        means -= chance_distance(n_rows)[:, None]
        return distance_of_shares(counts), float(np.average(means, axis=0, weights=n_rows).max())

    def _sample(self, parts: Sequence[PartitionStatistics]) -> Partition:
        samples = [part.sample for part in parts]
        stack: Any = vstack if issparse(samples[0].X) else np.concatenate
        columns: Any = [[sample[i] for sample in samples] for i in range(3)]
        X: Any = stack(columns[0], format="csr") if stack is vstack else stack(columns[0])
        return Partition(X, np.concatenate(columns[1]), np.concatenate(columns[2]))
