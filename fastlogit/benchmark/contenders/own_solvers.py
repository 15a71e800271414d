"""The package's own solvers that work on all rows, through its estimators.

So that the open division compares like with like: they are held against scikit-learn's of the same
name.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders.base import UnsupportedError
from fastlogit.benchmark.contenders.estimator import AllRowsContender
from fastlogit.kernels.codegen import cache

__all__ = ["OwnLbfgs", "OwnNewtonCholesky"]


class _Own(AllRowsContender):
    distribution: ClassVar[str] = "numba"
    module: ClassVar[str] = "numba"
    install: ClassVar[str] = "pip install numba"
    covers: ClassVar[dict[str, tuple[str, ...]]] = {"model": AllRowsContender.covers["model"]}

    @staticmethod
    def _estimators() -> tuple[Any, Any]:
        from fastlogit import LogisticRegression, MLPClassifier

        return LogisticRegression, MLPClassifier

    @classmethod
    def _more(cls, case: Case) -> dict[str, Any]:
        return {"n_threads": case.threads}

    def fit(self, iterations: int) -> None:
        super().fit(iterations)
        if self._fitted.backend_ != "numba":
            raise UnsupportedError(f"the kernels do not cover {self._fitted}")

    def compilations(self) -> int:
        return cache.compilations()


class OwnLbfgs(_Own):
    """L-BFGS by SciPy, loss and gradient by the kernels."""

    name: ClassVar[str] = "fastlogit-lbfgs"
    place: ClassVar[int] = 50
    by_default: ClassVar[bool] = True
    solver: ClassVar[str] = "lbfgs"
    for_networks: ClassVar[bool] = True


class OwnNewtonCholesky(_Own):
    """Newton steps by the kernels."""

    name: ClassVar[str] = "fastlogit-newton-cholesky"
    place: ClassVar[int] = 51
    solver: ClassVar[str] = "newton-cholesky"
