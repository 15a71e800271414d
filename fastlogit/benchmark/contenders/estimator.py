"""What the contenders with scikit-learn's interface have in common: fit, and parameters out."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

import fastlogit
from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders.base import OpenContender, UnsupportedError
from fastlogit.benchmark.problem import Outcome, Params, Problem
from fastlogit.models import MODELS

__all__ = ["AllRowsContender", "EstimatorContender"]

# What a timed repeat of a solver of all rows may take at most, LogisticRegression's default, and
# when it has converged before: the largest element of the gradient.
_ITERATIONS, _TOL = 100, 1e-6


class EstimatorContender(OpenContender):
    """An estimator, fitted anew in every run."""

    def prepare(self, problem: Problem) -> None:
        """Keep the arrays; the estimator checks and converts them in every fit."""
        super().prepare(problem)
        self._new(1)  # refuses what it cannot do

    @classmethod
    @abstractmethod
    def estimator(cls, case: Case, n_rows: int, iterations: int) -> Any:
        """Give an estimator that trains on so many rows for at most so many epochs or iterations.

        Raises
        ------
        UnsupportedError
            If there is none for the case.
        """

    def _new(self, iterations: int) -> Any:
        return self.estimator(self.problem.case, len(self.problem.X), iterations)

    def form(self) -> str:
        """Say which estimator runs."""
        return type(self._new(1)).__name__

    def first_run(self) -> None:
        """Train for one epoch or iteration: modules are loaded, and what is compiled is."""
        self.fit(1)

    def fit(self, iterations: int) -> None:
        """Fit a new estimator for so many epochs or iterations."""
        with warnings.catch_warnings():
            # That the iterations were used up, or a step had to be replaced: the curve shows both.
            warnings.simplefilter("ignore")
            self._fitted = self._new(iterations).fit(self.problem.X, self.problem.y)

    def result(self) -> Outcome:
        """Give its parameters as the case's model and their mean loss over all rows."""
        problem = self.problem
        params = tuple(
            array.astype(problem.case.dtype)
            for array in _params(self._fitted, len(problem.params[-1]))
        )
        loss, _ = fastlogit.loss_and_gradient(
            problem.case.model, params, problem.X, problem.y,
            activation=problem.case.activation, backend="numpy",
        )  # fmt: skip
        return Outcome(params, (loss,))


class AllRowsContender(EstimatorContender):
    """A solver that works on all rows at once, on the mean loss without a penalty.

    Attributes
    ----------
    solver : str
        What LogisticRegression, and for the networks MLPClassifier, call it.
    for_networks : bool
        Whether MLPClassifier has it too.
    """

    by_epoch: ClassVar[bool] = False
    solver: ClassVar[str]
    for_networks: ClassVar[bool] = False

    def run(self) -> None:
        """Fit to the optimum, or for so many iterations as a user would by default."""
        self.fit(_ITERATIONS)

    @staticmethod
    @abstractmethod
    def _estimators() -> tuple[Any, Any]:
        """Give the classes LogisticRegression and MLPClassifier, and import them only now."""

    @classmethod
    def estimator(cls, case: Case, n_rows: int, iterations: int) -> Any:  # noqa: ARG003
        """Give one without a penalty, that stops at a small gradient too."""
        linear, network = cls._estimators()
        common = {
            "solver": cls.solver,
            "tol": _TOL,
            "max_iter": iterations,
            "random_state": case.seed,
            **cls._more(case),
        }
        if not MODELS[case.model].has_hidden:
            return linear(C=np.inf, **common)
        if not cls.for_networks:
            raise UnsupportedError(f"MLPClassifier has no solver {cls.solver}")
        return network((case.n_hidden,), activation=case.activation, alpha=0, **common)

    @classmethod
    def _more(cls, case: Case) -> dict[str, Any]:  # noqa: ARG003
        """Give arguments that only these classes have."""
        return {}


def _params(fitted: Any, n_outputs: int) -> Params:
    """Return an estimator's parameters in the shapes of the case's model.

    For two classes scikit-learn has one output z; a model with two has the same loss with (0, z).
    """
    if hasattr(fitted, "coefs_"):
        W1, W = fitted.coefs_
        b1, b = fitted.intercepts_
        hidden: Params = (W1, b1)
    else:
        W, b, hidden = fitted.coef_.T, fitted.intercept_, ()
    missing = n_outputs - W.shape[1]
    return *hidden, np.pad(W, ((0, 0), (missing, 0))), np.pad(b, (missing, 0))
