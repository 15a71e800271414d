"""Threads change how long a result takes, and not one bit of it."""

import threading

import numpy as np
import pytest

import fastlogit
from fastlogit.models import MODELS, Rows
from fastlogit.training import threads
from fastlogit.training.objective import Objective, predict, predict_classes


@pytest.fixture(autouse=True)
def _four_cores_and_nothing_too_small(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    monkeypatch.setattr(threads.Pace, "shares", lambda _pace: True)


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
    for function in (predict, predict_classes):
        one, four = (function(MODELS[model], params, task.X, n_threads=n) for n in (1, 4))
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
    monkeypatch.setattr(threads, "WORTH_SHARING", 1.0)
    pool, sizes = threads.ThreadPool(2, lambda: None), []
    for seconds in (0.9, 1.0):
        pool.bind(lambda team: sizes.append(team.n_threads), seconds)()
    assert sizes in ([1, 2], [1, 2, 2])  # the other thread may come too late


def test_the_longer_of_reading_and_arithmetic_is_estimated(monkeypatch):
    monkeypatch.setattr(threads, "MULTIPLY_ADDS_A_SECOND", 1000)
    monkeypatch.setattr(threads, "BYTES_A_SECOND", 100)
    fixed = threads.ROW_MULTIPLY_ADDS
    assert threads.estimate_seconds(10, 2000 - fixed, 8) == pytest.approx(20)
    assert threads.estimate_seconds(10, 2000 - fixed, 800) == pytest.approx(80)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_are_shared_in_whole_blocks_once_each(n_threads):
    seen, lock = [], threading.Lock()

    def function(rows):
        with lock:
            seen.append(rows)

    threads.by_rows(n_threads, function, 5000, 10, 80)
    seen.sort(key=lambda rows: rows.start)
    assert [rows.start for rows in seen] == [0, *(rows.stop for rows in seen[:-1])]
    assert seen[-1].stop == 5000
    assert all(rows.start % threads.BLOCK_ROWS == 0 for rows in seen)
    assert len(seen) == (1 if n_threads == 1 else n_threads * threads.SLICES_PER_THREAD)


def test_few_rows_are_not_shared(monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 1.0)
    callers = set()
    threads.by_rows(2, lambda _rows: callers.add(threading.get_ident()), 5000, 10, 80)
    assert callers == {threading.get_ident()}


def test_a_slice_that_fails_ends_the_others():
    waiting, calls = threading.Event(), []

    def function(rows):
        calls.append(rows)
        if rows.start == 0:
            waiting.set()
            raise OSError("no memory")
        waiting.wait(10)

    with pytest.raises(OSError, match="no memory"):
        threads.by_rows(2, function, 8000, 10, 80)
    assert len(calls) <= 3


def test_a_team_is_no_larger_than_its_work_or_numbas_limit(monkeypatch):
    assert threads.team_size(8, 256) == 1
    assert threads.team_size(8, 257) == 2
    assert threads.team_size(8, 10**6) == 4
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert threads.team_size(8, 10**6) == 1


# The pace of calls: which of two ways is chosen


def chosen(seconds, n_calls):
    """Return which calls are shared if these are the seconds by one thread and by all."""
    pace, shared = threads.Pace(), []
    for call in range(n_calls):
        shared.append(PACE_SHARES(pace))
        took = seconds[shared[-1]]
        pace.record(shared[-1], took(call) if callable(took) else took)
    return shared


PACE_SHARES = threads.Pace.shares


def test_each_way_is_tried_and_then_the_faster_taken():
    assert chosen({False: 2.0, True: 1.0}, 6) == [False, False, True, True, True, True]
    assert chosen({False: 1.0, True: 2.0}, 6) == [False, False, True, False, False, False]


@pytest.mark.parametrize("slower", [1.05, 2, 10])
def test_the_slower_way_costs_little(slower):
    for faster in (False, True):
        shared = chosen({faster: 1.0, not faster: slower}, 2000)
        tried = sum(way is not faster for way in shared)
        assert 5 < tried < 1.05 * 2000 * threads.FORGOTTEN / np.log(slower) + 3
        assert tried * (slower - 1) / 2000 < 0.1


def test_a_core_that_is_taken_and_given_back_is_noticed():
    shared = chosen({False: 1.0, True: lambda call: 3.0 if 100 <= call < 300 else 0.6}, 500)
    assert sum(shared[10:100]) > 85
    assert sum(shared[110:300]) < 15
    assert sum(shared[400:]) > 90


def test_a_call_in_another_way_than_the_last_is_a_trial(monkeypatch):
    monkeypatch.setattr(threads.Pace, "shares", PACE_SHARES)
    pace, trials = threads.Pace(), []
    for _ in range(100):
        trials.append(pace.is_trial())
        shared = pace.shares()
        pace.record(shared, 2.0 if shared else 1.0)
    assert trials[:4] == [True] * 4
    assert not any(trials[4:70])
    again = trials.index(True, 70)
    assert trials[again : again + 3] == [True, True, False], "there, and back"


def test_a_trial_of_training_is_short(problem, monkeypatch):
    """And no bit depends on it."""
    monkeypatch.setattr(threads.Pace, "shares", PACE_SHARES)
    task, calls = problem("softmax", 1180, 5, 3), []
    arguments = {"batch_size": 520, "epochs": 400, "random_state": 0}
    expected = fastlogit.train("softmax", task.X, task.y, task.params, **arguments)
    record = threads.Pace.record

    def recorded(pace, shared, seconds):
        calls.append(shared)
        record(pace, shared, seconds)

    monkeypatch.setattr(threads.Pace, "record", recorded)
    result = fastlogit.train("softmax", task.X, task.y, task.params, n_threads=2, **arguments)
    assert calls[:3] == [False, False, True]
    assert np.array_equal(result.loss_curve, expected.loss_curve)
    assert np.array_equal(result.params.W, expected.params.W)


def test_a_call_that_may_compile_is_not_measured():
    pace = threads.Pace()
    pace.record(False, 1000.0)
    pace.record(False, 1.0)
    pace.record(True, 2.0)
    assert not PACE_SHARES(pace)
