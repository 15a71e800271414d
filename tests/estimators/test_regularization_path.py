"""Paths of fits: warm starts without an evaluation, and one warning for all of them."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from fastlogit import LogisticRegression
from fastlogit.estimators import regularization_path
from fastlogit.estimators.regularization_path import Data, Path, fit_path, score_path, warn_of_paths
from fastlogit.models import MODELS, Rows
from fastlogit.training.objective import Objective


def unfitted(**arguments):
    estimator = LogisticRegression(**arguments)
    estimator.classes_, estimator.n_features_in_ = np.arange(3), 4
    return estimator


def all_rows(toy_set):
    X, y = toy_set("iris", "softmax")
    return Rows(np.array(X), np.array(y), np.empty(0))


START = np.zeros((4, 3)), np.zeros(3)


TIGHT = {"tol": 1e-8, "max_iter": 1000}


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_each_fit_is_that_of_its_strength(toy_set, solver, fit_intercept):
    rows, Cs = all_rows(toy_set), [0.01, 1.0, 1.0, 10.0, 0.1]
    arguments = {"solver": solver, "fit_intercept": fit_intercept, **TIGHT}
    fits = list(fit_path(unfitted(**arguments), Cs, rows, START))
    assert fits[2][1] == 0  # the same C again
    for C, ((W, b), _) in zip(Cs, fits, strict=True):
        alone = LogisticRegression(C=C, **arguments).fit(rows.X, rows.y)
        np.testing.assert_allclose(W.T, alone.coef_, rtol=0, atol=1e-5)
        np.testing.assert_allclose(b, alone.intercept_, rtol=0, atol=1e-5)


def slow_rows():
    """Return rows of features of very different scales, on which L-BFGS converges slowly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) * [1, 30, 300, 3000] + [0, 50, 0, 900]
    return Rows(X, rng.integers(3, size=200), np.empty(0))


def gradient_of(rows, C, W, b):
    objective = Objective(MODELS["softmax"], (W, b), rows, 1 / (C * rows.y.size))
    return objective(objective.params.flat.copy())[1]


def test_newtons_method_ends_a_fit_that_is_slow():
    rows = slow_rows()
    fits = list(fit_path(unfitted(), [0.1, 10.0], rows, START))
    for C, ((W, b), n_iter) in zip([0.1, 10.0], fits, strict=True):
        assert n_iter < 60
        assert np.abs(gradient_of(rows, C, W, b)).max() <= 1e-4
    with pytest.warns(ConvergenceWarning, match=r"after 100 iteration\(s\)"):
        LogisticRegression(C=0.1).fit(rows.X, rows.y)


@pytest.mark.parametrize("max_iter", [0, 3, 16])
def test_a_fit_that_stops_early_warns_of_its_iterations(max_iter):
    rows = slow_rows()
    text = rf"after {max_iter} iteration\(s\)[\s\S]*max_iter={max_iter}"
    with pytest.warns(ConvergenceWarning, match=text):
        (_, n_iter), *_ = fit_path(unfitted(max_iter=max_iter), [10.0], rows, START)
    assert n_iter == max_iter


def test_rows_that_newtons_method_does_not_support_are_left_to_lbfgs():
    rows = slow_rows()
    sparse = Rows(csr_array(rows.X), rows.y, rows.weight)
    with pytest.warns(ConvergenceWarning, match=r"after 100 iteration\(s\)"):
        (_, n_iter), *_ = fit_path(unfitted(), [0.1], sparse, START)
    assert n_iter == 100


def test_a_start_within_tol_takes_no_evaluation(toy_set, monkeypatch):
    calls = []
    evaluate = Objective.evaluate
    monkeypatch.setattr(Objective, "evaluate", lambda self: calls.append(0) or evaluate(self))
    list(fit_path(unfitted(tol=1e-3), [1.0], all_rows(toy_set), START))
    once = len(calls)
    list(fit_path(unfitted(tol=1e-3), [1.0, 1.0, 1.001], all_rows(toy_set), START))
    assert len(calls) == 2 * once


def test_a_path_follows_another(monkeypatch):
    monkeypatch.setattr(regularization_path, "LEAST_GUIDED", 1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=400) > 0).astype(int)
    data, halves = Data(X, y, y, np.arange(2), None, None), np.split(np.arange(400), 2)
    estimator = unfitted(tol=1e-8)
    estimator.classes_, estimator.n_features_in_ = np.arange(2), 5
    fit = partial(score_path, estimator, [0.01, 0.1, 1.0], data)
    alone = fit(*halves, None, {})
    guided = fit(*halves, None, {}, alone.coefs)
    np.testing.assert_allclose(guided.coefs, alone.coefs, rtol=0, atol=1e-7)
    assert max(guided.n_iter) <= 1 < min(alone.n_iter)


def test_a_path_scores_each_fit_and_keeps_its_warnings(toy_set):
    X, y = toy_set("iris", "softmax")
    data = Data(X, y, y, np.arange(3), None, None)
    even, odd = np.arange(0, 150, 2), np.arange(1, 150, 2)
    path = score_path(unfitted(max_iter=4), [1e-7, 1.0], data, even, odd, None, {})
    assert (path.coefs.shape, path.n_iter.tolist()) == ((2, 3, 5), [1, 4])
    assert [len(of_fit) for of_fit in path.warned] == [0, 1]
    alone = LogisticRegression(max_iter=4, C=1e-7).fit(X[even], y[even])
    assert path.scores[0] == alone.score(X[odd], y[odd])


def test_the_warning_names_the_fits():
    early, other = ("stopped early", ConvergenceWarning), ("odd", RuntimeWarning)
    paths = [
        Path(np.empty(0), np.empty(0), np.empty(0, np.int32), warned)
        for warned in ([[], [early]], [[early, other], [early]], [[], []])
    ]
    with pytest.warns((ConvergenceWarning, RuntimeWarning)) as caught:
        warn_of_paths([0.5, 2.0], ["fold 1", "fold 2", "fold 3"], paths)
    assert [str(warning.message) for warning in caught] == [
        "stopped early\nThis holds for fold 1 at C=2; fold 2 at C=0.5, 2.",
        "odd\nThis holds for fold 2 at C=0.5.",
    ]
    many = Path(np.empty(0), np.empty(0), np.empty(0, np.int32), [[early]] * 12)
    with pytest.warns(ConvergenceWarning, match="C=0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"):
        warn_of_paths(list(range(12)), ["fold 1"], [many])
