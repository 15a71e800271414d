"""The estimators on a Dask cluster.

:class:`LogisticRegression` and :class:`MLPClassifier` have the arguments, fitted attributes and
numbers of those of the package, and fit Dask's arrays and dataframes::

    from dask.distributed import Client
    import dask.dataframe as dd
    from fastlogit.dask import LogisticRegression

    client = Client("tcp://scheduler:8786")
    frame = dd.read_parquet("rows/")
    model = LogisticRegression().fit(frame[["a", "b"]], frame["label"])
    model.predict_proba(frame[["a", "b"]])  # a Dask array, not computed yet
    model.to_local()                        # for processes without Dask

Notes
-----
**Rounds.** Each worker holds its partitions in memory for the fit. A round is one task for each
worker, which returns the sums of loss, gradient and Hessian over its partitions, added in a binary
tree over all of them. The tree depends on the number of partitions alone, so that the bits of a fit
are those of ``fastlogit.scan`` of the same partitions in one process, on any number of workers,
whichever join, leave or die. What a dead worker had is computed again from the tasks that made it.

**Mini-batches.** "sgd" and "adam" are local SGD: the rows are divided into shards of at least 500
batches, 256 shards at most; each trains for an epoch from the same parameters, which are then
averaged. The shards depend on the rows alone.

**Cost.** A round takes about n · c / cores + 6 ms × workers, for n rows of c seconds each: on two
cores shared with others, the client and the scheduler took 9, 16 and 27 ms of CPU for rounds of 1,
2 and 4 workers, and 1.0 to 1.1 times that with 128 partitions instead of one each. In simulated
clusters, tasks that sleep for 1 s and return a Hessian's sums, on 64 threads in each of 4
processes, rounds of 16, 64, 128 and 256 tasks took 0.07, 0.19, 0.38 and 0.71 s more, 3 ms a task;
with a worker for each task, all in one process, 0.12 s on 16 and 0.80 s on 64. Parameters above
50 kB travel from worker to worker, and sums above 1 MB are added there: 76 instead of 123 ms for
1 MB of each of 4 workers, 322 instead of 541 ms for 8 MB. So few workers with many threads
(``n_threads``) are better than many of one. The model gives for 10⁹ rows of 30 features in float32
(35 ns for the Hessian) and 3 rounds 3.9 s on 32 machines of one thread, and about 0.7 s with 32
threads each.

Beyond some 256 workers the scheduler is the limit, at 3 ms for each task and more for each worker.
What would have to change then: workers that sum among themselves, in the tree that there is,
without a task for each round, as an all-reduce does.

**Memory.** The rows must fit in the workers' memory; for more, see :func:`fastlogit.scan`.

**Lost workers.** Dask notices a process that died at once, and one that only stopped after
``distributed.scheduler.worker-ttl``, five minutes by default. A fit waits for workers if there are
none; ``LocalCluster`` gives up one that is not back within
``distributed.deploy.lost-worker-timeout``, 15 s by default, which a busy machine may need. Data of
``client.scatter`` cannot be made again: a fit that loses them ends with a RuntimeError.

**Ctrl-C** ends a fit at once, as one in memory, and its tasks on the workers within about a second:
between two partitions, and in an epoch between two calls of the kernels.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastlogit.dask.estimators import LogisticRegression, MLPClassifier

__all__ = ["LogisticRegression", "MLPClassifier"]


def __getattr__(name: str) -> Any:
    # Workers import this package for their tasks: without dataframes and scikit-learn.
    if name in __all__:
        from fastlogit.dask import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
