"""Sparse X as it may come: formats, indices, dtypes, and what is no valid matrix."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import fastlogit
from fastlogit.models import checks as check

FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5)) * (rng.random((12, 5)) < 0.4)


def trained(X, **arguments):
    y = np.arange(X.shape[0]) % 2
    return fastlogit.train("logistic", X, y, random_state=0, epochs=2, alpha=0.1, **arguments)


def assert_same(result, expected, tolerance=1e-12):
    for array, other in zip(result.params, expected.params, strict=True):
        np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_formats(dense, backend, name, kind):
    X = getattr(sparse, f"{name}_{kind}")(dense)
    assert_same(trained(X, backend=backend), trained(dense))
    params = trained(dense).params
    proba = fastlogit.predict_proba("logistic", params, X, backend=backend)
    np.testing.assert_allclose(proba, fastlogit.predict_proba("logistic", params, dense))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("read_only", [False, True])
def test_unsorted_columns_duplicates_and_zeros_are_worked_on_as_they_are(backend, index, read_only):
    data = np.array([1.0, 2, 0, -3, 4, 5])
    indices = np.array([3, 0, 1, 3, 2, 2], index)
    indptr = np.array([0, 4, 4, 6, 6], index)
    dense = np.array([[2.0, 0, 0, -2], [0, 0, 0, 0], [0, 0, 9, 0], [0, 0, 0, 0]])
    for array in (data, indices, indptr):
        array.setflags(write=not read_only)
    X = sparse.csr_matrix((data, indices, indptr), shape=(4, 4))
    X.indices, X.indptr = indices, indptr  # SciPy's constructor may have narrowed them
    copies = [array.copy() for array in (X.data, X.indices, X.indptr)]
    assert_same(trained(X, backend=backend), trained(dense))
    for array, other in zip((X.data, X.indices, X.indptr), copies, strict=True):
        assert array.dtype == other.dtype
        assert np.array_equal(array, other)


@pytest.mark.parametrize("given", [np.int8, np.uint16, np.int64, bool, np.float32, np.float64])
def test_dtypes(dense, given):
    X = sparse.csr_array(
        np.round(dense * 4).clip(0 if given in (bool, np.uint16) else -9).astype(given)
    )
    result = trained(X)
    assert result.params.W.dtype == (np.float32 if given == np.float32 else np.float64)
    assert_same(result, trained(X.toarray()), 1e-5 if given == np.float32 else 1e-12)


def test_no_array_is_copied_that_need_not_be(dense):
    X = sparse.csr_matrix(dense)
    checked = check.matrix("X", X)
    assert np.shares_memory(checked.data, X.data)
    assert np.shares_memory(checked.indices, X.indices)


def test_what_is_stored_beyond_the_last_row_is_not_looked_at(dense):
    X = sparse.csr_array(dense)
    X.data, X.indices = np.append(X.data, np.nan), np.append(X.indices, 99).astype(np.int32)
    assert_same(trained(X), trained(dense))


def broken(change):
    X = sparse.csr_array(np.eye(3))
    change(X)
    return X


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (sparse.csr_array((0, 3)), ValueError, r"X of shape \(0, 3\)"),
        (sparse.csr_array((3, 0)), ValueError, r"X of shape \(3, 0\)"),
        (sparse.coo_array(np.ones(3)), ValueError, r"X of shape \(3,\) must have two"),
        (sparse.csr_array(np.eye(3) * 1j), TypeError, "X of dtype complex128"),
        (sparse.csr_array(np.diag([1, np.nan, 1])), ValueError, "X must be finite"),
        (sparse.csr_array(np.diag([1, np.inf, 1])), ValueError, "X must be finite"),
        (sparse.csr_array((1, 1 << 33)), ValueError, "X has 8589934592 columns, may have 4294967"),
        (broken(lambda X: X.indices.__setitem__(1, 3)), ValueError, "X .* indices from 0 to 3"),
        (broken(lambda X: X.indices.__setitem__(1, -1)), ValueError, "X .* indices from -1 to 2"),
        (broken(lambda X: X.indptr.__setitem__(1, 3)), ValueError, "X .* indptr must rise from 0"),
        (broken(lambda X: X.indptr.__setitem__(0, 1)), ValueError, "X .* indptr must rise from 0"),
        (broken(lambda X: X.indptr.__setitem__(3, 4)), ValueError, "X .* ends beyond the 3 elem"),
    ],
)  # fmt: skip
def test_bad_matrices(X, error, message):
    with pytest.raises(error, match=message):
        fastlogit.train("logistic", X, [0] * X.shape[0])
    with pytest.raises(error, match=message):
        fastlogit.predict_proba("logistic", ([[1.0]] * 3, [0.0]), X)


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_memory_while_training(alpha):
    """No copy of X, and no workspace of a block times the features: 6 GB for dense rows."""
    program = f"""
import resource, numpy as np, scipy.sparse as sp, fastlogit
n, width, filled = 20_000, 50_000, 100
indices = np.random.default_rng(0).integers(width, size=n * filled, dtype=np.int32)
data, indptr = np.ones(n * filled, np.float32), np.arange(0, n * filled + 1, filled, np.int32)
X, y = sp.csr_matrix((data, indices, indptr), shape=(n, width)), np.arange(n) % 2
for model, hidden in (("logistic", None), ("mlp-softmax", 4)):
    arguments = dict(hidden=hidden, alpha={alpha}, random_state=0)
    fastlogit.train(model, X[:100], y[:100], **arguments)  # what the compiler takes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    params = fastlogit.train(model, X, y, epochs=2, **arguments).params
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    given = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    room = 1.2 * given + 8 * sum(array.nbytes for array in params)
    print(model, growth, given, room)
    assert growth < room
"""
    resource = pytest.importorskip("resource")
    assert resource
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603
