"""scikit-learn's own estimators, the open division: the same objective by their own routes.

Networks are `sklearn.neural_network.MLPClassifier` with the case's sizes, solver, step size and
batches, from its own start and in its own order. Linear models are
`sklearn.linear_model.SGDClassifier`, which steps row by row whatever the case's batch size, and
trains one against the rest where there are more than two classes.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

import fastlogit
from fastlogit.benchmark.contenders.base import OpenContender, UnsupportedError
from fastlogit.benchmark.problem import Outcome, Params, Problem
from fastlogit.models import MODELS

__all__ = ["ScikitLearnContender"]


class ScikitLearnContender(OpenContender):
    """MLPClassifier for the networks, SGDClassifier for the linear models."""

    name: ClassVar[str] = "scikit-learn"
    distribution: ClassVar[str] = "scikit-learn"
    module: ClassVar[str] = "sklearn"
    install: ClassVar[str] = "pip install scikit-learn"

    def prepare(self, problem: Problem) -> None:
        """Keep the arrays; scikit-learn checks and converts them in every fit."""
        super().prepare(problem)
        self._make = _network if MODELS[problem.case.model].has_hidden else _linear
        self._make(problem, 1)  # refuses what it cannot do

    def form(self) -> str:
        """Say which estimator runs."""
        return type(self._make(self.problem, 1)).__name__

    def first_run(self) -> None:
        """Train for one epoch: nothing is compiled, but modules are loaded."""
        self.fit(1)

    def fit(self, iterations: int) -> int:
        """Fit a new estimator for so many epochs."""
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # That all epochs were run is what is asked for here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._fitted = self._make(self.problem, iterations).fit(self.problem.X, self.problem.y)
        return int(self._fitted.n_iter_)

    def result(self) -> Outcome:
        """Give its parameters as the case's model and their mean loss over all rows."""
        problem = self.problem
        model = problem.case.model
        params = tuple(
            array.astype(problem.case.dtype)
            for array in _params(self._fitted, len(problem.params[-1]))
        )
        loss, _ = fastlogit.loss_and_gradient(model, params, problem.X, problem.y, backend="numpy")
        return Outcome(params, (loss,))


def _network(problem: Problem, epochs: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    case = problem.case
    return MLPClassifier(
        (case.n_hidden,),
        activation="logistic",
        solver=case.solver,
        alpha=0,
        batch_size=min(case.batch_size, len(problem.X)),
        learning_rate_init=case.learning_rate,
        max_iter=epochs,
        shuffle=True,
        random_state=case.seed,
        tol=0,
        momentum=0,
        nesterovs_momentum=False,
        n_iter_no_change=epochs + 1,  # never stops before max_iter
    )


def _linear(problem: Problem, epochs: int) -> Any:
    from sklearn.linear_model import SGDClassifier

    case = problem.case
    if case.solver != "sgd":
        raise UnsupportedError(f"SGDClassifier has no solver {case.solver}")
    return SGDClassifier(
        loss="log_loss",
        penalty=None,
        max_iter=epochs,
        tol=None,  # never stops before max_iter
        shuffle=True,
        n_jobs=case.threads,
        random_state=case.seed,
        learning_rate="constant",
        eta0=case.learning_rate,
    )


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
