"""A model's loss over given rows as a function of its flat parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastlogit.models import BACKENDS, FlatParams, Floats, Model, Rows, Shapes


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

    Attributes
    ----------
    params, gradient : FlatParams
        Where the last evaluation was, and what came of it.
    """

    def __init__(
        self, model: Model, shapes: Shapes, rows: Rows, alpha: float, backend: str = "numba"
    ) -> None:
        dtype = rows.X.dtype
        self.params = FlatParams(model, backend, shapes, dtype)
        self.gradient = FlatParams(model, backend, shapes, dtype)
        self._rows, self._alpha = rows, float(alpha)
        self._evaluate = BACKENDS[backend].loss_and_gradient

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Return the loss at theta, flat parameters, and its gradient, flat too."""
        self.params.flat[...] = theta
        loss = self.evaluate()
        return loss, self.gradient.flat.copy()

    def evaluate(self) -> float:
        """Return the loss at ``params`` and leave its gradient in ``gradient``."""
        rows, n_weights = self._rows, self.params.n_weights
        loss = self._evaluate(self.params.named, self.gradient.named, rows.X, rows.y, rows.weight)
        if self._alpha > 0:
            weights = self.params.flat[:n_weights]
            self.gradient.flat[:n_weights] += weights.dtype.type(self._alpha) * weights
            loss += 0.5 * self._alpha * float(np.dot(weights, weights))
        return float(loss)


def predict(model: Model, params: Sequence[Floats], X: Floats, backend: str = "numba") -> Floats:
    """Return the class probabilities of the rows of X for parameters of X's dtype."""
    n_classes = 2 if model.binary else params[-1].size
    proba = np.empty((len(X), n_classes), X.dtype)
    BACKENDS[backend].predict_proba(model.named(params, backend), X, proba)
    return proba
