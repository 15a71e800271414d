"""LogisticRegression's solvers over all rows.

Shapes: n rows, D features, K outputs (1 for two classes); W (D, K) is coef_ transposed, b (K,).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.rows import features_off_scale
from fastlogit.estimators.sklearn_compat import lbfgs_print_option
from fastlogit.models import Floats, Rows
from fastlogit.solvers import lbfgs, newton
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton import allowed_gap, newton_polish
from fastlogit.solvers.newton_steps import LinearParams, newton_steps
from fastlogit.training.objective import Objective

ADVICE = (
    "See scikit-learn's user guide on logistic regression for other solvers: "
    "https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)


class FullBatchFit:
    """The loss of an estimator's model over all rows, and its minimisation by the solver.

    ``theta`` is W and then b, without b if there is no intercept; ``params`` are the initial ones.
    ``alpha`` is the factor of the whole penalty, of which the share ``l1_ratio`` is L1.
    """

    def __init__(self, estimator: Any, rows: Rows, params: tuple[Floats, Floats]) -> None:
        est = estimator
        self.estimator, self.rows, self.alpha = est, rows, est._penalty(rows)["alpha"]
        alpha = self.alpha * (1 - est.l1_ratio)
        self.objective = Objective(est._model, params, rows, alpha, n_threads=int(est.n_threads))
        self.loss_and_gradient = (
            self.objective if est.fit_intercept else lbfgs.weights_only(self.objective)
        )
        self.linear = LinearParams(rows, params[1].size, est.fit_intercept)
        self.eps = float(np.finfo(rows.X.dtype).eps)

    def run(self, call: FitCall) -> tuple[tuple[Floats, ...], int]:
        """Return the parameters at the minimum and the iterations."""
        est, params = self.estimator, self.objective.params
        n_free = params.flat.size if est.fit_intercept else params.n_weights
        start = params.flat[:n_free].copy()
        # As many subtasks as in scikit-learn: at least one iteration, and one that is cancelled.
        call.begin(max(est.max_iter, 1) + 1 if est.solver == "lbfgs" else 0)
        if est.solver == "lbfgs":
            theta, n_iter = self._by_lbfgs_with_callbacks(start, call)
        elif est.l1_ratio > 0:
            theta, n_iter = self._by_proximal_newton(start)
        else:
            theta, n_iter = self._by_newton(start)
        params.flat[:n_free] = theta
        return tuple(params.copies()), n_iter

    def _by_lbfgs_with_callbacks(self, start: Floats, call: FitCall) -> tuple[Floats, int]:
        est = self.estimator
        polish = newton_polish(self.linear, self.alpha, est.tol, self.loss_and_gradient)
        arguments: dict[str, Any] = {"polish": polish}
        if call.has_observers:
            call.begin_subtask("lbfgs-iter", **self._fitted(start))
            arguments["callback"] = lambda theta: call.end_iteration(
                "lbfgs-iter", **self._fitted(theta)
            )
        result = self._by_lbfgs(start, est.max_iter, **arguments)
        call.cancel_subtask()
        return result

    def _fitted(self, theta: Floats) -> dict[str, Floats]:
        """Return the fitted attributes that callbacks see."""
        self.objective.params.flat[: theta.size] = theta
        weights, bias = self.objective.params.copies()
        return {"coef_": np.ascontiguousarray(weights.T), "intercept_": bias}

    def _by_lbfgs(self, start: Floats, max_iter: int, **arguments: Any) -> tuple[Floats, int]:
        est = self.estimator
        verbosity = (-1, 50, 1, 100, 101)[min(int(est.verbose), 4)]
        theta, _, n_iter = lbfgs.minimise(
            self.loss_and_gradient, start, max_iter=max_iter, tol=est.tol, refine=20, maxls=50,
            ftol=64 * np.finfo(float).eps, **lbfgs_print_option("iprint", verbosity),
            advice=lambda: f"{features_off_scale(est, self.rows.X)}\n{ADVICE}", **arguments,
        )  # fmt: skip
        return theta, n_iter

    def _by_newton(self, start: Floats) -> tuple[Floats, int]:
        est, linear = self.estimator, self.linear
        return newton.minimise(
            self.loss_and_gradient, linear.centred(start), newton_steps(linear, self.alpha),
            self._by_lbfgs, max_iter=est.max_iter, tol=est.tol, eps=self.eps, name=est.solver,
            gap=allowed_gap(linear, self.alpha, est.tol), verbose=est.verbose,
        )  # fmt: skip

    def _by_proximal_newton(self, start: Floats) -> tuple[Floats, int]:
        est, linear = self.estimator, self.linear
        strength = np.zeros(start.size)
        strength[: linear.n_weights] = est.l1_ratio * self.alpha
        theta, n_iter = proximal.minimise(
            proximal.Penalised(self.loss_and_gradient, strength), start.astype(np.float64),
            proximal.QuadraticModel(linear, (1 - est.l1_ratio) * self.alpha),
            max_iter=est.max_iter, tol=est.tol, unit=self.alpha, eps=self.eps, verbose=est.verbose,
        )  # fmt: skip
        if linear.n_outputs > 1:  # does not change the loss
            biases = theta[linear.n_weights :]
            biases -= biases.mean() if biases.size else 0
        return theta, n_iter
