"""A model's loss over given rows as a function of its flat parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastlogit.models import BACKENDS, FlatParams, Floats, Model, Rows, Shapes
from fastlogit.threads import Crew, by_rows, team_size, workspace


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
        dtype = rows.X.dtype
        self.params = FlatParams(model, backend, shapes, dtype)
        self._gradients = workspace(self.params.flat, rows.y.size)
        self.gradient = FlatParams(model, backend, shapes, dtype, self._gradients.values[0])
        self._rows, self._alpha = rows, float(alpha)
        self._crew = Crew(
            team_size(n_threads, rows.y.size) if backend == "numba" else 1,
            lambda: model.buffers(self.params.named, 0, rows.y.size, backend),
        )
        self._evaluate = BACKENDS[backend].loss_and_gradient

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at theta, flat parameters, and its gradient, flat too."""
        self.params.flat[...] = theta
        loss = self.evaluate()
        return loss, self.gradient.flat.copy()

    def evaluate(self) -> float:
        """Return the loss at ``params`` and leave its gradient in ``gradient``."""
        n_weights = self.params.n_weights
        multiply_adds = n_weights * self._rows.y.size
        loss = self._crew.call(
            multiply_adds, self._evaluate, self.params.named, self._gradients, self._rows.data
        )
        if self._alpha > 0:
            weights = self.params.flat[:n_weights]
            self.gradient.flat[:n_weights] += weights.dtype.type(self._alpha) * weights
            squares = np.square(weights, dtype=np.float64)
            loss += 0.5 * self._alpha * float(squares.sum())
        return float(loss)


def predict(
    model: Model, params: Sequence[Floats], X: Floats, backend: str = "numba", n_threads: int = 1
) -> Floats:
    """Return the class probabilities of the rows of X for parameters of X's dtype."""
    n_classes = 2 if model.binary else params[-1].size
    proba = np.empty((len(X), n_classes), X.dtype)
    named = model.named(params, backend)

    def fill(rows: slice) -> None:
        buffers = model.buffers(named, 0, len(X), backend)
        BACKENDS[backend].predict_proba(buffers, named, X[rows], proba[rows])

    by_rows(n_threads, fill, len(X))
    return proba
