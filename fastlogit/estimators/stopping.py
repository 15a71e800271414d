"""What an epoch is judged by: the curves, the best so far, and how long nothing has improved.

A fit is stopped by its training loss; with ``early_stopping`` by the score on validation rows, or
with ``early_stopping="loss"`` by the loss on them. The names and their meaning are those of
scikit-learn's MLPClassifier; added are ``validation_loss_curve_`` and ``best_validation_loss_``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlogit.estimators.validation_split import ValidationSplit

ADDED = ("validation_loss_curve_", "best_validation_loss_")


def start_curves(estimator: Any) -> None:
    """Set what an estimator keeps of its epochs to that of none."""
    estimator.t_ = 0
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    stops_on_score = estimator.early_stopping
    estimator.best_loss_ = None if stops_on_score else np.inf
    estimator.validation_scores_ = [] if stops_on_score else None
    estimator.best_validation_score_ = -np.inf if stops_on_score else None


def stops_on_loss(estimator: Any) -> bool:
    """Return whether the loss on validation rows ends a fit."""
    return isinstance(estimator.early_stopping, str) and estimator.early_stopping == "loss"


class Judge:
    """Enters each epoch into the curves and says whether it is the best.

    Parameters
    ----------
    estimator : estimator
        Whose curves are kept; what a curve of its lacks is made.
    validation : ValidationSplit or None
        Rows to score and, where it says so, to compute the loss on.
    """

    def __init__(self, estimator: Any, validation: ValidationSplit | None) -> None:
        est = estimator
        self.estimator, self.validation = est, validation
        self.criterion = "Training loss"
        if est.early_stopping:
            self.criterion = f"Validation {'loss' if stops_on_loss(est) else 'score'}"
        if est.t_ == 0:  # an earlier fit's
            for name in ADDED:
                est.__dict__.pop(name, None)
        if validation is None:
            return
        if est.validation_scores_ is None:
            est.validation_scores_, est.best_validation_score_ = [], -np.inf
        if validation.has_loss and not hasattr(est, "validation_loss_curve_"):
            est.validation_loss_curve_, est.best_validation_loss_ = [], np.inf

    def enter(self, loss: float, params: Any) -> bool:
        """Enter an epoch; return whether validation finds its parameters the best so far."""
        estimator, validation = self.estimator, self.validation
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.criterion == "Training loss":
            estimator.best_loss_ = self._less(loss, estimator.best_loss_)
        if validation is None:
            return False
        best = self._enter_score(validation.score(params))
        if validation.has_loss:
            best_by_loss = self._enter_loss(validation.loss(params))
            return best_by_loss if self.criterion == "Validation loss" else best
        return best

    def _less(self, loss: float, best: float) -> float:
        """Count an epoch whose loss is what decides, and return the least loss."""
        self._count(not loss > best - self.estimator.tol)
        return min(best, loss)

    def _count(self, improved: bool) -> None:
        count = 0 if improved else self.estimator._no_improvement_count + 1
        self.estimator._no_improvement_count = count

    def _enter_score(self, score: float) -> bool:
        est = self.estimator
        est.validation_scores_.append(score)
        if est.verbose:
            print(f"Validation score: {score:f}")
        if self.criterion == "Validation score":
            self._count(not score < est.best_validation_score_ + est.tol)
        best = bool(score > est.best_validation_score_)
        est.best_validation_score_ = max(est.best_validation_score_, score)
        return best

    def _enter_loss(self, loss: float) -> bool:
        est = self.estimator
        est.validation_loss_curve_.append(loss)
        if est.verbose:
            print(f"Validation loss: {loss:.8f}")
        best = bool(loss < est.best_validation_loss_)
        if self.criterion == "Validation loss":
            est.best_validation_loss_ = self._less(loss, est.best_validation_loss_)
        else:
            est.best_validation_loss_ = min(est.best_validation_loss_, loss)
        return best
