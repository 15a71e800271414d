"""Whether a contender has done the work: its end point against the NumPy reference's.

Parameters are compared array by array: the largest absolute difference, over the largest absolute
value of the reference array or over 1, whichever is greater. The loss of the last epoch is
compared relative to the reference's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastlogit
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.training.trainer import TrainResult

__all__ = ["TOLERANCES", "Agreement", "compare", "reference_outcome", "train_reference"]

TOLERANCES = {"float32": 1e-4, "float64": 1e-9}


@dataclass(frozen=True)
class Agreement:
    """How far an outcome is from the reference's.

    Attributes
    ----------
    params_error, loss_error : float
        The relative differences; inf where the shapes differ, nan where a value is not a number.
    tolerance : float
        What both may be at most.
    """

    params_error: float
    loss_error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether both errors are numbers within the tolerance."""
        return self.params_error <= self.tolerance and self.loss_error <= self.tolerance

    def __str__(self) -> str:
        """Say both errors and the tolerance."""
        return (
            f"parameters differ by {self.params_error:.2e}, loss by {self.loss_error:.2e}; "
            f"allowed is {self.tolerance:g}"
        )


def train_reference(problem: Problem, callback: Callable[..., Any] | None = None) -> TrainResult:
    """Train the NumPy reference on the problem, until a callback ends it if there is one."""
    case = problem.case
    return fastlogit.train(
        case.model,
        problem.X,
        problem.y,
        problem.params,
        solver=case.solver,
        learning_rate=case.learning_rate,
        batch_size=case.batch_size,
        epochs=case.epochs,
        order=problem.order,
        activation=case.activation,
        backend="numpy",
        callback=callback,
    )


def reference_outcome(problem: Problem) -> Outcome:
    """Give what the NumPy reference ends with on the problem."""
    result = train_reference(problem)
    return Outcome(tuple(result.params), tuple(map(float, result.loss_curve)))


def compare(outcome: Outcome, reference: Outcome, dtype: str) -> Agreement:
    """Measure how far an outcome is from the reference's, in the terms of this module."""
    return Agreement(
        _params_error(outcome, reference),
        abs(outcome.loss - reference.loss) / max(abs(reference.loss), np.finfo(np.float64).tiny),
        TOLERANCES[dtype],
    )


def _params_error(outcome: Outcome, reference: Outcome) -> float:
    if [p.shape for p in outcome.params] != [p.shape for p in reference.params]:
        return float("inf")
    errors = [
        np.abs(np.subtract(ours, theirs, dtype=np.float64)).max()
        / max(1.0, float(np.abs(theirs).max()))
        for ours, theirs in zip(outcome.params, reference.params, strict=True)
    ]
    return float(np.max(errors))
