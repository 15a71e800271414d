"""Copies on disk: what fails while one is written, and what it holds."""

import datetime
import json
import pickle
import resource
import sys

import numpy as np
import pyarrow as pa
import pytest

import fastlogit
from fastlogit.sources import cache

X = np.random.default_rng(0).normal(size=(50, 3))
Y = np.arange(50) % 2


def npy(folder):
    np.save(folder / "X.npy", X)
    return folder / "X.npy"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the size of files")
@pytest.mark.parametrize("repeats", [10, 1000])  # in a buffer, and beyond it
def test_a_full_disk_names_the_file_and_leaves_nothing(repeats, tmp_path):
    rows = X.repeat(repeats, axis=0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*X\.npy'"):
            fastlogit.scan(rows, cache=tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_the_cache_of_a_process_that_was_first_is_taken(tmp_path, monkeypatch):
    path, directory, write = npy(tmp_path), tmp_path / "cache", cache.write

    def write_late(*arguments):
        monkeypatch.setattr(cache, "write", write)
        fastlogit.scan(path, cache=directory, **other)
        write(*arguments)

    for other, message in (({}, None), ({"partition_rows": 7}, "a cache of other data")):
        monkeypatch.setattr(cache, "write", write_late)
        directory = tmp_path / f"cache-{len(other)}"
        if message is None:
            np.testing.assert_array_equal(next(iter(fastlogit.scan(path, cache=directory))).X, X)
        else:
            with pytest.raises(ValueError, match=message):
                fastlogit.scan(path, cache=directory)
    assert sorted(left.name for left in tmp_path.iterdir()) == ["X.npy", "cache-0", "cache-1"]


def test_a_description_that_is_another_program_s_is_no_cache(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / cache.DESCRIPTION).write_text(json.dumps([1, 2]))
    with pytest.raises(ValueError, match="no cache of fastlogit"):
        fastlogit.scan(npy(tmp_path), cache=tmp_path / "mine")


@pytest.mark.parametrize("kept_bytes", [0, 200])
def test_a_damaged_cache_is_named(kept_bytes, tmp_path):
    path, directory = npy(tmp_path), tmp_path / "cache"
    fastlogit.scan(path, cache=directory)
    rows = directory / cache.ROWS
    rows.write_bytes(rows.read_bytes()[:kept_bytes])
    with pytest.raises(ValueError, match=r"cache='.*cache' is damaged, remove it"):
        fastlogit.scan(path, cache=directory)


def test_a_pickled_cache_holds_no_rows(tmp_path):
    source = fastlogit.scan(X.repeat(100, axis=0), cache=tmp_path / "cache")
    pickled = pickle.dumps(source)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(
        next(iter(pickle.loads(pickled))).X,  # noqa: S301
        X.repeat(100, axis=0),
    )


def test_labels_that_numpy_would_pickle_are_refused(tmp_path):
    days = [datetime.date(2020, 1, 1 + label) for label in Y.tolist()]
    table = pa.table({"x": X[:, 0], "y": days})
    with pytest.raises(ValueError, match="labels of type date, must have text or integers"):
        fastlogit.scan(table, target="y", cache=tmp_path / "cache")
    assert not list(tmp_path.iterdir())


def test_a_stream_without_rows_is_refused(tmp_path):
    table = pa.table({"x": X[:, 0]})
    reader = pa.RecordBatchReader.from_batches(table.schema, [])
    with pytest.raises(ValueError, match="data has no rows"):
        fastlogit.scan(reader, cache=tmp_path / "cache")
    assert not list(tmp_path.iterdir())
