"""What a fitted LogisticRegression says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.linear_model import LogisticRegression as _SklearnLogisticRegression
from sklearn.utils.validation import check_is_fitted, validate_data

from fastlogit.estimators.plain import plain_rows
from fastlogit.estimators.predicting import ProbabilityPrediction, predicted_proba
from fastlogit.estimators.routing import is_sparse
from fastlogit.models import Floats


class LinearPrediction(ProbabilityPrediction, _SklearnLogisticRegression):  # type: ignore[misc]
    """Predictions of plain rows without scikit-learn's checks, probabilities on the kernels."""

    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            Of two classes the one logit, positive for the second.
        """
        if not self._is_plain(X):
            return super().decision_function(X)
        scores = X @ self.coef_.T + self.intercept_
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:
        """Return the likeliest classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, D)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        if not self._is_plain(X):
            return super().predict(X)
        scores = self.decision_function(X)
        indices = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_.take(indices, axis=0)

    def _is_plain(self, X: Any) -> bool:
        """Return whether X and the coefficients are such that NumPy may have them as they are."""
        return (
            plain_rows(self, X)
            and isinstance(self.coef_, np.ndarray)
            and self.coef_.ndim == 2
            and not get_config()["array_api_dispatch"]
        )

    def _kernels_proba(self, X: Any) -> Floats | None:
        plain = self._is_plain(X)
        if not plain:
            check_is_fitted(self)
        if getattr(self, "backend_", None) != "numba":
            return None
        if not plain:
            if is_sparse(self.coef_) or get_config()["array_api_dispatch"]:
                return None
            X = validate_data(self, X, accept_sparse="csr", reset=False)
        params = self.coef_.T, self.intercept_
        return predicted_proba(self.model_, params, X, self.n_threads)

    def _logits(self, X: Any) -> Floats | None:
        return None if get_config()["array_api_dispatch"] else self.decision_function(X)
