"""The estimators whose training rows are Dask's collections."""

import copy
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

import dask
import dask.array as da
import numpy as np
from dask import delayed
from distributed import get_client

from fastlogit.dask.passes import DaskPasses
from fastlogit.dask.rows import DaskRows, matrix
from fastlogit.dask.worker import count_correct, predict_block
from fastlogit.estimators import LogisticRegression as _LogisticRegression
from fastlogit.estimators import MLPClassifier as _MLPClassifier
from fastlogit.estimators import partitioned
from fastlogit.estimators.base import KernelClassifier
from fastlogit.estimators.by_partition import is_dask


def with_client(init: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor with the arguments of another, and client besides."""

    def __init__(self: Any, *args: Any, client: Any = None, **arguments: Any) -> None:  # noqa: N807
        init(self, *args, **arguments)
        self.client = client

    signature = inspect.signature(init)
    client = inspect.Parameter("client", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = [*signature.parameters.values(), client]
    __init__.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return __init__


class DaskClassifier(KernelClassifier):
    """What fits a classifier to Dask's collections, to stand before one of ours in the bases."""

    client: Any
    _local_class: type[Any]

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None,
        y_val: Any = None, callback: Any = None,
    ) -> Self:  # fmt: skip
        """Fit the model to the rows of X with the labels y.

        Parameters
        ----------
        X : dask Array of shape (n, D) or DataFrame
            Training rows, which must fit in the workers' memory. Columns of a dataframe must be
            numbers. Rows in memory are fitted here, without Dask.
        y : dask Array of shape (n,) or Series
            Labels, in partitions like those of X.
        sample_weight : dask Array of shape (n,) or Series, optional
            Row weights, likewise.
        X_val, y_val, callback : optional
            As in the class for rows in memory; ``X_val`` and ``y_val`` are arrays in memory.

        Returns
        -------
        self
            The fitted estimator.
        """
        if not is_dask(X):
            super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, callback=callback)
            return self
        self._validate_params()
        rows, client = DaskRows(X, y, sample_weight), self._find_client()
        with DaskPasses(client, rows, verbose=bool(self.verbose)) as passes:
            partitioned.fit(self, passes, None, None, X_val, y_val, callback)
        return self

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, **params: Any) -> float:
        """Return the accuracy of the predictions, computed at once.

        Parameters
        ----------
        X : dask Array of shape (n, D) or DataFrame, or rows in memory
            Test rows.
        y : dask Array of shape (n,) or Series
            Labels, in partitions like those of X.
        sample_weight : dask Array of shape (n,) or Series, optional
            Row weights.

        Returns
        -------
        float
            The (weighted) share of rows whose prediction is their label.
        """
        if not is_dask(X):
            return super().score(X, y, sample_weight, **params)
        rows, local = DaskRows(X, y, sample_weight), delayed(self.to_local())
        parts = [rows.task(count_correct, key, local) for key in range(rows.n_partitions)]
        if self.client is None:
            sums = dask.compute(*parts)
        else:
            sums = self.client.compute(parts, sync=True)
        correct, total = np.sum(sums, axis=0).tolist()
        if total == 0:
            raise ValueError("X has no rows, or none of a weight above 0")
        return float(correct / total)

    def to_local(self) -> Any:
        """Return the fitted estimator as one for rows in memory, which needs no Dask to be loaded.

        Returns
        -------
        estimator
            A :class:`fastlogit.LogisticRegression` or :class:`fastlogit.MLPClassifier`.
        """
        arguments = self.get_params(deep=False)
        del arguments["client"]
        local = self._local_class(**arguments)
        state = self.__getstate__()
        del state["client"]
        local.__setstate__(state)
        return local

    def _predict_lazily(self, method: str, X: Any) -> Any:
        """Return a Dask array of the predictions, block by block."""
        X, local = matrix(X), self.to_local()
        is_array = isinstance(X, da.Array)
        one = np.zeros((1, X.shape[1]), X.dtype) if is_array else X._meta_nonempty.iloc[:1]
        meta = getattr(local, method)(one)[:0]
        # As a task of its own the estimator travels to each worker once.
        shared = {"estimator": delayed(local), "method": method, "empty": meta}
        if is_array:
            shape = (
                {"drop_axis": 1} if meta.ndim == 1 else {"chunks": (X.chunks[0], meta.shape[1:])}
            )
            return X.map_blocks(predict_block, meta=meta, dtype=meta.dtype, **shape, **shared)
        return X.map_partitions(predict_block, meta=meta, **shared)

    def _find_client(self) -> Any:
        """Return the client given, or else that of the task or the session."""
        client = self.client
        if client is None:
            try:
                client = get_client()
            except ValueError as error:
                raise ValueError(
                    "client=None needs a client of Dask in this process: make one, "
                    "dask.distributed.Client(), or pass client="
                ) from error
        if client.asynchronous:
            raise ValueError(f"client={client!r} must not be asynchronous")
        return client

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes without the client."""
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self) -> Any:
        """Return an unfitted estimator with the same arguments and client."""
        twin = super(DaskClassifier, copy.copy(self)).__sklearn_clone__()  # copies have no client
        twin.client = self.client
        return twin


class LogisticRegression(DaskClassifier, _LogisticRegression):
    """:class:`fastlogit.LogisticRegression` on a Dask cluster.

    ``fit`` takes Dask arrays and dataframes, whose partitions stay on the workers. Every solver
    but "liblinear" with an L2 penalty, or none, finds the same optimum as in memory: up to 500
    parameters by Newton's steps from the fit to a sample, in 2 to 4 rounds, more by L-BFGS. "sgd"
    and "adam" train shards of the rows apart and average their parameters after each epoch.
    Partitions decide the bits of the result, not the workers, which may join, leave and die.

    ``predict``, ``predict_proba``, ``predict_log_proba`` and ``decision_function`` of a Dask
    collection are Dask arrays, computed when they are asked for. Rows in memory are fitted and
    predicted without a client.

    Parameters
    ----------
    client : distributed.Client, optional
        By default the present one of this process. It is not kept in a pickle.
    **arguments
        All others are those of :class:`fastlogit.LogisticRegression`. ``n_threads`` is the number
        of threads of each worker's task.

    Attributes
    ----------
    n_passes_ : int
        Rounds of tasks that the fit took.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_LogisticRegression._parameter_constraints, "client": "no_validation"
    }  # fmt: skip
    _local_class = _LogisticRegression
    __init__ = with_client(_LogisticRegression.__init__)


class MLPClassifier(DaskClassifier, _MLPClassifier):
    """:class:`fastlogit.MLPClassifier` on a Dask cluster.

    ``fit`` takes Dask arrays and dataframes, whose partitions stay on the workers. "lbfgs" takes a
    round of tasks for each evaluation of the loss. "sgd" and "adam" train shards of the rows apart,
    each of 500 batches at least, and average their parameters after each epoch; rows must be in
    random order. Partitions decide the bits of the result, not the workers.

    Predictions are as in :class:`fastlogit.dask.LogisticRegression`.

    Parameters
    ----------
    client : distributed.Client, optional
        By default the present one of this process. It is not kept in a pickle.
    **arguments
        All others are those of :class:`fastlogit.MLPClassifier`. ``n_threads`` is the number of
        threads of each worker's task.

    Attributes
    ----------
    n_passes_ : int
        Rounds of tasks that the fit took.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_MLPClassifier._parameter_constraints, "client": "no_validation"
    }  # fmt: skip
    _local_class = _MLPClassifier
    __init__ = with_client(_MLPClassifier.__init__)
