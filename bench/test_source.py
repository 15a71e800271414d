"""Passes over a Parquet file: a fit to it, scikit-learn's over its batches, and reading alone."""

from importlib.metadata import version

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

import fastlogit
from fastlogit import LogisticRegression

N_ROWS, N_FEATURES = 400_000, 30
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    import pyarrow

    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("source") / "rows.parquet"
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    y = (X @ rng.normal(size=N_FEATURES) + rng.logistic(size=N_ROWS) > 0).astype(np.int8)
    columns = {f"x{j}": np.ascontiguousarray(X[:, j]) for j in range(N_FEATURES)}
    parquet.write_table(pyarrow.table({**columns, "y": y}), path)
    return path


def read(path):
    for _batch in parquet.ParquetFile(path, pre_buffer=False).iter_batches(use_threads=False):
        pass


def fit(path):
    return LogisticRegression(tol=1e-8).fit(fastlogit.scan(path, target="y"))


def epoch(path):
    clf = LogisticRegression(solver="sgd", batch_size=256)
    return clf.partial_fit(fastlogit.scan(path, target="y"), classes=[0, 1])


def sklearn_epoch(path):
    clf = SGDClassifier(loss="log_loss")
    for part in fastlogit.scan(path, target="y"):
        clf.partial_fit(part.X, part.y, classes=[0, 1])
    return clf


WORK = {
    "read": (read, "pyarrow"),
    "fit": (fit, "fastlogit"),
    "epoch": (epoch, "fastlogit"),
    "sklearn-epoch": (sklearn_epoch, "scikit-learn"),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.benchmark(min_rounds=3, max_time=1.0, warmup=True, warmup_iterations=1)
def test_source(benchmark, path, name):
    work, package = WORK[name]
    case_id = f"{name}-{N_ROWS}x{N_FEATURES}"
    benchmark.group = "source"
    benchmark.extra_info.update(
        suite="source", case_id=case_id, comparison="same-estimator", implementation=package,
        version=version(package), samples=N_ROWS, flops=None,
    )  # fmt: skip
    fitted = benchmark(work, path)
    if fitted is not None:
        X, y = rows_of(path)
        assert (fitted.coef_ @ X.T > 0).ravel()[y == 1].mean() > 0.7


def rows_of(path):
    part = next(iter(fastlogit.scan(path, target="y")))
    return part.X, part.y
