"""Residuals next to 0 keep their digits: both backends against closed forms that subtract nothing.

The gradient in a bias alone is the residual, p − y. Logits are such that their differences are
exact in either dtype.
"""

import math

import numpy as np
import pytest

import fastlogit

SIZES = [0, 0.5, 1, 4, 14.75, 20, 36, 50, 80]
LARGE = [300, 700]
ACCURACY = {np.float32: 1e-6, np.float64: 1e-14}


def residuals(logits, y):
    """Return p − onehot(y), whose own element is minus the sum of the others."""
    e = [math.exp(z - max(logits)) for z in logits]
    others = math.fsum(e[:y] + e[y + 1 :])
    total = e[y] + others
    return [-others / total if k == y else e[k] / total for k in range(len(e))]


def sizes(dtype):
    return SIZES + (LARGE if dtype is np.float64 else [])


@pytest.mark.parametrize("y", [0, 1])
def test_of_logistic_models(backend, dtype, y):
    for z in [sign * size for size in sizes(dtype) for sign in (1, -1)]:
        expected = residuals([0, z], y)[1]
        X = np.ones((1, 1), dtype)
        _, gradient = fastlogit.loss_and_gradient("logistic", ([[z]], [0]), X, [y], backend=backend)
        np.testing.assert_allclose(gradient.b, expected, rtol=ACCURACY[dtype])
        # All hidden units are σ(0) = 1/2.
        network = np.zeros((1, 2)), [0, 0], [[z], [z]], [0]
        _, gradient = fastlogit.loss_and_gradient("mlp-logistic", network, X, [y], backend=backend)
        np.testing.assert_allclose(gradient.b2, expected, rtol=ACCURACY[dtype])
        np.testing.assert_allclose(gradient.b1, expected * z / 4, rtol=2 * ACCURACY[dtype])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K", [2, 3, 5, 17])
def test_of_softmax_models(backend, dtype, K, weighted):
    for z in [sign * size for size in sizes(dtype) for sign in (1, -1)]:
        logits = np.where(np.arange(K) < 1, z, np.arange(K) % 3 - 1.0)
        for y in range(min(K, 4)):
            X = np.ones((1, 1), dtype)
            _, gradient = fastlogit.loss_and_gradient(
                "softmax", (np.zeros((1, K)), logits), X, [y], backend=backend,
                sample_weight=[2.0] if weighted else None,
            )  # fmt: skip
            np.testing.assert_allclose(gradient.b, residuals(logits, y), rtol=ACCURACY[dtype])
            network = np.zeros((1, 2)), [0, 0], np.zeros((2, K)), logits
            _, gradient = fastlogit.loss_and_gradient(
                "mlp-softmax", network, X, [y], backend=backend
            )
            np.testing.assert_allclose(gradient.b2, residuals(logits, y), rtol=ACCURACY[dtype])


def test_of_classes_that_tie(backend, dtype):
    """Where the row's own logit is the largest, and another is too."""
    for logits in ([5, 5, 0], [5, 5, 5], [80, 80, -1], [1, 1, 0.5]):
        _, gradient = fastlogit.loss_and_gradient(
            "softmax", (np.zeros((1, 3)), logits), np.ones((1, 1), dtype), [0], backend=backend
        )
        np.testing.assert_allclose(gradient.b, residuals(logits, 0), rtol=ACCURACY[dtype])
