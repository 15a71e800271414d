import numpy as np
import pytest

from fastlogit import LogisticRegression
from fastlogit.estimators.plain import (
    plain_arguments,
    plain_labels,
    plain_rows,
    plain_targets,
    same_classes,
)
from fastlogit.models.checks import plain_matrix

X = np.arange(6.0).reshape(3, 2)
FITTED = LogisticRegression(solver="sgd").partial_fit(X, [0, 1, 0], classes=[0, 1])


class Fitted(LogisticRegression):
    def __sklearn_is_fitted__(self):
        return False


@pytest.mark.parametrize("rows", [X, X[:1], X.astype(np.float32), X * 1e200, -X])
def test_plain_rows(rows):
    assert plain_rows(FITTED, rows)
    locked = rows.copy()
    locked.setflags(write=False)
    assert plain_rows(FITTED, locked)


STRANGE_ROWS = {
    "a list": X.tolist(),
    "integers": X.astype(int),
    "half precision": X.astype(np.float16),
    "swapped bytes": X.astype(X.dtype.newbyteorder()),
    "objects": X.astype(object),
    "a subclass": np.ma.masked_array(X),
    "column by column": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "one dimension": X[0],
    "another number of features": np.ones((3, 3)),
    "no rows": X[:0],
    "NaN": np.where(X == 3, np.nan, X),
    "infinities that cancel": np.array([[np.inf, 0], [-np.inf, 0]]),
}


@pytest.mark.parametrize("rows", STRANGE_ROWS.values(), ids=STRANGE_ROWS)
def test_rows_that_need_a_check(rows):
    assert not plain_rows(FITTED, rows)
    assert plain_matrix(rows) == (np.shape(rows) == (3, 3))  # that is all that is strange there


def test_estimators_that_need_a_check():
    assert not plain_rows(LogisticRegression(), X)
    pandas = pytest.importorskip("pandas")
    named = LogisticRegression().fit(pandas.DataFrame(X, columns=["a", "b"]), [0, 1, 0])
    assert not plain_rows(named, X)
    assert not plain_rows(Fitted().fit(X, [0, 1, 0]), X)


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        ([0, 1, 5], [5, 0, 1, 1]),
        ([0, 1, 5], [5]),
        ([-1.0, 1.0], [1.0, -1.0]),
        (["a", "bcd"], ["bcd", "a"]),
        ([False, True], [True]),
    ],
)
def test_plain_labels(classes, y):
    classes, y = np.array(classes), np.array(y)
    indices = plain_labels(classes, y, len(y))
    assert indices.dtype == np.intp
    np.testing.assert_array_equal(classes[indices], y)


@pytest.mark.parametrize("y", [[0, 5], [True, False], ["a", "bc"], np.array([3, 4], np.uint8)])
def test_plain_targets(y):
    assert plain_targets(np.array(y), 2)


@pytest.mark.parametrize(
    "y", [[0, 1], np.zeros(3, int), np.zeros((2, 1), int), np.zeros(2), np.array([b"a", b"b"])]
)
def test_targets_that_need_a_check(y):
    assert not plain_targets(y, 2)
    assert not plain_targets(np.array(["a", "b"], object), 2)


STRANGE_LABELS = {
    "a list": [0, 1],
    "a column": np.array([[0], [1]]),
    "too few": np.array([1]),
    "floats": np.array([0.0, 1.0]),
    "objects": np.array([0, 1], object),
    "below": np.array([0, -1]),
    "above": np.array([0, 9]),
    "between": np.array([0, 3]),
}


@pytest.mark.parametrize("y", STRANGE_LABELS.values(), ids=STRANGE_LABELS)
def test_labels_that_need_a_check(y):
    assert plain_labels(np.array([0, 1, 5]), y, 2) is None


@pytest.mark.parametrize("label", [-1, 3, 9])
def test_one_label_that_is_no_class(label):
    assert plain_labels(np.array([0, 1, 5]), np.array([label]), 1) is None


def test_same_classes():
    known = np.array([0, 1, 5])
    assert same_classes(known, None)
    assert same_classes(known, known.copy())
    assert same_classes(known, [0, 1, 5])
    for other in ([0, 1], [0, 1, 4], [5, 1, 0], (0, 1, 5), known.astype(float), ["0", "1", "5"]):
        assert not same_classes(known, other)
    assert not same_classes(np.array(["0", "a"]), [0, "a"])


def test_the_defaults_are_plain():
    assert plain_arguments(LogisticRegression())


@pytest.mark.parametrize(
    "argument",
    [
        {"batch_size": 0}, {"batch_size": 2.0}, {"batch_size": "all"}, {"shuffle": 1},
        {"early_stopping": True}, {"class_weight": {0: 2}}, {"verbose": "yes"}, {"tol": -1},
        {"tol": np.nan}, {"tol": None}, {"n_iter_no_change": 0}, {"n_iter_no_change": 2.5},
        {"n_threads": 0}, {"n_threads": None}, {"random_state": -1}, {"random_state": 1 << 32},
        {"random_state": "seed"}, {"random_state": np.random.default_rng(0)},
    ],
    ids=lambda argument: next(iter(argument)),
)  # fmt: skip
def test_arguments_that_need_a_check(argument):
    assert not plain_arguments(LogisticRegression(**argument))
