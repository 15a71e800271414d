"""Shards depend on the rows alone, and one shard's epoch is the epoch of a stream."""

import numpy as np
import pytest

from fastlogit.dask.local_sgd import LEAST_STEPS, MOST_SHARDS, EpochWork, shards_of
from fastlogit.models import MODELS, Rows
from fastlogit.training.trainer import Trainer


@pytest.mark.parametrize("sizes", [[100], [100] * 64, [1, 5000, 1, 1, 3000, 7], [10] * 3000])
@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_shards_are_all_partitions_in_order(sizes, batch_size):
    shards = shards_of(sizes, batch_size)
    assert [i for shard in shards for i in shard] == list(range(len(sizes)))
    assert len(shards) <= max(min(MOST_SHARDS, sum(sizes) // (batch_size * LEAST_STEPS)), 1)
    assert all(shards)


def trainer_of(solver="adam", dtype=np.float64):
    settings = {
        "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.999,
        "epsilon": 1e-8,
    }  # fmt: skip
    params = [np.zeros((3, 1), dtype), np.zeros(1, dtype)]
    return Trainer(MODELS["logistic"], params, solver=solver, settings=settings, alpha=0.01,
                   batch_size=8)  # fmt: skip


def shard(seed, n=100, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(dtype)
    y = (X[:, 0] > 0).astype(np.intp)
    return [Rows(X[i : i + 40], y[i : i + 40], np.empty(0, dtype)) for i in range(0, n, 40)]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_shard_in_order_is_trained_as_by_the_trainer(solver):
    trainer, parts, losses = trainer_of(solver), shard(0), np.zeros(1)
    sums = EpochWork.of(trainer, None)(0, parts)
    rows = Rows(
        *[np.concatenate([getattr(p, name) for p in parts]) for name in ("X", "y", "weight")]
    )
    assert list(trainer.run_epochs(rows, np.empty((1, 0), np.intp), losses)) == [1]
    np.testing.assert_allclose(sums.theta / 100, trainer.flat.flat, rtol=1e-12)
    np.testing.assert_allclose(sums.moments / 100, trainer.moments, rtol=1e-12)
    assert sums.loss / 100 == pytest.approx(losses[0], rel=1e-12)
    assert sums.steps / 100 == trainer.steps[0]


def test_an_average_is_weighted_by_rows():
    trainer, losses = trainer_of(), np.zeros(1)
    work = EpochWork.of(trainer, 5)
    first, second = work(0, shard(0)), work(1, shard(1, 300))
    means = [sums.theta / sums.n_rows for sums in (first, second)]
    assert work.add(first, second).load_average(trainer, losses)
    np.testing.assert_allclose(trainer.flat.flat, 0.25 * means[0] + 0.75 * means[1], rtol=1e-12)
    assert trainer.steps[0] == round(0.25 * 13 + 0.75 * 38)
    assert trainer.checkpoint.epochs == 1


def test_the_order_is_drawn_by_seed_and_shard():
    work, other = (EpochWork.of(trainer_of(), seed) for seed in (5, 6))
    theta = [w(number, shard(0)).theta for w, number in ((work, 0), (work, 1), (other, 0))]
    np.testing.assert_array_equal(theta[0], work(0, shard(0)).theta)
    assert (theta[0] != theta[1]).any()
    assert (theta[0] != theta[2]).any()


def test_divergence_leaves_the_checkpoint():
    trainer, losses = trainer_of("sgd", np.float32), np.zeros(1)
    trainer.learning_rate = 1e38
    before = trainer.flat.flat.copy()
    parts = shard(0, dtype=np.float32)
    assert not EpochWork.of(trainer, None)(0, parts).load_average(trainer, losses)
    np.testing.assert_array_equal(trainer.flat.flat, before)
