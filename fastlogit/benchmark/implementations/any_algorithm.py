"""Any algorithm for the same objective: the solvers of both libraries' estimators.

The objective is the case's own, the mean loss over all rows without a penalty (C=inf). liblinear is
not among them: it cannot do without a penalty.
"""

import warnings
from abc import abstractmethod
from importlib import import_module
from importlib.metadata import version
from typing import Any, ClassVar, cast

import numpy as np

import fastlogit
from fastlogit.benchmark.implementations.base import AnyAlgorithm, UnsupportedError
from fastlogit.benchmark.implementations.same_estimator import MODULES, fitted_params
from fastlogit.benchmark.problem import Outcome, Problem

# What a timed repeat of a full-batch solver may take at most, LogisticRegression's default, and
# when it has converged before: the largest element of the gradient.
_ITERATIONS, _TOL = 100, 1e-6


# Of scikit-learn's MLPClassifier.
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


class _Solver(AnyAlgorithm):
    # An estimator, fitted anew in every run; it checks and converts the arrays each time.

    def prepare(self, problem: Problem) -> None:
        super().prepare(problem)
        self.estimator(1)  # refuses what it cannot do

    @abstractmethod
    def estimator(self, iterations: int) -> Any:
        """Return one for at most so many epochs or iterations; UnsupportedError if none is."""

    def variant(self) -> str:
        return type(self.estimator(1)).__name__

    def first_call(self) -> None:
        self.fit(1)  # modules are loaded, and what is compiled is

    def fit(self, iterations: int) -> None:
        with warnings.catch_warnings():
            # That the iterations were used up, or a step had to be replaced: the curve shows both.
            warnings.simplefilter("ignore")
            self._fitted = self.estimator(iterations).fit(self.problem.X, self.problem.y)

    def result(self) -> Outcome:
        problem, case = self.problem, cast(Any, self.problem.case)
        arrays = fitted_params(self._fitted, len(problem.params[-1]))
        params = tuple(array.astype(case.dtype) for array in arrays)
        loss, _ = fastlogit.loss_and_gradient(
            case.model, params, problem.X, problem.y, activation=case.activation, backend="numpy"
        )
        return Outcome(params, (loss,))


class SklearnSgd(_Solver):
    """MLPClassifier for the networks, SGDClassifier for the linear models.

    MLPClassifier has the case's sizes, solver, step size and batches, its own start and order.
    SGDClassifier steps row by row whatever the case's batch size, and trains one against the rest
    where there are more than two classes.
    """

    name = "sklearn-sgd"
    rank = 40
    distribution = "scikit-learn"
    module = "sklearn"
    covers: ClassVar[dict[str, tuple[str, ...]]] = _Solver.covers | {"activation": _ACTIVATIONS}

    def estimator(self, iterations: int) -> Any:
        """Return one with the case's steps, that never stops before max_iter."""
        case = self.problem.case
        common = {"max_iter": iterations, "random_state": case.seed}
        if case.n_hidden is not None:
            from sklearn.neural_network import MLPClassifier

            return MLPClassifier(
                (case.n_hidden,), activation=case.activation, solver=case.solver, alpha=0,
                batch_size=min(case.batch_size, len(self.problem.X)), tol=0, momentum=0,
                learning_rate_init=case.learning_rate, nesterovs_momentum=False,
                n_iter_no_change=iterations + 1, **common,
            )  # fmt: skip
        if case.solver != "sgd":
            raise UnsupportedError(f"SGDClassifier has no solver {case.solver}")
        from sklearn.linear_model import SGDClassifier

        return SGDClassifier(
            loss="log_loss", penalty=None, n_jobs=case.threads, learning_rate="constant",
            eta0=case.learning_rate, tol=None, **common,
        )  # fmt: skip


class FullBatchSolver(_Solver):
    """A solver over all rows at once; the case's solver, learning rate and batches do not count."""

    by_epoch = False

    def run(self) -> None:
        """Fit to the optimum, or for as many iterations as a user would by default."""
        self.fit(self.problem.case.epochs if self.by_epoch else _ITERATIONS)

    def estimator(self, iterations: int) -> Any:
        """Return one without a penalty, that stops at a small gradient too."""
        case, modules = self.problem.case, MODULES[self.distribution]
        options: dict[str, Any] = {
            "solver": self.solver, "tol": _TOL, "max_iter": iterations, "random_state": case.seed,
        }  # fmt: skip
        if self.distribution == "fastlogit":
            options["n_threads"] = case.threads
        if case.n_hidden is None:
            linear = import_module(modules["LogisticRegression"]).LogisticRegression
            return linear(C=np.inf, **options)
        if self.solver != "lbfgs":
            raise UnsupportedError(f"MLPClassifier has no solver {self.solver}")
        network = import_module(modules["MLPClassifier"]).MLPClassifier
        return network((case.n_hidden,), activation=case.activation, alpha=0, **options)


class _Own(FullBatchSolver):
    distribution = module = "fastlogit"
    covers: ClassVar[dict[str, tuple[str, ...]]] = {"model": AnyAlgorithm.covers["model"]}

    def fit(self, iterations: int) -> None:
        super().fit(iterations)
        if self._fitted.backend_ != "numba":
            raise UnsupportedError(f"the kernels do not cover {self._fitted}")


class OwnLbfgs(_Own):
    """L-BFGS by SciPy, loss and gradient by the kernels."""

    name = "fastlogit-lbfgs"
    rank = 50
    by_default = True
    solver = "lbfgs"


class OwnNewtonCholesky(_Own):
    """Newton steps by the kernels."""

    name = "fastlogit-newton-cholesky"
    rank = 51
    solver = "newton-cholesky"


class _Sklearn(FullBatchSolver):
    distribution = "scikit-learn"
    module = "sklearn"
    covers: ClassVar[dict[str, tuple[str, ...]]] = _Own.covers | {"activation": _ACTIVATIONS}


class SklearnLbfgs(_Sklearn):
    """L-BFGS by SciPy."""

    name = "sklearn-lbfgs"
    rank = 60
    by_default = True
    solver = "lbfgs"


class SklearnNewtonCG(_Sklearn):
    """Newton steps by conjugate gradients."""

    name = "sklearn-newton-cg"
    rank = 61
    solver = "newton-cg"


class SklearnNewtonCholesky(_Sklearn):
    """Newton steps by a factorised Hessian."""

    name = "sklearn-newton-cholesky"
    rank = 62
    solver = "newton-cholesky"

    def prepare(self, problem: Problem) -> None:
        """Refuse float32 where scikit-learn fails in it."""
        if problem.case.dtype == "float32" and version("scikit-learn").startswith("1.8."):
            raise UnsupportedError("scikit-learn 1.8 fails in float32")
        super().prepare(problem)


class SklearnSag(_Sklearn):
    """Stochastic average gradients: an iteration is a pass over the rows, like an epoch."""

    name = "sklearn-sag"
    rank = 63
    by_epoch = True
    solver = "sag"


class SklearnSaga(_Sklearn):
    """Stochastic average gradients without their bias, by passes too."""

    name = "sklearn-saga"
    rank = 64
    by_epoch = True
    solver = "saga"
