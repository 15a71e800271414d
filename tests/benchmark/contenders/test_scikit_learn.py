import numpy as np
import pytest
from sklearn.metrics import log_loss

from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS, UnsupportedError
from fastlogit.benchmark.problem import build
from fastlogit.models import MODELS


@pytest.mark.parametrize("dataset", ["iris", "moons"])
@pytest.mark.parametrize("network", ["mlp-logistic", "mlp-softmax"])
def test_a_networks_loss_is_what_the_estimator_predicts(prepared, network, dataset, solver):
    case = Grid(models=(network,), datasets=(dataset,), solvers=(solver,), epochs=5).cases()[0]
    contender, problem = prepared("scikit-learn", case)
    contender.run()
    outcome, fitted = contender.result(), contender._fitted
    assert contender.form() == "MLPClassifier"
    assert fitted.n_iter_ == 5
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]
    assert {p.dtype for p in outcome.params} == {np.dtype(np.float32)}
    assert outcome.loss == pytest.approx(log_loss(problem.y, fitted.predict_proba(problem.X)), 1e-4)


@pytest.mark.parametrize("dataset", ["iris", "moons"])
def test_a_linear_models_loss_is_of_its_own_scores(prepared, dataset):
    case = Grid(models=("softmax",), datasets=(dataset,), epochs=5).cases()[0]
    contender, problem = prepared("scikit-learn", case)
    contender.run()
    fitted, outcome = contender._fitted, contender.result()
    assert contender.form() == "SGDClassifier"
    assert fitted.n_iter_ == 5
    scores = fitted.decision_function(problem.X).astype(float)
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    proba = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = log_loss(problem.y, proba / proba.sum(axis=1, keepdims=True))
    assert outcome.loss == pytest.approx(expected, 1e-4)
    assert [p.shape for p in outcome.params] == [p.shape for p in problem.params]


def test_logistic_regression_on_two_classes(prepared):
    case = Grid(models=("logistic",), datasets=("iris",), epochs=5).cases()[0]
    contender, problem = prepared("scikit-learn", case)
    contender.run()
    expected = log_loss(problem.y, contender._fitted.predict_proba(problem.X))
    assert contender.result().loss == pytest.approx(expected, 1e-4)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if not model.has_hidden])
def test_what_it_has_no_solver_for(name):
    case = Grid(models=(name,), datasets=("iris",), solvers=("adam",), epochs=1).cases()[0]
    with pytest.raises(UnsupportedError, match="SGDClassifier has no solver adam"):
        CONTENDERS["scikit-learn"]().prepare(build(case))
