"""Training with one row per step, or a few: against the reference, other code and formulas."""

import numpy as np
import pytest
from scipy.special import expit, log_expit

import fastlogit
from fastlogit.kernels.training import in_place_sgd
from fastlogit.models import MODELS

ACCURACY = {np.float32: 2e-5, np.float64: 1e-12}
OWN_LOOP = {np.float32: 2e-6, np.float64: 1e-13}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    ("n", "n_features", "n_hidden", "n_classes"),
    [(1, 1, 1, 2), (2, 5, 3, 3), (37, 4, 16, 3), (40, 33, 130, 10), (9, 70, 17, 100)],
)
def test_against_the_reference(model, n, n_features, n_hidden, n_classes, batch_size, dtype):
    spec = MODELS[model]
    n_classes = 2 if spec.binary else n_classes
    rng = np.random.default_rng([n, n_features])
    X, y = rng.normal(size=(n, n_features)).astype(dtype), rng.integers(n_classes, size=n)
    order = rng.integers(n, size=(3, n))
    order[:, : n // 2] = order[:, :1]  # a row again and again
    hidden = n_hidden if spec.has_hidden else None
    start = spec.initial_params(n_features, hidden, spec.n_outputs(n_classes), dtype, rng)
    arguments = {"epochs": 3, "order": order, "batch_size": batch_size, "learning_rate": 0.05}
    expected = fastlogit.train(model, X, y, start, backend="numpy", **arguments)
    # Weights that are all alike ask for the same steps, and take the way of larger batches.
    weighted = fastlogit.train(model, X, y, start, sample_weight=np.full(n, 2.0), **arguments)
    for result in (fastlogit.train(model, X, y, start, **arguments), weighted):
        assert result.n_steps == 3 * -(-n // batch_size)
        np.testing.assert_allclose(result.loss_curve, expected.loss_curve, rtol=ACCURACY[dtype])
        for array, other in zip(result.params, expected.params, strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(array, other, rtol=0, atol=ACCURACY[dtype])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_rows_that_come_from_memory(model, batch_size, dtype):
    """X is larger than what is taken to be in the cache."""
    n, spec = 1_100_000 // (96 * np.dtype(dtype).itemsize), MODELS[model]
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 96)).astype(dtype), rng.integers(2, size=n)
    start = spec.initial_params(96, 4 if spec.has_hidden else None, spec.n_outputs(2), dtype, rng)
    order = rng.permutation(n)[np.newaxis]
    arguments = {"batch_size": batch_size, "learning_rate": 0.01, "order": order}
    fused = fastlogit.train(model, X, y, start, **arguments)
    expected = fastlogit.train(model, X, y, start, backend="numpy", **arguments)
    assert fused.loss_curve[0] == pytest.approx(expected.loss_curve[0], rel=ACCURACY[dtype])


def test_copy_columns_both_ways(jit, dtype):
    copy = in_place_sgd.copy_columns
    run = jit(lambda source, target: copy(source, target))
    narrow, wide = np.arange(6, dtype=dtype).reshape(2, 3), np.full((2, 5), np.nan, dtype)
    for function in (copy, run):
        function(narrow, wide)
        np.testing.assert_array_equal(wide, np.pad(narrow, ((0, 0), (0, 2))))
        back = np.full_like(narrow, np.nan)
        function(wide, back)
        np.testing.assert_array_equal(back, narrow)


def descend(X, y, order, rate, w, b):
    X, w, b, losses = X.astype(float), w.astype(float), float(b), []
    for row in order:
        z = X[row] @ w + b
        losses.append(-log_expit(z if y[row] else -z))
        w = w + rate * (y[row] - expit(z)) * X[row]
        b = b + rate * (y[row] - expit(z))
    return w, b, np.sum(losses)


@pytest.fixture(scope="module")
def logistic_rows(jit):
    train = in_place_sgd.logistic_rows
    return jit(lambda X, y, order, rate, padded, w, b: train(X, y, order, rate, padded, w, b))


@pytest.mark.parametrize("rate", [1e-3, 0.5])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (2, 5), (40, 16), (33, 17), (50, 70), (9000, 70)])
def test_logistic_rows_against_the_formulas(logistic_rows, n, width, rate, dtype):
    rng = np.random.default_rng([n, width])
    X, y = rng.normal(size=(n, width)).astype(dtype), rng.integers(2, size=n)
    start = rng.normal(size=width).astype(dtype)
    order = rng.integers(n, size=60)
    order[3:6] = order[2]  # a row again and again
    expected_w, expected_b, expected_loss = descend(X, y, order, rate, start, 0.25)
    for run in (logistic_rows, in_place_sgd.logistic_rows):
        w, b = start.copy(), np.full(1, 0.25, dtype)
        loss = run(X, y, order, rate, np.full(width + 16, np.nan, dtype), w, b)
        scale = np.abs(expected_w).max()
        np.testing.assert_allclose(w, expected_w, rtol=0, atol=20 * OWN_LOOP[dtype] * scale)
        np.testing.assert_allclose(b[0], expected_b, rtol=0, atol=20 * OWN_LOOP[dtype] * scale)
        assert loss == pytest.approx(expected_loss, rel=20 * OWN_LOOP[dtype])


def test_huge_logits_stay_right(logistic_rows, dtype):
    X, y = np.array([[1e4], [-1e4], [1e4]], dtype), np.array([1, 1, 0])
    w, b = np.ones(1, dtype), np.zeros(1, dtype)
    loss = logistic_rows(X, y, np.array([0, 1, 2]), 1e-4, np.zeros(17, dtype), w, b)
    # The first is sure; the second costs 1e4 and moves w by -1; the third then has logit about 0.
    expected = descend(X, y, [0, 1, 2], 1e-4, np.ones(1), 0)
    assert loss == pytest.approx(expected[2], rel=1e-3)
    np.testing.assert_allclose([w[0], b[0]], [expected[0][0], expected[1]], atol=1e-3)


def test_logistic_rows_are_what_train_calls_at_batch_one(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)).astype(dtype), rng.integers(2, size=30)
    order = np.array([rng.permutation(30) for _ in range(3)])
    arguments = {"epochs": 3, "order": order, "batch_size": 1, "learning_rate": 0.1}
    start = np.zeros((6, 1)), np.zeros(1)
    plain = fastlogit.train("logistic", X, y, start, backend="numpy", **arguments)
    fused = fastlogit.train("logistic", X, y, start, **arguments)
    # Weights that are all alike ask for the same steps, and take the way of larger batches.
    general = fastlogit.train("logistic", X, y, start, sample_weight=np.full(30, 2.0), **arguments)
    for result in (fused, general):
        assert result.n_steps == plain.n_steps == 90
        np.testing.assert_allclose(result.loss_curve, plain.loss_curve, rtol=OWN_LOOP[dtype])
        np.testing.assert_allclose(result.params.W, plain.params.W, rtol=0, atol=OWN_LOOP[dtype])
        np.testing.assert_allclose(result.params.b, plain.params.b, rtol=0, atol=OWN_LOOP[dtype])
