"""How good parameters are, whoever found them: one measure for all contenders of a case."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastlogit
from fastlogit.benchmark.problem import Params, Problem

__all__ = ["Evaluation"]


class Evaluation:
    """A case's rows, ready to judge parameters by: in float64, by the NumPy reference.

    Parameters
    ----------
    problem : Problem
        The rows, and those held out where there are any.
    """

    def __init__(self, problem: Problem) -> None:
        self._model = problem.case.model
        self._options: dict[str, Any] = {"activation": problem.case.activation, "backend": "numpy"}
        self._X, self._y = problem.X.astype(np.float64), problem.y
        self._X_test, self._y_test = problem.X_test, problem.y_test

    def loss(self, params: Params) -> float:
        """Give the mean loss over all training rows."""
        wide = tuple(array.astype(np.float64) for array in params)
        loss, _ = fastlogit.loss_and_gradient(self._model, wide, self._X, self._y, **self._options)
        return loss

    def test_accuracy(self, params: Params) -> float | None:
        """Give the share of the held-out rows that are classified right; None without any."""
        if self._X_test is None:
            return None
        wide = tuple(array.astype(np.float64) for array in params)
        X_test = self._X_test.astype(np.float64)
        proba = fastlogit.predict_proba(self._model, wide, X_test, **self._options)
        return float(np.mean(proba.argmax(axis=1) == self._y_test))
