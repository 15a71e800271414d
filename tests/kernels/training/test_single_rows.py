"""Logistic regression a row a step, against a plain loop of the formulas."""

import numpy as np
import pytest
from scipy.special import expit, log_expit

import fastlogit
from fastlogit.kernels.training import single_rows

ACCURACY = {np.float32: 2e-6, np.float64: 1e-13}


def descend(X, y, order, rate, w, b):
    X, w, b, losses = X.astype(float), w.astype(float), float(b), []
    for row in order:
        z = X[row] @ w + b
        losses.append(-log_expit(z if y[row] else -z))
        w = w + rate * (y[row] - expit(z)) * X[row]
        b = b + rate * (y[row] - expit(z))
    return w, b, np.sum(losses)


@pytest.fixture(scope="module")
def train_rows(jit):
    train = single_rows.logistic_rows
    return jit(lambda X, y, order, rate, padded, w, b: train(X, y, order, rate, padded, w, b))


@pytest.mark.parametrize("rate", [1e-3, 0.5])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (2, 5), (40, 16), (33, 17), (50, 70), (9000, 70)])
def test_against_the_formulas(train_rows, n, width, rate, dtype):
    rng = np.random.default_rng([n, width])
    X, y = rng.normal(size=(n, width)).astype(dtype), rng.integers(2, size=n)
    start = rng.normal(size=width).astype(dtype)
    order = rng.integers(n, size=60)
    order[3:6] = order[2]  # a row again and again
    expected_w, expected_b, expected_loss = descend(X, y, order, rate, start, 0.25)
    for run in (train_rows, single_rows.logistic_rows):
        w, b = start.copy(), np.full(1, 0.25, dtype)
        loss = run(X, y, order, rate, np.full(width + 16, np.nan, dtype), w, b)
        scale = np.abs(expected_w).max()
        np.testing.assert_allclose(w, expected_w, rtol=0, atol=20 * ACCURACY[dtype] * scale)
        np.testing.assert_allclose(b[0], expected_b, rtol=0, atol=20 * ACCURACY[dtype] * scale)
        assert loss == pytest.approx(expected_loss, rel=20 * ACCURACY[dtype])


def test_huge_logits_stay_right(train_rows, dtype):
    X, y = np.array([[1e4], [-1e4], [1e4]], dtype), np.array([1, 1, 0])
    w, b = np.ones(1, dtype), np.zeros(1, dtype)
    loss = train_rows(X, y, np.array([0, 1, 2]), 1e-4, np.zeros(17, dtype), w, b)
    # The first is sure; the second costs 1e4 and moves w by -1; the third then has logit about 0.
    expected = descend(X, y, [0, 1, 2], 1e-4, np.ones(1), 0)
    assert loss == pytest.approx(expected[2], rel=1e-3)
    np.testing.assert_allclose([w[0], b[0]], [expected[0][0], expected[1]], atol=1e-3)


def test_it_is_what_train_does_at_batch_one(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)).astype(dtype), rng.integers(2, size=30)
    order = np.array([rng.permutation(30) for _ in range(3)])
    arguments = {"epochs": 3, "order": order, "batch_size": 1, "learning_rate": 0.1}
    start = np.zeros((6, 1)), np.zeros(1)
    plain = fastlogit.train("logistic", X, y, start, backend="numpy", **arguments)
    fused = fastlogit.train("logistic", X, y, start, **arguments)
    # Weights that are all alike ask for the same steps, and go the general way.
    general = fastlogit.train("logistic", X, y, start, sample_weight=np.full(30, 2.0), **arguments)
    for result in (fused, general):
        assert result.n_steps == plain.n_steps == 90
        np.testing.assert_allclose(result.loss_curve, plain.loss_curve, rtol=ACCURACY[dtype])
        np.testing.assert_allclose(result.params.W, plain.params.W, rtol=0, atol=ACCURACY[dtype])
        np.testing.assert_allclose(result.params.b, plain.params.b, rtol=0, atol=ACCURACY[dtype])
