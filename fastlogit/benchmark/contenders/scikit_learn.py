"""scikit-learn's own mini-batch estimators: the same objective by their own routes.

Networks are `sklearn.neural_network.MLPClassifier` with the case's sizes, solver, step size and
batches, from its own start and in its own order. Linear models are
`sklearn.linear_model.SGDClassifier`, which steps row by row whatever the case's batch size, and
trains one against the rest where there are more than two classes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders.base import ClosedContender, UnsupportedError
from fastlogit.benchmark.contenders.estimator import EstimatorContender
from fastlogit.models import MODELS

__all__ = ["ScikitLearnContender"]


class ScikitLearnContender(EstimatorContender):
    """MLPClassifier for the networks, SGDClassifier for the linear models."""

    name: ClassVar[str] = "scikit-learn"
    place: ClassVar[int] = 40
    by_default: ClassVar[bool] = True
    distribution: ClassVar[str] = "scikit-learn"
    module: ClassVar[str] = "sklearn"
    install: ClassVar[str] = "pip install scikit-learn"
    covers: ClassVar[dict[str, tuple[str, ...]]] = ClosedContender.covers

    @classmethod
    def estimator(cls, case: Case, n_rows: int, iterations: int) -> Any:
        """Give one with the case's steps, that never stops by itself."""
        if MODELS[case.model].has_hidden:
            return _network(case, n_rows, iterations)
        return _linear(case, iterations)


def _network(case: Case, n_rows: int, epochs: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        (case.n_hidden,),
        activation="logistic",
        solver=case.solver,
        alpha=0,
        batch_size=min(case.batch_size, n_rows),
        learning_rate_init=case.learning_rate,
        max_iter=epochs,
        shuffle=True,
        random_state=case.seed,
        tol=0,
        momentum=0,
        nesterovs_momentum=False,
        n_iter_no_change=epochs + 1,  # never stops before max_iter
    )


def _linear(case: Case, epochs: int) -> Any:
    from sklearn.linear_model import SGDClassifier

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
