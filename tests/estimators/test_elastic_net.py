"""L1 and elastic net by columns and working sets: the optimum's conditions on awkward data."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from fastlogit import LogisticRegression
from fastlogit.estimators import elastic_net


def logits_of(model, X):
    logits = np.asarray(X @ model.coef_.T.astype(float)) + model.intercept_
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


def violation(model, X, y, weight=None):
    """Return the largest element of the smallest subgradient of C Σ loss plus the penalty."""
    weight = np.ones(len(y)) if weight is None else weight
    residual = softmax(logits_of(model, X), axis=1) - (y[:, None] == model.classes_)
    residual = weight[:, None] * residual[:, len(model.classes_) == 2 :]
    coef, l1 = model.coef_, model.l1_ratio
    g = model.C * np.asarray(X.T @ residual).T + (1 - l1) * coef
    at_zero, elsewhere = np.maximum(np.abs(g) - l1, 0), np.abs(g + l1 * np.sign(coef))
    by_weight = np.where(coef == 0, at_zero, elsewhere)
    bias = model.C * np.abs(residual.sum(axis=0)).max() if model.fit_intercept else 0
    return max(by_weight.max(), bias)


def objective(model, X, y, weight=1.0):
    log_p = log_softmax(logits_of(model, X), axis=1)[np.arange(len(y)), y]
    coef, l1 = model.coef_.astype(float), model.l1_ratio
    return (
        -model.C * (weight * log_p).sum() + l1 * np.abs(coef).sum() + (1 - l1) / 2 * (coef**2).sum()
    )


def generated(n, D, K, share=1.0, seed=0):
    """Return rows with that share of non-zeros, and labels that a few features decide."""
    rng = np.random.default_rng([n, D, K, seed])
    X = rng.normal(size=(n, D)) * (rng.random((n, D)) < share)
    W = rng.normal(size=(D, K)) * (np.arange(D) < 8)[:, None]
    y = (X @ W * 2 + rng.gumbel(size=(n, K))).argmax(axis=1)
    return X, y


saga = partial(LogisticRegression, solver="saga", tol=1e-7)
SHAPES = [(60, 700, 2, 1.0), (60, 300, 3, 1.0), (300, 900, 2, 0.05), (200, 150, 4, 0.1)]


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("C", "l1_ratio"), [(0.1, 1.0), (1.0, 0.5), (10.0, 0.3), (10.0, 1.0)])
@pytest.mark.parametrize(("n", "D", "K", "share"), SHAPES)
def test_the_optimum_is_reached(n, D, K, share, C, l1_ratio, fit_intercept):
    X, y = generated(n, D, K, share)
    weight = np.random.default_rng(0).uniform(0.5, 2, n) if C < 10 else None
    X = sparse.csr_array(X) if share < 1 else X
    model = saga(C=C, l1_ratio=l1_ratio, fit_intercept=fit_intercept).fit(X, y, weight)
    assert model.backend_ == "numba"
    assert violation(model, X, y, weight) < 2e-7
    assert np.count_nonzero(model.coef_ == 0) > 0 or l1_ratio < 1


@pytest.mark.parametrize(("n", "D", "K", "share"), SHAPES)
def test_sparse_and_dense_rows_have_one_optimum(monkeypatch, n, D, K, share):
    X, y = generated(n, D, K, share)
    dense = saga(l1_ratio=0.9, tol=1e-9).fit(X, y)
    monkeypatch.setattr(elastic_net, "DENSE_SHARE", 2)
    for kind in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        model = saga(l1_ratio=0.9, tol=1e-9).fit(kind(X), y)
        np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-7)
        np.testing.assert_array_equal(model.coef_ == 0, dense.coef_ == 0)
        np.testing.assert_allclose(model.intercept_, dense.intercept_, atol=1e-7)


@pytest.mark.parametrize("most", [(0, 0), (10**6, 10**6)])
@pytest.mark.parametrize("K", [2, 3])
def test_columns_and_hessians_have_one_optimum(monkeypatch, K, most):
    X, y = generated(150, 120, K)
    expected = saga(l1_ratio=0.8, C=3.0).fit(X, y)
    monkeypatch.setattr(elastic_net, "MOST_BY_HESSIAN", most)
    model = saga(l1_ratio=0.8, C=3.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, expected.coef_ == 0)


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_the_objective_is_scikit_learns_least(sparse_rows):
    X, y = generated(200, 260, 2, 0.2 if sparse_rows else 1.0)
    X = sparse.csr_array(X) if sparse_rows else X
    weight = np.random.default_rng(1).uniform(0.1, 3, len(y))
    settings = {"solver": "saga", "l1_ratio": 0.7, "C": 0.5, "class_weight": {0: 0.5, 1: 2.0}}
    ours = LogisticRegression(**settings, tol=1e-8).fit(X, y, weight)
    theirs = SklearnLogisticRegression(**settings, tol=1e-9, max_iter=20_000, random_state=0)
    theirs.fit(X, y, weight)
    weight = weight * np.where(y == 0, 0.5, 2.0)
    least = objective(theirs, X, y, weight)
    assert abs(objective(ours, X, y, weight) / least - 1) < 1e-9
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_float32_comes_near(K, share):
    X, y = generated(200, 300, K, share)
    X = sparse.csr_array(X) if share < 1 else X
    model = LogisticRegression(solver="saga", l1_ratio=1).fit(X.astype(np.float32), y)
    assert model.backend_ == "numba"
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    X = X.astype(np.float32).astype(float)
    assert objective(model, X, y) <= objective(saga(l1_ratio=1).fit(X, y), X, y) * (1 + 1e-5)


def test_a_part_that_all_features_share_is_no_obstacle():
    """The moves of a sweep, each of them small, add up along it: fits stopped at max_iter."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 400)) + 2 * rng.normal(size=(2000, 1)) + 1
    w = rng.normal(size=400) * (rng.random(400) < 0.1)
    logits = X @ w
    y = (rng.random(2000) < 1 / (1 + np.exp(-2 * logits / logits.std()))).astype(int)
    model = saga(l1_ratio=1).fit(X, y)
    assert violation(model, X, y) < 2e-7
    assert model.n_iter_[0] < 25


def awkward(n=120, D=90):
    """Return rows with a column of zeros, one of ones, three alike, and one tiny and one large."""
    X, y = generated(n, D, 2, 0.3)
    X[:, 0], X[:, 1], X[:, 3], X[:, 4] = 0, 1, X[:, 2], X[:, 2]
    X[:, 5] *= 1e-6
    X[:, 6] *= 1e6
    return X, y


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_awkward_columns(kind, l1_ratio):
    X, y = awkward()
    model = saga(l1_ratio=l1_ratio, tol=1e-6).fit(kind(X), y)
    assert violation(model, X, y) < 1e-4  # of which rounding in the large column is the most
    assert model.coef_[0, 0] == 0
    if l1_ratio == 0.5:
        np.testing.assert_allclose(model.coef_[0, 2:5], model.coef_[0, 2], atol=1e-6)


def test_values_beyond_single_precision():
    X, y = generated(100, 80, 2)
    expected = saga(l1_ratio=1, fit_intercept=False).fit(X, y)
    # The smaller the penalty, the larger the weights: a change of units alone.
    model = saga(l1_ratio=1, fit_intercept=False, C=1e-30).fit(X * 1e30, y)
    np.testing.assert_allclose(model.coef_ * 1e30, expected.coef_, atol=1e-5)


@pytest.mark.parametrize("K", [2, 10])
def test_all_weights_are_zero_at_the_optimum(K):
    X, y = generated(100, 200, K)
    for rows in (X, sparse.csr_array(X * (np.abs(X) > 1.5))):
        model = saga(l1_ratio=1, C=1e-4).fit(rows, y)
        assert not model.coef_.any()
        share = np.bincount(y, minlength=K) / len(y)
        expected = np.log(share[1] / share[0]) if K == 2 else np.log(share) - np.log(share).mean()
        np.testing.assert_allclose(model.intercept_, np.ravel(expected), atol=1e-4)


@pytest.mark.parametrize("K", [2, 3])
def test_one_feature(K):
    X, y = generated(80, 1, K)
    for rows in (X, sparse.csc_array(X * (X > 0.8))):
        model = saga(l1_ratio=1).fit(rows, y)
        assert violation(model, rows, y) < 2e-7


def test_sparse_indices_of_any_kind():
    X, y = generated(90, 200, 2, 0.05)
    expected = saga(l1_ratio=1).fit(sparse.csr_array(X), y)
    halves = sparse.csr_array(X)
    indices = np.repeat(halves.indices, 2)
    twice = sparse.csr_array(
        (np.repeat(halves.data / 2, 2), indices, 2 * halves.indptr), shape=X.shape
    )
    unsorted = sparse.csr_array(X)
    for i in range(len(y)):
        row = slice(unsorted.indptr[i], unsorted.indptr[i + 1])
        unsorted.indices[row] = unsorted.indices[row][::-1].copy()
        unsorted.data[row] = unsorted.data[row][::-1].copy()
    unsorted.has_sorted_indices = False
    for rows in (twice, unsorted):
        before = rows.data.copy(), rows.indices.copy()
        model = saga(l1_ratio=1).fit(rows, y)
        assert model.backend_ == "numba"
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
        np.testing.assert_array_equal(rows.data, before[0])
        np.testing.assert_array_equal(rows.indices, before[1])


def test_read_only_rows(tmp_path):
    X, y = generated(100, 150, 2)
    np.save(tmp_path / "X.npy", X)
    model = saga(l1_ratio=1).fit(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    np.testing.assert_array_equal(model.coef_, saga(l1_ratio=1).fit(X, y).coef_)
    rows = sparse.csr_array(X * (np.abs(X) > 1.5))
    expected = saga(l1_ratio=1).fit(rows, y).coef_
    for array in (rows.data, rows.indices, rows.indptr):
        array.setflags(write=False)
    np.testing.assert_array_equal(saga(l1_ratio=1).fit(rows, y).coef_, expected)


def test_more_weights_than_a_hessian_holds():
    X, y = generated(60, 3000, 3)
    model = saga(l1_ratio=1, C=1.0).fit(X, y)
    assert model.coef_.size > 1024
    assert violation(model, X, y) < 2e-7


def test_warm_start_and_max_iter_on_sparse_rows():
    X, y = generated(300, 400, 2, 0.1)
    X = sparse.csr_array(X)
    model = saga(l1_ratio=1, warm_start=True, C=5.0).fit(X, y)
    coef = model.coef_
    assert model.n_iter_[0] > 0
    assert model.fit(X, y).n_iter_[0] == 0
    np.testing.assert_array_equal(model.coef_, coef)
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        short = saga(l1_ratio=1, max_iter=1, C=5.0).fit(X, y)
    assert short.n_iter_[0] == 1
