"""Epochs over a source: its rows in blocks of whole batches, in an order that a seed decides.

Rows that lie in memory or are mapped into it are taken in short pieces from everywhere, so that
every block is like the whole. Of files that are read from front to back, runs of partitions are
taken in a drawn order, and the rows of each partition are shuffled.
"""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse, vstack

from fastlogit.models import Indices, Rows
from fastlogit.sources import Partition, Source
from fastlogit.sources.base import PARTITION_BYTES
from fastlogit.training.orders import LegacyOrders, RandomSource
from fastlogit.training.trainer import Trainer

# Neighbouring rows that are taken together where rows can be taken one by one.
PIECE_ROWS = 64
# How far the partitions' class shares, and means in standard deviations, are from those of all on
# average where the rows count as sorted.
SORTED_SHARES, SORTED_MEANS = 0.1, 0.5
AS_THEY_LIE = np.empty((1, 0), np.intp)


class RowStream:
    """The rows of a source, made Rows by an encoder, for batches of batch_size rows."""

    def __init__(
        self, source: Source, encode: Callable[[Partition], Rows], batch_size: int,
        generator: Any = None,
    ) -> None:  # fmt: skip
        self._source, self._encode, self._batch_size = source, encode, batch_size
        self._generator = generator  # None leaves rows in their order
        self.n_rows = source.n_rows

    def epoch(self) -> Iterator[tuple[Rows, Indices]]:
        """Yield all rows once, in blocks of whole batches but the last, each with an order.

        Orders are (1, n) of some of a block's rows, or (1, 0) of all as they lie.
        """
        size, held, n_held = self._batch_size, [], 0
        for rows, order in self._blocks():
            n_rows = rows.y.size
            start = min(-n_held % size, n_rows)  # those before it complete a batch
            if start:
                held.append(pick(rows, order, 0, start))
                n_held += start
            if held and n_held == size:
                yield joined(held), AS_THEY_LIE
                held, n_held = [], 0
            end = start + (n_rows - start) // size * size
            if end > start:  # in their order without a copy: in two thirds of the time of one
                part = (rows, order[np.newaxis, start:end]) if order.size else None
                yield part or (cut(rows, start, end), AS_THEY_LIE)
            if n_rows > end:
                held.append(pick(rows, order, end, n_rows))
                n_held += n_rows - end
        if held:
            yield joined(held), AS_THEY_LIE

    def _blocks(self) -> Iterator[tuple[Rows, Indices]]:
        """Yield the rows as they are read, and the order to take them in, empty for their own."""
        if self._generator is None:
            yield from zip(map(self._encode, self._source), repeat(AS_THEY_LIE[0]))
        elif self._source.in_place:
            for numbers in self._drawn_rows():
                yield self._encode(self._source.take(numbers)), AS_THEY_LIE[0]
        else:
            runs = self._source.runs()
            order = [i for run in self._generator.permutation(len(runs)) for i in runs[run]]
            for rows in map(self._encode, self._source.read(order)):
                yield rows, permutation(self._generator, rows.y.size)

    def _drawn_rows(self) -> Iterator[NDArray[np.intp]]:
        """Yield row numbers: each block's pieces are drawn from all, and its rows shuffled."""
        n_rows, pieces = self.n_rows, -(-self.n_rows // PIECE_ROWS)
        row_bytes = self._source.n_features * self._source.dtype.itemsize
        at_once = max(PARTITION_BYTES // (row_bytes * PIECE_ROWS), 1)
        order = self._generator.permutation(pieces)
        for first in range(0, pieces, at_once):
            starts = np.sort(order[first : first + at_once]) * PIECE_ROWS
            rows = (starts[:, None] + np.arange(PIECE_ROWS)).ravel()
            rows = rows[rows < n_rows]
            self._generator.shuffle(rows)
            yield rows


def cut(rows: Rows, first: int, last: int | None) -> Rows:
    """Return the rows from the first up to the last, which is not among them."""
    weight = rows.weight[first:last] if rows.weight.size else rows.weight
    return Rows(rows.X[first:last], rows.y[first:last], weight)


def permutation(generator: RandomSource, n_rows: int) -> Indices:
    """Return what ``generator.permutation`` does, of a RandomState in a quarter of the time."""
    order: Indices
    if isinstance(generator, np.random.RandomState):
        (order,) = LegacyOrders(generator, n_rows).draw(1)
    else:
        order = generator.permutation(n_rows)
    return order


def pick(rows: Rows, order: Indices, first: int, last: int | None) -> Rows:
    """Return the rows from the first up to the last of an order, or as they lie if it is empty."""
    if not order.size:
        return cut(rows, first, last)
    chosen = order[first:last]
    weight = rows.weight.take(chosen) if rows.weight.size else rows.weight
    # X[chosen] of an array takes 3 times as long.
    X = rows.X[chosen] if rows.sparse else rows.X.take(chosen, axis=0)
    return Rows(X, rows.y.take(chosen), weight)


def joined(blocks: list[Rows]) -> Rows:
    """Return the rows of all blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    X: Any = [rows.X for rows in blocks]
    X = vstack(X, format="csr") if issparse(X[0]) else np.concatenate(X)
    y, weight = ([getattr(rows, name) for rows in blocks] for name in ("y", "weight"))
    return Rows(X, np.concatenate(y), np.concatenate(weight))


def chance_distance(n_rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far means of so many values are from the whole's on average: √(2 / π m) σ."""
    return np.asarray(np.sqrt(2 / np.pi / n_rows))


def distance_of_shares(counts: NDArray[np.intp]) -> float:
    """Return the partitions' average total variation distance from all rows, beyond chance.

    ``counts`` (P, K) are the partitions' rows of each class.
    """
    n_rows = counts.sum(axis=1)
    share = counts.sum(axis=0) / n_rows.sum()
    distances = np.abs(counts / n_rows[:, None] - share).sum(axis=1) / 2
    distances -= chance_distance(n_rows) * np.sqrt(share * (1 - share)).sum() / 2
    return float(np.average(distances, weights=n_rows))


def sorted_by(shares: float, means: float = 0.0) -> str:
    """Return in which way partitions differ so much that batches are not like the whole, or ""."""
    if shares > SORTED_SHARES:
        what = f"shares of the classes differ from those of all rows by {shares:.0%}"
    elif means > SORTED_MEANS:
        what = f"means of a feature differ from that of all rows by {means:.1f} standard deviations"
    else:
        return ""
    return f"the rows are sorted: in the partitions, {what} on average"


def check_shuffled(shares: float, means: float = 0.0) -> None:
    """Raise ValueError if partitions differ so much that batches would not be like the whole."""
    if what := sorted_by(shares, means):
        raise ValueError(
            f"{what}; mini-batches need rows in random order. Shuffle the rows, or pass cache= to "
            "scan: those of a cache are taken from everywhere"
        )


def run_epoch(trainer: Trainer, stream: RowStream, losses: NDArray[np.float64]) -> Iterator[int]:
    """Train on all rows once, like :meth:`Trainer.run_epochs`; yield 1 unless training diverged.

    The state between epochs is the checkpoint, also after an interrupt. OUT: losses (1,).
    """
    before, loss, diverged = trainer.checkpoint, np.zeros(1), False
    try:
        for rows, order in stream.epoch():
            loss[0] = 0
            diverged = list(trainer.run_epochs(rows, order, loss)) != [1]
            if diverged:
                break
            losses[0] += loss[0] * ((order.size or rows.y.size) / stream.n_rows)
    except BaseException:
        trainer.checkpoint = before
        trainer.rewind()
        raise
    if diverged:
        trainer.checkpoint = before
        trainer.rewind()
        return
    trainer.mark(before.epochs + 1)
    yield 1
