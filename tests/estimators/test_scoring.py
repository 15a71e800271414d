"""Scores from logits against scikit-learn's scorers, and where these have to be called."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.metrics import get_scorer

from fastlogit.estimators.scoring import SCORES, ScoredRows, Scorer


def scored(n_classes, *, labels=None, seed=0, n=61, scale=2.0):
    """Return a fitted model, rows and weights; y has every class, and every one is predicted."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    model = SklearnLogisticRegression()
    model.classes_ = np.arange(n_classes) if labels is None else np.array(labels)
    K = 1 if n_classes == 2 else n_classes
    model.coef_, model.intercept_ = rng.normal(size=(K, 5)) * scale, rng.normal(size=K)
    y = model.classes_.searchsorted(model.predict(X))
    y = np.where(rng.random(n) < 0.3, rng.integers(n_classes, size=n), y)
    weight = rng.uniform(0.1, 3, n)
    return model, ScoredRows(X, model.classes_[y], y, weight, model.classes_), weight


def logits_of(model, rows):
    return rows.X @ model.coef_.T + model.intercept_


NAMES = [name for name in SCORES if name is not None]
BINARY = ("precision", "recall", "f1", "roc_auc")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_the_scorers(name, n_classes, weighted):
    if n_classes > 2 and name in BINARY:
        pytest.skip("for two classes")
    model, rows, weight = scored(n_classes)
    params = {"sample_weight": weight} if weighted else {}
    expected = get_scorer(name)(model, rows.X, rows.labels, **params)
    score = SCORES[name](logits_of(model, rows), rows, params.get("sample_weight"))
    if name == "roc_auc" and weighted:
        assert score is None
    else:
        assert score == pytest.approx(expected, rel=1e-12)
    assert Scorer(name, params, rows)(model) == pytest.approx(expected, rel=1e-12)


def test_no_scoring_is_the_weighted_accuracy():
    model, rows, weight = scored(3)
    expected = model.score(rows.X, rows.labels, weight)
    assert Scorer(None, {}, rows)(model) == pytest.approx(expected, rel=1e-14)
    assert Scorer("accuracy", {}, rows)(model) == model.score(rows.X, rows.labels)


def test_extreme_probabilities_are_clipped_as_scikit_learn_does():
    for n_classes in (2, 3):
        model, rows, _ = scored(n_classes, scale=300)
        expected = get_scorer("neg_log_loss")(model, rows.X, rows.labels)
        score = SCORES["neg_log_loss"](logits_of(model, rows), rows, None)
        assert score == pytest.approx(expected, rel=1e-12)


def test_ties_count_as_halves():
    model, rows, _ = scored(2)
    model.coef_[:] = np.round(model.coef_)
    rows = rows._replace(X=np.round(rows.X))
    assert np.unique(logits_of(model, rows)).size < len(rows.y)
    expected = get_scorer("roc_auc")(model, rows.X, rows.labels)
    assert SCORES["roc_auc"](logits_of(model, rows), rows, None) == pytest.approx(expected)


def test_the_scorer_decides_where_it_would_warn_or_raise():
    model, rows, _ = scored(3)
    never = logits_of(model, rows)
    never[:, 2] = -1e9
    for name in ("precision_macro", "precision_weighted"):
        assert SCORES[name](never, rows, None) is None
    assert SCORES["recall_macro"](never, rows, None) is not None
    absent = rows._replace(y=rows.y % 2)
    for name in ("balanced_accuracy", "recall_weighted"):
        assert SCORES[name](never, absent, None) is None
    model, rows, _ = scored(2, labels=["a", "b"])
    assert SCORES["f1"](logits_of(model, rows), rows, None) is None
    one_class = rows._replace(y=np.zeros_like(rows.y))
    assert SCORES["roc_auc"](logits_of(model, rows), one_class, None) is None


def test_any_other_scorer_gets_the_model_without_feature_names():
    model, rows, weight = scored(2)
    model.feature_names_in_ = np.array(list("abcde"), dtype=object)
    seen = []

    def scoring(model, X, y, **params):
        seen.append((hasattr(model, "feature_names_in_"), X is rows.X, y is rows.labels, params))
        return 0.5

    assert Scorer(scoring, {"sample_weight": weight}, rows)(model) == 0.5
    assert seen == [(False, True, True, {"sample_weight": weight})]
    assert hasattr(model, "feature_names_in_")
