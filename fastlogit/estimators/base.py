"""What all estimators share. Their parameters are (W, b) or (W1, b1, W2, b2)."""

from abc import ABCMeta
from collections.abc import Callable, Sequence
from functools import wraps
from numbers import Integral
from time import perf_counter
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlogit.estimators import background, by_partition, fast_path, partitioned, sklearn_compat
from fastlogit.estimators.minibatch import RESUME_ATTRIBUTES, EpochLoop
from fastlogit.estimators.predictions import kernel_proba, log_proba, match_model
from fastlogit.estimators.progress import FitCall, ValidationSet, split_rows
from fastlogit.estimators.rows import apply_class_weight, kernel_rows
from fastlogit.kernels.codegen import waiting
from fastlogit.models import Floats, Model, Rows
from fastlogit.models.checks import class_indices, finite_matrix
from fastlogit.solvers.passes import LocalPasses
from fastlogit.sources import Source
from fastlogit.training.orders import restore_generator
from fastlogit.verbosity import logger, report_fit


def refuse_dask(X: Any, *others: Any) -> None:
    """Refuse Dask's collections, which NumPy would load as a whole: X, y or sample_weight."""
    for name, value in zip(("X", "y", "sample_weight"), (X, *others), strict=False):
        if by_partition.is_dask(value):
            raise TypeError(
                f"{name} is a {type(value).__name__} of Dask: fastlogit.dask has the estimators "
                "for Dask's collections"
            )


def validated_fit(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a fit to validate the estimator's arguments first, as in scikit-learn.

    Without callbacks the rest of scikit-learn's context only spares nested calls a validation, and
    on few rows it takes a tenth of a fit.
    """
    in_context = sklearn_compat.fit_context(fit)

    @wraps(fit)
    def call(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        if sklearn_compat.has_callbacks(estimator):
            return in_context(estimator, *args, **kwargs)
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return fit(estimator, *args, **kwargs)

    return call


# For a function of the name partial_fit, scikit-learn validates arguments in the first call only.
@sklearn_compat.fit_context  # type: ignore[untyped-decorator]
def partial_fit(estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
    """Train for one epoch after the full validation."""
    refuse_dask(X, y, sample_weight)
    if value := estimator.early_stopping:
        raise ValueError(f"partial_fit does not support early_stopping={value!r}")
    if estimator.class_weight == "balanced":
        text = "class_weight='balanced' needs all of y, which partial_fit does not see"
        raise ValueError(f"{text}; pass the weights as a dict")
    estimator._fit_minibatch(X, y, sample_weight, classes)


def _has_partial_fit(estimator: Any) -> bool:
    """Return True, or raise AttributeError for a solver that has no partial_fit."""
    if estimator.solver not in sklearn_compat.MINIBATCH_SOLVERS:
        text = "partial_fit is only available for the solvers 'sgd' and 'adam'"
        raise AttributeError(f"{text}, not for solver={estimator.solver!r}")
    return True


class Substitute(ABCMeta):
    """Type of a class that stands in for scikit-learn's while ``patch_sklearn`` is on.

    By then a program knows one class by both names, and has instances of either.
    """

    _stands_for: Any  # an attribute of the class itself, while it does

    def __subclasscheck__(cls, subclass: type) -> bool:
        """Return whether a class is derived from this one, or from what it stands for."""
        return type.__subclasscheck__(cls, subclass) or cls._covers(subclass)

    def __instancecheck__(cls, instance: object) -> bool:
        """Return the same of an object's class."""
        return type.__instancecheck__(cls, instance) or cls._covers(type(instance))

    def _covers(cls, other: type) -> bool:
        return vars(cls).get("_stands_for") in other.__mro__


class KernelClassifier(
    sklearn_compat.NamedInHTML,
    sklearn_compat.CallbackSupport,  # type: ignore[misc]
    metaclass=Substitute,
):
    """Base of the estimators, to stand before scikit-learn's class in the bases."""

    # What a subclass defines.
    classes_: Any
    _model: Model  # of the fitted classes
    _params: tuple[Floats, ...]  # the fitted weights and biases, alternating
    _run_fit: Callable[..., None]  # with the FitCall, X, y and sample_weight
    _draws: bool  # whether a fit draws random numbers
    _multiply_adds: float  # of a fit on scikit-learn's code for each element of X, at most
    _fit_minibatch: Callable[[Any, Any, Any, Any], None]  # with the arguments of partial_fit
    _penalty: Callable[[float], dict[str, Any]]  # of Σ weights: the trainer's penalty and biases
    _logits_tell = False  # whether a row that is not finite has no logit that is
    _logits: Callable[[Any], Floats | None]  # of X, None where scikit-learn's code has to predict

    @validated_fit
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None,
        y_val: Any = None, callback: Any = None,
    ) -> Self:  # fmt: skip
        """Fit the model to the rows of X with the labels y.

        Ctrl-C leaves the estimator as it was before the call, except that "sgd" and "adam" keep the
        parameters reached and warn.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source
            Training rows; a source, from :func:`fastlogit.scan`, has their labels and weights too.
        y : array-like of shape (n,)
            Labels; for MLPClassifier also (n, labels), a multilabel target.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        X_val, y_val : array-likes of shape (m, D) and (m,), X_val also a sparse matrix, optional
            Validation rows for "sgd" and "adam", and their labels, all of which occur in y. They
            are used by ``early_stopping`` instead of a part of X, and for the validation curves.
        callback : callable, optional
            Called after each epoch of "sgd" and "adam" with the epoch (from 0), its loss and this
            estimator, which predicts with the current parameters; a true value ends the fit.

        Returns
        -------
        self
            The fitted estimator.
        """
        if isinstance(X, Source):
            passes = LocalPasses(X, verbose=bool(self.verbose))
            partitioned.fit(self, passes, y, sample_weight, X_val, y_val, callback)
            return self
        refuse_dask(X, y, sample_weight)
        self.__dict__.pop("n_passes_", None)  # from an earlier fit
        call = FitCall(self, X, y, sample_weight, X_val, y_val, callback)
        return self._fit_or_restore(call, X, y, sample_weight)

    def _fit_or_restore(self, call: FitCall, *data: Any, **params: Any) -> Self:
        """Fit to the data and end the call; on Ctrl-C leave the attributes as they were before."""
        before, started = self.__dict__.copy(), perf_counter()
        try:
            self._fit_without_waiting(call, before, *data, **params)
            call.end()
        except KeyboardInterrupt:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        code = f"scikit-learn: {reason}" if (reason := call.sklearn_reason) else "kernels"
        report_fit(type(self).__name__, code, perf_counter() - started)
        return self

    def _fit_without_waiting(
        self, call: FitCall, before: dict[str, Any], *data: Any, **params: Any
    ) -> None:
        """Fit on the kernels, or on scikit-learn's code while they are being compiled."""
        if not self._can_run_on_sklearn(call):
            self._run_fit(call, *data, **params)
            return
        draws = background.saved_generator(self.random_state) if self._draws else None
        token = waiting.do_without()
        try:
            self._run_fit(call, *data, **params)
        except waiting.NotCompiledError as error:
            missing = error.request
        else:
            return
        finally:
            waiting.end(token)
        self.__dict__.clear()
        self.__dict__.update(before)
        if draws is not None:
            restore_generator(*draws)
        is_short = background.is_short(data[0], self._multiply_adds)
        if is_short and background.start(missing, self, data[0]):
            call.waiting_reason = background.REASON
        self._run_fit(call, *data, **params)

    def _can_run_on_sklearn(self, call: FitCall) -> bool:
        """Return whether scikit-learn's code would do for a fit that the kernels support."""
        has_own = call.X_val is not None or call.callback is not None
        has_own |= call.partitions is not None
        # Where a fit goes on from the last one, both are to run on the same code.
        is_warm = getattr(self, "warm_start", False) and hasattr(self, "classes_")
        return not (has_own or is_warm or sklearn_compat.has_callbacks(self))

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, classes: Any = None
    ) -> Self:
        """Train for one epoch on the given rows, starting from the result of the last call or fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source
            Training rows. The partitions of a source, which has their labels and weights, follow
            one another, each as in a call of its own; their rows had better be in random order. A
            UserWarning names the classes' shares where they differ much between partitions.
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
        if isinstance(X, Source):
            partitioned.refuse_labels(y, sample_weight)
            by_partition.partial_fit(self, X, classes)
            return self
        rows = fast_path.valid_partial_fit_rows(self, X, y, sample_weight, classes)
        if rows is None or not self._can_resume(rows):
            partial_fit(self, X, y, sample_weight, classes)
        else:
            generator = fast_path.generator_of(self.random_state)
            self._train_epochs(self._params, rows, generator, incremental=True)
        return self

    def _can_resume(self, rows: Rows) -> bool:
        """Return whether partial_fit on valid rows would neither convert nor refuse anything."""
        params = self._params
        fit = match_model(self._model, params, rows.X.shape[1])
        return fit and all(array.dtype == rows.X.dtype for array in params)

    def _train_epochs(
        self, params: Sequence[Floats], rows: Rows, random_state: Any, *, incremental: bool,
        call: FitCall | None = None,
    ) -> None:  # fmt: skip
        """Train by mini-batches until a stopping criterion is met, or for one epoch.

        scikit-learn's partial_fit seeds an integer random_state anew and begins with the rows as
        given; warm_start resets the moments. With exact_resume a call continues the one before.
        """
        exact = self._resumes_exactly(incremental=incremental)
        optimizer = self.__dict__.get("_optimizer")
        same_solver = sklearn_compat.solver_of(optimizer) == self.solver
        if optimizer is None or not (incremental or (exact and same_solver)):
            self._optimizer = sklearn_compat.new_optimizer(self)
        if not exact:
            self._forget_generator()
        elif hasattr(self, "_generator_state") and isinstance(self.random_state, Integral):
            restore_generator(random_state, self._generator_state)
        rows, validation = self._split_validation(rows, random_state, call)
        if call is not None:
            call.begin(self.max_iter)
        loop = EpochLoop(self, params, rows, random_state, validation, call)
        self._params = loop.run(one_epoch=incremental)

    def _resumes_exactly(self, *, incremental: bool) -> bool:
        """Return whether a call restores what ``exact_resume`` has saved, if anything."""
        # Early stopping ends with the best parameters, which no state of the optimizer belongs to.
        warm = incremental or (self.warm_start and not self.early_stopping)
        return bool(self.exact_resume and warm)

    def _forget_generator(self) -> None:
        for name in RESUME_ATTRIBUTES:
            self.__dict__.pop(name, None)

    def _split_validation(
        self, rows: Rows, random_state: Any, call: FitCall | None
    ) -> tuple[Rows, ValidationSet | None]:
        """Return the training rows, and X_val or the part of the rows drawn for early stopping."""
        has_loss = self.early_stopping == "loss"
        if call is not None and call.X_val is not None:
            has_loss = True
            if call.partitions is not None:  # to be compared with those of X_val
                call.partitions.name_features(self)
            try:
                X = self._validate_rows(call.X_val, dtype=[np.float64, np.float32])
            except (TypeError, ValueError) as error:
                raise type(error)(f"X_val: {error}") from error
            try:
                y = column_or_1d(call.y_val, warn=True)
                check_consistent_length(X, y)
            except ValueError as error:
                raise ValueError(f"y_val: {error}") from error
            y = class_indices(self.classes_, y, "y_val")
            weight = apply_class_weight(self.class_weight, self.classes_, y, None)
            name = "class_weight of the classes in y_val"
            held_out = kernel_rows(X, y, weight, rows.X.dtype, name)
        elif self.early_stopping:
            fraction, binary = self.validation_fraction, self._model.binary
            rows, held_out = split_rows(rows, fraction, random_state, stratified=binary)
        else:
            return rows, None
        return rows, ValidationSet(self._model, held_out, int(self.n_threads), has_loss=has_loss)

    def _validate_rows(self, X: Any, **arguments: Any) -> Any:
        """Return rows other than those of fit after scikit-learn's validation."""
        refuse_dask(X)
        return validate_data(self, X, accept_sparse="csr", reset=False, **arguments)

    def _use_kernels(self) -> None:
        """Record that the kernels train the model."""
        self.backend_, self.model_ = "numba", self._model.name

    def _use_sklearn(self, reason: str, call: FitCall | None = None) -> None:
        """Record that scikit-learn's code runs, and why; a fit reports it when it ends."""
        if call is not None and call.partitions is not None:
            raise ValueError(
                f"a source is for fits on the kernels, which do not run here: {reason}"
            )
        if call is None:  # partial_fit, which need not fill a terminal
            logger.info("%s runs on scikit-learn: %s", type(self).__name__, reason)
        else:
            call.sklearn_reason = reason
        self.backend_ = "scikit-learn"
        self.__dict__.pop("model_", None)  # from an earlier fit

    def _validate_params(self) -> None:
        if not sklearn_compat.validate_plain_arguments(self):
            super()._validate_params()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, the optimizer among them as a dict of arrays and scalars."""
        state = dict(super().__getstate__())
        if "_optimizer" in state:
            state["_optimizer"] = sklearn_compat.optimizer_state(state["_optimizer"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the attributes, with an optimizer rebuilt from its dict."""
        if "_optimizer" in state:
            state = state | {"_optimizer": sklearn_compat.optimizer_from_state(state["_optimizer"])}
        super().__setstate__(state)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source
            Test rows; a source has their labels and weights too.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        **params : dict
            What LogisticRegressionCV's scorer takes, with metadata routing.

        Returns
        -------
        float
            The (weighted) share of rows whose prediction is their label.
        """
        if isinstance(X, Source):
            partitioned.refuse_labels(y, sample_weight)
            if (scoring := getattr(self, "scoring", None)) not in (None, "accuracy"):
                raise ValueError(f"scoring={scoring!r} must be 'accuracy' or None for a source")
            return by_partition.score(self, X)
        refuse_dask(X, y, sample_weight)
        # LogisticRegressionCV takes weights by name only, and none without metadata routing.
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(super().score(X, y, **weights, **params))

    def _predict_lazily(self, _method: str, X: Any) -> Any:
        """Return the predictions of a Dask collection, in a class that has them."""
        refuse_dask(X)

    @by_partition.by_partition
    def predict_proba(self, X: Any) -> Any:
        """Return the class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source

        Returns
        -------
        ndarray of shape (n, K)
            Classes in the order of ``classes_``; for a multilabel target (n, labels).
        """
        rows, proba = self._kernel_rows(X, reads_all=not self._logits_tell), None
        if rows is not None:
            refuse = self._validate_rows if self._logits_tell else None
            proba = kernel_proba(self._model, self._params, rows, self.n_threads, refuse)
        return super().predict_proba(X) if proba is None else proba

    @by_partition.by_partition
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the class probabilities, finite for finite logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D), or Source

        Returns
        -------
        ndarray of shape (n, K)
            Classes in the order of ``classes_``.
        """
        logits = self._logits(X)
        return super().predict_log_proba(X) if logits is None else log_proba(logits)

    def _kernel_rows(self, X: Any, *, reads_all: bool = True) -> Any:
        """Return X after validation, None where scikit-learn's code has to predict.

        Unless it reads all, an array that needs no conversion may hold NaN or infinity.
        """
        is_valid = fast_path.is_valid_if_finite(self, X) and (not reads_all or finite_matrix(X))
        if not is_valid:
            check_is_fitted(self)
        if getattr(self, "backend_", None) != "numba":
            return None
        return X if is_valid else self._validate_rows(X)
