"""Workers that join, leave, stop and die leave the bits of a fit as they are."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pytest
from distributed.core import Status

import fastlogit
from fastlogit.dask import LogisticRegression, MLPClassifier
from fastlogit.dask import worker as worker_module
from fastlogit.dask.passes import DaskPasses

ARGUMENTS = {"tol": 1e-9}


N_WORKERS = 3


@pytest.fixture(scope="module")
def shared_client(make_cluster):
    with make_cluster(N_WORKERS) as client:
        yield client


@pytest.fixture
def client(shared_client):
    """Return a client of three workers, once those that a test before has killed are back."""
    shared_client.wait_for_workers(N_WORKERS)
    return shared_client


@pytest.fixture
def problem(draw, divide):
    X, y, _ = draw(n=8000)
    return X, y, *divide(500, X, y)


@pytest.fixture
def expected(problem, streamed, params_of):
    X, y, *_ = problem
    return params_of(streamed(fastlogit.LogisticRegression, X, y, rows=500, **ARGUMENTS))


@pytest.fixture
def in_rounds(monkeypatch):
    """Have functions called while a round's tasks run, by the round's number."""

    def in_rounds(actions):
        gather = DaskPasses._gather

        def gather_after(self, *arguments):
            if action := actions.pop(self.n_passes, None):
                action(self)
            return gather(self, *arguments)

        monkeypatch.setattr(DaskPasses, "_gather", gather_after)
        return actions

    return in_rounds


@pytest.mark.slow  # half a minute
def test_workers_that_join_and_leave(make_cluster, problem, expected, params_of, monkeypatch):
    """One, two and three workers join before a fit, and two leave in the middle of one."""
    monkeypatch.setattr("fastlogit.dask.passes.CHECK_SECONDS", 0.1)
    *_, Xd, yd = problem
    with make_cluster(1) as client:
        for n_workers in (1, 2, 3):
            client.cluster.scale(n_workers)
            client.wait_for_workers(n_workers)
            fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
            np.testing.assert_array_equal(params_of(fitted), expected)
        scaled = []
        ask = DaskPasses._ask

        def ask_after(self, *arguments):
            scaled.append(len(set(self._holders)))
            client.cluster.scale(1)
            while len(client.nthreads()) > 1:
                pass
            return ask(self, *arguments)

        monkeypatch.setattr(DaskPasses, "_ask", ask_after)
        fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
        np.testing.assert_array_equal(params_of(fitted), expected)
        assert {3, 1} <= set(scaled)


@pytest.mark.parametrize("persisted", [False, True])
def test_the_holder_of_partitions_is_killed(
    client, problem, expected, params_of, send, in_rounds, persisted
):
    *_, Xd, yd = problem
    if persisted:
        Xd, yd = Xd.persist(), yd.persist()
    killed = []

    def kill_one(passes):
        killed.append(passes._holders[0])
        send(client, killed[-1:])

    left = in_rounds({2: kill_one, 3: kill_one})
    fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    assert not left
    assert len(set(killed)) == 2
    np.testing.assert_array_equal(params_of(fitted), expected)


def test_all_are_killed_at_once(client, problem, expected, params_of, send, in_rounds):
    *_, Xd, yd = problem
    left = in_rounds({3: lambda passes: send(client, client.nthreads())})
    fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    assert not left
    np.testing.assert_array_equal(params_of(fitted), expected)


@pytest.mark.parametrize("round_number", [0, 1, 2, 12])
def test_all_are_killed_while_two_fits_run(
    client, problem, streamed, params_of, send, in_rounds, monkeypatch, round_number
):
    """Neither waits for what the other has lost, nor cancels its tasks."""
    monkeypatch.setattr("fastlogit.estimators.partitioned.MOST_BY_NEWTON", 0)  # some 30 rounds each
    X, y, Xd, yd = problem
    strengths = (0.01, 1.0)
    expected = [
        params_of(streamed(fastlogit.LogisticRegression, X, y, rows=500, C=C, **ARGUMENTS))
        for C in strengths
    ]
    begun = threading.Barrier(2)

    def fit(C):
        begun.wait()
        return params_of(LogisticRegression(C=C, client=client, **ARGUMENTS).fit(Xd, yd))

    left = in_rounds({round_number: lambda passes: send(client, client.nthreads())})
    with ThreadPoolExecutor(2) as pool:
        for fitted, alone in zip(pool.map(fit, strengths), expected, strict=True):
            np.testing.assert_array_equal(fitted, alone)
    assert not left


@pytest.mark.parametrize("n_killed", [1, N_WORKERS])
def test_workers_are_killed_while_partitions_are_loaded(
    client, problem, expected, params_of, send, in_rounds, n_killed
):
    """Tasks that read a partition outlive no round: Dask leaves them waiting for a dead worker."""
    *_, Xd, yd = problem
    left = in_rounds({0: lambda passes: send(client, sorted(client.nthreads())[:n_killed])})
    fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    assert not left
    np.testing.assert_array_equal(params_of(fitted), expected)


def test_a_worker_stops(client, problem, expected, params_of, send, in_rounds):
    """A worker that is silent is restarted, as Dask does itself after ``worker-ttl``."""
    *_, Xd, yd = problem

    def stop_one(passes):
        silent = passes._holders[:1]
        send(client, silent, signal.SIGSTOP)
        timer = threading.Timer(1, client.restart_workers, [silent])
        timer.start()
        timers.append(timer)

    timers = []
    left = in_rounds({3: stop_one})
    fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    assert not left
    np.testing.assert_array_equal(params_of(fitted), expected)
    timers[0].join()


def test_a_worker_is_paused(client, problem, expected, params_of, monkeypatch):
    """Dask gives no task to it, as where memory is short, and others load its partitions."""
    *_, Xd, yd = problem
    paused = []
    ask = DaskPasses._ask

    def ask_after(self, *arguments):
        if self.n_passes == 2 and not paused:
            paused.append(self._holders[0])
            set_status(client, paused, Status.paused)
        return ask(self, *arguments)

    monkeypatch.setattr(DaskPasses, "_ask", ask_after)
    try:
        fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    finally:
        set_status(client, paused, Status.running)
    assert paused
    np.testing.assert_array_equal(params_of(fitted), expected)


def set_status(client, addresses, status):
    """Set workers' status, and wait until the scheduler has it."""
    # The workers cannot import the tests.
    change = eval(  # noqa: S307
        "lambda status, dask_worker: setattr(dask_worker, 'status', status)",
        {"__name__": "__main__"},
    )
    client.run(change, status, workers=addresses)
    states = client.cluster.scheduler.workers
    while any(states[address].status != status for address in addresses):
        pass


def test_an_epoch_survives(client, draw, divide, params_of, send, in_rounds):
    X, y, _ = draw(n=40_000)
    Xd, yd = divide(2500, X, y)
    network = MLPClassifier(
        (4,), batch_size=10, max_iter=4, tol=0.0, n_iter_no_change=10, random_state=0, client=client
    )
    results = []
    for actions in ({}, {3: lambda passes: send(client, passes._holders[-1:])}):
        left = in_rounds(actions)
        with pytest.warns(UserWarning, match="Maximum iterations"):
            results.append(params_of(network.fit(Xd, yd)))
        assert not left
    np.testing.assert_array_equal(*results)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("round_number", [0, 2])
def test_all_are_killed_while_two_networks_train(
    client, problem, params_of, send, in_rounds, round_number
):
    *_, Xd, yd = problem
    networks = [
        MLPClassifier((4,), batch_size=10, max_iter=3, tol=0.0, random_state=seed, client=client)
        for seed in (0, 1)
    ]

    def fit(network):
        return params_of(network.fit(Xd, yd))

    expected = [fit(network) for network in networks]
    left = in_rounds({round_number: lambda passes: send(client, client.nthreads())})
    with ThreadPoolExecutor(2) as pool:
        for fitted, alone in zip(pool.map(fit, networks), expected, strict=True):
            np.testing.assert_array_equal(fitted, alone)
    assert not left


def test_ctrl_c_ends_the_tasks_of_an_epoch(client, in_rounds, problem, expected, params_of):
    """The epoch would take minutes on a worker, which Dask does not interrupt."""
    rng = da.random.default_rng(0)
    X = rng.normal(size=(1_500_000, 4), chunks=(500_000, 4))
    y = rng.integers(0, 2, 1_500_000, chunks=500_000)
    network = MLPClassifier((20_000,), batch_size=1, max_iter=1, random_state=0, client=client)
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    left = in_rounds({2: lambda _passes: interrupt.start()})
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, y)
    assert not left
    assert not hasattr(network, "classes_")
    end = time.monotonic() + 30
    while any(client.processing().values()) or any(client.run(worker_module.n_held).values()):
        assert time.monotonic() < end
    *_, Xd, yd = problem
    fitted = LogisticRegression(client=client, **ARGUMENTS).fit(Xd, yd)
    np.testing.assert_array_equal(params_of(fitted), expected)


def test_large_sums_are_added_by_the_workers(client, draw, divide, monkeypatch, params_of):
    X, y, _ = draw()
    Xd, yd = divide(250, X, y)
    arguments = {"hidden_layer_sizes": (50,), "solver": "lbfgs", "max_iter": 3, "random_state": 0}
    results = []
    for name, limit in (("LEAST_IN_TREE", 1 << 30), ("LEAST_IN_TREE", 8), ("MOST_IN_TASK", 0)):
        monkeypatch.setattr(f"fastlogit.dask.passes.{name}", limit)
        with pytest.warns(UserWarning, match="failed to converge"):
            results.append(params_of(MLPClassifier(client=client, **arguments).fit(Xd, yd)))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_scattered_data_that_is_lost_is_named(client, draw, send, in_rounds):
    X, y, _ = draw()
    addresses = sorted(client.nthreads())
    pieces = zip(np.split(X, 3), addresses, strict=False)
    parts = [client.scatter(piece, workers=[address]) for piece, address in pieces]
    size = len(X) // 3
    blocks = [da.from_delayed(part, (size, 6), X.dtype) for part in parts]
    Xd, yd = da.concatenate(blocks), da.from_array(y[: size * len(parts)], chunks=size)
    left = in_rounds({2: lambda passes: send(client, passes._holders[:1])})
    with pytest.raises(RuntimeError, match=r"X, y or sample_weight are lost.*client\.scatter"):
        LogisticRegression(client=client).fit(Xd, yd)
    assert not left
