"""Fits in processes, forked children and threads, and by several threads."""

import multiprocessing
import threading

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.training import threads as sharing

# Batches that several threads share, and five epochs that end without a warning.
EPOCHS = {"batch_size": 600, "tol": 10, "n_iter_no_change": 3, "random_state": 0}
ESTIMATORS = [
    MLPClassifier((4,), solver="adam", **EPOCHS),
    MLPClassifier((4,), solver="lbfgs", alpha=1, tol=1e-2, max_iter=999, random_state=0),
    LogisticRegression(solver="sgd", **EPOCHS),
    LogisticRegression(max_iter=500),
]
FORK = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)


@pytest.fixture(autouse=True)
def _several_cores_and_nothing_too_small(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    monkeypatch.setattr(sharing, "WORTH_SHARING", 0)
    monkeypatch.setattr(sharing.Pace, "shares", lambda _pace: True)


@pytest.fixture(params=ESTIMATORS, ids=str)
def estimator(request):
    return clone(request.param)


def rows(n_classes=3):
    rng = np.random.default_rng(0)
    y = np.arange(900) % n_classes
    return rng.normal(size=(900, 5)) + y[:, None], y


def proba_of_a_fit(estimator, n_threads):
    """Fit a clone and return its probabilities, in a process or thread of a test."""
    X, y = rows()
    return clone(estimator).set_params(n_threads=n_threads).fit(X, y).predict_proba(X)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_no_bit_depends_on_the_number_of_threads(estimator, n_threads, n_classes):
    X, y = rows(n_classes)
    one = clone(estimator).fit(X, y)
    several = clone(estimator).set_params(n_threads=n_threads).fit(X, y)
    np.testing.assert_array_equal(several.predict_proba(X), one.predict_proba(X))
    one.set_params(n_threads=n_threads)
    np.testing.assert_array_equal(several.predict_proba(X), one.predict_proba(X))
    if estimator.solver != "lbfgs":
        for model in (one.set_params(n_threads=1), several):
            model.partial_fit(X, y)
        np.testing.assert_array_equal(several.predict_proba(X), one.predict_proba(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_n_threads_is_used(monkeypatch, early_stopping):
    asked = []
    size = sharing.team_size

    def recorded(n_threads, n_rows):
        asked.append(n_threads)
        return size(n_threads, n_rows)

    by_rows = sharing.by_rows
    for module in ("trainer", "objective"):
        monkeypatch.setattr(f"fastlogit.training.{module}.team_size", recorded)
    monkeypatch.setattr(
        "fastlogit.training.objective.by_rows",
        lambda n_threads, *args: asked.append(n_threads) or by_rows(n_threads, *args),
    )
    X, y = rows()
    for estimator in ESTIMATORS:
        asked.clear()
        model = clone(estimator).set_params(n_threads=2)
        if model.solver != "lbfgs":
            model.set_params(early_stopping=early_stopping)
        model.fit(X, y).predict(X)
        model.predict_proba(X)
        assert len(asked) >= 2
        assert set(asked) == {2}


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, None, "2"])
def test_a_number_of_threads_is_an_integer_of_at_least_1(estimator, n_threads):
    with pytest.raises(ValueError, match="The 'n_threads' parameter of"):
        estimator.set_params(n_threads=n_threads).fit(*rows())


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblibs_workers_fit_as_the_caller(estimator, backend):
    expected = proba_of_a_fit(estimator, 2)
    for proba in Parallel(n_jobs=2, backend=backend)(
        delayed(proba_of_a_fit)(estimator, n_threads) for n_threads in (1, 2, 2)
    ):
        np.testing.assert_array_equal(proba, expected)


@FORK
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
# JAX says this of any fork once it is imported, as other tests do.
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")
def test_a_forked_child_fits_after_its_parent_used_threads(estimator):
    expected = proba_of_a_fit(estimator, 3)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        proba = pool.apply_async(proba_of_a_fit, (estimator, 3)).get(timeout=120)
    np.testing.assert_array_equal(proba, expected)


def test_two_threads_fit_at_once(estimator):
    expected = proba_of_a_fit(estimator, 1)
    results, start = [], threading.Barrier(2)

    def fit():
        start.wait()
        results.extend(proba_of_a_fit(estimator, 2) for _ in range(3))

    fits = [threading.Thread(target=fit) for _ in range(2)]
    for thread in fits:
        thread.start()
    for thread in fits:
        thread.join(120)
    assert len(results) == 6
    for proba in results:
        np.testing.assert_array_equal(proba, expected)


def test_equal_seeds_draw_the_same_orders_in_every_thread():
    X, y = rows()

    def trained(_):
        model = LogisticRegression(solver="sgd", random_state=0, batch_size=30)
        model.partial_fit(X[:90], y[:90], classes=[0, 1, 2])
        for _ in range(50):
            model.partial_fit(X[:90], y[:90])
        return model.coef_

    first, *others = Parallel(n_jobs=3, backend="threading")(delayed(trained)(i) for i in range(6))
    for coef in others:
        np.testing.assert_array_equal(coef, first)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize(
    ("model", "grid"),
    [(ESTIMATORS[1], {"alpha": [1.0, 100.0]}), (ESTIMATORS[3], {"C": [0.1, 1.0]})],
    ids=["MLPClassifier", "LogisticRegression"],
)
def test_searches_in_parallel_score_as_alone(model, grid, backend):
    X, y = rows()
    model = clone(model).set_params(n_threads=2)
    scores = []
    for n_jobs in (1, 2):
        with parallel_config(backend):
            search = GridSearchCV(model, grid, cv=3, n_jobs=n_jobs).fit(X, y)
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)
