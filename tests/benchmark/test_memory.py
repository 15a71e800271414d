import sys

import numpy as np
import pytest

from fastlogit.benchmark import memory

MIB = 2**20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can start a new peak")


def touch(mebibytes):
    np.ones(mebibytes * MIB, np.uint8).sum()


@on_linux
@pytest.mark.parametrize("mebibytes", [16, 64])
def test_the_growth_is_what_the_work_took_at_its_peak(mebibytes):
    touch(128)  # an earlier and higher peak
    growth = memory.peak_growth(lambda: touch(mebibytes))
    # The kernel counts pages a thread at a time.
    assert (mebibytes - 2) * MIB < growth < (mebibytes + 8) * MIB


@on_linux
def test_what_was_there_before_does_not_count():
    held = np.ones(64 * MIB, np.uint8)
    assert memory.peak_growth(lambda: held.sum()) < 8 * MIB


@on_linux
def test_small_blocks_that_the_process_kept_count_again():
    def blocks():
        return [np.ones(50_000, np.uint8) for _ in range(800)]  # 40 MB from the heap

    blocks()
    assert memory.peak_growth(blocks) > 30 * MIB


def test_where_no_peak_can_be_started_the_work_is_done_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "proc" / "clear_refs")
    done = []
    assert memory.peak_growth(lambda: done.append(1)) is None
    assert done == [1]


def test_what_the_work_raises_comes_out():
    def fails():
        raise MemoryError("out of it")

    with pytest.raises(MemoryError, match="out of it"):
        memory.peak_growth(fails)
