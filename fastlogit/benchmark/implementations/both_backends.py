"""The package's own two backends, through its public `fastlogit.train`."""

from functools import partial
from typing import Any, ClassVar, cast

import fastlogit
from fastlogit.benchmark.implementations.base import SameSteps
from fastlogit.benchmark.implementations.rules import ADAM
from fastlogit.benchmark.problem import Outcome, Problem
from fastlogit.models import MODELS, Rows, as_writable_view
from fastlogit.models import checks as check
from fastlogit.training.trainer import Trainer, train_epochs


class _BothBackends(SameSteps):
    # The problem's arrays already have the form that both backends read best.
    by_default = True
    backend: ClassVar[str]
    covers: ClassVar[dict[str, tuple[str, ...]]] = {}

    def first_call(self) -> None:
        # One batch compiles everything that a whole run uses.
        self._train(self.problem.first_batch())

    def run(self) -> None:
        # As a user trains: through the front, with its checks.
        self._reached = self._train(self.problem)

    def rewind(self) -> None:
        # With every check of the arrays that fastlogit.train makes: a curve has them on its clock.
        problem, case = self.problem, self.problem.case
        model, X = MODELS[case.model].with_activation(case.activation), check.matrix("X", problem.X)
        params = check.params_like(model, problem.params, X.shape[1], X.dtype)
        y = check.labels(problem.y, len(X), problem.n_classes)
        self._rows = Rows(X, y, check.row_weights(None, len(X), X.dtype))
        self._order = as_writable_view(check.row_order(problem.order, case.epochs, len(X)))
        settings = {"learning_rate": case.learning_rate, "momentum": 0.0, "nesterov": False}
        self._trainer = Trainer(
            model, params, solver=case.solver, settings=settings | ADAM._asdict(), alpha=0.0,
            batch_size=min(case.batch_size, len(X)), backend=self.backend, n_threads=case.threads,
        )  # fmt: skip

    def advance(self, epochs: int) -> None:
        done = self._trainer.checkpoint.epochs
        order = self._order[done : done + epochs]
        chunks = [(epochs, partial(self._trainer.run_epochs, self._rows, order))]
        self._reached = train_epochs(self._trainer, chunks, done + epochs, None)

    def result(self) -> Outcome:
        return Outcome(tuple(self._reached.params), tuple(map(float, self._reached.loss_curve)))

    def _train(self, problem: Problem) -> Any:
        case, train = problem.case, cast(Any, fastlogit.train)
        return train(
            case.model, problem.X, problem.y, problem.params, solver=case.solver,
            learning_rate=case.learning_rate, batch_size=case.batch_size, epochs=case.epochs,
            order=problem.order, n_threads=case.threads, activation=case.activation,
            backend=self.backend,
        )  # fmt: skip


class Numpy(_BothBackends):
    """Plain NumPy: the baseline and the oracle."""

    name = "numpy"
    rank = 0
    distribution = module = backend = "numpy"


class Fastlogit(_BothBackends):
    """The compiled kernels."""

    name = "fastlogit"
    rank = 10
    distribution = module = "fastlogit"
    backend = "numba"
