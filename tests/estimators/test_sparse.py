"""Sparse X in both estimators: the kernels train and predict as on dense rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import logistic_regression
from fastlogit.models.checks import FEW

SOLVERS = ["lbfgs", "sgd", "adam"]
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__qualname__}"
)


@pytest.fixture(params=[2, 3], ids="{} classes".format)
def n_classes(request):
    return request.param


def rows_of(n_classes, dtype=np.float64, n=120, width=15):
    rng = np.random.default_rng(n_classes)
    X = (rng.normal(size=(n, width)) * (rng.random((n, width)) < 0.3)).astype(dtype)
    y = (X @ rng.normal(size=(width, n_classes))).argmax(axis=1)
    return X, y


def estimators(solver, **arguments):
    arguments = {"solver": solver, "max_iter": 8, "random_state": 0} | arguments
    return [MLPClassifier((4,), **arguments), LogisticRegression(**arguments)]


def arrays_of(estimator):
    if isinstance(estimator, MLPClassifier):
        return [*estimator.coefs_, *estimator.intercepts_]
    return [estimator.coef_, estimator.intercept_]


def assert_same(estimator, expected, tolerance=1e-9):
    assert estimator.backend_ == expected.backend_ == "numba"
    for array, other in zip(arrays_of(estimator), arrays_of(expected), strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_fits_and_predicts_as_on_dense_rows(solver, n_classes, dtype):
    X, y = rows_of(n_classes, dtype)
    tolerance = 1e-3 if dtype == np.float32 else 1e-7
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y)).astype(dtype)
    for estimator, other in zip(estimators(solver), estimators(solver), strict=True):
        given = {"sample_weight": weight}
        expected, fitted = estimator.fit(X, y, **given), other.fit(sparse.csr_matrix(X), y, **given)
        assert_same(fitted, expected, tolerance)
        for name in ("predict_proba", "predict_log_proba"):
            proba, dense = (getattr(fitted, name)(rows) for rows in (sparse.csc_array(X), X))
            np.testing.assert_allclose(proba, dense, rtol=1e-4 if dtype == np.float32 else 1e-10)
        assert np.array_equal(fitted.predict(sparse.coo_array(X)), fitted.predict(X))


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("solver", SOLVERS)
def test_mlp_is_scikit_learns(solver, momentum, n_classes):
    X, y = rows_of(n_classes)
    arguments = {
        "hidden_layer_sizes": (4,), "activation": "logistic", "solver": solver, "max_iter": 8,
        "momentum": momentum, "alpha": 0.5, "random_state": 0,
    }  # fmt: skip
    ours, theirs = (
        kind(**arguments).fit(sparse.csr_array(X), y)
        for kind in (MLPClassifier, SklearnMLPClassifier)
    )
    assert ours.backend_ == "numba"
    assert ours.n_iter_ == theirs.n_iter_
    tolerance = 1e-6 if solver == "lbfgs" else 1e-10
    for array, other in zip(arrays_of(ours), theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)
    if solver != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)


def test_logistic_regression_is_scikit_learns(n_classes):
    X, y = rows_of(n_classes)
    ours, theirs = (
        kind(tol=1e-9, max_iter=1000).fit(sparse.csr_array(X), y)
        for kind in (LogisticRegression, SklearnLogisticRegression)
    )
    assert ours.backend_ == "numba"
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("arguments", [{"momentum": 0}, {"momentum": 0, "fit_intercept": False}])
def test_plain_sgd_with_a_penalty(n_classes, arguments):
    X, y = rows_of(n_classes)
    expected, fitted = (
        LogisticRegression(
            solver="sgd", C=0.1, learning_rate_init=0.1, learning_rate="invscaling", max_iter=20,
            random_state=0, batch_size=7, **arguments,
        ).fit(rows, y)
        for rows in (X, sparse.csr_array(X))
    )  # fmt: skip
    assert_same(fitted, expected, 1e-11)
    np.testing.assert_allclose(fitted.loss_curve_, expected.loss_curve_, rtol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS[1:])
def test_partial_fit_early_stopping_and_warm_start(solver, n_classes):
    X, y = rows_of(n_classes)
    other = sparse.csr_array(X)
    for expected, fitted in zip(estimators(solver), estimators(solver), strict=True):
        for part in (slice(0, 50), slice(50, None)):
            expected.partial_fit(X[part], y[part], classes=range(n_classes))
            fitted.partial_fit(other[part], y[part], classes=range(n_classes))
            fitted = pickle.loads(pickle.dumps(fitted))  # noqa: S301
            expected.partial_fit(X[:9], y[:9])
            fitted.partial_fit(X[:9], y[:9])  # dense rows in between
        assert_same(fitted, expected)
    for arguments in ({"early_stopping": True, "max_iter": 30}, {"warm_start": True}):
        for expected, fitted in zip(*(estimators(solver, **arguments) for _ in "ab"), strict=True):
            for _ in range(2):
                expected.fit(X, y)
                fitted.fit(other, y)
            assert_same(fitted, expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_frames_and_64_bit_indices(solver):
    X, y = rows_of(2)
    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(X))
    frame.columns = [f"f{j}" for j in range(X.shape[1])]
    for rows in (wide, frame):
        for expected, fitted in zip(estimators(solver), estimators(solver), strict=True):
            assert_same(fitted.fit(rows, y), expected.fit(X, y), 1e-7)
            proba = fitted.predict_proba(rows)
            np.testing.assert_allclose(proba, expected.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_predicts_many_rows_as_scikit_learn(n_classes, dtype, monkeypatch):
    X, y = rows_of(n_classes, dtype, n=300)
    X = sparse.csr_array(X)
    model = LogisticRegression().fit(X, y)
    expected = SklearnLogisticRegression().fit(X, y)
    expected.coef_, expected.intercept_ = model.coef_, model.intercept_
    several = sparse.vstack([X] * 5, format="csr")  # above the size that NumPy's calls are for
    assert several.nnz > FEW
    infinite = several.copy()
    infinite.data[-1] = np.inf
    for most in (0, several.nnz * n_classes):
        monkeypatch.setattr(logistic_regression, "MOST_BY_SCIPY", most)
        predicted = model.predict(several)
        by_kernels = model._kernel_indices(several)
        assert (by_kernels is None) == (most > 0)
        np.testing.assert_array_equal(predicted, expected.predict(several))
        np.testing.assert_allclose(
            model.decision_function(several), expected.decision_function(several), rtol=1e-5
        )
        for method in (model.predict, model.decision_function, model.predict_proba):
            with pytest.raises(ValueError, match="contains infinity"):
                method(infinite)


def test_indices_beyond_the_columns_are_refused():
    """Compiled code would read and write beyond the weights."""
    X, y = rows_of(2)
    for solver in SOLVERS:
        for estimator in estimators(solver):
            rows = sparse.csr_array(X)
            estimator.fit(rows, y)
            rows.indices[3] = 10_000
            with pytest.raises(ValueError, match="column ind"):
                estimator.fit(rows, y)
            with pytest.raises(ValueError, match="column ind"):
                estimator.predict_proba(rows)


@pytest.mark.parametrize("solver", SOLVERS)
def test_tags(solver):
    assert all(estimator.__sklearn_tags__().input_tags.sparse for estimator in estimators(solver))
