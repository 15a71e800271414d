"""A case made concrete: the arrays that every implementation starts from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlogit import datasets
from fastlogit.benchmark import data_file
from fastlogit.benchmark.cases import Case, flops_per_sample
from fastlogit.models import MODELS

Params = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Problem:
    """Rows, initial parameters and row order of one case, all read-only.

    An estimator draws its own parameters and order; these are empty then.
    """

    case: Case
    X: NDArray[Any]  # in the case's dtype
    y: NDArray[np.intp]  # class indices
    n_classes: int  # 2 for the binary models
    params: Params
    order: NDArray[np.intp]  # of shape (epochs, n_samples)
    X_test: NDArray[Any] | None = None  # the test rows of a user's own file
    y_test: NDArray[np.intp] | None = None

    @property
    def samples(self) -> int:
        """Rows trained on in one run, those of all epochs; of an estimator the rows of X."""
        return int(self.order.size) or len(self.X)

    @property
    def flops(self) -> int | None:
        """Floating-point operations of one training, a multiply-add counted as two."""
        if self.case.task != "train":
            return None
        n_outputs = MODELS[self.case.model].n_outputs(self.n_classes)
        per_sample = flops_per_sample(self.X.shape[1], self.case.n_hidden, n_outputs)
        return per_sample * self.samples

    def first_batch(self) -> "Problem":
        """Return the problem of training a single step, on the rows of the first batch."""
        rows = self.order[0, : self.case.batch_size]
        case = replace(self.case, batch_size=len(rows), epochs=1)
        order = np.arange(len(rows))[np.newaxis]
        return replace(self, case=case, X=self.X[rows], y=self.y[rows], order=order)


@dataclass(frozen=True)
class Outcome:
    """What an implementation ended with."""

    params: Params  # shaped like the problem's; of a prediction the probabilities
    loss_curve: tuple[float, ...]  # the mean training loss of every epoch, or of what was fitted
    n_iter: int | None = None  # iterations that an estimator reports

    @property
    def loss(self) -> float:
        """The loss of the last epoch."""
        return self.loss_curve[-1]


def build(case: Case) -> Problem:
    """Load the data and draw initial parameters and row order from the case's seed."""
    data: Any  # has X and y
    if case.data_file is None:
        binary = case.model in MODELS and MODELS[case.model].binary
        data = datasets.load(case.dataset, binary=binary, dtype=case.dtype, seed=case.seed)
        n_classes, X_test, y_test = data.n_classes, None, None
    else:
        data = data_file.load(case.data_file, dtype=case.dtype, seed=case.seed)
        n_classes, X_test, y_test = len(case.data_file.classes), data.X_test, data.y_test
    params: Params = ()
    order = np.empty((0, 0), np.intp)
    if case.task == "train":
        rng, (n_samples, n_features) = np.random.default_rng(case.seed), data.X.shape
        order = np.array([rng.permutation(n_samples) for _ in range(case.epochs)], dtype=np.intp)
        model = MODELS[case.model].with_activation(case.activation)
        params = model.initial_params(
            n_features, case.n_hidden, model.n_outputs(n_classes), np.dtype(case.dtype),
            np.random.RandomState(case.seed),
        )  # fmt: skip
    # An implementation that wrote into its input would hand the next one another problem.
    for array in (data.X, data.y, order, *params, X_test, y_test):
        if array is not None:
            array.flags.writeable = False
    return Problem(case, data.X, data.y, n_classes, params, order, X_test, y_test)
