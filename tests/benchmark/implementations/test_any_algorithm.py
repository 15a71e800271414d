from dataclasses import replace

import numpy as np
import pytest
import sklearn
from scipy.optimize import minimize
from sklearn.metrics import log_loss
from small_cases import training_case

import fastlogit
from fastlogit.benchmark.implementations import IMPLEMENTATIONS, UnsupportedError
from fastlogit.benchmark.implementations.any_algorithm import FullBatchSolver, SklearnSgd
from fastlogit.benchmark.loss_curves import Evaluation
from fastlogit.benchmark.problem import build
from fastlogit.models import MODELS

KINDS = {kind.name: kind for kind in IMPLEMENTATIONS if issubclass(kind, FullBatchSolver)}
ALL_ROWS = list(KINDS)
LINEAR = [name for name, model in MODELS.items() if not model.has_hidden]
NETWORKS = [name for name, model in MODELS.items() if model.has_hidden]


def case(model, dataset="moons", **other):
    other = {"epochs": 400, "dtype": "float64"} | other
    return training_case(model, dataset, **other)


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
    implementation, problem = prepared(KINDS[name], case(model))
    implementation.run()
    outcome = implementation.result()
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    assert outcome.loss == pytest.approx(optimum(problem), abs=1e-8)
    assert outcome.loss == pytest.approx(Evaluation(problem).loss(outcome.params), rel=1e-12)
    assert implementation.variant() == "LogisticRegression"


def test_several_classes(prepared):
    problem = build(case("softmax", "classification-400x5x3"))
    least = optimum(problem)
    for name in ALL_ROWS:
        implementation, _ = prepared(KINDS[name], problem.case)
        implementation.run()
        assert implementation.result().loss == pytest.approx(least, rel=1e-5), name


@pytest.mark.parametrize("name", ALL_ROWS)
def test_more_iterations_come_nearer(prepared, name):
    if name == "sklearn-newton-cholesky" and sklearn.__version__.startswith("1.8."):
        pytest.skip("scikit-learn 1.8 fails in float32")
    implementation, _ = prepared(KINDS[name], case("softmax", "wine", dtype="float32"))
    losses = []
    for iterations in (1, 3, 9):
        implementation.fit(iterations)
        losses.append(implementation.result().loss)
        assert {p.dtype for p in implementation.result().params} == {np.dtype(np.float32)}
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("name", ALL_ROWS)
def test_networks_by_l_bfgs_alone(prepared, name, model):
    task = case(model, "iris", n_hidden=8)
    solver = KINDS[name].solver
    if solver != "lbfgs":
        with pytest.raises(UnsupportedError, match=f"MLPClassifier has no solver {solver}"):
            prepared(KINDS[name], task)
        return
    implementation, problem = prepared(KINDS[name], task)
    implementation.run()
    outcome = implementation.result()
    assert implementation.variant() == "MLPClassifier"
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    proba = implementation._fitted.predict_proba(problem.X)
    assert outcome.loss == pytest.approx(log_loss(problem.y, proba), rel=1e-6)
    assert outcome.loss < 0.1


def test_the_same_solver_of_both_takes_the_same_way(prepared):
    for model in MODELS:
        task = case(model, "iris", n_hidden=8)
        ours, theirs = (
            prepared(KINDS[f"{who}-lbfgs"], task)[0] for who in ("fastlogit", "sklearn")
        )
        for iterations in (1, 5):
            ours.fit(iterations)
            theirs.fit(iterations)
            for mine, other in zip(ours.result().params, theirs.result().params, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-8)


def test_a_rate_in_rows_is_of_passes_over_the_rows_alone():
    rates = {name for name in ALL_ROWS if KINDS[name].by_epoch}
    assert rates == {"sklearn-sag", "sklearn-saga"}


@pytest.mark.parametrize(("name", "most"), [("sklearn-lbfgs", 100), ("sklearn-saga", 7)])
def test_how_long_a_repeat_goes_on_at_most(prepared, name, most):
    implementation, _ = prepared(KINDS[name], case("softmax", "breast_cancer", epochs=7))
    asked, fit = [], implementation.fit
    implementation.fit = lambda iterations: [asked.append(iterations), fit(iterations)]
    implementation.run()
    assert asked == [most]


def test_own_solvers_are_the_kernels(prepared, monkeypatch):
    for name in ("fastlogit-lbfgs", "fastlogit-newton-cholesky"):
        implementation, _ = prepared(KINDS[name], replace(case("logistic"), threads=2))
        assert implementation._fitted.backend_ == "numba"
        assert implementation._fitted.n_threads == 2
        assert implementation.compilations() > 0
        other = fastlogit.MLPClassifier((2, 2), max_iter=2)
        monkeypatch.setattr(implementation, "estimator", lambda *_, other=other: other)
        with pytest.raises(UnsupportedError, match="the kernels do not cover"):
            implementation.fit(3)


@pytest.mark.parametrize("dataset", ["iris", "moons"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_networks_loss_is_what_the_estimator_predicts(prepared, network, dataset, solver):
    task = training_case(network, dataset, solver=solver, epochs=5)
    implementation, problem = prepared(SklearnSgd, task)
    implementation.run()
    outcome, fitted = implementation.result(), implementation._fitted
    assert implementation.variant() == "MLPClassifier"
    assert fitted.n_iter_ == 5
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    assert {p.dtype for p in outcome.params} == {np.dtype(np.float32)}
    assert outcome.loss == pytest.approx(log_loss(problem.y, fitted.predict_proba(problem.X)), 1e-4)


@pytest.mark.parametrize("dataset", ["iris", "moons"])
def test_a_linear_models_loss_is_of_its_own_scores(prepared, dataset):
    task = training_case("softmax", dataset, epochs=5)
    implementation, problem = prepared(SklearnSgd, task)
    implementation.run()
    fitted, outcome = implementation._fitted, implementation.result()
    assert implementation.variant() == "SGDClassifier"
    assert fitted.n_iter_ == 5
    scores = fitted.decision_function(problem.X).astype(float)
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    proba = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = log_loss(problem.y, proba / proba.sum(axis=1, keepdims=True))
    assert outcome.loss == pytest.approx(expected, 1e-4)
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]


def test_logistic_regression_on_two_classes(prepared):
    task = training_case("logistic", "iris", epochs=5)
    implementation, problem = prepared(SklearnSgd, task)
    implementation.run()
    expected = log_loss(problem.y, implementation._fitted.predict_proba(problem.X))
    assert implementation.result().loss == pytest.approx(expected, 1e-4)


@pytest.mark.parametrize("name", LINEAR)
def test_sgd_classifier_has_no_adam(name):
    task = training_case(name, "iris", solver="adam", epochs=1)
    with pytest.raises(UnsupportedError, match="SGDClassifier has no solver adam"):
        SklearnSgd().prepare(build(task))
