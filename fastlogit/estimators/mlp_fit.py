"""MLPClassifier's fit, what it takes besides scikit-learn's arguments, and L-BFGS."""

from __future__ import annotations

from typing import Any

from fastlogit.estimators import lbfgs, resume
from fastlogit.estimators.convergence import features_off_scale
from fastlogit.estimators.mlp_predicting import MLPPrediction
from fastlogit.estimators.optimizer_state import PlainState
from fastlogit.estimators.routing import on_kernels, on_scikit_learn
from fastlogit.estimators.sklearn_internals import CallbackSupport, fit_context, packed_offsets
from fastlogit.estimators.watching import fit_call
from fastlogit.models import Floats
from fastlogit.objective import Objective


class MLPFit(PlainState, MLPPrediction, CallbackSupport):  # type: ignore[misc]
    """A fit that takes validation data and callbacks; its heir says what the kernels cover."""

    @fit_context
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        callback: Any = None,
    ) -> MLPFit:  # fmt: skip
        """Fit the model to the rows of X with the labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Training rows.
        y : array-like of shape (n,) or (n, labels)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        X_val : {array-like, sparse matrix} of shape (m, D), optional
            Validation rows for "sgd" and "adam": ``early_stopping`` holds none out then. Without
            it the curves are kept all the same.
        y_val : array-like of shape (m,), optional
            Their labels, which y has to know.
        callback : callable, optional
            Called after each epoch of "sgd" and "adam" with the epoch (from 0), its loss and this
            estimator, which predicts with the parameters reached; a true value ends the fit.

        Returns
        -------
        self
            The fitted estimator.
        """
        with fit_call(self, X, y, sample_weight, X_val, y_val, callback):
            # What scikit-learn's fit calls; fit itself would tell callbacks that it is over.
            self._fit(X, y, sample_weight=sample_weight, incremental=False)
        return self

    def _fit_lbfgs(
        self, X: Any, y: Any, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any, layer_units: Any,
    ) -> None:  # fmt: skip
        sample_weight = self._weighted(y, sample_weight)
        resume.forget(self)
        self._begin_without_epochs(f"solver={self.solver!r}")
        if reason := self._uncovered():
            on_scikit_learn(self, reason)
            super()._fit_lbfgs(
                X, y, sample_weight, activations, deltas, coef_grads, intercept_grads, layer_units
            )
            return
        on_kernels(self, self._model)
        total = len(y) if sample_weight is None else float(sample_weight.sum())
        objective = Objective(
            self._model,
            tuple(array.shape for array in self._params),
            self._rows(X, y, sample_weight),
            self.alpha / total,
            n_threads=int(self.n_threads),
        )
        objective.params.assign(self._params)
        theta, self.loss_, self.n_iter_ = lbfgs.minimise(
            objective,
            objective.params.flat.copy(),
            max_iter=self.max_iter,
            tol=self.tol,
            print_level=1 if self.verbose else -1,
            advice=lambda: features_off_scale(self, X),
            maxfun=self.max_fun,
        )
        objective.params.flat[...] = theta
        self._params = tuple(objective.params.copies())
        self._coef_indptr, self._intercept_indptr = packed_offsets(layer_units)

    def _begin_without_epochs(self, reason: str) -> None:
        """Tell callbacks of a fit that has no epochs to show, and refuse what needs them."""
        call = self.__dict__.get("_fit_call")
        if call is not None:
            call.refuse_extras(reason)
            call.begin(0)

    def _publish(self, params: tuple[Floats, ...]) -> None:
        self._params = params
