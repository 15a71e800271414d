"""Rows of a source in blocks of whole batches, and epochs over them."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

import fastlogit
from fastlogit.models import MODELS, Rows
from fastlogit.training.row_stream import RowStream, joined, pick, run_epoch
from fastlogit.training.trainer import Trainer

N = 1000
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.intp)


def encode(part):
    return Rows(part.X, np.asarray(part.y, np.intp), np.empty(0, np.float32))


def by_partition():
    table = pa.table({**{f"f{j}": X[:, j].copy() for j in range(3)}, "y": Y})
    return fastlogit.scan(table, target="y", partition_rows=130)


SOURCES = {
    "in place": lambda: fastlogit.scan(X, target=Y, partition_rows=130),
    "by partition": by_partition,
    "sparse": lambda: fastlogit.scan(csr_array(X), target=Y, partition_rows=130),
}


def taken(stream):
    """Return X and the labels of an epoch's rows, as they are taken."""
    blocks = [pick(rows, order[0], 0, None) for rows, order in stream.epoch()]
    X = [rows.X.toarray() if rows.sparse else rows.X for rows in blocks]
    return np.concatenate(X), np.concatenate([rows.y for rows in blocks])


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("batch_size", [1, 32, 65, 300, N])
@pytest.mark.parametrize("seed", [None, 0])
def test_an_epoch_has_each_row_once_in_whole_batches(kind, batch_size, seed):
    generator = None if seed is None else np.random.default_rng(seed)
    stream = RowStream(SOURCES[kind](), encode, batch_size, generator)
    sizes = [order.size or rows.y.size for rows, order in stream.epoch()]
    assert not np.mod(sizes[:-1], batch_size).any()
    rows, labels = taken(stream)
    if seed is None:
        np.testing.assert_array_equal(rows, X)
    else:
        assert not np.array_equal(rows, X)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))
    np.testing.assert_array_equal(labels, rows[:, 0] > 0)


@pytest.mark.parametrize("kind", SOURCES)
def test_the_seed_decides_the_order(kind):
    def drawn(seed):
        stream = RowStream(SOURCES[kind](), encode, 32, np.random.default_rng(seed))
        return taken(stream)[0]

    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))


def test_blocks_of_mapped_rows_are_like_the_whole():
    order = np.argsort(X[:, 0])
    sorted_rows = X[order].repeat(2000, axis=0)
    source = fastlogit.scan(sorted_rows, target=Y[order].repeat(2000))
    stream = RowStream(source, encode, 64, np.random.default_rng(0))
    shares = [rows.y.mean() for rows, _order in stream.epoch()]
    assert len(shares) == 3
    np.testing.assert_allclose(shares, Y.mean(), atol=0.03)


def trainer(learning_rate=0.1, batch_size=32, alpha=0.0, sparse=False):
    start = [np.zeros((3, 1), np.float32), np.zeros(1, np.float32)]
    settings = {"learning_rate": learning_rate, "momentum": 0.0, "nesterov": False}
    return Trainer(
        MODELS["logistic"], start, solver="sgd", settings=settings, alpha=alpha,
        batch_size=batch_size, sparse=sparse,
    )  # fmt: skip


def test_an_epoch_without_shuffling_is_that_of_the_rows_in_memory():
    streamed, in_memory = trainer(), trainer()
    losses, expected = np.zeros(1), np.zeros(1)
    assert list(run_epoch(streamed, RowStream(by_partition(), encode, 32), losses)) == [1]
    rows = encode(next(fastlogit.scan(X, target=Y).read([0])))
    list(in_memory.run_epochs(rows, np.empty((1, 0), np.intp), expected))
    np.testing.assert_array_equal(streamed.flat.flat, in_memory.flat.flat)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert streamed.checkpoint.epochs == 1


def test_whole_batches_are_taken_in_their_order_without_a_copy():
    """Its batches are those of shuffled rows: to the same bits."""
    source, drawn, copied = by_partition(), trainer(batch_size=65), trainer(batch_size=65)
    stream = RowStream(source, encode, 65, np.random.RandomState(3))
    assert sum(order.size for _rows, order in stream.epoch()) > N / 2
    list(run_epoch(drawn, RowStream(source, encode, 65, np.random.RandomState(3)), np.zeros(1)))
    X, y = taken(RowStream(source, encode, 65, np.random.RandomState(3)))
    rows = Rows(X, y, np.empty(0, np.float32))
    list(copied.run_epochs(rows, np.empty((1, 0), np.intp), np.zeros(1)))
    np.testing.assert_array_equal(drawn.flat.flat, copied.flat.flat)


class HeldSparseRows:
    """Partitions of sparse rows that are not in place, as on a Dask worker."""

    in_place, n_rows = False, N

    def runs(self):
        return [range(i, i + 1) for i in range(4)]

    def read(self, indices):
        weight = np.linspace(0.5, 2, N).astype(np.float32)
        for place in (slice(250 * i, 250 * i + 250) for i in indices):
            yield Rows(csr_array(X[place]), Y[place], weight[place])


def test_drawn_sparse_rows_are_trained_on_as_they_are_in_memory():
    """Each block ends with whole weights: a step by sparse rows scales them by a factor apart."""
    results = []
    for is_copied in (False, True):
        stream = RowStream(HeldSparseRows(), lambda rows: rows, 32, np.random.RandomState(3))
        model, losses = trainer(alpha=0.1, sparse=True), np.zeros(1)
        if is_copied:
            blocks = [pick(rows, order[0], 0, None) for rows, order in stream.epoch()]
            whole = np.empty((1, 0), np.intp)
            list(model.run_epochs(joined(blocks), whole, losses))
        else:
            list(run_epoch(model, stream, losses))
        results.append([*model.flat.flat, losses[0]])
    np.testing.assert_allclose(*results, rtol=1e-5)


class StoppedError(Exception):
    """Raised in the middle of an epoch."""


def test_an_epoch_that_fails_leaves_the_state_before_it():
    model, calls = trainer(), []

    def fail_later(part):
        calls.append(part)
        if len(calls) > 9:
            raise StoppedError
        return encode(part)

    stream = RowStream(by_partition(), fail_later, 32)
    list(run_epoch(model, stream, np.zeros(1)))
    after_one = model.flat.flat.copy()
    with pytest.raises(StoppedError):
        list(run_epoch(model, stream, np.zeros(1)))
    np.testing.assert_array_equal(model.flat.flat, after_one)
    assert model.checkpoint.epochs == 1


def test_an_epoch_that_diverges_leaves_the_state_before_it():
    model = trainer(learning_rate=1e38)
    huge = fastlogit.scan(X * 1e20, target=Y, partition_rows=130)
    assert list(run_epoch(model, RowStream(huge, encode, 32), np.zeros(1))) == []
    assert not model.flat.flat.any()
