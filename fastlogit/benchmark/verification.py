"""Whether an implementation has done the work of a case: its result against the reference's.

Of the same steps the reference is NumPy's, of the same estimator scikit-learn's. Arrays are
compared one by one: the largest absolute difference, over the largest absolute value of the
reference's array or over 1, whichever is greater. The loss is compared relative to the reference's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastlogit
from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.problem import Outcome, Params, Problem

TOLERANCES = {"float32": 1e-4, "float64": 1e-9}

# The solvers whose iterations are not scikit-learn's: by design, or since rounding decides which
# optimum is found. There the loss must be no higher, but for so large a share.
OWN_STEPS = {
    "LogisticRegression": ("newton-cg", "newton-cholesky", "sag", "saga"),
    "MLPClassifier": ("lbfgs",),
}  # fmt: skip
_HIGHER = 0.01


@dataclass(frozen=True)
class Agreement:
    """How far a result is from the reference's: relative differences, and what they may be.

    They are inf where the shapes differ, nan where a value is not a number.
    """

    params_error: float | None  # None for steps of its own, where the loss alone is compared
    loss_error: float
    tolerance: float
    n_iter: tuple[int | None, int | None] = (None, None)  # its own, and the reference's

    @property
    def same_iterations(self) -> bool:
        """Whether both took the same iterations; True where one does not count them."""
        return None in self.n_iter or self.n_iter[0] == self.n_iter[1]

    @property
    def holds(self) -> bool:
        """Whether both errors are numbers within the tolerance, and the iterations equal."""
        params_hold = self.params_error is None or self.params_error <= self.tolerance
        return params_hold and self.loss_error <= self.tolerance and self.same_iterations

    def __str__(self) -> str:
        """Return the errors and what is allowed."""
        text = f"the loss is higher by {self.loss_error:.2e}"
        if self.params_error is not None:
            text = f"parameters differ by {self.params_error:.2e}, loss by {self.loss_error:.2e}"
        text += f"; allowed is {self.tolerance:g}"
        if not self.same_iterations:
            text += f"; n_iter_ is {self.n_iter[0]}, the reference's {self.n_iter[1]}"
        return text


@dataclass(frozen=True)
class VerificationResult:
    """Whether an implementation does the work of a case, or in one line why not."""

    case_id: str
    comparison: str
    implementation: str
    version: str
    status: str
    params_error: float | None = None  # None where it was not compared
    loss_error: float | None = None
    tolerance: float | None = None
    error: str | None = None


def train_reference(problem: Problem, callback: Callable[..., Any] | None = None) -> Outcome:
    """Train the NumPy reference on the problem, until a callback ends it if there is one."""
    case: Any = problem.case  # its names may be of other models and solvers too
    result = fastlogit.train(
        case.model, problem.X, problem.y, problem.params, solver=case.solver,
        learning_rate=case.learning_rate, batch_size=case.batch_size, epochs=case.epochs,
        order=problem.order, activation=case.activation, backend="numpy", callback=callback,
    )  # fmt: skip
    return Outcome(tuple(result.params), tuple(map(float, result.loss_curve)))


def compare(outcome: Outcome, reference: Outcome, case: Case) -> Agreement:
    """Measure how far a result is from the reference's."""
    scale = max(abs(reference.loss), np.finfo(np.float64).tiny)
    if case.solver in OWN_STEPS.get(case.model, ()):
        higher = float(np.maximum(0.0, outcome.loss - reference.loss))
        return Agreement(None, higher / scale, _HIGHER)
    params_error = _params_error(outcome.params, reference.params)
    loss_error = abs(outcome.loss - reference.loss) / scale
    n_iter = outcome.n_iter, reference.n_iter
    return Agreement(params_error, loss_error, TOLERANCES[case.dtype], n_iter)


def _params_error(ours: Params, theirs: Params) -> float:
    if [array.shape for array in ours] != [array.shape for array in theirs]:
        return float("inf")
    errors = [
        np.abs(np.subtract(a, b, dtype=np.float64)).max() / max(1.0, float(np.abs(b).max()))
        for a, b in zip(ours, theirs, strict=True)
    ]
    return float(np.max(errors))
