"""Threads change how long a result takes, and not one bit of it."""

import threading

import numba
import numpy as np
import pytest

import fastlogit
from fastlogit.models import MODELS, Rows
from fastlogit.training import threads
from fastlogit.training.objective import Objective, predict


@pytest.fixture(autouse=True)
def _four_cores_and_nothing_too_small(monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 4)
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_gives_the_same_bits(problem, model, solver, dtype, n_threads, weighted):
    # Batches of three groups, then a short one of two.
    task = problem(model, 1180, 5, 3, dtype=dtype, weighted=weighted)
    arguments = {"solver": solver, "batch_size": 650, "epochs": 3, "alpha": 0.1}
    arguments |= {"random_state": 0, "sample_weight": task.weight}
    one, several = (
        fastlogit.train(model, task.X, task.y, task.params, n_threads=n, **arguments)
        for n in (1, n_threads)
    )
    assert np.array_equal(one.loss_curve, several.loss_curve)
    for array, other in zip(one.params, several.params, strict=True):
        assert np.array_equal(array, other)


@pytest.mark.parametrize("n_rows", [255, 513, 2900])
def test_the_objective_gives_the_same_bits(problem, model, n_rows):
    task = problem(model, n_rows, 5, 3)
    rows = Rows(task.X, task.y, np.empty(0))
    results = []
    for n_threads in (1, 2, 4):
        objective = Objective(MODELS[model], task.params, rows, 0.1, n_threads=n_threads)
        results.append(objective(np.linspace(-1, 1, objective.params.flat.size)))
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        assert np.array_equal(gradient, results[0][1])


@pytest.mark.parametrize("n_rows", [1, 256, 257, 1500])
def test_prediction_gives_the_same_bits(problem, model, n_rows):
    task = problem(model, n_rows, 5, 3)
    params = [np.asarray(array) for array in task.params]
    one, four = (predict(MODELS[model], params, task.X, n_threads=n) for n in (1, 4))
    assert np.array_equal(one, four)


def test_two_fits_at_once_do_not_disturb_each_other(problem):
    task = problem("softmax", 900, 5, 3)
    arguments = {"batch_size": 600, "epochs": 20, "random_state": 0, "n_threads": 3}
    expected = fastlogit.train("softmax", task.X, task.y, task.params, **arguments)
    results = []

    def fit():
        results.append(fastlogit.train("softmax", task.X, task.y, task.params, **arguments))

    fits = [threading.Thread(target=fit) for _ in range(3)]
    for thread in fits:
        thread.start()
    for thread in fits:
        thread.join()
    assert len(results) == 3
    for result in results:
        assert np.array_equal(result.params.W, expected.params.W)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_thread_that_fails_ends_the_call(failing):
    waiting = threading.Event()

    def function(team):
        if team.thread == failing:
            raise OSError("no memory")
        for _ in range(1000):
            if team.barrier[threads.ABANDONED]:
                return
            waiting.wait(0.01)

    with pytest.raises(OSError, match="no memory"):
        threads.ThreadPool(2, lambda: None).bind(function, 1)()


def test_small_calls_are_the_callers_alone(monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 100)
    pool, sizes = threads.ThreadPool(2, lambda: None), []
    for multiply_adds in (99, 100):
        pool.bind(lambda team: sizes.append(team.n_threads), multiply_adds)()
    assert sizes == [1, 2, 2]


def test_a_team_is_no_larger_than_its_work_or_numbas_limit(monkeypatch):
    assert threads.team_size(8, 256) == 1
    assert threads.team_size(8, 257) == 2
    assert threads.team_size(8, 10**6) == 4
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1)
    assert threads.team_size(8, 10**6) == 1
