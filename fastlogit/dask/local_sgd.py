"""An epoch of local SGD: shards of the rows train apart, and their parameters are averaged.

Each shard, a run of neighbouring partitions, starts from the same parameters and moments, and takes
the steps of one epoch over its own rows (Stich, Local SGD converges fast and communicates little,
2019). The shards depend on the rows alone, and the order of a shard's rows on the seed, the epoch
and the shard: no bit depends on the workers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastlogit.dask.worker import check_wanted
from fastlogit.models import MODELS, Floats, Rows
from fastlogit.training.row_stream import RowStream, run_epoch
from fastlogit.training.trainer import Trainer

# Shards of an epoch at most, and steps that each takes at least.
MOST_SHARDS, LEAST_STEPS = 256, 500


def shards_of(partition_rows: Sequence[int], batch_size: int) -> list[range]:
    """Return neighbouring partitions of about as many rows each, at most one a shard."""
    ends = np.cumsum(partition_rows)
    count = int(ends[-1]) // (batch_size * LEAST_STEPS)
    count = max(min(count, MOST_SHARDS, len(ends)), 1)
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1
    bounds = np.unique([0, *cuts, len(ends)]).tolist()
    return [range(*pair) for pair in pairwise(bounds)]


class ShardSums(NamedTuple):
    """Sums over shards of what follows an epoch, each weighted by the shard's rows."""

    n_rows: int
    theta: NDArray[np.float64]
    moments: NDArray[np.float64]
    steps: float
    loss: float
    diverged: bool

    def load_average(self, trainer: Trainer, losses: NDArray[np.float64]) -> bool:
        """Set the trainer to the average, unless training diverged. OUT: losses (1,)."""
        losses[0] = self.loss / self.n_rows
        if self.diverged or not np.isfinite(losses[0]):
            return False
        trainer.flat.flat[...] = self.theta / self.n_rows
        trainer.moments[...] = self.moments / self.n_rows
        trainer.steps[...] = round(self.steps / self.n_rows)
        trainer.mark(trainer.checkpoint.epochs + 1)
        return True


@dataclass(frozen=True)
class EpochWork:
    """An epoch over a shard, from a trainer's state; without a seed rows keep their order.

    It ends early once a worker no longer holds the partitions of ``fit``, unless that is None.
    """

    model: str
    activation: str
    shapes: tuple[Any, ...]
    arguments: dict[str, Any]
    theta: Floats
    moments: Floats
    steps: int
    seed: int | None
    fit: str | None

    @classmethod
    def of(cls, trainer: Trainer, seed: int | None, fit: str | None = None) -> Self:
        """Return the work for a trainer's model, settings and state."""
        model, arguments = trainer.model, trainer.arguments
        settings = arguments["settings"] | {"learning_rate": trainer.learning_rate}
        return cls(
            model.name, "" if model.activation is None else model.activation.name,
            tuple([array.shape for array in trainer.flat.public]),
            arguments | {"settings": settings}, trainer.flat.flat.copy(),
            trainer.moments.copy(), int(trainer.steps[0]), seed, fit,
        )  # fmt: skip

    @property
    def n_bytes(self) -> int:
        """Size of a sum."""
        return 8 * (self.theta.size + self.moments.size)

    def __call__(self, shard: int, parts: list[Rows]) -> ShardSums:
        """Return what follows an epoch over the partitions of a shard."""
        trainer, held = self._trainer(), HeldRows(parts)
        source: Any = held
        generator = None if self.seed is None else np.random.default_rng([self.seed, shard])
        stream, loss = RowStream(source, _as_it_is, trainer.batch_size, generator), np.zeros(1)
        diverged = list(run_epoch(trainer, stream, loss)) != [1]
        n = held.n_rows
        return ShardSums(
            n, trainer.flat.flat.astype(np.float64) * n, trainer.moments.astype(np.float64) * n,
            float(trainer.steps[0]) * n, float(loss[0]) * n, diverged,
        )  # fmt: skip

    def add(self, total: ShardSums, part: ShardSums) -> ShardSums:
        """Return the sum of both."""
        total.theta[:] += part.theta
        total.moments[:] += part.moments
        return ShardSums(
            total.n_rows + part.n_rows, total.theta, total.moments, total.steps + part.steps,
            total.loss + part.loss, total.diverged or part.diverged,
        )  # fmt: skip

    def _trainer(self) -> Trainer:
        model = MODELS[self.model].with_activation(self.activation)
        params = [np.zeros(shape, self.theta.dtype) for shape in self.shapes]
        check = None if self.fit is None else partial(check_wanted, self.fit)
        trainer = Trainer(model, params, **self.arguments, before_call=check)
        trainer.flat.flat[...] = self.theta
        trainer.moments[...], trainer.steps[...] = self.moments, self.steps
        trainer.mark()
        return trainer


class HeldRows:
    """Encoded partitions in memory, as a RowStream reads them."""

    in_place = False

    def __init__(self, parts: list[Rows]) -> None:
        self._parts, self.n_rows = parts, sum([rows.y.size for rows in parts])

    def runs(self) -> list[range]:
        """Return each partition."""
        return [range(i, i + 1) for i in range(len(self._parts))]

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """Yield the partitions of those indices."""
        return iter([self._parts[i] for i in indices])

    def __iter__(self) -> Iterator[Any]:
        """Yield all partitions in their order."""
        return iter(self._parts)


def _as_it_is(rows: Any) -> Any:
    return rows
