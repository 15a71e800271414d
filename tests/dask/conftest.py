"""Clusters of worker processes, and rows divided into partitions as Dask's collections."""

import logging
import os
import signal
from contextlib import contextmanager, suppress

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import fastlogit


@contextmanager
def cluster(n_workers):
    with (
        # A worker that takes longer to come back, 15 s by default, is given up for good.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, memory_limit=None,
            dashboard_address=":0", silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def client():
    """Return a client of two worker processes."""
    with cluster(2) as client:
        yield client


@pytest.fixture(scope="module")
def make_cluster():
    return cluster


@pytest.fixture(scope="session")
def draw():
    """Return X, y and weights of a binary problem, or of more classes."""

    def draw(n=3000, D=6, K=2, dtype=np.float64):
        rng = np.random.default_rng([n, D, K])
        X = rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) + 1
        logits = X @ rng.normal(size=(D, K)) + 2 * rng.normal(size=(n, K))
        return X.astype(dtype), logits.argmax(axis=1), rng.uniform(0.1, 2, n).astype(dtype)

    return draw


@pytest.fixture(scope="session")
def divide():
    """Return arrays as Dask's, of chunks of so many rows."""
    return lambda rows, *arrays: [
        da.from_array(array, chunks=(rows, *array.shape[1:])) for array in arrays
    ]


@pytest.fixture(scope="session")
def streamed():
    """Return our estimator fitted to a scan of the same partitions."""

    def fit(kind, X, y, weight=None, rows=250, **arguments):
        source = fastlogit.scan(X, target=y, weight=weight, partition_rows=rows)
        return kind(**arguments).fit(source)

    return fit


@pytest.fixture(scope="session")
def params_of():
    """Return all fitted parameters of an estimator in one vector."""
    return lambda estimator: np.concatenate([array.ravel() for array in estimator._params])


@pytest.fixture
def send():
    """Return what sends a signal to workers' processes; those stopped are killed in the end."""
    stopped = []

    def send(client, addresses, number=signal.SIGKILL):
        for pid in client.run(os.getpid, workers=list(addresses)).values():
            os.kill(pid, number)
            if number == signal.SIGSTOP:
                stopped.append(pid)

    yield send
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
