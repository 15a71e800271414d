"""The same estimator of two libraries: fastlogit's class in the place of scikit-learn's.

Both get the same arguments, by default scikit-learn's own. What is timed is the call as a user
makes it, validation of the data included. The first fit of a process is timed by a process of its
own, from before the imports.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

import fastlogit
from fastlogit.benchmark.implementations.base import SameEstimator, UnsupportedError
from fastlogit.benchmark.problem import Outcome, Params, Problem

MODULES = {
    "fastlogit": {"LogisticRegression": "fastlogit", "MLPClassifier": "fastlogit"},
    "scikit-learn": {
        "LogisticRegression": "sklearn.linear_model", "MLPClassifier": "sklearn.neural_network",
    },
}  # fmt: skip

# Prints the seconds from the first import to the end of the fit, then saves what was fitted.
_FIRST_FIT = """
import time
start = time.perf_counter()
import json, sys, warnings
from importlib import import_module
warnings.simplefilter("ignore")
import numpy as np
data = np.load(sys.argv[1])
module, name, arguments = json.loads(sys.argv[2])
estimator = getattr(import_module(module), name)(**arguments)
estimator.fit(data["X"], data["y"])
print(time.perf_counter() - start)
import pickle
with open(sys.argv[3], "wb") as file:
    pickle.dump(estimator, file)
if module == "fastlogit":
    from fastlogit.estimators import background
    background.wait()  # for the process that compiles, so that it disturbs nothing else
"""


def fitted_params(fitted: Any, n_outputs: int) -> Params:
    """Return an estimator's parameters in the shapes of a model with so many outputs.

    For two classes scikit-learn has one output z; a model with two has the same loss with (0, z).
    """
    if hasattr(fitted, "coefs_"):
        (W1, W), (b1, b) = fitted.coefs_, fitted.intercepts_
        hidden: Params = (W1, b1)
    else:
        W, b, hidden = fitted.coef_.T, fitted.intercept_, ()
    missing = n_outputs - W.shape[1]
    return *hidden, np.pad(W, ((0, 0), (missing, 0))), np.pad(b, (missing, 0))


class _Estimator(SameEstimator):
    by_default: ClassVar[bool] = True

    def prepare(self, problem: Problem) -> None:
        """Keep the arrays; the estimator checks and converts them in every call."""
        super().prepare(problem)
        case = problem.case
        self.measured_s: float | None = None
        self._arguments: dict[str, Any] = {"solver": case.solver}
        if case.n_hidden is not None:
            self._arguments |= {
                "hidden_layer_sizes": (case.n_hidden,), "activation": case.activation,
                "random_state": case.seed,
            }  # fmt: skip

    def first_call(self) -> None:
        """Fit once, and predict once with what was fitted; a first fit has nothing to compile."""
        task = self.problem.case.task
        if task in ("fit", "predict_proba"):
            self._fit()
        if task == "predict_proba":
            self.run()

    def run(self) -> None:
        """Do the case's task once."""
        task = self.problem.case.task
        if task == "fit":
            self._fit()
        elif task == "predict_proba":
            self._proba = self._fitted.predict_proba(self.problem.X)
        else:
            self._first_fit(cold=task == "cold-fit")

    def result(self) -> Outcome:
        """Return the fitted arrays and their mean log loss in float64, or the probabilities."""
        problem, case = self.problem, cast(Any, self.problem.case)
        if case.task == "predict_proba":
            own = np.maximum(self._proba[np.arange(len(problem.y)), problem.y], np.finfo("f4").tiny)
            return Outcome((self._proba,), (-float(np.log(own, dtype=np.float64).mean()),))
        params = fitted_params(self._fitted, problem.n_classes)
        model: Any = "softmax" if case.n_hidden is None else "mlp-softmax"
        loss, _ = fastlogit.loss_and_gradient(
            model, tuple(array.astype(np.float64) for array in params),
            problem.X.astype(np.float64), problem.y, activation=case.activation, backend="numpy",
        )  # fmt: skip
        return Outcome(params, (loss,), int(np.max(self._fitted.n_iter_)))

    def _fit(self) -> None:
        model = self.problem.case.model
        estimator = getattr(import_module(MODULES[self.distribution][model]), model)
        with warnings.catch_warnings():
            # The default max_iter is used up in some cases, by both.
            warnings.simplefilter("ignore")
            self._fitted = estimator(**self._arguments).fit(self.problem.X, self.problem.y)

    def _first_fit(self, *, cold: bool) -> None:
        """Fit in a new process, with or without kernels in its cache."""
        problem, case = self.problem, self.problem.case
        with tempfile.TemporaryDirectory() as scratch:
            data, fitted = Path(scratch, "data.npz"), Path(scratch, "fitted.pickle")
            np.savez(data, X=problem.X, y=problem.y)
            module = MODULES[self.distribution][case.model]
            spec = json.dumps([module, case.model, self._arguments])
            names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
            environment = os.environ | dict.fromkeys(names, str(case.threads))
            if cold:
                environment["NUMBA_CACHE_DIR"] = str(Path(scratch, "kernels"))
                environment["FASTLOGIT_COMPILE"] = "background"  # as where nothing is set
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-c", _FIRST_FIT, str(data), spec, str(fitted)],
                capture_output=True, text=True, env=environment, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
            self.measured_s = float(done.stdout)
            self._fitted = pickle.loads(fitted.read_bytes())  # noqa: S301


class FastlogitEstimator(_Estimator):
    """fastlogit's class."""

    name = "fastlogit"
    rank = 10
    distribution = module = "fastlogit"

    def prepare(self, problem: Problem) -> None:
        """Let the kernels use the case's threads, where there are more than one."""
        super().prepare(problem)
        if problem.case.threads > 1:
            self._arguments["n_threads"] = problem.case.threads

    def _fit(self) -> None:
        super()._fit()
        if self._fitted.backend_ != "numba":
            raise UnsupportedError(f"scikit-learn's code runs {self._fitted}")


class SklearnEstimator(_Estimator):
    """scikit-learn's class."""

    name = "scikit-learn"
    rank = 0
    distribution = "scikit-learn"
    module = "sklearn"
