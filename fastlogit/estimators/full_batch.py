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
from fastlogit.kernels.full_batch import quasi_newton
from fastlogit.models import Floats, Rows
from fastlogit.solvers import LossAndGradient, lbfgs, newton, optimum, warn
from fastlogit.solvers.dual import DualDescent, is_fastest
from fastlogit.solvers.newton import allowed_gap, finish, newton_polish
from fastlogit.solvers.newton_steps import LinearParams, newton_steps, precision
from fastlogit.solvers.summed_loss import LossWork, PreciseNearMinimum
from fastlogit.training.objective import Objective

# Solvers that name an optimum, "saga" with L2.
OPTIMUM_SOLVERS = ("liblinear", "sag", "saga")
ADVICE = (
    "See scikit-learn's user guide on logistic regression for other solvers: "
    "https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)
# L-BFGS's iterations on a path before Newton's method ends a fit, and up to how many weights: of
# more, a step costs too many evaluations.
PATIENCE = 15
MOST_TO_FINISH = 1024
# float32 rounds a gradient by about 1e-8: up to this tol a fit ends in float64. At 1e-8 Newton's
# takes 0.19 to 2 times as long, 0.7 in geometric mean of 7 sets, to 1e-8 to 1e-6 of the minimum for
# 5e-8 to 3e-5; L-BFGS's takes 1.04 to 1.4 times as long, to 1e-8 to 4e-6 for 4e-8 to 2e-4.
SINGLE_TOL = 5e-8
FTOL, MOST_TRIALS = 64 * float(np.finfo(float).eps), 50


def suited_rows(estimator: Any, rows: Rows) -> Rows:
    """Return the rows as the solver takes them: Newton's a small, nearly dense X as an array."""
    is_newton = estimator.solver in ("newton-cg", "newton-cholesky")
    return elastic_net.as_dense(rows) if is_newton else rows


class WarmStart:
    """What a fit leaves to the next on the same rows, which begins at its params with another C.

    The loss and gradient there are known, and L-BFGS's pairs of steps and changes of the gradient
    still hold once they are told of the penalty: with them a path on 20,000 x 30 takes 0.73 of the
    time. Where its iterations converge slowly Newton's method goes on from the 15th, on digits in
    0.6 of the time for L-BFGS alone, on breast_cancer as loaded in 0.35, to a gradient within tol
    where 100 iterations leave one of 0.006 and 1.
    """

    def __init__(self, estimator: Any, rows: Rows, params: tuple[Floats, ...]) -> None:
        est, threads = estimator, int(estimator.n_threads)
        self.objective = Objective(est._model, params, rows, 0.0, n_threads=threads)
        size = self.objective.params.flat.size if est.fit_intercept else params[0].size
        self.memory, self._alpha = quasi_newton.allocate(size), 0.0

    def change_alpha(self, alpha: float) -> None:
        """Change the factor of the L2 penalty."""
        change, self._alpha = alpha - self._alpha, alpha
        self.objective.change_alpha(alpha)
        quasi_newton.change_penalty(change, self.objective.params.n_weights, self.memory)

    def move(self, step: Floats) -> None:
        """Have the next fit begin a step (K, D + 1), or (K, D), from where the last one ended."""
        if not step.any():
            return
        W, b = self.objective.params.copies()
        W += step[:, : len(W)].T
        b[:] += step[:, len(W) :].sum(axis=1)
        self.objective.params.assign((W, b))
        self.objective.loss = None

    def fit(
        self, est: Any, linear: LinearParams, alpha: float, loss_and_gradient: Any,
        at: lbfgs.InPlace, start: Floats,
    ) -> tuple[Floats, int, bool]:  # fmt: skip
        """Return where L-BFGS and Newton's method come, the iterations, and whether within tol."""
        can_finish = alpha > 0 and not linear.rows.sparse and linear.n_weights <= MOST_TO_FINISH
        max_iter = min(PATIENCE, est.max_iter) if can_finish else est.max_iter
        result = lbfgs.minimise_in_place(
            at, start, maxiter=max_iter, gtol=est.tol, ftol=FTOL, maxls=MOST_TRIALS,
            memory=self.memory,
        )  # fmt: skip
        self.objective.loss = result.fun
        end, gradient, n_iter = result.x, result.jac, min(result.nit, est.max_iter)
        if can_finish and not np.max(np.abs(gradient)) <= est.tol:
            point, n_steps = finish(
                loss_and_gradient, linear.centred(end), newton_steps(linear, alpha, est.tol),
                max_iter=est.max_iter - n_iter, tol=est.tol, eps=float(np.finfo(float).eps),
            )  # fmt: skip
            end, gradient, n_iter = point.theta, point.gradient, n_iter + n_steps
        return end, n_iter, bool(np.max(np.abs(gradient)) <= est.tol)


def minimise(
    estimator: Any, rows: Rows, params: tuple[Floats, ...], call: FitCall,
    warm: WarmStart | None = None,
) -> tuple[tuple[Floats, ...], int]:  # fmt: skip
    """Return the parameters at the minimum of the estimator's loss, and the iterations.

    ``theta`` is W, then b if it is free. On a path the last fit leaves a warm start, which ends at
    the params.
    """
    est, alpha = estimator, estimator._penalty(rows.total_weight)["alpha"]
    if est._l1_share > 0:
        call.begin(0)
        return elastic_net.minimise(est, rows, params)
    if warm is None:
        objective = Objective(est._model, params, rows, alpha, n_threads=int(est.n_threads))
    else:
        objective = warm.objective
        warm.change_alpha(alpha)
    loss_and_gradient = objective if est.fit_intercept else lbfgs.weights_only(objective)
    # liblinear's bias is the weight of a feature of value intercept_scaling.
    penalised = est.solver == "liblinear" and est.fit_intercept
    bias_alpha = alpha / est.intercept_scaling**2 if penalised else 0.0
    linear = LinearParams(rows, params[1].size, est.fit_intercept, bias_alpha)
    theta = objective.params.flat[: None if est.fit_intercept else linear.n_weights]
    start = theta.copy()
    by_lbfgs = partial(_by_lbfgs, est, rows, objective, loss_and_gradient)
    precise = None
    if est.solver not in OPTIMUM_SOLVERS:
        precise = _precise_near_minimum(est, rows, params, loss_and_gradient, alpha, start.size)
    # As many subtasks as in scikit-learn: at least one iteration, and one that is cancelled.
    call.begin(max(est.max_iter, 1) + 1 if est.solver == "lbfgs" else 0)
    if est.solver == "lbfgs":
        callback = None
        if call.has_observers:
            callback = partial(_begin_iteration, call, objective)
            callback(start)
        polish = newton_polish(linear, alpha, est.tol, loss_and_gradient, precise)
        at, end, n_iter, done = None, start, 0, False
        if start.dtype == np.float64 and est.verbose == 0:  # else SciPy prints
            gradient = objective.gradient.flat[: start.size]
            at = lbfgs.InPlace(
                objective.evaluate, theta, gradient, objective.loss, objective.short_call
            )
            if warm is not None:
                end, n_iter, done = warm.fit(est, linear, alpha, loss_and_gradient, at, start)
                at = at._replace(loss=objective.loss if np.array_equal(theta, end) else None)
        if not done or polish is not None:
            end, n_iter = by_lbfgs(
                end, est.max_iter, polish=polish, callback=callback, in_place=at, taken=n_iter
            )
        call.end_subtask()
    elif est.solver in OPTIMUM_SOLVERS:
        end, n_iter = _by_fastest(est, objective, loss_and_gradient, start, linear, alpha)
    else:
        end, n_iter = _by_newton(
            est, objective, loss_and_gradient, precise, linear.centred(start), linear, alpha,
            by_lbfgs,
        )  # fmt: skip
    if not (theta == end).all():
        theta[:], objective.loss = end, None
    fitted = tuple(objective.params.copies())
    if warm is None:
        objective.release()
    return fitted, n_iter


def _precise_near_minimum(
    est: Any, rows: Rows, params: tuple[Floats, ...], loss_and_gradient: LossAndGradient,
    alpha: float, size: int,
) -> PreciseNearMinimum | None:  # fmt: skip
    """Return the loss that ends a fit to rows in float32 and a tight tol, None for other fits."""
    if rows.X.dtype == np.float64 or rows.sparse or est.tol > SINGLE_TOL:
        return None
    shapes = tuple([array.shape for array in params])
    work = LossWork(
        est._model.name, "", shapes, np.zeros(size), with_hessian=False, precise=True,
        n_threads=int(est.n_threads),
    )  # fmt: skip
    return PreciseNearMinimum(loss_and_gradient, rows, work, alpha)


def _by_newton(
    est: Any, objective: Objective, loss_and_gradient: LossAndGradient,
    precise: PreciseNearMinimum | None, start: Floats, linear: LinearParams, alpha: float,
    by_lbfgs: Any,
) -> tuple[Floats, int]:  # fmt: skip
    """Minimise by Newton's steps, of small problems in the kernel as far as it goes."""
    end, n_iter, done = start, 0, False
    if not est.verbose:
        limits = newton.kernel_limits(
            linear, name=est.solver, max_iter=est.max_iter,
            tol=est.tol if precise is None else precise.near,
        )  # fmt: skip
        end, n_iter, done = newton.minimise_in_kernel(objective, linear, end, limits)
    if done and precise is None:
        return end, n_iter
    eps = precision(linear.rows.X.dtype)
    return newton.minimise(
        precise or loss_and_gradient, end, newton_steps(linear, alpha, est.tol), by_lbfgs,
        max_iter=est.max_iter, tol=est.tol, eps=eps, name=est.solver, taken=n_iter,
        gap=allowed_gap(linear, alpha, est.tol), verbose=est.verbose,
    )  # fmt: skip


def _by_fastest(
    est: Any, objective: Objective, loss_and_gradient: Any, start: Floats, linear: LinearParams,
    alpha: float,
) -> tuple[Floats, int]:  # fmt: skip
    """Minimise for a solver that names an optimum; warn in scikit-learn's words."""
    loss_and_gradient = optimum.with_bias_penalty(loss_and_gradient, linear)
    in_dual, dual, n_iter = est.solver == "liblinear" and est.dual, None, 0
    if alpha > 0 and (in_dual or is_fastest(linear)):
        dual = DualDescent(linear, alpha, start, est.random_state if in_dual else 0)
    elif not (est.verbose or start.any()):
        limits = optimum.kernel_limits(
            linear, by_norm=est.solver == "liblinear", max_iter=est.max_iter, tol=est.tol
        )
        start, n_iter, done = newton.minimise_in_kernel(
            objective, linear, linear.centred(start), limits
        )
        if done:
            return start, n_iter
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
        say=print if est.verbose else lambda _text: None, taken=n_iter,
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
    est: Any, rows: Rows, objective: Objective, loss_and_gradient: Any, start: Floats,
    max_iter: int, **arguments: Any,
) -> tuple[Floats, int]:  # fmt: skip
    verbosity = (-1, 50, 1, 100, 101)[min(int(est.verbose), 4)]
    theta, objective.loss, n_iter = lbfgs.minimise(
        loss_and_gradient, start, max_iter=max_iter, tol=est.tol, refine=20, maxls=MOST_TRIALS,
        ftol=FTOL, **lbfgs_print_option("iprint", verbosity),
        advice=lambda: f"{features_off_scale(est, rows.X)}\n{ADVICE}", **arguments,
    )  # fmt: skip
    return theta, n_iter
