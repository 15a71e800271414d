"""What both estimators share: fit, probabilities, pickling, row weights, the choice of the code.

Shapes: n rows, m validation rows, D features, K classes.
"""

from __future__ import annotations

import logging
import math
from numbers import Real
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_class_weight

from fastlogit.estimators.callbacks import FitCall
from fastlogit.estimators.prediction import log_proba
from fastlogit.estimators.resume import optimizer_from_state, optimizer_state
from fastlogit.estimators.sklearn_compat import fit_context, validate_plain_arguments
from fastlogit.models import Floats, Indices, Model
from fastlogit.models.checks import total_weight

logger = logging.getLogger("fastlogit")


def use_kernels(estimator: Any, model: Model) -> None:
    """Record in ``backend_`` and ``model_`` that the kernels train this model."""
    estimator.backend_, estimator.model_ = "numba", model.name


def use_sklearn(estimator: Any, reason: str) -> None:
    """Record in ``backend_`` that scikit-learn's code runs the fit, and log the reason."""
    logger.info("%s runs on scikit-learn: %s", type(estimator).__name__, reason)
    estimator.backend_ = "scikit-learn"
    estimator.__dict__.pop("model_", None)  # from an earlier fit


def is_sparse(X: Any) -> bool:
    """Return whether X is a SciPy sparse container or a frame with sparse columns only."""
    return bool(issparse(X) or hasattr(X, "sparse"))  # pandas has the accessor on those alone


def is_nearly_dense(X: Any) -> bool:
    """Return whether a sparse X stores a quarter of its elements and is small as a dense array.

    A proximal Newton fit of the dense array is then faster than scikit-learn's saga on X.
    """
    size = math.prod(X.shape)
    return bool(issparse(X) and 0.25 * size <= X.nnz and size <= 1 << 22)


def class_indices(classes: Any, y: Any, name: str = "y") -> Indices:
    """Return labels as indices into the sorted classes.

    Raises
    ------
    ValueError
        With the name, if a label is not one of the classes.
    """
    y = np.asarray(y)
    if (y.dtype.kind in "US") != (classes.dtype.kind in "US") and "O" not in (
        y.dtype.kind,
        classes.dtype.kind,
    ):
        unknown = np.ones(len(y), bool)
        indices = np.zeros(len(y), np.intp)
    else:
        try:
            indices = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        except TypeError as error:  # None, or labels of several types
            raise ValueError(
                f"{name} must hold labels of classes_={classes}, got some that do not compare with "
                f"them: {error}"
            ) from None
        unknown = classes[indices] != y
    if unknown.any():
        raise ValueError(
            f"{name} holds the label {y[unknown].tolist()[0]!r}, which is not one of "
            f"classes_={classes}"
        )
    return np.asarray(indices, np.intp)


def apply_class_weight(
    class_weight: Any, classes: Any, y: Indices, sample_weight: Floats | None
) -> Floats | None:
    """Return the row weights multiplied by the weights of the rows' classes.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights by class label; "balanced" gives all classes the same sum of weights.
    classes : ndarray of shape (K,)
        Class labels.
    y : ndarray of shape (n,)
        Class indices.
    sample_weight : ndarray of shape (n,) or None
        Row weights, which are not modified.

    Returns
    -------
    ndarray of shape (n,) or None
        None if all rows have weight 1.
    """
    if class_weight is None:
        return sample_weight
    if isinstance(class_weight, str):
        sums = np.bincount(y, sample_weight, len(classes))
        by_class = np.zeros(len(classes))
        np.divide(sums.sum(), np.count_nonzero(sums) * sums, out=by_class, where=sums > 0)
    else:
        _check_finite_numbers(class_weight)
        # compute_class_weight asks y for its classes only, and classes is shorter
        by_class = compute_class_weight(class_weight, classes=classes, y=classes)
    weight = by_class[y]
    return weight if sample_weight is None else weight * sample_weight


def _check_finite_numbers(class_weight: dict[Any, Any]) -> None:
    for label, value in class_weight.items():
        if not (isinstance(value, Real) and math.isfinite(value)):
            raise ValueError(
                f"class_weight={class_weight!r} must hold finite numbers, got {value!r} for class "
                f"{label!r}"
            )


def row_weight(sample_weight: Floats | None, dtype: Any, name: str = "sample_weight") -> Floats:
    """Return the weights in the form of :class:`fastlogit.models.Rows`: empty for None.

    Raises
    ------
    ValueError
        With the name, if the loss cannot be divided by the sum of the weights in the dtype.
    """
    if sample_weight is None:
        return np.empty(0, dtype)
    with np.errstate(over="ignore"):
        weight: Floats = sample_weight.astype(dtype, copy=False)
    total_weight(name, weight)
    return weight


class KernelClassifier:
    """Base of both estimators, to stand before scikit-learn's class in the bases.

    A subclass defines ``_run_fit``, ``_kernel_proba`` and ``_logits``. The last two return None
    where scikit-learn's code has to predict.
    """

    @fit_context
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        callback: Any = None,
    ) -> Self:  # fmt: skip
        """Fit the model to the rows of X with the labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,)
            Labels; for MLPClassifier also (n, labels), a multilabel target.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        X_val : {array-like, sparse matrix} of shape (m, D), optional
            Validation rows for "sgd" and "adam", which ``early_stopping`` uses instead of a part
            of X. Without ``early_stopping`` the validation curves are recorded too.
        y_val : array-like of shape (m,), optional
            Labels of the validation rows, all of which occur in y.
        callback : callable, optional
            Called after each epoch of "sgd" and "adam" with the epoch (from 0), its loss and this
            estimator, which predicts with the current parameters; a true value ends the fit.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, with the estimator as it was before the call; "sgd" and "adam" instead warn
            and keep the parameters reached.
        """
        before = self.__dict__.copy()
        try:
            call = FitCall(self, X, y, sample_weight, X_val, y_val, callback)
            self._run_fit(call, X, y, sample_weight)
            call.end()
        except KeyboardInterrupt:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Classes in the order of ``classes_``; (n, labels) for an MLPClassifier of a multilabel
            target.
        """
        proba = self._kernel_proba(X)
        return super().predict_proba(X) if proba is None else proba  # type: ignore[misc]

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the class probabilities, from the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Finite for finite logits, classes in the order of ``classes_``.
        """
        logits = self._logits(X)
        if logits is None:
            return super().predict_log_proba(X)  # type: ignore[misc]
        return log_proba(logits)

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, the optimizer among them as a dict of arrays and scalars."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        if "_optimizer" in state:
            state["_optimizer"] = optimizer_state(state["_optimizer"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the attributes, with an optimizer rebuilt from its dict."""
        if "_optimizer" in state:
            state = {**state, "_optimizer": optimizer_from_state(state["_optimizer"])}
        super().__setstate__(state)  # type: ignore[misc]

    def _validate_params(self) -> None:
        if not validate_plain_arguments(self):
            super()._validate_params()  # type: ignore[misc]

    def _run_fit(self, call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        raise NotImplementedError

    def _kernel_proba(self, X: Any) -> Floats | None:
        raise NotImplementedError

    def _logits(self, X: Any) -> Floats | None:
        raise NotImplementedError
