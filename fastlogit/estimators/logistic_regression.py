"""LogisticRegression: its arguments, which of them the kernels support, and predictions.

The fits are in :mod:`fastlogit.estimators.logistic_fit`. Shapes: n rows, D features, K classes.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.linear_model import LogisticRegression as _SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as _SklearnMLPClassifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlogit.estimators.base import KernelClassifier, is_nearly_dense, is_sparse, use_sklearn
from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.fast_path import (
    is_nonnegative_number,
    is_valid_matrix,
    valid_partial_fit_rows,
)
from fastlogit.estimators.logistic_fit import (
    MINIBATCH_ATTRIBUTES,
    fit_full_batch,
    fit_minibatch,
    resume_minibatch,
)
from fastlogit.estimators.minibatch import BALANCED_PARTIAL_FIT
from fastlogit.estimators.prediction import kernel_proba
from fastlogit.estimators.sklearn_compat import (
    EARLY_STOPPING,
    EXACT_RESUME,
    N_THREADS,
    CallbackSupport,
    StrOptions,
    fit_context,
    is_first_partial_fit,
)
from fastlogit.models import Floats
from fastlogit.solvers import warn

# scikit-learn's solvers that the kernels support.
FULL_BATCH_SOLVERS = ("lbfgs", "newton-cholesky", "newton-cg", "saga")
MINIBATCH_SOLVERS = ("sgd", "adam")
# Arguments of the mini-batch solvers, with the meaning that they have in MLPClassifier.
MINIBATCH_ARGUMENTS = (
    "batch_size", "learning_rate", "learning_rate_init", "power_t", "momentum",
    "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "shuffle", "early_stopping",
    "validation_fraction", "n_iter_no_change",
)  # fmt: skip
CONSTRAINTS: dict[str, Any] = {
    **_SklearnLogisticRegression._parameter_constraints,
    **{name: _SklearnMLPClassifier._parameter_constraints[name] for name in MINIBATCH_ARGUMENTS},
    "solver": [
        *_SklearnLogisticRegression._parameter_constraints["solver"],
        StrOptions(set(MINIBATCH_SOLVERS)),
    ],
    "n_threads": N_THREADS,
    "early_stopping": EARLY_STOPPING,
    "exact_resume": EXACT_RESUME,
}


def _check_minibatch_arguments(estimator: Any) -> None:
    """Raise ValueError for arguments that the mini-batch solvers do not support."""
    est = estimator
    if not _has_l2_penalty(est):
        raise ValueError(
            f"Solver {est.solver} supports only the L2 penalty, or none by C=inf, and dual=False, "
            f"got penalty={est.penalty!r}, l1_ratio={est.l1_ratio!r} and dual={est.dual!r}"
        )


def _warn_of_deprecations(estimator: Any) -> None:
    """Issue scikit-learn's deprecation warnings, where its own code does not run."""
    if estimator.penalty != "deprecated":
        warn(
            "'penalty' was deprecated in scikit-learn 1.8 and will be removed in 1.10; leave it "
            "out, the L2 penalty is the default",
            FutureWarning,
        )
    if estimator.n_jobs is not None:
        warn(
            "'n_jobs' has no effect since scikit-learn 1.8 and will be removed in 1.10; leave it "
            f"out, got n_jobs={estimator.n_jobs}",
            FutureWarning,
        )


def _has_l2_penalty(estimator: Any) -> bool:
    penalised = estimator.penalty in ("deprecated", "l2") and estimator.l1_ratio == 0
    return penalised and not estimator.dual


def _has_valid_own_arguments(estimator: Any) -> bool:
    """Return whether the arguments of partial_fit that MLPClassifier does not have are valid."""
    est = estimator
    return (
        is_nonnegative_number(est.C)
        and est.C > 0
        and type(est.penalty) is str
        and est.penalty == "deprecated"
        and is_nonnegative_number(est.l1_ratio)
        and est.l1_ratio == 0
        and est.dual is False
        and type(est.fit_intercept) is bool
        and est.n_jobs is None
    )


def _has_callback_support(estimator: Any) -> bool:
    """Return True, or raise AttributeError below scikit-learn 1.9."""
    return bool(super(LogisticRegression, estimator).set_callbacks)


def _has_partial_fit(estimator: Any) -> bool:
    """Return True, or raise AttributeError for a solver that has no partial_fit."""
    if estimator.solver not in MINIBATCH_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for the solvers 'sgd' and 'adam', not for "
            f"solver={estimator.solver!r}"
        )
    return True


class LogisticRegression(KernelClassifier, _SklearnLogisticRegression):  # type: ignore[misc]
    """scikit-learn's LogisticRegression, trained by jitted kernels where they support it.

    Arguments, fitted attributes and numbers are those of
    :class:`sklearn.linear_model.LogisticRegression`, which documents them. Differences:

    - The kernels run "lbfgs", "newton-cholesky" and "newton-cg", and "saga" with ``l1_ratio`` above
      0. Of these, only "lbfgs" supports sparse X. scikit-learn's code runs everything else.
    - Both Newton solvers take the fastest steps: from the factorised Hessian for up to 160 weights
      (of all classes but one), by preconditioned conjugate gradients for more. They differ in when
      they stop, as in scikit-learn.
    - "lbfgs" with a ``tol`` of 1e-7 or less ends with a few Newton steps if a weak penalty would
      leave it above the optimum. ``n_iter_`` includes them; there are none for ``C=inf`` or
      sparse X.
    - With ``l1_ratio`` above 0, "saga" finds the same optimum by proximal Newton steps, for up to
      1024 weights, and for a sparse X if it is nearly dense. ``n_iter_`` is the number of these
      steps, ``random_state`` has no effect, and ``tol`` applies to the smallest subgradient of
      C Σ loss plus the penalty.
    - Two solvers are added, ``"sgd"`` and ``"adam"``, with the arguments of
      :class:`sklearn.neural_network.MLPClassifier`, and ``partial_fit`` for them. They start at
      zero and train on the mean loss of a batch plus ‖w‖² / (2 C Σ weights), the sum over all
      training rows; ``tol`` and ``n_iter_no_change`` apply to the training loss, or with
      ``early_stopping`` to the accuracy on the validation rows.
    - ``predict_log_proba`` is computed from the logits, and finite where probabilities underflow.
    - ``fit`` by "sgd" and "adam" accepts validation data and a callback. scikit-learn's callbacks
      (1.9) follow their epochs and the iterations of "lbfgs", and may stop them.

    Parameters
    ----------
    penalty, C, l1_ratio, dual, tol, fit_intercept, intercept_scaling, class_weight, random_state, \
solver, max_iter, verbose, warm_start, n_jobs
        As in scikit-learn; ``solver`` may also be "sgd" or "adam".
    batch_size, learning_rate, learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, \
beta_2, epsilon, shuffle, early_stopping, validation_fraction, n_iter_no_change
        For the solvers "sgd" and "adam", as in scikit-learn's MLPClassifier. The default of
        ``learning_rate_init`` is 0.01, ten times MLPClassifier's, at which a linear model still
        converges. ``early_stopping`` may also be "score", the same as True, or "loss": the loss on
        the validation rows, without the penalty, then ends the fit, and the parameters with the
        smallest are kept.
    n_threads : int
        Maximum number of threads that share the rows of a large batch, an L-BFGS fit or a
        prediction, with at least 256 rows each; 1 or more. Results are the same bits for any value.
        Numba's limit (``NUMBA_NUM_THREADS``), which joblib lowers in its workers, applies too.
    exact_resume : bool
        For "sgd" and "adam": whether ``partial_fit``, and ``fit`` with ``warm_start`` and without
        ``early_stopping``, continue as if the call before had not ended. k calls of ``partial_fit``
        on the same rows then give the same bits as one ``fit`` of k epochs, also after pickling:
        the generator seeded by an integer ``random_state``, the row order and the optimizer's
        moments are part of the fitted state. Otherwise each call seeds a new generator.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        The code that ran the last fit. The ``fastlogit`` logger reports the reason for
        scikit-learn's at INFO level.
    model_ : {"logistic", "softmax"}
        The model that the kernels trained, for two classes or more than two; absent after a fit by
        scikit-learn's code.
    loss_curve_ : list of float
        For "sgd" and "adam": mean over an epoch's rows of their batch's loss before its step,
        including the penalty. ``loss_``, ``best_loss_``, ``validation_scores_``,
        ``best_validation_score_`` and ``t_`` are as in MLPClassifier.
    validation_loss_curve_ : list of float
        Mean loss on the validation rows after each epoch, without the penalty, if ``X_val`` was
        given or ``early_stopping="loss"``; the smallest is ``best_validation_loss_``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlogit import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> LogisticRegression(max_iter=200).fit(X, y).predict(X[:2])
    array([0, 0])
    >>> clf = LogisticRegression(solver="adam", learning_rate_init=0.1, random_state=0)
    >>> for epoch in range(30):
    ...     clf = clf.partial_fit(X, y, classes=[0, 1, 2])
    >>> clf.model_, bool(clf.score(X, y) > 0.95)
    ('softmax', True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "lbfgs",
        max_iter: int = 100,
        verbose: Any = 0,
        warm_start: bool = False,
        n_jobs: Any = None,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.01,
        power_t: float = 0.5,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        shuffle: bool = True,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        n_threads: int = 1,
        exact_resume: bool = False,
    ) -> None:
        super().__init__(
            penalty=penalty,
            C=C,
            l1_ratio=l1_ratio,
            dual=dual,
            tol=tol,
            fit_intercept=fit_intercept,
            intercept_scaling=intercept_scaling,
            class_weight=class_weight,
            random_state=random_state,
            solver=solver,
            max_iter=max_iter,
            verbose=verbose,
            warm_start=warm_start,
            n_jobs=n_jobs,
        )
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_threads = n_threads
        self.exact_resume = exact_resume

    @available_if(_has_callback_support)  # type: ignore[untyped-decorator]
    def set_callbacks(self, *callbacks: Any) -> LogisticRegression:
        """Set callbacks for the estimator (scikit-learn 1.9).

        Parameters
        ----------
        *callbacks : callback
            Instances of ``sklearn.callback.FitCallback``.

        Returns
        -------
        self
            The estimator.
        """
        if self.solver in MINIBATCH_SOLVERS:  # the parent's method supports only "lbfgs"
            CallbackSupport.set_callbacks(self, *callbacks)
        else:
            super().set_callbacks(*callbacks)
        return self

    def _run_fit(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        if self.solver in MINIBATCH_SOLVERS:
            _check_minibatch_arguments(self)
            _warn_of_deprecations(self)
            fit_minibatch(self, X, y, sample_weight, call)
            return
        call.refuse_epoch_arguments(f"solver={self.solver!r}")
        for name in MINIBATCH_ATTRIBUTES:  # from an earlier fit
            self.__dict__.pop(name, None)
        reason = self._unsupported_reason(X)
        if reason is None:
            _warn_of_deprecations(self)
            reason = fit_full_batch(self, X, y, sample_weight, call)
        if reason is not None:
            use_sklearn(self, reason)
            super(KernelClassifier, self).fit(X, y, sample_weight)

    def _unsupported_reason(self, X: Any) -> str | None:
        """Return why the kernels do not support a fit by a full-batch solver, None if they do."""
        if self.solver not in FULL_BATCH_SOLVERS:
            supported = FULL_BATCH_SOLVERS + MINIBATCH_SOLVERS
            return f"solver={self.solver!r}, the kernels support {supported}"
        if self.solver == "saga":
            if self.penalty != "deprecated" or not self.l1_ratio or math.isinf(self.C) or self.dual:
                return (
                    f"penalty={self.penalty!r}, l1_ratio={self.l1_ratio!r}, C={self.C!r}, "
                    f"dual={self.dual!r}; the kernels support 'saga' with l1_ratio > 0 and a "
                    "finite C"
                )
        elif not _has_l2_penalty(self):
            return (
                f"penalty={self.penalty!r}, l1_ratio={self.l1_ratio!r}, dual={self.dual!r}; the "
                "kernels support the L2 penalty, or none by C=inf, in the primal"
            )
        if get_config()["array_api_dispatch"]:
            return "array_api_dispatch is on"
        if not is_sparse(X) or self.solver == "lbfgs":
            return None
        if self.solver == "saga" and is_nearly_dense(X):  # the fit converts it to a dense array
            return None
        return f"X is sparse, the kernels support it by solver='lbfgs', not {self.solver!r}"

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> LogisticRegression:
        """Train for one epoch on the given rows, starting from the result of the last call or fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        classes : array-like of shape (K,), optional
            All labels that may occur; required in the first call.

        Returns
        -------
        self
            The fitted estimator.
        """
        rows = valid_partial_fit_rows(
            self, X, y, sample_weight, classes, own_arguments=_has_valid_own_arguments(self)
        )
        if rows is None or not resume_minibatch(self, rows):
            _validate_and_partial_fit(self, X, y, sample_weight, classes)
        return self

    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            For two classes the single logit, positive for the second.
        """
        if not self._can_use_numpy(X):
            return super().decision_function(X)
        scores = X @ self.coef_.T + self.intercept_
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:
        """Return the most probable classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        if not self._can_use_numpy(X):
            return super().predict(X)
        scores = self.decision_function(X)
        indices = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_.take(indices, axis=0)

    def _can_use_numpy(self, X: Any) -> bool:
        """Return whether X and the coefficients are arrays that need no validation."""
        return (
            is_valid_matrix(self, X)
            and isinstance(self.coef_, np.ndarray)
            and self.coef_.ndim == 2
            and not get_config()["array_api_dispatch"]
        )

    def _kernel_proba(self, X: Any) -> Floats | None:
        is_valid = self._can_use_numpy(X)
        if not is_valid:
            check_is_fitted(self)
        if getattr(self, "backend_", None) != "numba":
            return None
        if not is_valid:
            if is_sparse(self.coef_) or get_config()["array_api_dispatch"]:
                return None
            X = validate_data(self, X, accept_sparse="csr", reset=False)
        params = self.coef_.T, self.intercept_
        return kernel_proba(self.model_, params, X, self.n_threads)

    def _logits(self, X: Any) -> Floats | None:
        return None if get_config()["array_api_dispatch"] else self.decision_function(X)


def partial_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
    """Train for one epoch after the full validation."""
    est = estimator
    _check_minibatch_arguments(est)
    _warn_of_deprecations(est)
    if est.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.class_weight == "balanced":
        raise ValueError(BALANCED_PARTIAL_FIT)
    is_first_partial_fit(est, classes)
    fit_minibatch(est, X, y, sample_weight)


# For a function of the name partial_fit, scikit-learn validates arguments in the first call only.
_validate_and_partial_fit = fit_context(partial_fit)
