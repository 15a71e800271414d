"""Workspaces: kept for the next user, never for two at a time, and without effect on results."""

import numpy as np
import pytest

import fastlogit
from fastlogit.models import BACKENDS, MODELS, Rows
from fastlogit.training import workspaces
from fastlogit.training.objective import Objective, predict
from fastlogit.training.workspaces import Workspace


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    kept = {}
    monkeypatch.setattr(workspaces, "_kept", kept)
    return kept


def take(n_rows=10, n_features=3, backend="numba"):
    shapes = (n_features, 1), (1,)
    return Workspace.take(BACKENDS[backend], shapes, np.dtype(np.float64), n_rows, False)


def test_a_released_one_is_taken_again_by_one_user_only(kept):
    first, second = take(), take()
    assert first is not second
    first.release()
    assert take(11) is not first
    assert take(backend="numpy") is not first
    assert take() is first
    assert take() is not first
    assert not kept


def test_few_and_small_ones_are_kept(kept):
    for n_features in range(1, 2 * workspaces.MOST):
        take(n_features=n_features).release()
    assert len(kept) == workspaces.MOST
    last = list(kept.values())
    take(n_features=workspaces.MOST_BYTES).release()
    assert list(kept.values()) == last


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_result_depends_on_what_the_last_user_left(problem, model, backend, kept):
    task = problem(model, 300, 5, 3)
    arguments = model, task.X, task.y, task.params

    def results():
        loss, gradient = fastlogit.loss_and_gradient(
            model, task.params, task.X, task.y, alpha=0.1, backend=backend
        )
        trained = [
            fastlogit.train(*arguments, solver=solver, batch_size=300, random_state=0, epochs=3,
                            learning_rate=0.01, backend=backend).params
            for solver in ("sgd", "adam")
        ]  # fmt: skip
        return [loss, *gradient, *trained[0], *trained[1]]

    expected = results()
    assert kept
    for workspace in kept.values():
        if isinstance(workspace, Workspace):
            workspace.params.flat[:] = workspace.gradients.values[:] = np.nan
            workspace.gradients.losses[:] = np.nan
    again = results()
    for array, other in zip(again, expected, strict=True):
        np.testing.assert_array_equal(array, other)
    for array in again[1:]:  # a result is never a workspace
        assert array.base is None


def test_objectives_at_the_same_time_are_apart():
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(20, 3)), np.arange(20) % 2, np.empty(0))
    params = np.ones((3, 1)), np.zeros(1)
    first = Objective(MODELS["logistic"], params, rows, 0.1)
    loss = first.evaluate()
    second = Objective(MODELS["logistic"], (np.zeros((3, 1)), np.zeros(1)), rows, 0.1)
    assert second.evaluate() == pytest.approx(np.log(2))
    assert first.evaluate() == loss


def test_a_callback_may_train_too(problem):
    task = problem("softmax", 40, 4, 3)
    arguments = ("softmax", task.X, task.y, task.params)
    inner = []

    def train_inside(_epoch, _loss, _params):
        inner.append(fastlogit.train(*arguments, random_state=1, learning_rate=0.5).params.W)

    alone = fastlogit.train(*arguments, random_state=0, epochs=3)
    nested = fastlogit.train(*arguments, random_state=0, epochs=3, callback=train_inside)
    np.testing.assert_array_equal(alone.params.W, nested.params.W)
    assert len(inner) == 3
    np.testing.assert_array_equal(inner[0], inner[2])


def test_predictions_share_buffers_in_turn(problem, kept):
    task = problem("mlp-softmax", 40, 4, 3)
    first = predict(MODELS["mlp-softmax"], task.params, task.X)
    assert len(kept) == 1
    (buffers,) = kept.values()
    for array in buffers.work:
        array[...] = np.nan
    np.testing.assert_array_equal(predict(MODELS["mlp-softmax"], task.params, task.X), first)
    assert list(kept.values()) == [buffers]
