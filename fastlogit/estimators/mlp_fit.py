"""MLPClassifier's fit, what it takes besides scikit-learn's arguments, and L-BFGS."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlogit.estimators import resume
from fastlogit.estimators.convergence import features_off_scale
from fastlogit.estimators.mlp_predicting import MLPPrediction
from fastlogit.estimators.optimizer_state import PlainState
from fastlogit.estimators.plain import enter_features, plain_targets
from fastlogit.estimators.routing import on_kernels, on_scikit_learn
from fastlogit.estimators.sklearn_compat import (
    CallbackSupport,
    fitted_binarizer,
    lbfgs_print_option,
    packed_offsets,
)
from fastlogit.estimators.watching import FitCall, WatchedFit
from fastlogit.models import Floats
from fastlogit.models.checks import plain_matrix
from fastlogit.solvers import lbfgs
from fastlogit.training.objective import Objective


class MLPFit(PlainState, WatchedFit, MLPPrediction, CallbackSupport):  # type: ignore[misc]
    """A fit that takes validation data and callbacks; its heir says what the kernels cover."""

    def _fit_watched(self, _call: FitCall, X: Any, y: Any, sample_weight: Any) -> None:
        # What scikit-learn's fit calls; fit itself would tell callbacks that it is over.
        self._fit(X, y, sample_weight=sample_weight, incremental=False)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """Do as scikit-learn does; of arrays that plainly are in order, without its checks."""
        goes_on = incremental or self.warm_start or not reset
        if goes_on or not (plain_matrix(X) and plain_targets(y, len(X))):
            return super()._validate_input(X, y, incremental, reset)  # type: ignore[no-any-return]
        classes = np.unique(y)
        if not 2 <= classes.size <= y.size / 2:  # it refuses, or warns
            return super()._validate_input(X, y, incremental, reset)  # type: ignore[no-any-return]
        enter_features(self, X)
        self._label_binarizer = fitted_binarizer(classes)
        self.classes_ = self._label_binarizer.classes_
        columns = classes[1:] if classes.size == 2 else classes
        return X, y[:, None] == columns

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
            advice=lambda: features_off_scale(self, X),
            maxfun=self.max_fun,
            **lbfgs_print_option("iprint", 1 if self.verbose else -1),
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
