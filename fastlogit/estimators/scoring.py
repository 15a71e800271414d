"""Scores of linear models on test rows: the common scorers from logits, any other by itself.

A scorer of scikit-learn validates the rows, the labels and the predictions at each call, which on
few rows takes longer than a fit of a path does. Here the rows are valid, and the labels are indices
of classes. Shapes: n test rows, K outputs (1 for two classes); logits (n, K), y (n,) indices.

The numbers are scikit-learn's. Where its scorer would warn or raise, such as for a class that is
never predicted, the functions here return None, and that scorer is called.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import rankdata
from sklearn.metrics import get_scorer

from fastlogit.estimators import sklearn_compat
from fastlogit.models import Floats, Indices


class ScoredRows(NamedTuple):
    """Rows to score on: their labels, these as indices of the classes, and weights or None."""

    X: Any
    labels: Any
    y: Indices
    weight: Floats | None
    classes: Any


# From logits, the rows and weights, None where scikit-learn's scorer has to be called.
Score = Callable[[Floats, ScoredRows, Floats | None], float | None]


def predicted(logits: Floats) -> Indices:
    """Return the index of each row's most probable class."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.intp)
    return np.asarray(logits.argmax(axis=1))


def probabilities(logits: Floats) -> Floats:
    """Return the probabilities of the classes, rounded as in scikit-learn's predict_proba."""
    if logits.shape[1] == 1:
        p = expit(logits[:, 0])
        return np.column_stack([1 - p, p])
    return np.asarray(softmax(logits, axis=1))


def mean(values: Any, weight: Floats | None) -> float:
    """Return the weighted mean."""
    if weight is None and values.dtype == bool:
        return float(np.count_nonzero(values) / values.size)
    return float(values.mean() if weight is None else np.average(values, weights=weight))


def accuracy(logits: Floats, rows: ScoredRows, weight: Floats | None) -> float:
    """Return the share of rows whose class is predicted."""
    return mean(predicted(logits) == rows.y, weight)


def neg_log_loss(logits: Floats, rows: ScoredRows, weight: Floats | None) -> float:
    """Return the mean logarithm of the probability of a row's class, from ε up to 1 − ε."""
    p, eps = probabilities(logits)[np.arange(rows.y.size), rows.y], np.finfo(logits.dtype).eps
    return mean(np.log(np.clip(p, eps, 1 - eps)), weight)


def roc_auc(logits: Floats, rows: ScoredRows, weight: Floats | None) -> float | None:
    """Return the share of pairs of both classes that the logit orders, a tie as a half.

    By the ranks of the positive rows (Mann and Whitney, 1947).
    """
    n_positive = int(np.count_nonzero(rows.y))
    n_negative = rows.y.size - n_positive
    if len(rows.classes) > 2 or weight is not None or 0 in (n_positive, n_negative):
        return None
    ranks = float(rankdata(logits[:, 0])[rows.y == 1].sum())
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


class Counts(NamedTuple):
    """Sums of weights for each class: rows predicted right, rows predicted so, rows in it."""

    right: Floats
    predicted: Floats
    actual: Floats


def precisions(of: Counts) -> tuple[Floats, Floats]:
    """Return each class's precision as numerators and denominators."""
    return of.right, of.predicted


def recalls(of: Counts) -> tuple[Floats, Floats]:
    """Return each class's recall as numerators and denominators."""
    return of.right, of.actual


def f1_scores(of: Counts) -> tuple[Floats, Floats]:
    """Return each class's F1 score as numerators and denominators."""
    return 2 * of.right, of.predicted + of.actual


def by_class(ratios: Callable[[Counts], tuple[Floats, Floats]], average: str) -> Score:
    """Return a score that averages ratios of counts: "binary", "macro" or "weighted"."""

    def score(logits: Floats, rows: ScoredRows, weight: Floats | None) -> float | None:
        classes, n = predicted(logits), len(rows.classes)
        hits = classes == rows.y
        right_weight = hits if weight is None else hits * weight
        pairs = (rows.y, right_weight), (classes, weight), (rows.y, weight)
        counts = Counts(*[np.bincount(y, w, n).astype(float) for y, w in pairs])
        above, below = ratios(counts)
        if average == "binary":
            if rows.classes.tolist() != [0, 1] or not below[1] > 0:
                return None
            return float(above[1] / below[1])
        if not (below > 0).all():
            return None
        return mean(above / below, counts.actual if average == "weighted" else None)

    return score


SCORES: dict[str | None, Score] = {
    None: accuracy,
    "accuracy": accuracy,
    "balanced_accuracy": by_class(recalls, "macro"),
    "neg_log_loss": neg_log_loss,
    "roc_auc": roc_auc,
} | {
    name + suffix: by_class(ratios, average)
    for name, ratios in (("precision", precisions), ("recall", recalls), ("f1", f1_scores))
    for suffix, average in (("", "binary"), ("_macro", "macro"), ("_weighted", "weighted"))
}


class Scorer:
    """What scores fitted models on test rows, by the name of a scorer, a scorer or None.

    ``params`` are its keyword arguments, for the test rows. None is the accuracy, with the rows'
    weights.
    """

    def __init__(self, scoring: Any, params: dict[str, Any], rows: ScoredRows) -> None:
        self._rows, self._params = rows, params
        self._weight = rows.weight if scoring is None else params.get("sample_weight")
        is_native = (scoring is None or isinstance(scoring, str)) and params.keys() <= {
            "sample_weight"
        }
        self._score = SCORES.get(scoring) if is_native else None
        self._scoring = scoring

    def __call__(self, model: Any) -> float:
        """Return the score of a linear model with ``coef_`` and ``intercept_``."""
        if self._score is not None:
            logits = self._rows.X @ model.coef_.T + model.intercept_
            score = self._score(logits, self._rows, self._weight)
            if score is not None:
                return score
        # It sees arrays without names, as in scikit-learn, and may keep the model.
        model = copy.copy(model)
        model.__dict__.pop("feature_names_in_", None)
        if self._scoring is None:
            return float(model.score(self._rows.X, self._rows.labels, self._rows.weight))
        scorer = sklearn_compat.with_labels(get_scorer(self._scoring), self._rows.classes)
        return scorer(model, self._rows.X, self._rows.labels, **self._params)  # type: ignore[no-any-return]
