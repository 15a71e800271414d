"""A model's loss over given rows as a function of its flat parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastlogit.kernels.layers.sparse import Csr, csr
from fastlogit.kernels.training.epoch import Rule, Span, State
from fastlogit.kernels.training.optimizers import NO_STEP
from fastlogit.models import (
    BACKENDS,
    FlatParams,
    Floats,
    Model,
    Rows,
    Shapes,
    as_writable_view,
    matrix_for_kernels,
)
from fastlogit.models.checks import finite
from fastlogit.training.threads import ThreadPool, by_rows, cut, team_size, workspace


class Objective:
    """Mean loss over the rows plus α/2 ‖w‖², with its gradient: what a batch optimizer minimises.

    Parameters
    ----------
    model : Model
        The model.
    shapes : tuple of tuple of int
        Its parameters' shapes.
    rows : Rows
        The data; their dtype is that of parameters and gradient.
    alpha : float
        Factor of the penalty, on the weights only.
    backend : {"numba", "numpy"}
        Which code runs.
    n_threads : int
        Threads that share the rows in the kernels; the result does not depend on it.

    Attributes
    ----------
    params, gradient : FlatParams
        Where the last evaluation was, and what came of it.
    """

    def __init__(
        self, model: Model, shapes: Shapes, rows: Rows, alpha: float, backend: str = "numba",
        n_threads: int = 1,
    ) -> None:  # fmt: skip
        dtype, n_rows = rows.X.dtype, rows.y.size
        self.params = FlatParams(model, backend, shapes, dtype, sparse=rows.sparse)
        theta, n_weights = self.params.flat, self.params.n_weights
        gradients = workspace(theta, n_rows)
        self.gradient = FlatParams(
            model, backend, shapes, dtype, gradients.values[0], sparse=rows.sparse
        )
        self._loss = np.zeros(1)
        # One batch of all rows as they lie, and no step after it.
        rule = Rule(NO_STEP, np.zeros(1), n_weights, float(alpha), False, False)
        state = State(theta, np.empty((0, theta.size), dtype), np.zeros(1, np.int64))
        arguments = (
            self.params.named, state, gradients, rule, rows.data(backend),
            np.empty((1, 0), np.intp), n_rows,
        )  # fmt: skip
        spans = cut(n_rows, rows.multiply_adds(n_weights)) if backend == "numba" else [(0, 1)]
        self._calls = [(*arguments, Span(0, 1, *blocks), self._loss) for blocks in spans]
        self._multiply_adds = int(n_weights * n_rows * rows.density)
        self._pool = ThreadPool(
            team_size(n_threads, n_rows) if backend == "numba" else 1,
            lambda: model.buffers(self.params.named, n_rows, backend, rows.sparse),
        )
        self._run_batches = BACKENDS[backend].run_batches

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at theta, flat parameters, and its gradient, flat too."""
        self.params.flat[...] = theta
        loss = self.evaluate()
        return loss, self.gradient.flat.copy()

    def evaluate(self) -> float:
        """Return the loss at ``params`` and leave its gradient in ``gradient``."""
        self._loss[0] = 0
        for arguments in self._calls:
            self._pool.call(self._multiply_adds, self._run_batches, *arguments)
        return float(self._loss[0])


def predict(
    model: Model, params: Sequence[Floats], X: Any, backend: str = "numba", n_threads: int = 1
) -> Floats:
    """Return the class probabilities of the rows of X for parameters of X's dtype."""
    (n_rows, _), sparse = X.shape, bool(issparse(X))
    n_classes = 2 if model.binary else params[-1].size
    proba = np.empty((n_rows, n_classes), X.dtype)
    named = model.named(params, backend, sparse)
    if backend == "numba":
        X = csr(*matrix_for_kernels(X)) if sparse else as_writable_view(X)

    def fill(rows: slice) -> None:
        buffers = model.buffers(named, n_rows, backend, sparse)
        BACKENDS[backend].predict_proba(buffers, named, _taken(X, rows), proba[rows])

    by_rows(n_threads, fill, n_rows, sum([array.size for array in params[::2]]))
    return proba


def has_nan_rows(proba: Floats) -> bool:
    """Return whether the logits of a row overflowed: all its probabilities then are NaN."""
    if len(proba) == 1:  # spares one row's prediction a twentieth of its time
        return math.isnan(proba.item(0))
    return not finite(proba[:, 0])


def _taken(X: Any, rows: slice) -> Any:
    """Return a slice of the rows, without a copy in the kernels' forms of X."""
    if isinstance(X, Csr):
        return X._replace(indptr=X.indptr[rows.start : rows.stop + 1])
    return X[rows]
