"""What a fitted MLPClassifier says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier as _SklearnMLPClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlogit.estimators.plain import plain_rows
from fastlogit.estimators.predicting import ProbabilityPrediction, logits_of, predicted_proba
from fastlogit.models import MODELS, Floats, Model


class MLPPrediction(ProbabilityPrediction, _SklearnMLPClassifier):  # type: ignore[misc]
    """Predictions on the kernels, of plain rows without scikit-learn's checks."""

    @property
    def _model(self) -> Model:
        return MODELS["mlp-softmax" if self.out_activation_ == "softmax" else "mlp-logistic"]

    @property
    def _params(self) -> tuple[Floats, ...]:
        return self.coefs_[0], self.intercepts_[0], self.coefs_[1], self.intercepts_[1]

    @_params.setter
    def _params(self, params: tuple[Floats, ...]) -> None:
        self.coefs_, self.intercepts_ = list(params[::2]), list(params[1::2])

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Any:
        if getattr(self, "backend_", None) != "numba":
            return super()._forward_pass_fast(X, check_input=check_input)
        if check_input and not plain_rows(self, X):
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        proba = self._proba(X)
        if proba is None:
            return super()._forward_pass_fast(X, check_input=False)
        return proba[:, 1:] if self._model.binary else proba

    def _rows_for_kernels(self, X: Any) -> Any:
        """Return the rows after a check of them, or None where scikit-learn's code fitted."""
        plain = plain_rows(self, X)
        if not plain:
            check_is_fitted(self)
        if getattr(self, "backend_", None) != "numba":
            return None
        return X if plain else validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)

    def _proba(self, X: Any) -> Floats | None:
        return predicted_proba(self.model_, self._params, X, self.n_threads)

    def _predict(self, X: Any, check_input: bool = True) -> Any:
        binarizer = self._label_binarizer
        labels = binarizer.classes_
        if getattr(self, "backend_", None) != "numba" or binarizer.sparse_input_ or len(labels) < 2:
            return super()._predict(X, check_input=check_input)
        # As the binarizer's inverse_transform has it, which takes longer than all else.
        output = self._forward_pass_fast(X, check_input=check_input)
        if self._model.binary:
            return labels[(output.ravel() > 0.5).astype(np.intp)]
        return labels[output.argmax(axis=1)]

    def _kernels_proba(self, X: Any) -> Floats | None:
        rows = self._rows_for_kernels(X)
        return None if rows is None else self._proba(rows)

    def _logits(self, X: Any) -> Floats | None:
        rows = self._rows_for_kernels(X)
        return None if rows is None else logits_of(self._params, rows)
