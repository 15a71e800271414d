"""A model's loss as a function of flat parameters, and probabilities of given parameters."""

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize
from scipy.sparse import csr_array
from scipy.special import expit, softmax

import fastlogit
from fastlogit.models import BACKENDS, MODELS, Rows
from fastlogit.training.objective import Objective, predict, predict_classes

ALPHA = 0.3


def objective_of(model, task, backend, alpha=ALPHA):
    weight = np.empty(0, task.X.dtype) if task.weight is None else task.weight
    return Objective(MODELS[model], task.params, Rows(task.X, task.y, weight), alpha, backend)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_flat_gradient_is_that_of_the_flat_loss(problem, model, backend, weighted):
    objective = objective_of(model, problem(model, 17, 5, 3, 4, weighted=weighted), backend)
    start = objective.params.flat.copy()
    error = check_grad(
        lambda theta: objective(theta)[0], lambda theta: objective(theta)[1], start, epsilon=1e-7
    )
    assert error < 1e-6 * np.linalg.norm(objective(start)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_public_function_in_flat_form(problem, model, backend, dtype):
    task = problem(model, 17, 5, 3, 4, weighted=True, dtype=dtype)
    objective = objective_of(model, task, backend)
    loss, flat = objective(objective.params.flat.copy())
    expected_loss, expected = fastlogit.loss_and_gradient(
        model, task.params, task.X, task.y, alpha=ALPHA, sample_weight=task.weight, backend=backend
    )
    assert loss == expected_loss
    assert flat.dtype == dtype
    for array, other in zip(objective.gradient.copies(), expected, strict=True):
        assert np.array_equal(array, other)


def test_the_penalty_is_on_the_weights_alone(problem, model, backend):
    task = problem(model, 9, 4, 3)
    plain, penalised = (objective_of(model, task, backend, alpha) for alpha in (0.0, ALPHA))
    squares = sum(float(np.square(array).sum()) for array in task.params[::2])
    assert penalised.evaluate() - plain.evaluate() == pytest.approx(ALPHA / 2 * squares, rel=1e-13)
    differences = [
        one - other
        for one, other in zip(penalised.gradient.copies(), plain.gradient.copies(), strict=True)
    ]
    for difference, weights in zip(differences[::2], task.params[::2], strict=True):
        np.testing.assert_allclose(difference, ALPHA * weights, rtol=0, atol=1e-15)
    for difference in differences[1::2]:
        assert not difference.any()


def test_returned_gradients_are_not_overwritten(problem, model, backend):
    objective = objective_of(model, problem(model, 9, 4, 3), backend)
    theta = objective.params.flat.copy()
    _, first = objective(theta)
    copy = first.copy()
    objective(theta + 1)
    assert np.array_equal(first, copy)
    assert not np.shares_memory(theta, objective.params.flat)


def test_a_batch_optimizer_reaches_the_same_minimum_on_both_backends(problem, model):
    """A convex problem has one; a network started alike ends alike."""
    task = problem(model, 60, 4, 3, 3, weighted=True)
    ends = []
    for backend in BACKENDS:
        objective = objective_of(model, task, backend)
        end = minimize(objective, objective.params.flat.copy(), jac=True, method="L-BFGS-B")
        objective(end.x)
        ends.append((end.fun, objective.params.copies()))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-7)
    if not MODELS[model].has_hidden:
        for array, other in zip(ends[0][1], ends[1][1], strict=True):
            np.testing.assert_allclose(array, other, atol=1e-3)


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 600])
def test_predict(problem, model, backend, rows, dtype):
    task = problem(model, rows, 5, 3, 4, dtype=dtype)
    proba = predict(MODELS[model], task.params, task.X, backend)
    *layers, W, b = (array.astype(float) for array in task.params)
    last = expit(task.X @ layers[0] + layers[1]) if layers else task.X.astype(float)
    Z = last @ W + b
    expected = np.hstack([expit(-Z), expit(Z)]) if MODELS[model].binary else softmax(Z, axis=1)
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, expected, rtol=3e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 600])
def test_predict_classes(problem, model, backend, rows, dtype, sparse):
    task = problem(model, rows, 5, 3, 4, dtype=dtype)
    X = csr_array(task.X) if sparse else task.X
    classes = predict_classes(MODELS[model], task.params, X, backend)
    assert classes.dtype == np.intp
    expected = predict(MODELS[model], task.params, X, backend).argmax(axis=1)
    np.testing.assert_array_equal(classes, expected)


def test_overflowing_logits_have_no_classes(problem, model, backend):
    task = problem(model, 600, 5, 3, 4)
    *rest, W, b = task.params
    assert predict_classes(MODELS[model], (*rest, W, b), task.X, backend) is not None
    with np.errstate(over="ignore", invalid="ignore"):
        params = (*rest, np.full_like(W, 1e308), b)
        assert predict_classes(MODELS[model], params, 99 * abs(task.X), backend) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_have_no_classes(problem, backend, value):
    for model in ("logistic", "softmax"):
        task = problem(model, 600, 5, 3, 4)
        task.X[597, 3] = value
        task.params[0][3] = 0
        with np.errstate(invalid="ignore"):
            assert predict_classes(MODELS[model], task.params, task.X, backend) is None


def test_another_penalty_needs_no_pass_over_the_rows(problem, model):
    given = problem(model, 40, 5)
    rows = Rows(given.X, given.y, np.empty(0))
    objective = Objective(MODELS[model], given.params, rows, 0.1)
    objective.change_alpha(0.3)
    assert objective.loss is None
    objective.evaluate()
    for alpha in (0.05, 0.0, 2.0):
        objective.change_alpha(alpha)
        fresh = Objective(MODELS[model], given.params, rows, alpha)
        assert objective.loss == pytest.approx(fresh.evaluate(), rel=1e-14)
        np.testing.assert_allclose(objective.gradient.flat, fresh.gradient.flat, atol=1e-14)
        assert objective.evaluate() == fresh.loss
