"""Training on sparse rows: the trajectory of the dense ones, whatever the settings."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import check_grad

import fastlogit
from fastlogit.models import BACKENDS, MODELS, Rows
from fastlogit.training.objective import Objective, predict

SIZES = {"rows": 331, "width": 23}
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}
HIDDEN = 5


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def sparse_problem(model, dtype=np.float64, n=SIZES["rows"], width=SIZES["width"]):
    """Draw (X, y, weight), X dense with zeros, empty rows and columns among it."""
    rng = np.random.default_rng([n, width])
    X = rng.normal(size=(n, width)) * (rng.random((n, width)) < 0.2)
    X[n // 3] = X[-1] = 0
    X[:, width // 2] = 0
    y = rng.integers(2 if MODELS[model].binary else 4, size=n)
    return X.astype(dtype), y, rng.uniform(0, 2, n) * (rng.random(n) > 0.1)


def hidden_of(model):
    return HIDDEN if MODELS[model].has_hidden else None


def assert_same_training(model, X, other, y, tolerance, **arguments):
    arguments = {"hidden": hidden_of(model), "random_state": 0, "epochs": 3} | arguments
    one, two = (fastlogit.train(model, rows, y, **arguments) for rows in (X, other))
    np.testing.assert_allclose(two.loss_curve, one.loss_curve, rtol=tolerance)
    for array, expected in zip(two.params, one.params, strict=True):
        assert array.dtype == expected.dtype == X.dtype
        np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
    assert one.n_steps == two.n_steps


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 300])
@pytest.mark.parametrize("solver", ["plain", "momentum", "nesterov", "adam"])
def test_the_trajectory_is_that_of_dense_rows(model, dtype, solver, batch_size, alpha, weighted):
    X, y, weight = sparse_problem(model, dtype)
    settings = {
        "plain": {"solver": "sgd"},
        "momentum": {"solver": "sgd", "momentum": 0.8, "learning_rate": 0.02},
        "nesterov": {"solver": "sgd", "momentum": 0.8, "nesterov": True, "learning_rate": 0.02},
        "adam": {"solver": "adam", "learning_rate": 1e-3, "epsilon": 1e-4},
    }[solver]
    assert_same_training(
        model, X, sparse.csr_array(X), y, TOLERANCE[dtype], batch_size=batch_size, alpha=alpha,
        sample_weight=weight if weighted else None, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_groups_of_blocks(model, alpha):
    X, y, _ = sparse_problem(model, n=1100)
    for batch_size in (600, 1100):
        assert_same_training(
            model, X, sparse.csr_array(X), y, 1e-12, batch_size=batch_size, alpha=alpha
        )


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_backends_agree(model, dtype, solver):
    X, y, weight = sparse_problem(model, dtype)
    X, hidden = sparse.csr_array(X), hidden_of(model)
    results = [
        fastlogit.train(
            model, X, y, hidden=hidden, solver=solver, alpha=0.05, sample_weight=weight, epochs=3,
            learning_rate=1e-2, epsilon=1e-4, random_state=0, backend=backend,
        )
        for backend in BACKENDS
    ]  # fmt: skip
    for array, expected in zip(results[0].params, results[1].params, strict=True):
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(results[0].loss_curve, results[1].loss_curve, rtol=tolerance)


@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (40, 1), (1, 9), (2, 300)])
def test_odd_shapes(model, n, width, alpha):
    X, y, _ = sparse_problem(model, n=n, width=width)
    y[:2] = [0, 1][:n]
    assert_same_training(model, X, sparse.csr_array(X), y, 1e-11, alpha=alpha, batch_size=3)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_rows_without_a_non_zero(model, backend, batch_size):
    """The biases alone are trained, and the penalty shrinks the weights."""
    X, y = np.zeros((20, 6)), np.arange(20) % 2
    for alpha in (0, 0.5):
        assert_same_training(
            model, X, sparse.csr_array(X), y, 1e-12, alpha=alpha, batch_size=batch_size,
            backend=backend,
        )  # fmt: skip


def test_threads_give_the_same_bits(model, monkeypatch):
    monkeypatch.setattr("fastlogit.training.threads.WORTH_SHARING", 0)
    monkeypatch.setattr("fastlogit.training.threads.Pace.shares", lambda _pace: True)
    X, y, _ = sparse_problem(model, n=1500)
    for batch_size, alpha in itertools.product((200, 1024), (0, 0.1)):
        one, two = (
            fastlogit.train(
                model, sparse.csr_array(X), y, hidden=hidden_of(model), epochs=2, alpha=alpha,
                batch_size=batch_size, random_state=0, n_threads=n_threads,
            )
            for n_threads in (1, 2)
        )  # fmt: skip
        for array, expected in zip(one.params, two.params, strict=True):
            assert np.array_equal(array, expected)
        assert np.array_equal(one.loss_curve, two.loss_curve)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_gradient_is_that_of_the_loss(model, backend, alpha):
    X, y, weight = sparse_problem(model, n=17, width=5)
    spec = MODELS[model]
    shapes = spec.shapes(5, hidden_of(model), spec.n_outputs(4))
    params = [np.zeros(shape) for shape in shapes]
    objective = Objective(spec, params, Rows(sparse.csr_array(X), y, weight), alpha, backend)
    start = np.random.default_rng(0).normal(size=objective.params.flat.size)
    error = check_grad(
        lambda theta: objective(theta)[0], lambda theta: objective(theta)[1], start, epsilon=1e-7
    )
    assert error < 1e-6 * np.linalg.norm(objective(start)[1])


def test_loss_gradient_and_probabilities(model, backend, dtype):
    X, y, weight = sparse_problem(model, dtype, n=700)
    other = sparse.csr_array(X)
    params = fastlogit.train(model, X, y, hidden=hidden_of(model), random_state=0).params
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    arguments = {"alpha": 0.1, "sample_weight": weight, "backend": backend}
    loss, gradient = fastlogit.loss_and_gradient(model, params, X, y, **arguments)
    result, sparse_gradient = fastlogit.loss_and_gradient(model, params, other, y, **arguments)
    assert result == pytest.approx(loss, rel=tolerance)
    for array, expected in zip(sparse_gradient, gradient, strict=True):
        assert array.shape == expected.shape
        assert array.dtype == dtype
        np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
    proba, expected = (
        fastlogit.predict_proba(model, params, rows, backend=backend) for rows in (other, X)
    )
    assert proba.dtype == dtype
    np.testing.assert_allclose(proba, expected, rtol=tolerance, atol=tolerance)
    shared = predict(MODELS[model], params, other, backend, n_threads=2)
    assert np.array_equal(shared, proba)


def test_an_interrupt_leaves_the_last_whole_epoch(model, monkeypatch):
    """In the middle of an epoch the weights of a penalised descent are scaled."""
    X, y, _ = sparse_problem(model)
    arguments = {
        "hidden": hidden_of(model), "alpha": 0.5, "batch_size": 1, "random_state": 0,
        "learning_rate": 0.01,
    }  # fmt: skip
    whole = fastlogit.train(model, sparse.csr_array(X), y, epochs=2, **arguments)
    from fastlogit.training import trainer

    numba, calls = BACKENDS["numba"], []

    def interrupted(*given):
        # Slices of 100 batches; the third epoch's second is cut off.
        span = given[-2]
        if span.first_batch > 2 * len(X):
            raise KeyboardInterrupt
        calls.append(span)
        return numba.run_sparse_sgd(*given)

    monkeypatch.setitem(BACKENDS, "numba", replace(numba, run_sparse_sgd=interrupted))
    monkeypatch.setattr(trainer, "SLICE_SECONDS", 1e-9)
    with pytest.raises(KeyboardInterrupt) as raised:
        fastlogit.train(model, sparse.csr_array(X), y, epochs=4, **arguments)
    assert len(calls) > 2
    for array, expected in zip(raised.value.result.params, whole.params, strict=True):
        assert np.array_equal(array, expected)  # however the epochs were cut into calls


def test_nothing_is_compiled_for_sparse_rows_unless_they_come():
    """Neither by an import nor by warmup; both entry points of a model by warmup(sparse=True)."""
    import subprocess
    import sys

    program = """
import fastlogit
from fastlogit.kernels.training import epoch
from fastlogit.kernels.training import in_place_sgd
from fastlogit.kernels.codegen import objects
fastlogit.warmup()
names = [symbol for symbol in objects._addresses if "csr" in symbol]
assert not names, names
assert not in_place_sgd.run_sparse_batches.signatures
fastlogit.warmup(sparse=True)
assert len(in_place_sgd.run_sparse_batches.signatures) == 2 * len(fastlogit.models.MODELS)
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603
