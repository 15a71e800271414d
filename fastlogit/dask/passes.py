"""Passes over partitions on a cluster: a round of one task for each worker.

Each worker keeps its partitions for the fit, neighbours together, and a round's task returns the
sums over the largest spans of the tree that it has, often a single one. Where partitions are
missing because a worker died, they are placed anew and loaded once more, from the tasks that made
them, and what was missed is computed. Partitions also move to workers that join.
"""

import asyncio
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import accumulate
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import dask
import numpy as np
from numpy.typing import NDArray

from fastlogit import verbosity
from fastlogit.dask import worker
from fastlogit.dask.local_sgd import EpochWork, shards_of
from fastlogit.dask.placement import assign, blocks_of, spans_within
from fastlogit.dask.rows import DaskRows
from fastlogit.solvers.passes import Encoder, PassProgress, Work
from fastlogit.training.trainer import Trainer

# Bytes of a work up to which it travels within each task, and of sums from which workers add them.
MOST_IN_TASK, LEAST_IN_TREE = 50_000, 1 << 20
# Seconds between two questions which workers there are: of a task that takes long, ever more.
CHECK_SECONDS, MOST_SECONDS = 1.0, 30.0
Result = TypeVar("Result")


class DaskPasses:
    """Passes over the partitions of a Dask collection, to be used in a with statement."""

    in_place = False

    def __init__(self, client: Any, rows: DaskRows, *, verbose: bool = False) -> None:
        self._client, self._source, self._verbose = client, rows, verbose
        self.n_passes, self.n_features = 0, rows.n_features
        self.feature_names = rows.feature_names
        self._fit, self._encoding = uuid4().hex, 0
        self._encoder: Encoder | None = None
        self._leases: dict[str, Any] = {}
        # Of each partition of the collection: its number of rows, which may be a guess until it is
        # loaded, and its worker.
        self._rows, self._holders = list(rows.partition_rows), [""] * rows.n_partitions
        # What the tree is over: all partitions with rows, each an item, or for an epoch shards.
        self._keys = [[key] for key in range(rows.n_partitions)]
        self._workers: list[str] = []
        self._checked = -CHECK_SECONDS

    def __enter__(self) -> Self:
        """Load all partitions."""
        self._place(self._living_workers())
        self._keys = [[key] for key, n_rows in enumerate(self._rows) if n_rows]
        if not self._keys:
            raise ValueError("X has no rows")
        self.n_partitions = len(self._keys)
        sizes = [self._rows[key] for (key,) in self._keys]
        self.starts: list[int] | None = [0, *accumulate(sizes)][:-1]
        self.n_rows = sum(sizes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Have the workers free the partitions."""
        self._leases.clear()

    def run(self, work: Work[Result], encoder: Encoder | None, n_bytes: int, /) -> Result:
        """Return the sum of what work computes of all partitions."""
        total: Result = self._round(work, self._keys, encoder, n_bytes, by_list=False)
        return total

    def run_epoch(
        self, trainer: Trainer, encoder: Encoder, generator: Any, losses: NDArray[np.float64]
    ) -> Iterator[int]:
        """Train on all shards once, each from the same state, and go on from the average."""
        keys = [key for (key,) in self._keys]
        shards = shards_of([self._rows[key] for key in keys], trainer.batch_size)
        items = [[keys[i] for i in shard] for shard in shards]
        seed = None if generator is None else int(generator.randint(2**31 - 1))
        work = EpochWork.of(trainer, seed, self._fit)
        state = self._round(work, items, encoder, work.n_bytes, by_list=True)
        if state.load_average(trainer, losses):
            yield 1

    def _round(
        self, work: Work[Any], items: list[list[int]], encoder: Encoder | None, n_bytes: int, *,
        by_list: bool,
    ) -> Any:  # fmt: skip
        self.n_passes += 1
        progress = PassProgress(self.n_passes, self.n_rows) if self._verbose else None
        if encoder is not self._encoder:
            self._encoder, self._encoding = encoder, self._encoding + 1
        root = range(len(items))
        question = worker.Question(
            self._fit, work, len(items), encoder, self._encoding, by_list=by_list
        )
        self._follow_workers(items)
        sums: dict[range, Any] = {}
        again = False
        while root not in sums:
            answer = self._ask(question, items, sums, n_bytes)
            sums = worker.combine(question, worker.Answer(sums, []), answer).sums
            if answer.missing:
                self._replace_missing(answer.missing, items, again=again)
                again = True
        if progress is not None:
            progress.advance(self.n_rows)
        return sums[root]

    def _ask(
        self, question: worker.Question, items: list[list[int]], sums: Iterable[range],
        n_bytes: int,
    ) -> worker.Answer:  # fmt: skip
        """Return the sums that each worker can compute of what is not among those given."""
        done = {item for span in sums for item in span}
        by_worker: dict[str, list[int]] = {}
        for item, keys in enumerate(items):
            if item not in done:
                by_worker.setdefault(self._holders[keys[0]], []).append(item)
        targets = [{address} for address in by_worker]
        with released_at_end() as submitted:
            given: Any = question
            if len(pickle.dumps(question.work)) > MOST_IN_TASK:
                given = self._submit("question", _identity, question)
                submitted.append(given)
            for address, numbers in by_worker.items():
                spans = spans_within(range(len(items)), frozenset(numbers))
                keys_of = {item: items[item] for item in numbers}
                submitted.append(
                    self._submit("sum", worker.answer, given, spans, keys_of, workers=[address])
                )
            futures = submitted[-len(targets) :]
            while n_bytes >= LEAST_IN_TREE and len(futures) > 2:
                pairs = [futures[i : i + 2] for i in range(0, len(futures), 2)]
                futures = [self._submit("add", worker.combine, given, *pair) for pair in pairs]
                submitted += futures
                targets = [set().union(*targets[i : i + 2]) for i in range(0, len(targets), 2)]
            answers = self._gather(futures, targets)
        total = worker.combine(question, *(answer for answer in answers if answer is not None))
        for answer, addresses in zip(answers, targets, strict=True):
            if answer is None:
                for address in addresses:
                    keys = [key for item in by_worker[address] for key in items[item]]
                    total.missing.append(worker.Missing(address, keys))
        return total

    def _submit(
        self, name: str, function: Any, *arguments: Any, workers: Any = None, strict: bool = False
    ) -> Any:
        key = f"fastlogit_{name}-{uuid4().hex}"
        return self._client.submit(
            function, *arguments, key=key, workers=workers, pure=False,
            allow_other_workers=workers is not None and not strict,
        )  # fmt: skip

    def _gather(self, futures: list[Any], targets: list[set[str]]) -> list[Any]:
        """Return the results, None of tasks that wait for any of their workers, which has gone.

        Dask gives a task of a worker that has gone to another, but if there is none it waits for
        the one that has gone, even once others have come.
        """
        waiting = dict(zip(futures, targets, strict=True))
        try:
            results = self._results_of_living(waiting)
        except CancelledError as error:
            raise RuntimeError(
                "partitions of X, y or sample_weight are lost: a worker has gone with data that no "
                "task can make again, such as from client.scatter. Make the collections of what "
                "can be read again, from files or by dask.array.from_array and "
                "dask.dataframe.from_pandas, also if you persist them"
            ) from error
        return [results.get(future) for future in futures]

    def _results_of_living(self, waiting: Mapping[Any, set[str]]) -> dict[Any, Any]:
        """Return the results of the tasks of which no worker goes before they are there."""
        patience = CHECK_SECONDS
        while waiting:
            # Dask may gather for several threads at once: what one cancels, all of them lose.
            gathering = _gather(self._client, list(waiting))
            pending = asyncio.run_coroutine_threadsafe(gathering, self._client.loop.asyncio_loop)
            living = waiting
            while len(living) == len(waiting):
                try:
                    return dict(zip(waiting, pending.result(patience), strict=True))
                except TimeoutError:
                    if pending.done():  # a task's own error
                        raise
                    patience = min(2 * patience, MOST_SECONDS)
                    workers = self._client.nthreads().keys()
                    living = {future: at for future, at in waiting.items() if at <= workers}
            waiting = living
        return {}

    def _living_workers(self) -> list[str]:
        """Return the workers' addresses, once there are any."""
        while not (workers := sorted(self._client.nthreads())):
            verbosity.announce("the cluster has no workers; the fit waits for one")
            # Of a cluster that starts workers for tasks only, this asks for the first.
            self._submit("wait", _identity, None).result()
        self._checked = time.monotonic()
        return workers

    def _follow_workers(self, items: list[list[int]]) -> None:
        """Place partitions anew if workers have joined or left, or an item is on several."""
        workers = self._workers
        if time.monotonic() - self._checked > CHECK_SECONDS:
            workers = self._living_workers()
        if workers != self._workers or self._lie_apart(items):
            self._place(workers, items)

    def _lie_apart(self, items: list[list[int]]) -> bool:
        """Return whether an item's partitions are on several workers."""
        return any(len({self._holders[key] for key in keys}) > 1 for keys in items)

    def _replace_missing(
        self, missing: Iterable[worker.Missing], items: list[list[int]], *, again: bool
    ) -> None:
        """Place anew what is missing.

        What another worker than its own was asked for is not, unless that happens again: Dask gives
        no task to a worker that is paused, or about to leave.
        """
        workers = self._living_workers()
        lost = False
        for address, keys in missing:
            for key in keys:
                if again or self._holders[key] == address or self._holders[key] not in workers:
                    self._holders[key], lost = "", True
        if lost or workers != self._workers or self._lie_apart(items):
            self._place(workers, items)

    def _place(self, workers: list[str], items: list[list[int]] | None = None) -> None:
        """Assign all partitions to workers, and load those that have another one than before."""
        items = items or self._keys
        while True:
            self._workers, blocks = workers, items
            if len(items) == len(self._keys):
                spans = blocks_of(len(items), len(workers))
                blocks = [[key for item in span for key in items[item]] for span in spans]
            owners = assign(blocks, self._rows, self._holders, workers)
            moving: dict[str, list[int]] = {}
            for block, owner in zip(blocks, owners, strict=True):
                for key in block:
                    if self._holders[key] != owner:
                        moving.setdefault(owner, []).append(key)
            self._load(moving)
            if all(self._holders[key] for block in blocks for key in block):
                return
            workers = self._living_workers()

    def _load(self, moving: dict[str, list[int]]) -> None:
        """Have workers load partitions; where they land is where they are."""
        keys, targets = [], []
        with released_at_end() as futures:
            for address, some in moving.items():
                keys += some
                # Tasks that make a partition are not tied to a worker: if all workers die, Dask
                # keeps such a task waiting for its own as long as any fit waits for the task.
                with dask.annotate(workers=[address], allow_other_workers=True):
                    tasks = [self._source.task(worker.store, key, self._fit) for key in some]
                futures += self._client.compute(tasks)
                targets += [{address}] * len(some)
            results = self._gather(futures, targets)
        for key, result in zip(keys, results, strict=True):
            self._holders[key] = ""
            if result is not None:
                self._holders[key], self._rows[key] = result
        for address in {self._holders[key] for key in keys} - {"", *self._leases}:
            self._leases[address] = self._submit(
                "lease", worker.Lease, self._fit, workers=[address], strict=True
            )


@contextmanager
def released_at_end() -> Iterator[list[Any]]:
    """Yield a list of futures whose tasks end with it, also those that an error leaves behind."""
    futures: list[Any] = []
    try:
        yield futures
    finally:
        for future in futures:  # the traceback of an error would hold them
            future.release()


async def _gather(client: Any, futures: list[Any]) -> Any:
    return await client.gather(futures, asynchronous=True)


def _identity(value: Any) -> Any:
    return value
