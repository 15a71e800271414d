"""The order of sums over partitions, encoded rows, and what a pass prints."""

import numpy as np
import pytest

import fastlogit
from fastlogit.solvers import passes
from fastlogit.solvers.passes import Encoder, LocalPasses, sum_in_tree
from fastlogit.sources import Labels, Partition

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 3


@pytest.mark.parametrize("n", [1, 2, 7, 300, 1000])
def test_the_tree_takes_all_partitions_in_order(n):
    parts = sum_in_tree(Lists(), range(n), iter(range(n)))
    assert parts == [(i, i) for i in range(n)]


class Lists:
    """Returns which partition was computed from which data."""

    def __call__(self, index, data):
        return [(index, data)]

    def add(self, total, part):
        return total + part


class Names:
    """Records which partitions are added to which."""

    def __call__(self, index, part):
        return f"{index}:{len(part.X)}"

    def add(self, total, part):
        return f"({total} {part})"


def test_halves_are_added():
    local = LocalPasses(fastlogit.scan(X, target=Y, partition_rows=6))
    assert local.run(Names(), None, 8) == "((0:6 1:6) (2:6 3:2))"
    assert local.n_passes == 1


@pytest.mark.parametrize("y", [Y, Labels(np.array([2, 0, 1]), (Y + 1) % 3)])
def test_rows_are_encoded(y):
    weight = np.linspace(1, 2, 20)
    rows = Encoder(np.array([0, 1, 2]), np.array([1.0, 10, 100]), np.float32)(
        Partition(X, y, weight)
    )
    assert rows.X.dtype == rows.weight.dtype == np.float32
    np.testing.assert_array_equal(rows.y, Y)
    np.testing.assert_allclose(rows.weight, weight * 10.0**Y, rtol=1e-6)


def test_a_category_without_rows_need_not_be_a_class():
    part = Partition(X, Labels(np.array(["b", "unused", "a"]), np.arange(20) % 2 * 2), None)
    rows = Encoder(np.array(["a", "b"]), None, float)(part)
    np.testing.assert_array_equal(rows.y, 1 - np.arange(20) % 2)


def test_a_label_that_the_first_pass_has_not_seen_is_refused():
    with pytest.raises(ValueError, match="the label 7"):
        Encoder(np.array([0, 1, 2]), None, float)(Partition(X, np.full(20, 7), None))


def test_a_verbose_pass_prints_rows_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(passes, "REPORT_SECONDS", 0)
    source = fastlogit.scan(X, target=Y, partition_rows=6)
    local = LocalPasses(source, verbose=True)
    local.run(Names(), None, 8)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("fastlogit: pass 1: 6 of 20 rows, ")
    assert lines[0].endswith(" s left")
    assert lines[-1].startswith("fastlogit: pass 1: 20 of 20 rows, ")
    assert lines[-1].endswith(" rows/s")
