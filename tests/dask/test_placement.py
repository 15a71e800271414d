"""Partitions are placed in neighbouring blocks, evenly, and move as little as may be."""

import numpy as np
import pytest

from fastlogit.dask.placement import BLOCKS_EACH, assign, blocks_of, spans_within


@pytest.mark.parametrize("n_items", [1, 2, 7, 128, 1000])
@pytest.mark.parametrize("n_workers", [1, 2, 3, 40])
def test_blocks_are_all_items_in_order(n_items, n_workers):
    blocks = blocks_of(n_items, n_workers)
    assert [i for block in blocks for i in block] == list(range(n_items))
    assert len(blocks) >= min(n_items, BLOCKS_EACH * n_workers)


def test_neighbours_come_together():
    blocks = blocks_of(128, 2)
    owners = assign(blocks, [10] * 128, [""] * 128, ["a", "b"])
    held = {i for block, owner in zip(blocks, owners, strict=True) if owner == "a" for i in block}
    assert spans_within(range(128), held) == [range(64)]


def test_spans_are_the_largest_of_the_tree():
    assert spans_within(range(8), {2, 3, 4, 5, 6, 7}) == [range(2, 4), range(4, 8)]
    assert spans_within(range(5), {1, 2}) == [range(1, 2), range(2, 3)]
    assert spans_within(range(4), set()) == []


def test_few_large_partitions_weigh_as_much_as_many_small_ones():
    rows = [800] + [100] * 8
    owners = assign([[i] for i in range(9)], rows, [""] * 9, ["a", "b"])
    assert owners == ["a"] + ["b"] * 8


def test_what_is_lost_is_shared_and_the_rest_stays():
    blocks, holders = [[i] for i in range(12)], ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    owners = assign(blocks, [1] * 12, holders, ["a", "b"])
    assert owners[:8] == holders[:8]
    assert owners.count("a") == owners.count("b") == 6


def test_a_worker_that_joins_takes_its_share():
    blocks = [[i] for i in range(12)]
    owners = assign(blocks, [1] * 12, ["a"] * 6 + ["b"] * 6, ["a", "b", "c"])
    assert sorted(owners.count(name) for name in "abc") == [4, 4, 4]
    moved = np.count_nonzero(np.array(owners) == "c")
    assert moved == 4


def test_nothing_moves_for_less_than_a_block():
    holders = ["a"] * 5 + ["b"] * 4
    assert assign([[i] for i in range(9)], [1] * 9, holders, ["a", "b"]) == holders
