"""LogisticRegression's fits on the kernels: full-batch solvers, and mini-batches.

Shapes: n rows, D features, K outputs (1 for two classes); W (D, K) is coef_ transposed, b (K,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fastlogit.estimators import early_stopping, minibatch, resume
from fastlogit.estimators.base import (
    apply_class_weight,
    class_indices,
    is_sparse,
    row_weight,
    use_kernels,
)
from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.convergence import features_off_scale
from fastlogit.estimators.fast_path import are_valid_targets, resumed_generator, set_n_features
from fastlogit.estimators.prediction import as_kernel_rows, match_model
from fastlogit.estimators.sklearn_compat import check_sample_weight, lbfgs_print_option
from fastlogit.models import MODELS, Floats, Indices, Model, Rows
from fastlogit.models.checks import plain_matrix
from fastlogit.solvers import LossAndGradient, lbfgs, newton
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.newton import allowed_gap, newton_polish
from fastlogit.solvers.newton_steps import LinearParams, newton_steps
from fastlogit.training.objective import Objective

# Attributes that a fit by mini-batches sets and one by another solver does not.
MINIBATCH_ATTRIBUTES = (
    "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_",
    "_no_improvement_count", "_optimizer", *early_stopping.ADDED_ATTRIBUTES,
    *resume.SAVED_ATTRIBUTES,
)  # fmt: skip
# With more weights, one proximal Newton step takes longer than a whole fit by scikit-learn's saga.
MAX_PROXIMAL_WEIGHTS = 1024
ADVICE = (
    "See scikit-learn's user guide on logistic regression for other solvers: "
    "https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)


def fit_full_batch(estimator: Any, X: Any, y: Any, sample_weight: Any, call: FitCall) -> str | None:
    """Minimise the loss over all rows; return why the kernels do not support it, None if they do.

    Whether they do may depend on the number of classes, which only validation finds.
    """
    est = estimator
    if est.solver == "saga" and is_sparse(X):  # and nearly dense
        X = X.toarray()
    X, y, est.classes_ = _validated(est, X, y, reset=True)
    rows = _rows(est, X, est.classes_.searchsorted(y), sample_weight)
    params = _initial_params(est, X, warm=est.warm_start)
    has_l1 = est.l1_ratio > 0
    if has_l1 and params[0].size > MAX_PROXIMAL_WEIGHTS:
        n_weights = params[0].size
        return f"l1_ratio={est.l1_ratio!r} and {n_weights} weights, above {MAX_PROXIMAL_WEIGHTS}"
    shapes = tuple(array.shape for array in params)
    alpha = _alpha(est, rows) * (1 - est.l1_ratio if has_l1 else 1)
    objective = Objective(_model(est), shapes, rows, alpha, n_threads=int(est.n_threads))
    objective.params.assign(params)
    n_free = objective.params.flat.size if est.fit_intercept else objective.params.n_weights
    loss_and_gradient = objective if est.fit_intercept else lbfgs.weights_only(objective)
    start = objective.params.flat[:n_free].copy()
    # As many subtasks as in scikit-learn: at least one iteration, and one that is cancelled.
    call.begin(max(est.max_iter, 1) + 1 if est.solver == "lbfgs" else 0)
    if est.solver == "lbfgs":
        callback = _iteration_callback(call, objective, start) if call.has_observers else None
        polish = newton_polish(_linear(est, rows), _alpha(est, rows), est.tol, loss_and_gradient)
        theta, n_iter = _by_lbfgs(est, X, loss_and_gradient, start, est.max_iter, callback, polish)
        call.cancel_subtask()
    elif has_l1:
        theta, n_iter = _by_proximal_newton(est, loss_and_gradient, start, rows)
    else:
        theta, n_iter = _by_newton(est, loss_and_gradient, start, rows)
    objective.params.flat[:n_free] = theta
    _set_fitted(est, objective.params.copies(), n_iter)
    return None


def _iteration_callback(
    call: FitCall, objective: Objective, start: Floats
) -> Callable[[Floats], bool]:
    """Begin the first iteration for callbacks; return the function that ends each one."""

    def fitted(theta: Floats) -> dict[str, Floats]:
        objective.params.flat[: theta.size] = theta
        weights, bias = objective.params.copies()
        return {"coef_": np.ascontiguousarray(weights.T), "intercept_": bias}

    call.begin_subtask("lbfgs-iter", **fitted(start))
    return lambda theta: call.end_iteration("lbfgs-iter", **fitted(theta))


def _by_lbfgs(
    est: Any,
    X: Floats,
    loss_and_gradient: LossAndGradient,
    start: Floats,
    max_iter: int,
    callback: Callable[[Floats], bool] | None = None,
    polish: lbfgs.Polish | None = None,
) -> tuple[Floats, int]:
    theta, _, n_iter = lbfgs.minimise(
        loss_and_gradient,
        start,
        max_iter=max_iter,
        tol=est.tol,
        advice=lambda: f"{features_off_scale(est, X)}\n{ADVICE}",
        refine=20,
        callback=callback,
        polish=polish,
        maxls=50,
        ftol=64 * np.finfo(float).eps,
        **lbfgs_print_option("iprint", (-1, 50, 1, 100, 101)[min(int(est.verbose), 4)]),
    )
    return theta, n_iter


def _by_newton(
    est: Any, loss_and_gradient: LossAndGradient, start: Floats, rows: Rows
) -> tuple[Floats, int]:
    params = _linear(est, rows)
    alpha, eps = _alpha(est, rows), float(np.finfo(rows.X.dtype).eps)
    return newton.minimise(
        loss_and_gradient,
        params.centred(start),
        newton_steps(params, alpha),
        lambda theta, max_iter: _by_lbfgs(est, rows.X, loss_and_gradient, theta, max_iter),
        max_iter=est.max_iter,
        tol=est.tol,
        eps=eps,
        name=est.solver,
        gap=allowed_gap(params, alpha, est.tol),
        verbose=est.verbose,
    )


def _by_proximal_newton(
    est: Any, loss_and_gradient: LossAndGradient, start: Floats, rows: Rows
) -> tuple[Floats, int]:
    params = _linear(est, rows)
    strength = np.zeros(start.size)
    strength[: params.n_weights] = est.l1_ratio * _alpha(est, rows)
    theta, n_iter = proximal.minimise(
        proximal.Penalised(loss_and_gradient, strength),
        start.astype(np.float64),
        proximal.QuadraticModel(params, (1 - est.l1_ratio) * _alpha(est, rows)),
        max_iter=est.max_iter,
        tol=est.tol,
        unit=_alpha(est, rows),
        eps=float(np.finfo(rows.X.dtype).eps),
        verbose=est.verbose,
    )
    if params.n_outputs > 1:  # does not change the loss
        biases = theta[params.n_weights :]
        biases -= biases.mean() if biases.size else 0
    return theta, n_iter


def fit_minibatch(
    estimator: Any, X: Any, y: Any, sample_weight: Any, call: FitCall | None = None
) -> None:
    """Train by mini-batches until a stopping criterion is met, or for one epoch if call is None."""
    incremental = call is None
    est = estimator
    resumed = hasattr(est, "coef_") and (incremental or est.warm_start)
    X, y, classes = _validated(est, X, y, reset=not resumed)
    if resumed and incremental:
        X = X.astype(est.coef_.dtype, copy=False)
    if not (resumed or incremental):
        est.classes_ = classes
    rows = _rows(est, X, class_indices(est.classes_, y), sample_weight, incremental=incremental)
    params = _initial_params(est, X, warm=resumed)
    if not (resumed and hasattr(est, "loss_curve_")):
        early_stopping.start_history(est)
    if not (resumed and resume.reuses_optimizer(est, incremental=incremental)):
        est._optimizer = resume.new_optimizer(est, params)
    random_state = check_random_state(est.random_state)
    resume.restore(est, random_state, incremental=incremental)
    rows, validation = early_stopping.split_rows(est, _model(est), rows, random_state, call)
    if call is not None:
        call.begin(est.max_iter)
    loop = minibatch.EpochLoop(
        est, _model(est), params, rows, random_state,
        alpha=_alpha(est, rows), fit_bias=est.fit_intercept, validation=validation, call=call,
        set_params=lambda params: _set_coef(est, params),
    )  # fmt: skip
    _set_fitted(est, loop.run(one_epoch=incremental), est.n_iter_)


def resume_minibatch(estimator: Any, rows: Rows) -> bool:
    """Train one epoch on validated rows; return False if the parameters need validation."""
    est, dtype = estimator, rows.X.dtype
    if not all(
        isinstance(array, np.ndarray) and array.dtype == dtype
        for array in (est.coef_, est.intercept_)
    ):
        return False
    params = est.coef_.T, est.intercept_
    if not match_model(_model(est), params, rows.X.shape[1]):
        return False
    loop = minibatch.EpochLoop(
        est, _model(est), params, rows, resumed_generator(est),
        alpha=_alpha(est, rows), fit_bias=est.fit_intercept,
    )  # fmt: skip
    _set_fitted(est, loop.run(one_epoch=True), est.n_iter_)
    return True


def _validated(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any, Any]:
    """Return X and y after scikit-learn's validation, and the classes in y."""
    # The validation that fast_path skips took a quarter of a fit on iris.
    is_valid = plain_matrix(X) and are_valid_targets(y, len(X))
    if is_valid and reset:
        set_n_features(estimator, X)
    else:
        X, y = validate_data(
            estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C",
            reset=reset, skip_check_array=is_valid,
        )  # fmt: skip
    if not is_valid:
        check_classification_targets(y)
    classes = np.unique(y)
    if is_valid and 2 * classes.size > y.size:  # scikit-learn warns
        check_classification_targets(y)
    return as_kernel_rows(X, X.dtype), y, classes


def _rows(
    estimator: Any, X: Any, y: Indices, sample_weight: Any, *, incremental: bool = False
) -> Rows:
    """Return the rows with their weights; only those of partial_fit may be of a single class.

    All rows of a class may have weight 0, as in a bootstrap sample that is drawn by weights.
    """
    est = estimator
    if not incremental and np.ptp(y) == 0:
        raise ValueError(
            f"{type(est).__name__} needs rows of at least 2 classes, got only one class: "
            f"{est.classes_.tolist()[y[0]]!r}"
        )
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, dtype=X.dtype)
    weight = row_weight(
        apply_class_weight(est.class_weight, est.classes_, y, sample_weight), X.dtype
    )
    use_kernels(est, _model(est))
    return Rows(X, y, weight)


def _model(estimator: Any) -> Model:
    return MODELS["logistic" if len(estimator.classes_) == 2 else "softmax"]


def _linear(estimator: Any, rows: Rows) -> LinearParams:
    n_outputs = _model(estimator).n_outputs(len(estimator.classes_))
    return LinearParams(rows, n_outputs, estimator.fit_intercept)


def _alpha(estimator: Any, rows: Rows) -> float:
    total = rows.weight.sum(dtype=np.float64) if rows.weight.size else rows.y.size
    return float(1 / (estimator.C * total))


def _initial_params(estimator: Any, X: Any, *, warm: bool) -> tuple[Floats, Floats]:
    """Return the initial W and b: zeros, or with a warm start the fitted ones."""
    est, n_outputs = estimator, _model(estimator).n_outputs(len(estimator.classes_))
    shape = X.shape[1], n_outputs
    if not (warm and hasattr(est, "coef_")):
        return np.zeros(shape, X.dtype), np.zeros(n_outputs, X.dtype)
    coef = est.coef_.toarray() if is_sparse(est.coef_) else est.coef_
    if coef.T.shape != shape:
        raise ValueError(
            f"warm_start: coef_ of the previous fit is of shape {coef.shape}, expected shape "
            f"{shape[::-1]}"
        )
    bias = np.broadcast_to(est.intercept_ if est.fit_intercept else 0, n_outputs)
    return coef.T.astype(X.dtype), bias.astype(X.dtype)


def _set_coef(estimator: Any, params: tuple[Floats, ...]) -> None:
    weights, bias = params
    estimator.coef_, estimator.intercept_ = np.ascontiguousarray(weights.T), bias


def _set_fitted(estimator: Any, params: tuple[Floats, ...], n_iter: int) -> None:
    _set_coef(estimator, params)
    estimator.n_iter_ = np.array([n_iter], np.int32)
