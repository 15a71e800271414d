"""The Trainer itself: its state, and what only the estimators ask of it."""

from dataclasses import replace

import numpy as np
import pytest

from fastlogit.models import MODELS, Rows
from fastlogit.training import trainer as trainer_module
from fastlogit.training.trainer import Trainer

ORDERS = np.stack([np.random.default_rng(epoch).permutation(20) for epoch in range(5)])


def trainer_of(model, task, solver, backend, *, alpha=0.1, **options):
    settings = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": 1.0}
    settings |= {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8} | options.pop("settings", {})
    return Trainer(
        MODELS[model], task.params, solver=solver, settings=settings, alpha=alpha,
        **{"batch_size": 6, "backend": backend} | options,
    )  # fmt: skip


def arrays(trainer):
    point = trainer.checkpoint
    return point.theta, point.moments, point.steps


def run_epochs(trainer, task, orders):
    weight = np.empty(0) if task.weight is None else task.weight
    losses = np.zeros(len(orders))
    *_, done = trainer.run_epochs(Rows(task.X, task.y, weight), orders, losses)
    assert done == len(orders)
    return losses


def test_a_trainer_goes_on_from_where_it_stopped(problem, model, solver, backend):
    task = problem(model, 20, 3, 2, weighted=True)
    whole, parts = (trainer_of(model, task, solver, backend) for _ in range(2))
    losses = run_epochs(whole, task, ORDERS)
    halves = [run_epochs(parts, task, ORDERS[:2]), run_epochs(parts, task, ORDERS[2:])]
    assert np.array_equal(np.concatenate(halves), losses)
    for array, other in zip(arrays(whole), arrays(parts), strict=True):
        assert np.array_equal(array, other)


def test_a_restored_trainer_repeats_itself(problem, model, solver, backend):
    task = problem(model, 20, 3, 2)
    trainer = trainer_of(model, task, solver, backend)
    run_epochs(trainer, task, ORDERS[:1])
    checkpoint, before = trainer.checkpoint, arrays(trainer)
    first = run_epochs(trainer, task, ORDERS)
    after = arrays(trainer)
    trainer.checkpoint = checkpoint
    trainer.rewind()
    assert np.array_equal(run_epochs(trainer, task, ORDERS), first)
    for array, other in zip(arrays(trainer), after, strict=True):
        assert np.array_equal(array, other)
    assert not any(np.array_equal(one, two) for one, two in zip(before, after, strict=True))


def test_the_learning_rate_may_change_between_epochs(problem, model, solver, backend):
    task = problem(model, 20, 3, 2)
    trainer = trainer_of(model, task, solver, backend)
    assert trainer.learning_rate == 0.1
    start = arrays(trainer)[0]
    trainer.learning_rate = 1e-300
    run_epochs(trainer, task, ORDERS[:1])
    assert np.array_equal(arrays(trainer)[0], start)
    trainer.learning_rate = 0.2
    assert trainer.learning_rate == 0.2
    run_epochs(trainer, task, ORDERS[:1])
    assert not np.array_equal(arrays(trainer)[0], start)


def test_orders_without_columns_take_the_rows_as_they_lie(problem, model, solver, backend):
    task = problem(model, 20, 3, 2, weighted=True)
    lying, ordered = (trainer_of(model, task, solver, backend) for _ in range(2))
    losses = run_epochs(lying, task, np.empty((3, 0), np.intp))
    expected = run_epochs(ordered, task, np.arange(20)[None].repeat(3, axis=0))
    np.testing.assert_allclose(losses, expected, rtol=1e-13)
    for array, other in zip(arrays(lying), arrays(ordered), strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_alpha_by_row_is_divided_by_each_batchs_weight(problem, model, backend, weighted):
    """A full batch and a short one, each in a training of its own."""
    task = problem(model, 20, 3, 2, weighted=weighted)
    for rows in (slice(0, 6), slice(6, 9)):
        weight = None if task.weight is None else task.weight[rows]
        part = replace(task, X=task.X[rows], y=task.y[rows], weight=weight)
        total = len(part.X) if weight is None else weight.sum()
        order = np.arange(len(part.X))[None]
        by_row = trainer_of(model, part, "sgd", backend, alpha=0.5, alpha_by_row=True)
        plain = trainer_of(model, part, "sgd", backend, alpha=0.5 / total)
        losses = run_epochs(by_row, part, order), run_epochs(plain, part, order)
        np.testing.assert_allclose(*losses, rtol=1e-14)
        np.testing.assert_allclose(arrays(by_row)[0], arrays(plain)[0], rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("rows", [18, 20])  # an epoch of 3 and of 4 batches
def test_short_epochs_are_run_many_to_a_call(problem, monkeypatch, rows):
    monkeypatch.setattr(trainer_module, "SLICE_SECONDS", 1e9)
    task = problem("logistic", rows, 3)
    trainer = trainer_of("logistic", task, "sgd", "numba")
    calls = []
    run_batches = trainer._run_batches
    trainer._run_batches = lambda *args: calls.append(run_batches(*args))
    run_epochs(trainer, task, np.arange(rows)[None].repeat(5000, axis=0))
    # Sixteen times as many batches in each call as in the one before.
    assert len(calls) <= 12


@pytest.mark.parametrize("batch_size", [1, 2])
def test_short_slices_of_many_epochs_end_where_chains_and_epochs_do(
    problem, monkeypatch, batch_size
):
    """Epochs that diverged are trained again, maybe in shorter slices than at first."""
    monkeypatch.setattr(trainer_module, "SLICE_SECONDS", 1e-9)
    task, order = problem("logistic", 2500, 3), np.arange(2500)[None].repeat(3, axis=0)
    results = []
    for slice_batches in (1, 10**9):
        trainer = trainer_of(
            "logistic",
            task,
            "sgd",
            "numba",
            alpha=0,
            batch_size=batch_size,
            settings={"learning_rate": 1e-3, "momentum": 0},
        )
        trainer._slice_batches = slice_batches
        losses, rows = np.zeros(3), Rows(task.X, task.y, np.empty(0))
        trainer._run_slices(rows, order, 0, 3 * 2500 // batch_size, losses)
        results.append([*losses, *trainer.flat.flat])
    np.testing.assert_array_equal(*results)
