"""The package's own two backends, through its public `fastlogit.train`."""

from __future__ import annotations

from typing import Any, ClassVar

import fastlogit
from fastlogit.benchmark.contenders.base import Contender
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.kernels import cache

__all__ = ["NumbaContender", "NumpyContender"]


class _OwnContender(Contender):
    backend: ClassVar[str]
    by_default: ClassVar[bool] = True

    def prepare(self, problem: Problem) -> None:
        # The problem's arrays already have the form that both backends read best.
        self._problem = problem

    def first_run(self) -> None:
        # One batch compiles everything that a whole run uses.
        self._train(self._problem.first_batch())

    def run(self) -> None:
        self._result = self._train(self._problem)

    def result(self) -> Outcome:
        return Outcome(tuple(self._result.params), tuple(map(float, self._result.loss_curve)))

    def _train(self, problem: Problem) -> Any:
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
            n_threads=case.threads,
            backend=self.backend,
        )


class NumpyContender(_OwnContender):
    """Plain NumPy: the baseline and the oracle."""

    name: ClassVar[str] = "numpy"
    backend: ClassVar[str] = "numpy"
    distribution: ClassVar[str] = "numpy"
    module: ClassVar[str] = "numpy"
    install: ClassVar[str] = "pip install numpy"


class NumbaContender(_OwnContender):
    """The compiled kernels."""

    name: ClassVar[str] = "numba"
    backend: ClassVar[str] = "numba"
    distribution: ClassVar[str] = "numba"
    module: ClassVar[str] = "numba"
    install: ClassVar[str] = "pip install numba"

    def compilations(self) -> int:
        """Count the kernels compiled or loaded so far."""
        return cache.compilations()
