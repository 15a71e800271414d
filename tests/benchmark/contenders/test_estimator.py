from dataclasses import replace

import numpy as np
import pytest
import sklearn
from scipy.optimize import minimize
from sklearn.metrics import log_loss

import fastlogit
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS, UnsupportedError
from fastlogit.benchmark.contenders.estimator import AllRowsContender
from fastlogit.benchmark.evaluation import Evaluation
from fastlogit.benchmark.problem import build
from fastlogit.models import MODELS

ALL_ROWS = [name for name, kind in CONTENDERS.items() if issubclass(kind, AllRowsContender)]
LINEAR = [name for name, model in MODELS.items() if not model.has_hidden]
NETWORKS = [name for name, model in MODELS.items() if model.has_hidden]


def case(model, dataset="moons", **other):
    other = {"epochs": 400, "dtypes": ("float64",)} | other
    return Grid(models=(model,), datasets=(dataset,), **other).cases()[0]


def optimum(problem):
    """The least mean loss without a penalty, by SciPy on the reference's gradient."""
    model, shapes = problem.case.model, [array.shape for array in problem.params]
    cut = int(np.prod(shapes[0]))

    def loss(theta):
        params = theta[:cut].reshape(shapes[0]), theta[cut:]
        value, grads = fastlogit.loss_and_gradient(
            model, params, problem.X, problem.y, backend="numpy"
        )
        return value, np.concatenate([grad.ravel() for grad in grads])

    start = np.zeros(cut + shapes[1][0])
    return minimize(loss, start, jac=True, tol=1e-12).fun


@pytest.mark.parametrize("model", LINEAR)
@pytest.mark.parametrize("name", ALL_ROWS)
def test_all_of_them_find_the_same_optimum(prepared, name, model):
    contender, problem = prepared(name, case(model))
    contender.run()
    outcome = contender.result()
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    assert outcome.loss == pytest.approx(optimum(problem), abs=1e-8)
    assert outcome.loss == pytest.approx(Evaluation(problem).loss(outcome.params), rel=1e-12)
    assert contender.form() == "LogisticRegression"


def test_several_classes(prepared):
    problem = build(case("softmax", "classification-400x5x3"))
    least = optimum(problem)
    for name in ALL_ROWS:
        contender, _ = prepared(name, problem.case)
        contender.run()
        assert contender.result().loss == pytest.approx(least, rel=1e-5), name


@pytest.mark.parametrize("name", ALL_ROWS)
def test_more_iterations_come_nearer(prepared, name):
    if name == "sklearn-newton-cholesky" and sklearn.__version__.startswith("1.8."):
        pytest.skip("scikit-learn 1.8 fails in float32")
    contender, _ = prepared(name, case("softmax", "wine", dtypes=("float32",)))
    losses = []
    for iterations in (1, 3, 9):
        contender.fit(iterations)
        losses.append(contender.result().loss)
        assert {p.dtype for p in contender.result().params} == {np.dtype(np.float32)}
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("name", ALL_ROWS)
def test_networks_by_l_bfgs_alone(prepared, name, model):
    task = case(model, "iris", n_hidden=8)
    solver = CONTENDERS[name].solver
    if solver != "lbfgs":
        with pytest.raises(UnsupportedError, match=f"MLPClassifier has no solver {solver}"):
            prepared(name, task)
        return
    contender, problem = prepared(name, task)
    contender.run()
    outcome = contender.result()
    assert contender.form() == "MLPClassifier"
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    proba = contender._fitted.predict_proba(problem.X)
    assert outcome.loss == pytest.approx(log_loss(problem.y, proba), rel=1e-6)
    assert outcome.loss < 0.1


def test_the_same_solver_of_both_takes_the_same_way(prepared):
    for model in MODELS:
        task = case(model, "iris", n_hidden=8)
        ours, theirs = (prepared(f"{who}-lbfgs", task)[0] for who in ("fastlogit", "sklearn"))
        for iterations in (1, 5):
            ours.fit(iterations)
            theirs.fit(iterations)
            for mine, other in zip(ours.result().params, theirs.result().params, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-8)


def test_a_rate_in_rows_is_of_passes_over_the_rows_alone():
    rates = {name for name in ALL_ROWS if CONTENDERS[name].by_epoch}
    assert rates == {"sklearn-sag", "sklearn-saga"}
    assert CONTENDERS["scikit-learn"].by_epoch


@pytest.mark.parametrize(("name", "most"), [("sklearn-lbfgs", 100), ("sklearn-saga", 7)])
def test_how_long_a_repeat_goes_on_at_most(prepared, name, most):
    contender, _ = prepared(name, case("softmax", "breast_cancer", epochs=7))
    asked, fit = [], contender.fit
    contender.fit = lambda iterations: [asked.append(iterations), fit(iterations)]
    contender.run()
    assert asked == [most]


def test_own_solvers_are_the_kernels(prepared, monkeypatch):
    for name in ("fastlogit-lbfgs", "fastlogit-newton-cholesky"):
        contender, _ = prepared(name, replace(case("logistic"), threads=2))
        assert contender._fitted.backend_ == "numba"
        assert contender._fitted.n_threads == 2
        assert contender.compilations() > 0
        other = fastlogit.LogisticRegression(solver="liblinear")
        monkeypatch.setattr(contender, "estimator", lambda *_, other=other: other)
        with pytest.raises(UnsupportedError, match="the kernels do not cover"):
            contender.fit(3)
