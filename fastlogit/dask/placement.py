"""Which worker has which partitions: neighbours together, as many rows each, few moves."""

from collections.abc import Container, Sequence

import numpy as np

from fastlogit.solvers.passes import halves

# Blocks of partitions for each worker at least: they differ by one of them.
BLOCKS_EACH = 8


def blocks_of(n_items: int, n_workers: int) -> list[range]:
    """Return spans of the tree over all items, BLOCKS_EACH for each worker if there are as many."""
    blocks = [range(n_items)]
    while len(blocks) < BLOCKS_EACH * n_workers and any(len(span) > 1 for span in blocks):
        blocks = [half for span in blocks for half in (halves(span) if len(span) > 1 else [span])]
    return blocks


def spans_within(span: range, items: Container[int]) -> list[range]:
    """Return the largest spans of the tree below a span that consist of those items."""
    if len(span) == 1:
        return [span] if span.start in items else []
    first, second = (spans_within(half, items) for half in halves(span))
    return [span] if [*first, *second] == list(halves(span)) else first + second


def assign(
    blocks: Sequence[Sequence[int]], rows: Sequence[int], holders: Sequence[str],
    workers: Sequence[str],
) -> list[str]:  # fmt: skip
    """Return the worker of each block of partitions, given which has each partition now, if any.

    Blocks stay where most of their rows are, unless another worker has less to do by more than a
    block.
    """
    sizes = [sum([rows[i] for i in block]) for block in blocks]
    if not any(holders):
        middles = np.cumsum(sizes) - np.array(sizes) / 2
        places = middles * len(workers) / max(sum(sizes), 1)
        return [workers[min(int(place), len(workers) - 1)] for place in places]
    load, owners = dict.fromkeys(workers, 0), [""] * len(blocks)
    for number, block in enumerate(blocks):
        held = dict.fromkeys(workers, 0)
        for i in block:
            if (holder := holders[i]) in held:
                held[holder] += rows[i] or 1
        if any(held.values()):
            owners[number] = max(held, key=held.__getitem__)
            load[owners[number]] += sizes[number]
    for number in sorted(range(len(blocks)), key=lambda number: -sizes[number]):
        if not owners[number]:
            owners[number] = min(load, key=load.__getitem__)
            load[owners[number]] += sizes[number]
    while True:
        least, most = min(load, key=load.__getitem__), max(load, key=load.__getitem__)
        gap = load[most] - load[least]
        movable = [n for n, owner in enumerate(owners) if owner == most and 0 < sizes[n] < gap]
        if not movable:
            return owners
        number = min(movable, key=lambda n: abs(gap / 2 - sizes[n]))
        owners[number] = least
        load[most] -= sizes[number]
        load[least] += sizes[number]
