"""LogisticRegression of D features and K classes: its arguments, fits and predictions."""

import math
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.linear_model import LogisticRegression as _SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as _SklearnMLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fastlogit.estimators import full_batch, liblinear, partitioned, sklearn_compat
from fastlogit.estimators.base import KernelClassifier
from fastlogit.estimators.by_partition import by_partition
from fastlogit.estimators.fast_path import (
    encoded,
    is_valid_if_finite,
    is_valid_matrix,
    plain_labels,
    set_n_features,
)
from fastlogit.estimators.minibatch import RESUME_ATTRIBUTES
from fastlogit.estimators.predictions import kernel_classes, labels_of
from fastlogit.estimators.progress import HISTORY_ATTRIBUTES, FitCall, start_history
from fastlogit.estimators.rows import apply_class_weight, is_sparse, kernel_rows
from fastlogit.models import MODELS, Floats, Indices, Model, Rows
from fastlogit.models.checks import FEW, class_indices
from fastlogit.solvers import warn

MINIBATCH_SOLVERS = sklearn_compat.MINIBATCH_SOLVERS
# scikit-learn's solvers that the kernels support.
FULL_BATCH_SOLVERS = ("lbfgs", "newton-cholesky", "newton-cg", "liblinear", "sag", "saga")
SOLVERS = FULL_BATCH_SOLVERS + MINIBATCH_SOLVERS
# Arguments of the mini-batch solvers, with the meaning that they have in MLPClassifier.
MINIBATCH_ARGUMENTS = (
    "batch_size", "learning_rate", "learning_rate_init", "power_t", "momentum",
    "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "shuffle", "early_stopping",
    "validation_fraction", "n_iter_no_change",
)  # fmt: skip
# Attributes that a fit by mini-batches sets and one by another solver does not.
MINIBATCH_ATTRIBUTES = ("t_", "loss_", "_optimizer", *HISTORY_ATTRIBUTES, *RESUME_ATTRIBUTES)
# Multiply-adds up to which NumPy predicts classes faster, and SciPy those of sparse rows: a call of
# the kernels takes some 20 µs, and 70 µs with the check of a CSR matrix. Of 100 non-zeros a row and
# ten classes SciPy takes 0.94 of the time at 1,000 rows, 1.3 times it at 20,000.
MOST_BY_NUMPY, MOST_BY_SCIPY = 1 << 16, 1 << 20


class LogisticRegression(KernelClassifier, _SklearnLogisticRegression):  # type: ignore[misc]
    """scikit-learn's LogisticRegression, trained by jitted kernels where they support it.

    Arguments, fitted attributes and numbers are those of
    :class:`sklearn.linear_model.LogisticRegression`, which documents them. Differences:

    - The kernels run every solver with every penalty that scikit-learn has for it, dense or sparse
      X, two classes or more ("liblinear" two, as in scikit-learn).
    - "sag", "saga" and "liblinear" name an optimum, not a path, and all of them find it by the
      method that is fastest for the shape of X: with L2 dual coordinate descent for two classes
      where X is sparse or has more features than rows, Newton's steps elsewhere. ``n_iter_`` counts
      epochs of the former and steps of the latter, and ``max_iter`` bounds it. ``tol`` bounds the
      last change of a coefficient relative to the largest ("sag", "saga"), or what LIBLINEAR's
      does: the gradient relative to that at 0, or with ``dual`` each slope of the dual.
      ``random_state`` has no effect, except on the order of rows with ``dual``.
    - With L1, "saga" and "liblinear" take proximal Newton steps on the features that lower the
      loss. ``n_iter_`` is their number, and ``tol`` applies to the smallest subgradient of C Σ loss
      plus the penalty.
    - "liblinear" penalises the intercept through ``intercept_scaling``, and gives float64
      coefficients for any X, as scikit-learn's does.
    - Both Newton solvers factorise the Hessian or take preconditioned conjugate gradients, which is
      faster for many weights, by an estimate of both; for a sparse X, if it is not small and nearly
      dense, always the latter. Each stops as scikit-learn's does.
    - "lbfgs" with a ``tol`` of 1e-7 or less ends with a few Newton steps if a weak penalty would
      leave it above the optimum, except for ``C=inf`` or sparse X. ``n_iter_`` includes them.
    - "sgd" and "adam" are added, with MLPClassifier's arguments and ``partial_fit``. They start at
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
        For "sgd" and "adam", as in MLPClassifier, but ``learning_rate_init`` is 0.01, ten times the
        default there: a linear model still converges. ``early_stopping`` may also be "score", like
        True, or "loss": the loss on the validation rows, without the penalty, then ends the fit,
        which keeps the parameters with the smallest.
    n_threads : int, at least 1
        Maximum number of threads for a large batch, an L-BFGS fit or a prediction, of at least 256
        rows each; results are the same bits for any. ``NUMBA_NUM_THREADS``, which joblib lowers in
        its workers, applies too.
    exact_resume : bool
        For "sgd" and "adam": whether ``partial_fit``, and ``fit`` with ``warm_start`` but no
        ``early_stopping``, continue with the last call's generator (of an integer ``random_state``,
        otherwise seeded anew), row order and moments, also from a pickle: k calls of
        ``partial_fit`` on the same rows then give the bits of one ``fit`` of k epochs.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        The code that ran the last fit; the ``fastlogit`` logger reports at INFO level why it was
        scikit-learn's.
    model_ : {"logistic", "softmax"}
        The kernels' model, of two or of more classes; absent after a fit by scikit-learn's code.
    loss_curve_ : list of float
        For "sgd" and "adam": mean over an epoch's rows of their batch's loss before its step,
        including the penalty. ``loss_``, ``best_loss_``, ``validation_scores_``,
        ``best_validation_score_`` and ``t_`` are as in MLPClassifier.
    validation_loss_curve_ : list of float
        Mean loss on the validation rows after each epoch, without the penalty, if ``X_val`` was
        given or ``early_stopping="loss"``; the smallest is ``best_validation_loss_``.
    n_passes_ : int
        Passes over the partitions of a source, the first for its statistics among them; absent
        after a fit to arrays.

    Notes
    -----
    With an L2 penalty the fastest solver is

    - "saga" for two classes where X is sparse or has more features than rows. "liblinear" is nearly
      as fast, if its penalty on the intercept is wanted;
    - "newton-cholesky" and "newton-cg" for correlated or unscaled features, weak penalties and a
      small ``tol``;
    - "lbfgs", the default, for many rows of scaled features that are hardly correlated.

    "saga" chooses between the first two methods by itself.

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

    _logits_tell = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnLogisticRegression._parameter_constraints,
        **{k: _SklearnMLPClassifier._parameter_constraints[k] for k in MINIBATCH_ARGUMENTS},
        **sklearn_compat.ADDED_CONSTRAINTS,
        "solver": [
            *_SklearnLogisticRegression._parameter_constraints["solver"],
            sklearn_compat.StrOptions(set(MINIBATCH_SOLVERS)),
        ],
    }

    def __init__(
        self, penalty: Any = "deprecated", *, C: float = 1.0, l1_ratio: float = 0.0,
        dual: bool = False, tol: float = 1e-4, fit_intercept: bool = True,
        intercept_scaling: float = 1, class_weight: Any = None, random_state: Any = None,
        solver: str = "lbfgs", max_iter: int = 100, verbose: Any = 0, warm_start: bool = False,
        n_jobs: Any = None, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.01, power_t: float = 0.5, momentum: float = 0.9,
        nesterovs_momentum: bool = True, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, shuffle: bool = True, early_stopping: bool | str = False,
        validation_fraction: float = 0.1, n_iter_no_change: float = 10, n_threads: int = 1,
        exact_resume: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            penalty, C=C, l1_ratio=l1_ratio, dual=dual, tol=tol, fit_intercept=fit_intercept,
            intercept_scaling=intercept_scaling, class_weight=class_weight,
            random_state=random_state, solver=solver, max_iter=max_iter, verbose=verbose,
            warm_start=warm_start, n_jobs=n_jobs,
        )  # fmt: skip
        self.batch_size, self.shuffle = batch_size, shuffle
        self.learning_rate, self.learning_rate_init = learning_rate, learning_rate_init
        self.power_t, self.momentum, self.nesterovs_momentum = power_t, momentum, nesterovs_momentum
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.early_stopping, self.validation_fraction = early_stopping, validation_fraction
        self.n_iter_no_change, self.n_threads = n_iter_no_change, n_threads
        self.exact_resume = exact_resume

    @available_if(lambda _: sklearn_compat.CALLBACKS_EXIST)  # type: ignore[untyped-decorator]
    def set_callbacks(self, *callbacks: Any) -> Self:
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
            sklearn_compat.CallbackSupport.set_callbacks(self, *callbacks)
        else:
            super().set_callbacks(*callbacks)
        return self

    def _run_fit(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        if self.solver in MINIBATCH_SOLVERS:
            self._fit_minibatch(X, y, sample_weight, call=call)
            return
        call.refuse_epoch_arguments(f"solver={self.solver!r}")
        for name in MINIBATCH_ATTRIBUTES:  # from an earlier fit
            self.__dict__.pop(name, None)
        reason = call.waiting_reason or self._unsupported_reason(X)
        if call.partitions is not None and reason is None:
            self._fit_partitions(call, X, y, sample_weight)
            return
        if reason is None:
            self._warn_of_deprecations()
            rows = self._training_rows(X, y, sample_weight, resumed=False, incremental=False)
            rows = full_batch.suited_rows(self, rows)
            is_liblinear = self.solver == "liblinear"
            warm = self.warm_start and not is_liblinear  # as in scikit-learn
            fitted, n_iter = full_batch.minimise(
                self, rows, self._initial_params(rows.X, warm=warm), call
            )
            if is_liblinear:  # as scikit-learn's for X of either dtype
                fitted = tuple([array.astype(np.float64) for array in fitted])
            self._params = fitted
            self.n_iter_ = np.array([n_iter], np.int32)
            return
        self._use_sklearn(reason, call)
        super(KernelClassifier, self).fit(X, y, sample_weight)

    def _fit_partitions(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        """Fit to all partitions by passes, from a sample of their rows."""
        if self.solver == "liblinear" or not self._is_smooth:
            given = f"solver={self.solver!r}, l1_ratio={self.l1_ratio!r}"
            raise ValueError(
                f"{given}: a source is fitted with an L2 penalty, or none by C=inf, and any solver "
                "but 'liblinear'"
            )
        self._warn_of_deprecations()
        rows = self._training_rows(X, y, sample_weight, resumed=False, incremental=False)
        params = self._initial_params(rows.X, warm=self.warm_start)
        self._params, n_iter = partitioned.minimise(self, rows, params, call)
        self.n_iter_ = np.array([n_iter], np.int32)

    def _can_run_on_sklearn(self, call: FitCall) -> bool:
        return self.solver not in MINIBATCH_SOLVERS and super()._can_run_on_sklearn(call)

    @property
    def _draws(self) -> bool:  # type: ignore[override]
        return bool(self.solver == "liblinear" and self.dual)

    @property
    def _multiply_adds(self) -> float:  # type: ignore[override]
        return float(4 * self.max_iter)

    @property
    def _penalty_name(self) -> str | None:
        """What scikit-learn makes of penalty, l1_ratio and C: "l2", "l1", "elasticnet" or None."""
        if self.penalty != "deprecated" or math.isinf(self.C):
            return None if self.penalty == "deprecated" else self.penalty
        return {0: "l2", None: "l2", 1: "l1"}.get(self.l1_ratio, "elasticnet")

    @property
    def _inverse_strength(self) -> float:
        return math.inf if self._penalty_name is None else float(self.C)

    @property
    def _l1_share(self) -> float:
        """Share of the penalty that is L1, 0 where there is none."""
        penalty = self._penalty_name
        share = self.l1_ratio if penalty == "elasticnet" else float(penalty == "l1")
        return 0.0 if math.isinf(self.C) else share

    @property
    def _is_smooth(self) -> bool:
        return self._penalty_name in ("l2", None) and not self.dual

    def _unsupported_reason(self, _X: Any = None, _y: Any = None) -> str | None:
        """Return why the kernels do not support a fit, whatever X and y, None if they do."""
        if self.solver in MINIBATCH_SOLVERS:
            self._check_minibatch_penalty()
            return None
        if self.solver not in FULL_BATCH_SOLVERS:
            return f"solver={self.solver!r}, the kernels support {SOLVERS}"
        penalty = self._penalty_name
        is_supported, text = self._is_smooth, "the L2 penalty, or none by C=inf, in the primal"
        if self.solver == "saga":
            is_supported = not self.dual and (penalty != "elasticnet" or self.l1_ratio is not None)
            text = "'saga' in the primal, of 'elasticnet' with an l1_ratio"
        elif self.solver == "liblinear":
            if math.isinf(self.C):  # scikit-learn's code does not return
                text = "C=np.inf as well as penalty=None is not supported for the liblinear solver"
                raise ValueError(text)
            is_supported = penalty == "l2" or (penalty == "l1" and not self.dual)
            text = "'liblinear' with L2, or L1 in the primal"
        if not is_supported:
            given = f"penalty={self.penalty!r}, l1_ratio={self.l1_ratio!r}, C={self.C!r}"
            return f"{given}, dual={self.dual!r}; the kernels support {text}"
        if get_config()["array_api_dispatch"]:
            return "array_api_dispatch is on"
        return None

    def _check_minibatch_penalty(self) -> None:
        if not self._is_smooth:
            text = f"Solver {self.solver} supports only the L2 penalty, or C=inf, and dual=False"
            given = f"penalty={self.penalty!r}, l1_ratio={self.l1_ratio!r} and dual={self.dual!r}"
            raise ValueError(f"{text}, got {given}")

    def _warn_of_deprecations(self) -> None:
        """Issue the warnings of scikit-learn's code, which does not run, in its words."""
        penalty, l1_ratio = self._penalty_name, self.l1_ratio
        if self.penalty != "deprecated":
            warn(
                "'penalty' was deprecated in version 1.8 and will be removed in 1.10. To avoid "
                "this warning, leave 'penalty' set to its default value and use 'l1_ratio' or 'C' "
                "instead. Use l1_ratio=0 instead of penalty='l2', l1_ratio=1 instead of "
                "penalty='l1', l1_ratio set to a float between 0 and 1 instead of "
                "penalty='elasticnet', and C=np.inf instead of penalty=None.",
                FutureWarning,
            )
        elif l1_ratio is None:
            text = "'l1_ratio=None' was deprecated in version 1.8 and will trigger an error in 1.10"
            warn(f"{text}. Use 0<=l1_ratio<=1 instead.", FutureWarning)
        if penalty != "elasticnet" and l1_ratio not in (None, 0, 1):
            text = "l1_ratio parameter is only used when penalty is 'elasticnet'"
            warn(f"{text}. Got (penalty={penalty})", UserWarning)
        if {"l2": 0, "l1": 1}.get(self.penalty, l1_ratio) != l1_ratio:
            text = f"Inconsistent values: penalty={penalty} with l1_ratio={l1_ratio}"
            warn(f"{text}. penalty is deprecated. Please use l1_ratio only.", UserWarning)
        if self.penalty is None and self.C != 1:
            warn("Setting penalty=None will ignore the C and l1_ratio parameters", UserWarning)
        if self.n_jobs is not None:
            text = "'n_jobs' has no effect since 1.8 and will be removed in 1.10"
            given = f"You provided 'n_jobs={self.n_jobs}', please leave it unspecified"
            warn(f"{text}. {given}.", FutureWarning)

    def _fit_minibatch(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None, call: FitCall | None = None
    ) -> None:
        """Train until a stopping criterion is met, or for one epoch if call is None."""
        self._check_minibatch_penalty()
        self._warn_of_deprecations()
        incremental = call is None
        if incremental:
            sklearn_compat.is_first_partial_fit(self, classes)
        resumed = hasattr(self, "coef_") and (incremental or self.warm_start)
        rows = self._training_rows(X, y, sample_weight, resumed=resumed, incremental=incremental)
        params = self._initial_params(rows.X, warm=resumed)
        if not (resumed and hasattr(self, "loss_curve_")):
            start_history(self)
            self.__dict__.pop("_optimizer", None)
        random_state = check_random_state(self.random_state)
        self._train_epochs(params, rows, random_state, incremental=incremental, call=call)

    def _can_resume(self, rows: Rows) -> bool:
        has_no_warning = self.penalty == "deprecated" and self.l1_ratio == 0 and self.n_jobs is None
        return has_no_warning and self._is_smooth and super()._can_resume(rows)

    def _train_epochs(self, *args: Any, **arguments: Any) -> None:
        super()._train_epochs(*args, **arguments)
        self.n_iter_ = np.array([self.n_iter_], np.int32)

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, *, resumed: bool, incremental: bool
    ) -> Rows:
        """Return validated rows with weights; only those of partial_fit may be of one class."""
        labels = plain_labels(X, y)  # the validation skipped took a quarter of a fit on iris
        if labels is not None and not resumed:
            set_n_features(self, X)
        else:
            X, y = validate_data(
                self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C",
                reset=not resumed, skip_check_array=labels is not None,
                accept_large_sparse=self.solver not in full_batch.OPTIMUM_SOLVERS,
            )  # fmt: skip
        if labels is None:
            check_classification_targets(y)
            labels = encoded(y)
        classes, indices = labels
        if resumed or incremental:
            indices = class_indices(self.classes_, y)
        else:
            self.classes_ = classes
        # All rows of a class may have weight 0, as in a bootstrap sample drawn by weights.
        if not incremental and classes.size == 1:
            text = f"{type(self).__name__} needs rows of at least 2 classes"
            label = self.classes_.tolist()[indices[0]]
            raise ValueError(f"{text}, got only one class: {label!r}")
        if self.solver == "liblinear":
            liblinear.check(self.classes_, X)
        dtype = self.coef_.dtype if resumed and incremental else X.dtype
        if sample_weight is not None:
            sample_weight = sklearn_compat.check_sample_weight(sample_weight, X, dtype=dtype)
        weight = apply_class_weight(self.class_weight, self.classes_, indices, sample_weight)
        rows = kernel_rows(X, indices, weight, dtype)
        self._use_kernels()
        return rows

    def _initial_params(self, X: Any, *, warm: bool) -> tuple[Floats, Floats]:
        """Return the initial W and b: zeros, or with a warm start the fitted ones."""
        n_outputs = self._model.n_outputs(len(self.classes_))
        shape = X.shape[1], n_outputs
        if not (warm and hasattr(self, "coef_")):
            return np.zeros(shape, X.dtype), np.zeros(n_outputs, X.dtype)
        coef: Any = self.coef_
        coef = coef.toarray() if is_sparse(coef) else coef
        if coef.T.shape != shape:
            text = f"warm_start: coef_ of the previous fit is of shape {coef.shape}"
            raise ValueError(f"{text}, expected shape {shape[::-1]}")
        bias = np.broadcast_to(self.intercept_ if self.fit_intercept else 0, n_outputs)
        return coef.T.astype(X.dtype), bias.astype(X.dtype)

    def _penalty(self, total_weight: float, /) -> dict[str, Any]:
        alpha = 1 / (self._inverse_strength * total_weight)
        return {"alpha": alpha, "fit_bias": self.fit_intercept}

    @property
    def _model(self) -> Model:  # type: ignore[override]
        return MODELS["logistic" if len(self.classes_) == 2 else "softmax"]

    @property
    def _params(self) -> tuple[Floats, ...]:
        return self.coef_.T, self.intercept_

    @_params.setter
    def _params(self, params: tuple[Floats, ...]) -> None:
        weights, self.intercept_ = params
        self.coef_ = np.ascontiguousarray(weights.T)

    @by_partition
    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            For two classes the single logit, positive for the second.
        """
        is_valid = is_valid_matrix(self, X) and not get_config()["array_api_dispatch"]
        if not (is_valid and isinstance(self.coef_, np.ndarray) and self.coef_.ndim == 2):
            return super().decision_function(X)
        scores = X @ self.coef_.T + self.intercept_
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    @by_partition
    def predict(self, X: Any) -> Any:
        """Return the most probable classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        if get_config()["array_api_dispatch"]:
            return super().predict(X)
        indices = self._kernel_indices(X) if getattr(X, "size", 0) > FEW else None
        if indices is None:
            scores = self.decision_function(X)
            indices = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return labels_of(self.classes_, indices)

    def _kernel_indices(self, X: Any) -> Indices | None:
        """Return what the kernels predict, None where the logits are to be computed by NumPy."""
        if type(self).decision_function is not LogisticRegression.decision_function:
            return None
        most = MOST_BY_NUMPY if isinstance(X, np.ndarray) else MOST_BY_SCIPY
        if not is_valid_if_finite(self, X) or X.size * self.coef_.shape[0] <= most:
            return None
        # If an element of X is not finite then no logit of its row is: X need not be checked.
        return kernel_classes(self._model, self._params, X, self.n_threads)

    def _kernel_rows(self, X: Any, **arguments: Any) -> Any:
        return None if get_config()["array_api_dispatch"] else super()._kernel_rows(X, **arguments)

    def _logits(self, X: Any) -> Floats | None:
        return None if get_config()["array_api_dispatch"] else self.decision_function(X)
