"""Rounds and fits on a local Dask cluster of two processes; dask-ml's fit where it is installed."""

import logging
from importlib.metadata import version

import numpy as np
import pytest

N_ROWS, N_FEATURES = 400_000, 30
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")


class Nothing:
    """Work that is nothing but its round."""

    def __call__(self, _index, _data):
        return 0

    def add(self, total, _part):
        return total


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=None, dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def rows(n_partitions, n_rows=N_ROWS):
    rng, chunk = da.random.default_rng(0), n_rows // n_partitions
    X = rng.normal(size=(n_rows, N_FEATURES), chunks=(chunk, N_FEATURES)).astype(np.float32)
    weights = np.random.default_rng(0).normal(size=N_FEATURES)
    y = (X @ weights + rng.logistic(size=n_rows, chunks=chunk) > 0).astype(int)
    return X, y


def record(benchmark, name, package):
    benchmark.group = "dask"
    benchmark.extra_info.update(
        suite="dask", case_id=f"{name}-{N_ROWS}x{N_FEATURES}", comparison="same-estimator",
        implementation=package, version=version(package), samples=N_ROWS, flops=None,
    )  # fmt: skip


@pytest.mark.parametrize("n_partitions", [2, 128])
@pytest.mark.benchmark(min_rounds=20, max_time=1.0)
def test_round(benchmark, client, n_partitions):
    from fastlogit.dask.passes import DaskPasses
    from fastlogit.dask.rows import DaskRows

    record(benchmark, f"round-{n_partitions}-partitions", "fastlogit")
    with DaskPasses(client, DaskRows(*rows(n_partitions, 1280), None)) as passes:
        assert benchmark(passes.run, Nothing(), None, 8) == 0


@pytest.mark.parametrize("package", ["fastlogit", "dask-ml"])
@pytest.mark.benchmark(min_rounds=3, max_time=1.0, warmup=True, warmup_iterations=1)
def test_fit(benchmark, client, package):
    X, y = (array.persist() for array in rows(8))
    if package == "fastlogit":
        from fastlogit.dask import LogisticRegression

        estimator = LogisticRegression(client=client)
    else:
        estimator = pytest.importorskip("dask_ml.linear_model").LogisticRegression(solver="newton")
    record(benchmark, "fit", package)
    fitted = benchmark(estimator.fit, X, y)
    assert float(fitted.score(X, y)) > 0.8
