"""Training: both backends step for step, batches, row orders, random numbers, slices."""

import numpy as np
import pytest

import fastlogit
from fastlogit.models import BACKENDS, MODELS
from fastlogit.training import trainer as trainer_module
from fastlogit.training.orders import FreshOrders

ACCURACY = {np.float32: 1e-4, np.float64: 1e-9}
# Adam divides by the root of the squared gradients' mean, so where these vanish its steps magnify
# rounding: at ten times this, its authors' rate, digits in float32 part by more than ACCURACY.
RATES = {"sgd": 0.1, "adam": 0.001}


def run(model, task, **arguments):
    arguments = {"params": task.params, "sample_weight": task.weight, **arguments}
    return fastlogit.train(model, task.X, task.y, arguments.pop("params"), **arguments)


def assert_equal(result, expected):
    assert np.array_equal(result.loss_curve, expected.loss_curve)
    assert result.n_steps == expected.n_steps
    for array, other in zip(result.params, expected.params, strict=True):
        assert np.array_equal(array, other)


def assert_close(result, expected, tolerance):
    assert result.n_steps == expected.n_steps
    np.testing.assert_allclose(result.loss_curve, expected.loss_curve, rtol=tolerance)
    for array, other in zip(result.params, expected.params, strict=True):
        np.testing.assert_allclose(array, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backends_end_alike_on_the_toy_sets(toy_set, toy_name, model, solver, dtype):
    X, y = toy_set(toy_name, model, dtype)
    results = [
        fastlogit.train(
            model, X, y, hidden=16 if MODELS[model].has_hidden else None, solver=solver,
            learning_rate=RATES[solver], epochs=20, random_state=0, backend=backend,
        )
        for backend in BACKENDS
    ]  # fmt: skip
    assert_close(*results, ACCURACY[dtype])
    assert results[0].n_steps == 20 * -(-len(X) // 32)
    for array in (*results[0].params, *results[1].params):
        assert array.dtype == dtype


SETTINGS = [
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"alpha": 0.05},
    {"solver": "adam", "learning_rate": 0.01, "alpha": 0.05, "beta_1": 0.8, "beta_2": 0.95},
    {"batch_size": 1},
    {"batch_size": 300, "epochs": 30},  # larger than a block of the kernels, and than the data
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_backends_end_alike_with_every_setting(problem, model, settings, weighted):
    task = problem(model, 270, 6, 5, 4, weighted=weighted)
    arguments = {"epochs": 4, "random_state": 0, **settings}
    assert_close(*(run(model, task, backend=name, **arguments) for name in BACKENDS), 1e-9)


def by_hand(model, task, orders, batch_size, *, learning_rate, momentum, nesterov, alpha):
    """Train by a loop over loss_and_gradient; give parameters and the epochs' mean losses."""
    params = [array.copy() for array in task.params]
    velocities = [np.zeros_like(array) for array in params]
    curve = []
    for order in orders:
        total = 0.0
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            weight = None if task.weight is None else task.weight[rows]
            if weight is not None and not weight.any():
                continue
            loss, gradient = fastlogit.loss_and_gradient(
                model, params, task.X[rows], task.y[rows], alpha=alpha, sample_weight=weight,
                backend="numpy",
            )  # fmt: skip
            total += loss * len(rows)
            for array, velocity, slope in zip(params, velocities, gradient, strict=True):
                velocity *= momentum
                velocity -= learning_rate * slope
                array += momentum * velocity - learning_rate * slope if nesterov else velocity
        curve.append(total / len(order))
    return params, curve


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 1000])
def test_sgd_is_a_loop_over_the_gradient(
    problem, model, backend, batch_size, momentum, nesterov, weighted
):
    """23 rows leave a last batch of 3 at a batch size of 4; it counts by its rows."""
    task = problem(model, 23, 4, 3, weighted=weighted)
    orders = np.stack([np.random.default_rng(e).permutation(23) for e in range(3)])
    settings = {"learning_rate": 0.2, "momentum": momentum, "nesterov": nesterov, "alpha": 0.1}
    result = run(
        model, task, order=orders, epochs=3, batch_size=batch_size, backend=backend, **settings
    )
    params, curve = by_hand(model, task, orders, batch_size, **settings)
    for array, expected in zip(result.params, params, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(result.loss_curve, curve, rtol=1e-11)


def test_adam_is_a_loop_over_the_gradient(problem, model, backend):
    task = problem(model, 23, 4, 3)
    orders = np.stack([np.random.default_rng(e).permutation(23) for e in range(3)])
    result = run(
        model, task, order=orders, epochs=3, batch_size=5, backend=backend, solver="adam",
        learning_rate=0.02, beta_1=0.8, beta_2=0.9, epsilon=1e-3,
    )  # fmt: skip
    params = [array.copy() for array in task.params]
    first, second = ([np.zeros_like(array) for array in params] for _ in range(2))
    for t, rows in enumerate((o[i : i + 5] for o in orders for i in range(0, 23, 5)), start=1):
        _, gradient = fastlogit.loss_and_gradient(
            model, params, task.X[rows], task.y[rows], backend="numpy"
        )
        for array, m, v, slope in zip(params, first, second, gradient, strict=True):
            m += 0.2 * (slope - m)
            v += 0.1 * (slope**2 - v)
            array -= 0.02 * (1 - 0.9**t) ** 0.5 / (1 - 0.8**t) * m / (v**0.5 + 1e-3)
    for array, expected in zip(result.params, params, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-10, atol=1e-12)


def test_an_order_may_leave_rows_out_and_repeat_others(problem, model, backend):
    task = problem(model, 12, 3, 2)
    rows = np.array([0, 0, 5, 5, 7, 7])
    twice = run(model, task, order=np.tile(rows, (1, 2)), batch_size=6, backend=backend)
    settings = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False, "alpha": 0.0}
    params, _ = by_hand(model, task, [np.tile(rows, 2)], 6, **settings)
    for array, expected in zip(twice.params, params, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-11, atol=1e-14)


def test_batches_without_weight_are_passed_over(problem, model, solver, backend):
    task = problem(model, 12, 3, 2)
    order = np.arange(12)[None]
    weight = np.r_[np.ones(4), np.zeros(4), np.ones(4)]
    result = run(
        model, task, order=order, batch_size=4, sample_weight=weight, solver=solver, backend=backend
    )
    assert result.n_steps == 2
    kept = [*range(4), *range(8, 12)]
    expected = fastlogit.train(
        model, task.X[kept], task.y[kept], task.params, order=np.arange(8)[None], batch_size=4,
        solver=solver, backend=backend,
    )  # fmt: skip
    for array, other in zip(result.params, expected.params, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_stay_and_results_are_the_callers_own(problem, model, solver, backend, dtype):
    task = problem(model, 20, 3, 2, dtype=dtype, weighted=True)
    order = np.tile(np.arange(20), (2, 1))
    inputs = (*task.params, task.X, task.y, task.weight, order)
    before = [array.copy() for array in inputs]
    result = run(model, task, epochs=2, order=order, solver=solver, backend=backend)
    for array, copy in zip(inputs, before, strict=True):
        assert np.array_equal(array, copy)
        assert array.dtype == copy.dtype
    for array in result.params:
        assert array.dtype == dtype
        assert array.flags.owndata
        assert array.flags.c_contiguous
        assert not any(np.may_share_memory(array, other) for other in inputs)
    assert result.loss_curve.dtype == np.float64


def seeds():
    return {
        "an integer": lambda: 3,
        "a Generator": lambda: np.random.default_rng(3),
        "a RandomState": lambda: np.random.RandomState(3),
    }


@pytest.mark.parametrize("seed", seeds().values(), ids=seeds())
def test_a_seed_fixes_the_result(problem, model, seed):
    task = problem(model, 30, 3, 2)
    hidden = 2 if MODELS[model].has_hidden else None
    arguments = {"params": None, "hidden": hidden, "epochs": 3}
    results = [run(model, task, random_state=seed(), **arguments) for _ in range(2)]
    assert_equal(*results)
    other = run(model, task, random_state=4, **arguments)
    assert not np.array_equal(other.params[0], results[0].params[0])


def test_params_then_orders_are_drawn_from_the_one_generator(problem, model, monkeypatch):
    """An order an epoch, whether drawn ahead or one by one, each a permutation of its own."""
    task = problem(model, 30, 3, 2)
    spec = MODELS[model]
    hidden = 2 if spec.has_hidden else None
    generator = np.random.default_rng(5)
    params = spec.initial_params(3, hidden, task.params[-1].size, np.float64, generator)
    orders = FreshOrders(generator, 30).draw(4)
    expected = run(model, task, params=params, order=orders, epochs=4)
    arguments = {"params": None, "hidden": hidden, "epochs": 4, "random_state": 5}
    assert_equal(run(model, task, **arguments), expected)
    assert_equal(run(model, task, callback=lambda *_: None, **arguments), expected)
    monkeypatch.setattr("fastlogit.training.orders.DRAWN_INDICES", 70)
    assert_equal(run(model, task, **arguments), expected)


def test_a_generator_goes_on_from_where_it_is(problem):
    task = problem("softmax", 30, 3)
    generator = np.random.default_rng(0)
    first, second = (run("softmax", task, random_state=generator, batch_size=8) for _ in range(2))
    assert not np.array_equal(first.params.W, second.params.W)


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_slices_of_any_length_give_the_same_bits(problem, model, solver, seconds, monkeypatch):
    task = problem(model, 50, 3, 2, weighted=True)
    arguments = {"epochs": 30, "random_state": 0, "solver": solver, "batch_size": 4, "alpha": 0.1}
    expected = run(model, task, **arguments)
    monkeypatch.setattr(trainer_module, "SLICE_SECONDS", seconds)
    assert_equal(run(model, task, **arguments), expected)


@pytest.mark.parametrize("n_rows", [1024, 2500])
def test_slices_of_single_rows_give_the_same_bits(problem, model, n_rows, monkeypatch):
    task = problem(model, n_rows, 3, 2)
    arguments = {"epochs": 2, "random_state": 0, "batch_size": 1, "learning_rate": 0.01}
    expected = run(model, task, **arguments)
    for seconds in (1e-9, 1e-5, 1e9):
        monkeypatch.setattr(trainer_module, "SLICE_SECONDS", seconds)
        assert_equal(run(model, task, **arguments), expected)


def test_the_number_of_threads_changes_rounding_at_most(problem, model, backend):
    task = problem(model, 50, 30, 20)
    arguments = {"epochs": 2, "random_state": 0, "backend": backend}
    assert_close(*(run(model, task, n_threads=n, **arguments) for n in (1, 2)), 1e-12)
