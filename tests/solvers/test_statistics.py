"""What the first pass over a source finds, and what it refuses."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastlogit.solvers.statistics import Statistics, StatisticsWork, distinct
from fastlogit.sources import Labels, Partition

RNG = np.random.default_rng(0)
X = RNG.normal([0, 1e4, -3], [1, 0.5, 20], size=(1000, 3))
Y = RNG.choice(["a", "b", "c"], 1000)
W = RNG.uniform(0, 2, 1000)
CUTS = [range(1), range(1, 400), range(400, 400), range(400, 1000)]


def statistics(X=X, y=Y, weight=W, sample_rows=50, seed=0):
    work = StatisticsWork(seed, sample_rows, None, [rows.start for rows in CUTS])
    found = []
    for index, rows in enumerate(CUTS):
        part = slice(rows.start, rows.stop)
        weights = None if weight is None else weight[part]
        work.add(found, work(index, Partition(X[part], y[part], weights)))
    return Statistics(found)


def test_moments_and_classes_are_those_of_all_rows():
    found = statistics()
    assert found.n_rows == 1000
    assert found.classes.tolist() == ["a", "b", "c"]
    expected = [W[label == Y].sum() for label in "abc"]
    np.testing.assert_allclose(found.class_weights, expected, rtol=1e-12)
    np.testing.assert_allclose(found.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.scale, X.std(axis=0), rtol=1e-9)
    sparse = statistics(csr_array(X))
    np.testing.assert_allclose(sparse.mean, X.mean(axis=0), rtol=1e-12)


def test_a_constant_feature_has_scale_1():
    constant = np.column_stack([np.full(1000, 1e9), X[:, 0]])
    assert statistics(constant).scale[0] == 1


def test_the_sample_is_seeded_and_stands_for_all_rows():
    first, again, other = (statistics(seed=seed).sample for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert 100 <= len(first.X) <= 106
    assert first.weight.sum() == pytest.approx(W.sum(), rel=0.3)
    rows = {tuple(row): label for row, label in zip(X.tolist(), Y, strict=True)}
    assert [rows[tuple(row)] for row in first.X.tolist()] == first.y.tolist()


def test_no_class_is_missing_from_the_sample():
    rare = np.where(np.arange(1000) == 777, "rare", "common")
    assert set(statistics(y=rare, sample_rows=2).sample.y) == {"rare", "common"}


def test_sorted_rows_differ_from_the_whole_and_shuffled_ones_do_not():
    shares, means = statistics().differences
    assert abs(shares) < 0.05
    assert abs(means) < 0.2
    order = np.argsort(Y)
    assert statistics(y=Y[order]).differences[0] > 0.3
    assert statistics(X[np.argsort(X[:, 2])]).differences[1] > 0.5


@pytest.mark.parametrize(
    "y",
    [
        np.array([3, 1, 3, 300]),
        np.array([3, 1, -3, 10**12]),
        np.array([250, 1, 250, 0], np.uint8),
        np.array([True, False, True, True]),
        np.array([0.0, 2.0, 2.0, 1.0]),
        np.array(["x", "y", "x", "zz"]),
        np.array([-100, 100, 3, 100], np.int8),
        np.array([-(2**15), 2**15 - 1, 0], np.int16),
        np.array([2**63 + 5, 2**63 + 1, 2**63 + 5], np.uint64),
        np.array([7, 300, 7], ">i4"),
        Labels(np.array(["b", "unused", "a"]), np.array([0, 2, 2, 0])),
        Labels(np.array(["b", "a", "b"]), np.array([0, 1, 2, 0])),
    ],
)
def test_distinct_labels_are_sorted_with_their_positions(y):
    labels, codes = distinct(y)
    given = y.values[y.codes] if isinstance(y, Labels) else y
    np.testing.assert_array_equal(labels, np.unique(given))
    np.testing.assert_array_equal(labels[codes], given)


@pytest.mark.parametrize(
    ("row", "column", "value"), [(0, 2, np.nan), (700, 0, np.inf), (399, 1, -np.inf)]
)
@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_what_is_not_finite_is_named_by_row_and_column(row, column, value, kind):
    bad = X.copy()
    bad[row, column] = value
    with pytest.raises(ValueError, match=f"got {value} in column {column}, row {row};"):
        statistics(kind(bad))
    names = StatisticsWork(0, 10, ("u", "v", "w"), None)
    with pytest.raises(ValueError, match=f"column '{'uvw'[column]}', row {row} of partition 4"):
        names(4, Partition(kind(bad), Y, None))


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_labels_that_are_no_whole_numbers_are_named_in_their_first_partition(value):
    y, codes = np.array([1.0, value]), np.arange(1000) // 999
    work = StatisticsWork(0, 10, None, None)
    for given in (y[codes], Labels(y, codes)):
        with pytest.raises(ValueError, match=f"target is {value} in row 999 of partition 3"):
            work(3, Partition(X, given, None))


def test_squares_that_overflow_are_no_error():
    found = statistics(X * 1e200)
    np.testing.assert_allclose(found.mean, X.mean(axis=0) * 1e200, rtol=1e-9)
    np.testing.assert_array_equal(found.scale, 1)  # as of a feature whose scale is unknown


@pytest.mark.parametrize(("value", "text"), [(-1.0, "weight=.*-1"), (np.nan, "weight=.*nan")])
def test_weights_are_checked(value, text):
    bad = W.copy()
    bad[500] = value
    with pytest.raises(ValueError, match=f"{text}.* in row 500 must be finite and at least 0"):
        statistics(weight=bad)


def test_missing_labels_and_rows_are_refused():
    work = StatisticsWork(0, 10, None, None)
    with pytest.raises(ValueError, match="has no target"):
        work(0, Partition(X, None, None))
    y = np.where(np.arange(1000) == 3, np.nan, 1.0)
    with pytest.raises(ValueError, match="the target is nan in row 3"):
        statistics(y=y)
    for missing in (None, np.nan):
        y = np.where(np.arange(1000) == 700, missing, Y.astype(object))
        with pytest.raises(ValueError, match="the target is missing in row 700"):
            statistics(y=y)
    with pytest.raises(ValueError, match="labels of one type"):
        statistics(y=np.where(np.arange(1000) == 700, 3, Y.astype(object)))
    with pytest.raises(ValueError, match="no rows"):
        Statistics([])
