"""Rows of mapped files: which leave the process once they have been read."""

import numpy as np
import pytest

import fastlogit
from fastlogit.sources import arrays

X = np.random.default_rng(0).normal(size=(4096, 4))


class Advised:
    """Stands for mmap.mmap in release, and records what may leave."""

    def __init__(self):
        self.ranges = []

    def madvise(self, _advice, start, size):
        self.ranges.append((start, size))


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_rows_of_an_npy_file_leave_unless_changes_would_be_lost(mode, tmp_path, monkeypatch):
    path, advised = tmp_path / "X.npy", Advised()
    np.save(path, X)
    mapped = np.load(path, mmap_mode=mode)
    if mode == "c":
        mapped += 1
    expected = np.array(mapped)
    source = fastlogit.scan(path if mode == "r" else mapped, partition_rows=1024)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([part.X for part in source]), expected)
    monkeypatch.setattr(arrays.mmap, "mmap", Advised)
    monkeypatch.setattr(type(source._given), "base", advised, raising=False)
    list(source)
    assert len(advised.ranges) == (0 if mode == "c" else 4)


def test_columns_of_a_file_in_fortran_order_stay(tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", np.asfortranarray(X))
    source, advised = fastlogit.scan(tmp_path / "X.npy", partition_rows=1024), Advised()
    monkeypatch.setattr(arrays.mmap, "mmap", Advised)
    monkeypatch.setattr(type(source._given), "base", advised, raising=False)
    np.testing.assert_array_equal(np.concatenate([part.X for part in source]), X)
    assert not advised.ranges
