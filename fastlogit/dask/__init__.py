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
