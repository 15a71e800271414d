"""scikit-learn's solvers that work on all rows, and SAG and SAGA: LogisticRegression's.

L-BFGS is MLPClassifier's too. The objective is the cell's own, the mean loss over all rows without
a penalty (C=inf); the cell's solver, step size and batches do not concern them. liblinear is not
among them: it cannot do without a penalty.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders.base import UnsupportedError
from fastlogit.benchmark.contenders.estimator import AllRowsContender

__all__ = ["SklearnLbfgs", "SklearnNewtonCG", "SklearnNewtonCholesky", "SklearnSag", "SklearnSaga"]


class _Sklearn(AllRowsContender):
    distribution: ClassVar[str] = "scikit-learn"
    module: ClassVar[str] = "sklearn"
    install: ClassVar[str] = "pip install scikit-learn"

    @staticmethod
    def _estimators() -> tuple[Any, Any]:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neural_network import MLPClassifier

        return LogisticRegression, MLPClassifier


class SklearnLbfgs(_Sklearn):
    """L-BFGS by SciPy."""

    name: ClassVar[str] = "sklearn-lbfgs"
    place: ClassVar[int] = 60
    by_default: ClassVar[bool] = True
    solver: ClassVar[str] = "lbfgs"
    for_networks: ClassVar[bool] = True


class SklearnNewtonCG(_Sklearn):
    """Newton steps by conjugate gradients."""

    name: ClassVar[str] = "sklearn-newton-cg"
    place: ClassVar[int] = 61
    solver: ClassVar[str] = "newton-cg"


class SklearnNewtonCholesky(_Sklearn):
    """Newton steps by a factorised Hessian."""

    name: ClassVar[str] = "sklearn-newton-cholesky"
    place: ClassVar[int] = 62
    solver: ClassVar[str] = "newton-cholesky"

    @classmethod
    def _more(cls, case: Case) -> dict[str, Any]:
        if case.dtype == "float32" and version("scikit-learn").startswith("1.8."):
            raise UnsupportedError("scikit-learn 1.8 fails in float32")
        return {}


class _RowByRow(_Sklearn):
    # An iteration of these is a pass over the rows, like an epoch.
    by_epoch: ClassVar[bool] = True

    def run(self) -> None:
        self.fit(self.problem.case.epochs)


class SklearnSag(_RowByRow):
    """Stochastic average gradients."""

    name: ClassVar[str] = "sklearn-sag"
    place: ClassVar[int] = 63
    solver: ClassVar[str] = "sag"


class SklearnSaga(_RowByRow):
    """Stochastic average gradients, without their bias."""

    name: ClassVar[str] = "sklearn-saga"
    place: ClassVar[int] = 64
    solver: ClassVar[str] = "saga"
