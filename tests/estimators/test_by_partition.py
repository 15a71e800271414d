"""Predictions for a source are those for its rows."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

import fastlogit
from fastlogit import LogisticRegression, LogisticRegressionCV, MLPClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(700, 4))
Y = np.array(["x", "y", "z"])[RNG.integers(0, 3, 700)]
W = RNG.uniform(0, 2, 700)


@pytest.fixture(scope="module", params=["linear", "network"])
def fitted(request):
    estimator = LogisticRegression()
    if request.param == "network":
        estimator = MLPClassifier((4,), solver="lbfgs", max_iter=10, random_state=0)
    with warnings.catch_warnings(action="ignore"):  # of max_iter
        return estimator.fit(X, Y)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_a_source_is_predicted_as_its_rows(fitted, method):
    if not hasattr(fitted, method):
        pytest.skip(f"{type(fitted).__name__} has no {method}")
    source = fastlogit.scan(X, partition_rows=300)
    by_rows = getattr(fitted, method)(X)
    np.testing.assert_array_equal(getattr(fitted, method)(source), by_rows)


def test_a_source_is_scored(fitted):
    source = fastlogit.scan(X, target=Y, weight=W, partition_rows=300)
    assert fitted.score(source) == pytest.approx(fitted.score(X, Y, W), rel=1e-12)
    plain = fastlogit.scan(X, target=Y, partition_rows=300)
    assert fitted.score(plain) == pytest.approx(fitted.score(X, Y), rel=1e-12)
    with pytest.raises(ValueError, match="y must be None with a source"):
        fitted.score(source, Y)
    with pytest.raises(ValueError, match="has no target"):
        fitted.score(fastlogit.scan(X))


def test_a_source_without_rows_or_weights_is_refused(fitted):
    table = pa.table({f"f{j}": X[:0, j] for j in range(4)} | {"y": Y[:0]})
    empty = fastlogit.scan(table, target="y")
    with pytest.raises(ValueError, match="the source has no rows"):
        fitted.predict(empty)
    with pytest.raises(ValueError, match="rows sum to 0, must be above 0"):
        fitted.score(empty)
    with pytest.raises(ValueError, match="rows sum to 0, must be above 0"):
        fitted.score(fastlogit.scan(X, target=Y, weight=np.zeros(700)))


def test_the_score_of_a_cross_validated_fit_is_accuracy():
    source, best = fastlogit.scan(X, target=Y), {"Cs": [1], "cv": 2, "l1_ratios": (0,)}
    best["use_legacy_attributes"] = False
    fitted = LogisticRegressionCV(**best, scoring="accuracy").fit(X, Y)
    assert fitted.score(source) == pytest.approx(fitted.score(X, Y), rel=1e-12)
    with pytest.raises(ValueError, match="scoring='neg_log_loss' must be 'accuracy' or None"):
        LogisticRegressionCV(**best, scoring="neg_log_loss").fit(X, Y).score(source)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(solver="sgd"), MLPClassifier((3,), random_state=0)]
)
def test_partial_fit_compares_and_keeps_the_columns_names(estimator):
    table = pa.table({name: X[:, j].copy() for j, name in enumerate("abcd")} | {"y": Y})
    source, classes = fastlogit.scan(table, target="y", partition_rows=300), np.unique(Y)
    fitted = clone(estimator).partial_fit(source, classes=classes)
    assert fitted.feature_names_in_.tolist() == list("abcd")
    with warnings.catch_warnings(action="error"):
        fitted.partial_fit(source)
    swapped = fastlogit.scan(table, target="y", columns=["b", "a", "c", "d"])
    with pytest.raises(ValueError, match=r"columns of the source, \('b', 'a', 'c', 'd'\), are not"):
        fitted.partial_fit(swapped)
    with pytest.raises(ValueError, match="the source has no target"):
        fitted.partial_fit(fastlogit.scan(table, columns=list("abcd")))


def test_partial_fit_leaves_out_partitions_without_weight():
    weight = np.where(np.arange(700) < 300, 0.0, 1.0)
    estimator = LogisticRegression(solver="sgd", shuffle=False)
    source = fastlogit.scan(X, target=Y, weight=weight, partition_rows=300)
    fitted = clone(estimator).partial_fit(source, classes=np.unique(Y))
    rest = fastlogit.scan(X[300:], target=Y[300:], weight=weight[300:], partition_rows=300)
    expected = clone(estimator).partial_fit(rest, classes=np.unique(Y))
    np.testing.assert_array_equal(fitted.coef_, expected.coef_)
    nothing = fastlogit.scan(X, target=Y, weight=np.zeros(700))
    with pytest.raises(ValueError, match="no rows of a positive weight"):
        clone(estimator).partial_fit(nothing, classes=np.unique(Y))


def test_columns_are_compared_with_those_of_the_fit():
    table = pa.table({name: X[:, j].copy() for j, name in enumerate("abcd")} | {"y": Y})
    fitted = LogisticRegression().fit(fastlogit.scan(table, target="y"))
    assert len(fitted.predict(fastlogit.scan(table, target="y"))) == 700
    assert len(fitted.predict(fastlogit.scan(X))) == 700
    swapped = fastlogit.scan(table, columns=["b", "a", "c", "d"])
    with pytest.raises(ValueError, match=r"columns of the source, \('b', 'a', 'c', 'd'\), are not"):
        fitted.predict(swapped)
    with pytest.raises(ValueError, match="X has 3 features"):
        LogisticRegression().fit(X, Y).predict(fastlogit.scan(X[:, :3]))


@pytest.mark.parametrize("labels", [Y, np.unique(Y, return_inverse=True)[1]])
def test_partial_fit_warns_of_sorted_rows(labels):
    classes, order = np.unique(labels), np.argsort(labels)
    estimator = LogisticRegression(solver="sgd", random_state=0)
    with warnings.catch_warnings(action="error"):
        estimator.partial_fit(fastlogit.scan(X, target=labels, partition_rows=100), classes=classes)
    rows = fastlogit.scan(X[order], target=labels[order], partition_rows=100)
    with pytest.warns(
        UserWarning, match=r"rows are sorted: .* classes .* learns the last ones best"
    ):
        estimator.partial_fit(rows)
