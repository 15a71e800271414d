"""LogisticRegression on the kernels: L-BFGS, and mini-batch solvers."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.utils.metaestimators import available_if

from fastlogit.estimators.linear_fit import (
    MINIBATCH_ATTRIBUTES,
    fit_all_rows,
    fit_minibatch,
    go_on,
)
from fastlogit.estimators.linear_predicting import LinearPrediction
from fastlogit.estimators.logistic_arguments import (
    CONSTRAINTS,
    MINIBATCH_SOLVERS,
    check_minibatch_arguments,
    has_partial_fit,
    has_plain_penalty,
    uncovered,
    warn_of_deprecations,
)
from fastlogit.estimators.minibatch import BALANCED_IN_PARTS
from fastlogit.estimators.optimizer_state import PlainState
from fastlogit.estimators.parts import plain_part
from fastlogit.estimators.routing import on_scikit_learn
from fastlogit.estimators.sklearn_compat import (
    CallbackSupport,
    fit_context,
    is_first_partial_fit,
)
from fastlogit.estimators.watching import FitCall, WatchedFit


def has_callback_support(estimator: Any) -> bool:
    """Return True, or raise AttributeError below scikit-learn 1.9."""
    return bool(super(LogisticRegression, estimator).set_callbacks)


class LogisticRegression(PlainState, WatchedFit, LinearPrediction):
    """scikit-learn's LogisticRegression, trained by jitted kernels where they cover it.

    Arguments, fitted attributes and numbers are those of
    :class:`sklearn.linear_model.LogisticRegression`, which documents them. What differs:

    - The kernels run "lbfgs", "newton-cholesky" and "newton-cg", and "saga" where ``l1_ratio`` is
      above 0; of these, sparse X only by "lbfgs". Anything else runs scikit-learn's code.
    - Both Newton solvers take the steps that are fastest: from the factorised Hessian for up to 160
      weights (of all classes but one), by preconditioned conjugate gradients for more. They differ
      in when they stop, as scikit-learn's do.
    - "lbfgs" to a ``tol`` of 1e-7 or less ends with a few Newton steps where a weak penalty would
      leave it above the optimum. ``n_iter_`` counts them; ``C=inf`` and sparse X know none.
    - With ``l1_ratio`` above 0, "saga" finds the same optimum by proximal Newton steps, for up to
      1024 weights, and also where a sparse X is nearly dense. ``n_iter_`` counts them,
      ``random_state`` has no effect, and ``tol`` is of the smallest subgradient of C Σ loss plus
      the penalty.
    - Two solvers are added, ``"sgd"`` and ``"adam"``, with the arguments of
      :class:`sklearn.neural_network.MLPClassifier`, and ``partial_fit`` for them. They start at
      zero and train on the mean loss of a batch plus ‖w‖² / (2 C Σ weights), the sum over all
      training rows; ``tol`` and ``n_iter_no_change`` are those of the training loss, or with
      ``early_stopping`` of the accuracy on the rows held out.
    - ``predict_log_proba`` is computed from the logits, and finite where probabilities underflow.
    - ``fit`` by "sgd" and "adam" takes validation data and a callback. scikit-learn's callbacks
      (1.9) see its epochs, and those of "lbfgs" its iterations, and may stop either.

    Parameters
    ----------
    penalty, C, l1_ratio, dual, tol, fit_intercept, intercept_scaling, class_weight, random_state, \
solver, max_iter, verbose, warm_start, n_jobs
        As in scikit-learn; ``solver`` may be "sgd" or "adam" too.
    batch_size, learning_rate, learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, \
beta_2, epsilon, shuffle, early_stopping, validation_fraction, n_iter_no_change
        Of the solvers "sgd" and "adam", as in scikit-learn's MLPClassifier. ``learning_rate_init``
        is 0.01 unless given, ten times MLPClassifier's, since a linear model takes it.
        ``early_stopping`` may be "score", which is True, or "loss": the fit then stops by the loss
        on the validation rows, without the penalty, and keeps the parameters with the least.
    n_threads : int
        Threads that may share the rows of a large batch, of an L-BFGS fit, and of a prediction, 256
        rows each at least; 1 or more. No bit of a result depends on it. Numba's limit
        (``NUMBA_NUM_THREADS``), which joblib lowers in its workers, holds here too.

    exact_resume : bool
        Of "sgd" and "adam": whether ``partial_fit``, and ``fit`` with ``warm_start`` and without
        ``early_stopping``, go on as if the call before had not ended: k calls of ``partial_fit``
        on the same rows leave the bits of one ``fit`` of k epochs, in another process too. The
        generator that an integer ``random_state`` seeds, the row order and the optimizer's moments
        then are part of what is fitted. If not, each call seeds anew.

    Attributes
    ----------
    backend_ : {"numba", "scikit-learn"}
        Which code ran the last fit. Why it was scikit-learn's says the logger ``fastlogit`` at
        level INFO.
    model_ : {"logistic", "softmax"}
        What the kernels trained, for two classes or more; missing where scikit-learn's code ran.
    loss_curve_ : list of float
        Of "sgd" and "adam": mean over an epoch's rows of the loss that their batch had before its
        step, the penalty included. Further ``loss_``, ``best_loss_``, ``validation_scores_``,
        ``best_validation_score_`` and ``t_`` are as in MLPClassifier.
    validation_loss_curve_ : list of float
        Mean loss on the validation rows after each epoch, without the penalty, where ``X_val`` was
        given or ``early_stopping="loss"``; the least is ``best_validation_loss_``.

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

    @available_if(has_callback_support)  # type: ignore[untyped-decorator]
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
        if self.solver in MINIBATCH_SOLVERS:  # scikit-learn's own warns that it knows lbfgs only
            CallbackSupport.set_callbacks(self, *callbacks)
        else:
            super().set_callbacks(*callbacks)
        return self

    def _fit_watched(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        if self.solver in MINIBATCH_SOLVERS:
            check_minibatch_arguments(self)
            warn_of_deprecations(self)
            fit_minibatch(self, X, y, sample_weight, call)
            return
        call.refuse_extras(f"solver={self.solver!r}")
        for name in MINIBATCH_ATTRIBUTES:  # of an earlier fit
            self.__dict__.pop(name, None)
        reason = uncovered(self, X)
        if reason is None:
            warn_of_deprecations(self)
            reason = fit_all_rows(self, X, y, sample_weight, call)
        if reason is not None:
            on_scikit_learn(self, reason)
            super(WatchedFit, self).fit(X, y, sample_weight)

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> LogisticRegression:
        """Train one epoch on the given rows, going on from the last call or fit.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        classes : array-like of shape (K,), optional
            All labels there will be; the first call needs them.

        Returns
        -------
        self
            The fitted estimator.
        """
        rows = plain_part(self, X, y, sample_weight, classes, plain_penalty=has_plain_penalty(self))
        if rows is None or not go_on(self, rows):
            _partial_fit(self, X, y, sample_weight, classes)
        return self


def partial_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
    """Train one epoch after all checks."""
    est = estimator
    check_minibatch_arguments(est)
    warn_of_deprecations(est)
    if est.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.class_weight == "balanced":
        raise ValueError(BALANCED_IN_PARTS)
    is_first_partial_fit(est, classes)
    fit_minibatch(est, X, y, sample_weight)


# By the method's name scikit-learn knows that arguments need a check in the first call only.
_partial_fit = fit_context(partial_fit)
