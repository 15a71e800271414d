"""The reference's σ and its derivative against SciPy."""

import numpy as np
import pytest
from scipy.special import expit

from fastlogit.reference import activations


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_its_derivative(dtype):
    pre = np.linspace(-30, 30, 61).astype(dtype).reshape(1, -1)
    eps = np.finfo(dtype).eps
    hidden = pre.copy()
    activations.sigmoid(hidden)
    exact = expit(pre.astype(float))
    # Through tanh a small σ is a difference from 1/2: its error counts against 1.
    np.testing.assert_allclose(hidden, exact, rtol=0, atol=2 * eps)
    d_hidden = np.full_like(hidden, 3)
    activations.sigmoid_grad(hidden, d_hidden)
    np.testing.assert_allclose(d_hidden, 3 * exact * (1 - exact), rtol=0, atol=8 * eps)


def test_extremes():
    hidden = np.array([[-1e4, 1e4, -np.inf, np.inf]])
    activations.sigmoid(hidden)
    assert hidden.tolist() == [[0, 1, 0, 1]]
