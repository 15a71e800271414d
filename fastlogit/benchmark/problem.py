"""A case made concrete: the arrays that every contender starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit import datasets
from fastlogit.benchmark import own_data
from fastlogit.benchmark.cases import Case, flops_per_sample
from fastlogit.models import MODELS

__all__ = ["Outcome", "Problem", "build"]

Params = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Problem:
    """Rows, initial parameters and row order of one case, all read-only.

    Attributes
    ----------
    case : Case
        The task.
    X, y : ndarray of shape (n_samples, n_features) and (n_samples,)
        The rows, in the case's dtype, and their class indices.
    n_classes : int
        The number of classes; 2 for the binary models.
    params : tuple of ndarray
        What training starts from.
    order : ndarray of shape (epochs, n_samples)
        The rows in the order they are visited, epoch by epoch.
    X_test, y_test : ndarray or None
        Rows of a user's own file that are held out of training; None for the named sets.
    """

    case: Case
    X: NDArray[Any]
    y: NDArray[np.intp]
    n_classes: int
    params: Params
    order: NDArray[np.intp]
    X_test: NDArray[Any] | None = None
    y_test: NDArray[np.intp] | None = None

    @property
    def samples(self) -> int:
        """Rows trained on in one run: the rows of all epochs."""
        return int(self.order.size)

    @property
    def flops(self) -> int:
        """Floating-point operations of one run, a multiply-add counted as two."""
        model = MODELS[self.case.model]
        n_outputs = model.n_outputs(self.n_classes)
        per_sample = flops_per_sample(self.X.shape[1], self.case.n_hidden, n_outputs)
        return int(per_sample) * self.samples

    def first_batch(self) -> Problem:
        """Give the problem of training a single step, on the rows of the first batch."""
        rows = self.order[0, : self.case.batch_size]
        return replace(
            self,
            case=replace(self.case, batch_size=len(rows), epochs=1),
            X=self.X[rows],
            y=self.y[rows],
            order=np.arange(len(rows))[np.newaxis],
        )


@dataclass(frozen=True)
class Outcome:
    """What a contender's training ended with.

    Attributes
    ----------
    params : tuple of ndarray
        The final parameters, shaped like the problem's.
    loss_curve : tuple of float
        The mean training loss of every epoch.
    """

    params: Params
    loss_curve: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The loss of the last epoch."""
        return self.loss_curve[-1]


def build(case: Case) -> Problem:
    """Load the data and draw initial parameters and row order from the case's seed."""
    model = MODELS[case.model].with_activation(case.activation)
    data, X_test, y_test = _load(case)
    n_samples, n_features = data.X.shape
    rng = np.random.default_rng(case.seed)
    order = np.array([rng.permutation(n_samples) for _ in range(case.epochs)], dtype=np.intp)
    params = model.initial_params(
        n_features,
        case.n_hidden,
        model.n_outputs(data.n_classes),
        np.dtype(case.dtype),
        np.random.RandomState(case.seed),
    )
    # A contender that wrote into its input would hand the next one another problem.
    for array in (data.X, data.y, order, *params, X_test, y_test):
        if array is not None:
            array.flags.writeable = False
    return Problem(case, data.X, data.y, data.n_classes, params, order, X_test, y_test)


def _load(case: Case) -> tuple[datasets.Dataset, NDArray[Any] | None, NDArray[np.intp] | None]:
    """Give the rows to train on and, of a user's own file, those to test on."""
    if case.source is None:
        binary = MODELS[case.model].binary
        named = datasets.load(case.dataset, binary=binary, dtype=case.dtype, seed=case.seed)
        return named, None, None
    parts = own_data.load(case.source, dtype=case.dtype, seed=case.seed)
    n_classes = len(case.source.classes)
    return datasets.Dataset(case.dataset, parts.X, parts.y, n_classes), parts.X_test, parts.y_test
