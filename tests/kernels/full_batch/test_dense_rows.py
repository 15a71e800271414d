"""Losses along a line, and columns of dense rows; the loss and its gradient: see test_columns."""

import numpy as np
import pytest
from scipy.special import log_softmax

from fastlogit.kernels.full_batch import dense_rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "K"), [(5, 1), (300, 1), (515, 3)])
def test_the_loss_along_a_line(n, K, weighted):
    rng = np.random.default_rng([n, K])
    logits, changes = rng.normal(size=(2, K, n))
    y, weight = rng.integers(max(K, 2), size=n), rng.uniform(0, 2, n if weighted else 0)
    work = np.empty(dense_rows.BLOCK_ROWS * K)
    loss = dense_rows.loss_along(logits, changes, 1.7, y, weight, 0.3, work)
    Z = (logits + 1.7 * changes).T
    Z = np.hstack([np.zeros_like(Z), Z]) if K == 1 else Z
    losses = -log_softmax(Z, axis=1)[np.arange(n), y]
    np.testing.assert_allclose(loss, 0.3 * (losses * (weight if weighted else 1)).sum())


@pytest.mark.parametrize(("n", "D"), [(1, 1), (133, 40), (64, 3)])
def test_take_columns(n, D, dtype):
    X = np.random.default_rng(n).normal(size=(n, D)).astype(dtype)
    features = np.flatnonzero(np.arange(D) % 3 != 1)
    columns = np.full((D, n), np.nan, np.float32)
    dense_rows.take_columns(X, features, columns)
    np.testing.assert_array_equal(columns[features], X.T[features].astype(np.float32))
    assert np.isnan(columns[np.arange(D) % 3 == 1]).all()
