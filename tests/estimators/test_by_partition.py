"""Predictions for a source are those for its rows."""

import warnings

import numpy as np
import pyarrow as pa
import pytest

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier

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
