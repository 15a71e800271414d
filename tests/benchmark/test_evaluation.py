from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from fastlogit import predict_proba
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.evaluation import Evaluation
from fastlogit.benchmark.problem import build


@pytest.fixture
def problem(model):
    return build(Grid(models=(model,), datasets=("iris",), epochs=1).cases()[0])


def test_the_loss_is_the_mean_over_all_rows_in_float64(problem, model):
    wide = tuple(array.astype(np.float64) for array in problem.params)
    proba = predict_proba(model, wide, problem.X.astype(np.float64), backend="numpy")
    assert problem.params[0].dtype == np.float32
    loss = Evaluation(problem).loss(problem.params)
    assert loss == pytest.approx(log_loss(problem.y, proba), rel=1e-12)


def test_without_rows_held_out_there_is_no_accuracy(problem):
    assert Evaluation(problem).test_accuracy(problem.params) is None


def test_the_accuracy_is_of_the_rows_held_out(problem, model):
    kept = replace(
        problem, X=problem.X[20:], y=problem.y[20:], X_test=problem.X[:20], y_test=problem.y[:20]
    )
    proba = predict_proba(model, problem.params, problem.X[:20], backend="numpy")
    expected = accuracy_score(problem.y[:20], proba.argmax(axis=1))
    assert Evaluation(kept).test_accuracy(problem.params) == expected
    whole = replace(problem, X_test=problem.X, y_test=problem.y)
    assert 0 < Evaluation(whole).test_accuracy(problem.params) < 1
