"""What runs in the workers' processes: partitions are kept there for one fit, and summed over.

The partitions of a fit lie in a dict of the process. They are never the only copy: who does not
have them says so, and the client has them loaded once more. A `Lease`, which the client holds as a
task's result, frees them when the client lets it go, or is gone. By then a task at work ends at the
next look: Dask itself cancels only what has not begun.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from distributed import get_worker
from scipy.sparse import issparse

from fastlogit.models import Rows
from fastlogit.models.checks import compressed
from fastlogit.solvers.passes import Encoder, Work, halves, sum_in_tree
from fastlogit.sources import Labels, Partition


@dataclass
class Held:
    """Partitions of a fit by their number, and the Rows that an encoder has made of them."""

    parts: dict[int, Partition] = field(default_factory=dict)
    rows: dict[int, Rows] = field(default_factory=dict)
    encoding: int = 0

    def encoded(self, key: int, encoder: Encoder | None, encoding: int) -> Any:
        """Return a partition as the encoder of that number makes it."""
        if encoder is None:
            return self.parts[key]
        if encoding != self.encoding:
            self.rows, self.encoding = {}, encoding
        if key not in self.rows:
            self.rows[key] = encoder(self.parts[key])
        return self.rows[key]


_held: dict[str, Held] = {}


class Lease:
    """Keeps the partitions of a fit in a worker's process as long as it lives there."""

    def __init__(self, fit: str) -> None:
        self._fit = fit

    def __del__(self) -> None:
        """Free the partitions."""
        _held.pop(self._fit, None)


class AbandonedError(Exception):
    """Nobody waits for the result of a task any longer."""


def check_wanted(fit: str) -> None:
    """Raise AbandonedError if the client has let a fit's partitions go."""
    if fit not in _held:
        raise AbandonedError


class Missing(NamedTuple):
    """Partitions that a worker was asked for and does not have."""

    worker: str
    keys: list[int]


class Answer(NamedTuple):
    """Sums over spans of items, and what they could not be computed of."""

    sums: dict[range, Any]
    missing: list[Missing]


@dataclass(frozen=True)
class Question:
    """What is to be summed: the work on items 0 to n_items, and which partitions each item is of.

    The work is called with the data of an item's partition, or with those of all in a list.
    """

    fit: str
    work: Work[Any]
    n_items: int
    encoder: Encoder | None
    encoding: int
    by_list: bool


def store(fit: str, key: int, kind: Any, X: Any, y: Any, weight: Any) -> tuple[str, int]:
    """Keep a partition; return the worker's address and the number of rows."""
    part = to_partition(key, kind, X, y, weight)
    _held.setdefault(fit, Held()).parts[key] = part
    return get_worker().address, part.X.shape[0]


def answer(question: Question, spans: Sequence[range], keys: Mapping[int, Sequence[int]]) -> Answer:
    """Return the sums over spans of items, given each item's partitions.

    Partitions that are let go meanwhile are missing.
    """
    q, held = question, _held.get(question.fit, Held())
    wanted = [key for some in keys.values() for key in some]
    missing = [key for key in wanted if key not in held.parts]
    if missing:
        return Answer({}, [Missing(get_worker().address, missing)])

    def data_of(item: int) -> Any:
        check_wanted(q.fit)
        data = [held.encoded(key, q.encoder, q.encoding) for key in keys[item]]
        return data if q.by_list else data[0]

    try:
        return Answer({span: sum_in_tree(q.work, span, map(data_of, span)) for span in spans}, [])
    except AbandonedError:
        return Answer({}, [Missing(get_worker().address, wanted)])


def combine(question: Question, *answers: Answer) -> Answer:
    """Return several answers as one, sums over halves added."""
    sums = {span: total for one in answers for span, total in one.sums.items()}
    add_halves(question.work, range(question.n_items), sums)
    return Answer(sums, [missing for one in answers for missing in one.missing])


def add_halves(work: Work[Any], span: range, sums: dict[range, Any]) -> bool:
    """Add what is known of a span's halves; return whether its sum is known. OUT: sums."""
    if span in sums or len(span) == 1:
        return span in sums
    parts = halves(span)
    known = [add_halves(work, part, sums) for part in parts]
    if not all(known):
        return False
    first, second = (sums.pop(part) for part in parts)
    sums[span] = work.add(first, second)
    return True


def to_partition(key: int, kind: Any, X: Any, y: Any, weight: Any) -> Partition:
    """Return blocks of X, y and weights as a partition; kind are the dtype and columns of X."""
    dtype, columns = kind
    if columns is not None and list(X.columns) != columns:
        raise ValueError(f"X has columns {list(X.columns)} in partition {key}, must be {columns}")
    if hasattr(X, "iloc"):
        X = X.to_numpy(dtype, na_value=np.nan)
    X = compressed("X", X, dtype) if issparse(X) else np.ascontiguousarray(X, dtype)
    given = {"y": y, "sample_weight": weight}
    for name, value in given.items():
        if value is not None and len(value) != X.shape[0]:
            raise ValueError(
                f"{name} has {len(value)} rows in partition {key}, X has {X.shape[0]}: "
                "rows must be divided alike, as by repartition or rechunk"
            )
    if weight is not None:
        if hasattr(weight, "iloc"):
            weight = weight.to_numpy(dtype, na_value=np.nan)
        weight = np.asarray(weight, dtype).reshape(-1)
    return Partition(X, None if y is None else labels_of(key, y), weight)


def labels_of(key: int, y: Any) -> Any:
    """Return labels as an array of numbers, or as Labels if they are anything else."""
    if hasattr(y, "iloc"):
        y = y.iloc[:, 0] if y.ndim == 2 else y
        if y.isna().any():
            row = int(np.argmax(y.isna().to_numpy()))
            raise ValueError(f"y is missing in row {row} of partition {key}; leave such rows out")
        y = y.to_numpy(getattr(y.dtype, "numpy_dtype", None))
    y = np.asarray(y).reshape(-1)
    if y.dtype.kind != "O":
        return y
    values, codes = np.unique(y, return_inverse=True)
    return Labels(np.array(values.tolist()), codes)


def predict_block(block: Any, estimator: Any, method: str, empty: Any) -> Any:
    """Return what an estimator's method predicts of a block, or of none what is empty."""
    return getattr(estimator, method)(block) if block.shape[0] else empty


def count_correct(estimator: Any, key: int, kind: Any, X: Any, y: Any, weight: Any) -> Any:
    """Return the sum of weights of the rows that are predicted right, and of all."""
    part = to_partition(key, kind, X, y, weight)
    n_rows, labels = part.X.shape[0], part.y
    if not n_rows:
        return 0.0, 0.0
    labels = labels.values[labels.codes] if isinstance(labels, Labels) else labels
    weights = np.ones(n_rows) if part.weight is None else part.weight.astype(np.float64)
    return float(weights @ (estimator.predict(X) == labels)), float(weights.sum())


def n_held() -> int:
    """Return the number of fits of which this process has partitions."""
    return len(_held)
