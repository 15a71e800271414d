"""LogisticRegression's fits on the kernels: L-BFGS or Newton over all rows, and mini-batches.

Shapes: n rows, D features, K outputs (1 for two classes); W (D, K) is coef_ transposed, b (K,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fastlogit.estimators import minibatch, optimizer_state, resume, stopping
from fastlogit.estimators.convergence import features_off_scale
from fastlogit.estimators.parts import next_generator
from fastlogit.estimators.plain import enter_features, plain_targets
from fastlogit.estimators.predicting import are_of_a_model, rows_of
from fastlogit.estimators.routing import is_sparse, on_kernels
from fastlogit.estimators.sklearn_compat import check_sample_weight, lbfgs_print_option
from fastlogit.estimators.validation_data import class_indices
from fastlogit.estimators.validation_split import split
from fastlogit.estimators.watching import FitCall
from fastlogit.estimators.weights import row_weight, with_class_weight
from fastlogit.models import MODELS, Floats, Indices, Model, Rows
from fastlogit.models.checks import plain_matrix
from fastlogit.solvers import lbfgs, newton
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.conjugate_gradients import newton_steps
from fastlogit.solvers.newton import LossAndGradient
from fastlogit.solvers.newton_polish import closing, last_gap
from fastlogit.solvers.newton_steps import LinearParams
from fastlogit.training.objective import Objective

# What a fit by mini-batches leaves and one by another solver does not.
MINIBATCH_ATTRIBUTES = (
    "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_",
    "_no_improvement_count", "_optimizer", *stopping.ADDED, *resume.KEPT,
)  # fmt: skip
# With more weights a proximal Newton step takes longer than scikit-learn's saga in all.
MOST_PROXIMAL = 1024
ADVICE = (
    "See scikit-learn's user guide on logistic regression for other solvers: "
    "https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression"
)


def fit_all_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, call: FitCall) -> str | None:
    """Minimise the loss over all rows; return why the kernels do not cover it, None if they do."""
    est = estimator
    if est.solver == "saga" and is_sparse(X):  # and nearly dense
        X = X.toarray()
    X, y, est.classes_ = _validated(est, X, y, reset=True)
    rows = _rows(est, X, est.classes_.searchsorted(y), sample_weight)
    params = _start(est, X, warm=est.warm_start)
    has_l1 = est.l1_ratio > 0
    if has_l1 and params[0].size > MOST_PROXIMAL:
        return f"l1_ratio={est.l1_ratio!r} and {params[0].size} weights, above {MOST_PROXIMAL}"
    shapes = tuple(array.shape for array in params)
    alpha = _alpha(est, rows) * (1 - est.l1_ratio if has_l1 else 1)
    objective = Objective(_model(est), shapes, rows, alpha, n_threads=int(est.n_threads))
    objective.params.assign(params)
    n_free = objective.params.flat.size if est.fit_intercept else objective.params.n_weights
    loss_and_gradient = objective if est.fit_intercept else lbfgs.weights_only(objective)
    start = objective.params.flat[:n_free].copy()
    # As many parts as scikit-learn has them: one iteration at least, and one that is void.
    call.begin(max(est.max_iter, 1) + 1 if est.solver == "lbfgs" else 0)
    if est.solver == "lbfgs":
        watch = _watch(call, objective, start) if call.watches else None
        close = closing(_linear(est, rows), _alpha(est, rows), est.tol, loss_and_gradient)
        theta, n_iter = _by_lbfgs(est, X, loss_and_gradient, start, est.max_iter, watch, close)
        call.epoch_is_void()
    elif has_l1:
        theta, n_iter = _by_proximal_newton(est, loss_and_gradient, start, rows)
    else:
        theta, n_iter = _by_newton(est, loss_and_gradient, start, rows)
    objective.params.flat[:n_free] = theta
    _keep(est, objective.params.copies(), n_iter)
    return None


def _watch(call: FitCall, objective: Objective, start: Floats) -> Callable[[Floats], bool]:
    """Begin the first iteration for callbacks; return what ends each one for them."""

    def fitted(theta: Floats) -> dict[str, Floats]:
        objective.params.flat[: theta.size] = theta
        weights, bias = objective.params.copies()
        return {"coef_": np.ascontiguousarray(weights.T), "intercept_": bias}

    call.epoch_begins("lbfgs-iter", **fitted(start))
    return lambda theta: call.iteration_ends("lbfgs-iter", **fitted(theta))


def _by_lbfgs(
    est: Any,
    X: Floats,
    loss_and_gradient: LossAndGradient,
    start: Floats,
    max_iter: int,
    watch: Callable[[Floats], bool] | None = None,
    close: lbfgs.Close | None = None,
) -> tuple[Floats, int]:
    theta, _, n_iter = lbfgs.minimise(
        loss_and_gradient,
        start,
        max_iter=max_iter,
        tol=est.tol,
        advice=lambda: f"{features_off_scale(est, X)}\n{ADVICE}",
        refine=20,
        watch=watch,
        close=close,
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
        gap=lambda theta: last_gap(params, alpha, est.tol, theta),
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
    if params.n_outputs > 1:  # of no consequence for the loss
        biases = theta[params.n_weights :]
        biases -= biases.mean() if biases.size else 0
    return theta, n_iter


def fit_minibatch(
    estimator: Any, X: Any, y: Any, sample_weight: Any, call: FitCall | None = None
) -> None:
    """Train by mini-batches: a call of fit until it stops, else for one epoch."""
    incremental = call is None
    est = estimator
    goes_on = hasattr(est, "coef_") and (incremental or est.warm_start)
    X, y, classes = _validated(est, X, y, reset=not goes_on)
    if goes_on and incremental:
        X = X.astype(est.coef_.dtype, copy=False)
    if not (goes_on or incremental):
        est.classes_ = classes
    rows = _rows(est, X, class_indices(est.classes_, y), sample_weight, part=incremental)
    params = _start(est, X, warm=goes_on)
    if not (goes_on and hasattr(est, "loss_curve_")):
        stopping.start_curves(est)
    if not (goes_on and resume.keeps_optimizer(est, incremental=incremental)):
        est._optimizer = optimizer_state.new_optimizer(est, params)
    random_state = check_random_state(est.random_state)
    resume.take_up(est, random_state, incremental=incremental)
    rows, validation = split(est, _model(est), rows, random_state, call)
    if call is not None:
        call.begin(est.max_iter)
    loop = minibatch.EpochLoop(
        est, _model(est), params, rows, random_state,
        alpha=_alpha(est, rows), fit_bias=est.fit_intercept, validation=validation, call=call,
        publish=lambda params: _publish(est, params),
    )  # fmt: skip
    _keep(est, loop.run(one_epoch=incremental), est.n_iter_)


def go_on(estimator: Any, rows: Rows) -> bool:
    """Train one epoch on rows that need no check; return False where the parameters need one."""
    est, dtype = estimator, rows.X.dtype
    if not all(
        isinstance(array, np.ndarray) and array.dtype == dtype
        for array in (est.coef_, est.intercept_)
    ):
        return False
    params = est.coef_.T, est.intercept_
    if not are_of_a_model(_model(est), params, rows.X.shape[1]):
        return False
    loop = minibatch.EpochLoop(
        est, _model(est), params, rows, next_generator(est),
        alpha=_alpha(est, rows), fit_bias=est.fit_intercept,
    )  # fmt: skip
    _keep(est, loop.run(one_epoch=True), est.n_iter_)
    return True


def _validated(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any, Any]:
    """Return X and y after scikit-learn's checks, and the labels in y."""
    # To check arrays that plainly are in order took a quarter of a fit's time on iris.
    plain = plain_matrix(X) and plain_targets(y, len(X))
    if plain and reset:
        enter_features(estimator, X)
    else:
        X, y = validate_data(
            estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C",
            reset=reset, skip_check_array=plain,
        )  # fmt: skip
    if not plain:
        check_classification_targets(y)
    classes = np.unique(y)
    if plain and 2 * classes.size > y.size:  # scikit-learn then warns
        check_classification_targets(y)
    return rows_of(X, X.dtype), y, classes


def _rows(estimator: Any, X: Any, y: Indices, sample_weight: Any, *, part: bool = False) -> Rows:
    """Return the rows with their weights; only a part of the data may be of one class.

    A class may have no rows but such as weigh 0, as in a bootstrap sample by weights.
    """
    est = estimator
    if not part and np.ptp(y) == 0:
        raise ValueError(
            f"{type(est).__name__} needs rows of at least 2 classes, got only one class: "
            f"{est.classes_.tolist()[y[0]]!r}"
        )
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, dtype=X.dtype)
    weight = row_weight(
        with_class_weight(est.class_weight, est.classes_, y, sample_weight), X.dtype
    )
    on_kernels(est, _model(est))
    return Rows(X, y, weight)


def _model(estimator: Any) -> Model:
    return MODELS["logistic" if len(estimator.classes_) == 2 else "softmax"]


def _linear(estimator: Any, rows: Rows) -> LinearParams:
    n_outputs = _model(estimator).n_outputs(len(estimator.classes_))
    return LinearParams(rows, n_outputs, estimator.fit_intercept)


def _alpha(estimator: Any, rows: Rows) -> float:
    total = rows.weight.sum(dtype=np.float64) if rows.weight.size else rows.y.size
    return float(1 / (estimator.C * total))


def _start(estimator: Any, X: Any, *, warm: bool) -> tuple[Floats, Floats]:
    """Return W and b to begin with: zeros, or the fitted ones."""
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


def _publish(estimator: Any, params: tuple[Floats, ...]) -> None:
    weights, bias = params
    estimator.coef_, estimator.intercept_ = np.ascontiguousarray(weights.T), bias


def _keep(estimator: Any, params: tuple[Floats, ...], n_iter: int) -> None:
    _publish(estimator, params)
    estimator.n_iter_ = np.array([n_iter], np.int32)
