"""LogisticRegression's solvers over all rows.

Shapes: n rows, D features, K outputs (1 for two classes); W (D, K) is coef_ transposed, b (K,).
"""

from functools import partial
from typing import Any

import numpy as np

from fastlogit.estimators import elastic_net
from fastlogit.estimators.progress import FitCall
from fastlogit.estimators.rows import features_off_scale
from fastlogit.estimators.sklearn_compat import lbfgs_print_option
from fastlogit.models import Floats, Rows
from fastlogit.solvers import lbfgs, newton, optimum, warn
from fastlogit.solvers.dual import DualDescent, is_fastest
from fastlogit.solvers.newton import allowed_gap, newton_polish
from fastlogit.solvers.newton_steps import LinearParams, newton_steps
from fastlogit.training.objective import Objective

# Solvers that name an optimum, "saga" with L2.
OPTIMUM_SOLVERS = ("liblinear", "sag", "saga")
ADVICE = (
    "See scikit-learn's user guide on logistic regression for other solvers: "
    "https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)


def minimise(
    estimator: Any, rows: Rows, params: tuple[Floats, Floats], call: FitCall
) -> tuple[tuple[Floats, ...], int]:
    """Return the parameters at the minimum of the estimator's loss, and the iterations.

    ``theta`` is W, then b if it is free.
    """
    est, alpha = estimator, estimator._penalty(rows)["alpha"]
    if est._l1_share > 0:
        call.begin(0)
        return elastic_net.minimise(est, rows, params)
    eps = float(np.finfo(rows.X.dtype).eps)
    objective = Objective(est._model, params, rows, alpha, n_threads=int(est.n_threads))
    loss_and_gradient = objective if est.fit_intercept else lbfgs.weights_only(objective)
    # liblinear's bias is the weight of a feature of value intercept_scaling.
    penalised = est.solver == "liblinear" and est.fit_intercept
    bias_alpha = alpha / est.intercept_scaling**2 if penalised else 0.0
    linear = LinearParams(rows, params[1].size, est.fit_intercept, bias_alpha)
    theta = objective.params.flat[: None if est.fit_intercept else linear.n_weights]
    start = theta.copy()
    by_lbfgs = partial(_by_lbfgs, est, rows, loss_and_gradient)
    # As many subtasks as in scikit-learn: at least one iteration, and one that is cancelled.
    call.begin(max(est.max_iter, 1) + 1 if est.solver == "lbfgs" else 0)
    if est.solver == "lbfgs":
        callback = None
        if call.has_observers:
            callback = partial(_begin_iteration, call, objective)
            callback(start)
        polish = newton_polish(linear, alpha, est.tol, loss_and_gradient)
        end, n_iter = by_lbfgs(start, est.max_iter, polish=polish, callback=callback)
        call.end_subtask()
    elif est.solver in OPTIMUM_SOLVERS:
        end, n_iter = _by_fastest(est, loss_and_gradient, start, linear, alpha)
    else:
        end, n_iter = newton.minimise(
            loss_and_gradient, linear.centred(start), newton_steps(linear, alpha, est.tol),
            by_lbfgs, max_iter=est.max_iter, tol=est.tol, eps=eps, name=est.solver,
            gap=allowed_gap(linear, alpha, est.tol), verbose=est.verbose,
        )  # fmt: skip
    theta[:] = end
    return tuple(objective.params.copies()), n_iter


def _by_fastest(
    est: Any, loss_and_gradient: Any, start: Floats, linear: LinearParams, alpha: float
) -> tuple[Floats, int]:
    """Minimise for a solver that names an optimum; warn in scikit-learn's words."""
    loss_and_gradient = optimum.with_bias_penalty(loss_and_gradient, linear)
    in_dual, dual = est.solver == "liblinear" and est.dual, None
    if alpha > 0 and (in_dual or is_fastest(linear)):
        dual = DualDescent(linear, alpha, start, est.random_state if in_dual else 0)
    rule: optimum.Rule
    if in_dual and dual is not None:
        rule = optimum.DualGradient(linear, alpha, est.tol, dual.longest)
    elif est.solver == "liblinear":
        rule = optimum.GradientNorm(linear, alpha, est.tol, loss_and_gradient)
    else:
        rule = optimum.CoefficientChange(linear, alpha, est.tol)
    end, n_iter, converged = optimum.minimise(
        loss_and_gradient, start, linear, alpha, rule, dual, max_iter=est.max_iter,
        eps=float(np.finfo(linear.rows.X.dtype).eps),
        say=print if est.verbose else lambda _text: None,
    )  # fmt: skip
    if not converged:
        warn(
            "Liblinear failed to converge, increase the number of iterations."
            if est.solver == "liblinear"
            else "The max_iter was reached which means the coef_ did not converge"
        )
    return end, n_iter


def _begin_iteration(call: FitCall, objective: Objective, theta: Floats) -> bool:
    """End the iteration that reached theta, if any, begin the next; return whether to stop."""
    objective.params.flat[: theta.size] = theta
    weights, bias = objective.params.copies()
    fitted = {"coef_": np.ascontiguousarray(weights.T), "intercept_": bias}
    stop = call.end_subtask(fitted)
    call.begin_subtask("lbfgs-iter", fitted)
    return stop


def _by_lbfgs(
    est: Any, rows: Rows, loss_and_gradient: Any, start: Floats, max_iter: int, **arguments: Any
) -> tuple[Floats, int]:
    verbosity = (-1, 50, 1, 100, 101)[min(int(est.verbose), 4)]
    theta, _, n_iter = lbfgs.minimise(
        loss_and_gradient, start, max_iter=max_iter, tol=est.tol, refine=20, maxls=50,
        ftol=64 * np.finfo(float).eps, **lbfgs_print_option("iprint", verbosity),
        advice=lambda: f"{features_off_scale(est, rows.X)}\n{ADVICE}", **arguments,
    )  # fmt: skip
    return theta, n_iter
