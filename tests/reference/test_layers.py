"""The reference's layers: products against einsum, σ and its derivative against SciPy."""

import numpy as np
import pytest
from scipy.special import expit

from fastlogit.reference import models as layers

SIZES = [(1, 1, 1), (1, 5, 3), (7, 1, 2), (9, 4, 17), (33, 31, 8)]


@pytest.mark.parametrize(("rows", "fan_in", "fan_out"), SIZES)
def test_products(rows, fan_in, fan_out):
    rng = np.random.default_rng([rows, fan_in, fan_out])
    X, W = rng.normal(size=(rows, fan_in)), rng.normal(size=(fan_in, fan_out))
    b, d_out = rng.normal(size=fan_out), rng.normal(size=(rows, fan_out))
    out, grad_W, grad_b, d_X = (np.full_like(array, np.nan) for array in (d_out, W, b, X))
    layers.linear_forward(X, W, b, out)
    layers.linear_backward(X, d_out, grad_W, grad_b)
    layers.output_input_grad(d_out, W, d_X)
    np.testing.assert_allclose(out, np.einsum("ij,jk->ik", X, W) + b, atol=1e-13)
    np.testing.assert_allclose(grad_W, np.einsum("ij,ik->jk", X, d_out), atol=1e-13)
    np.testing.assert_allclose(grad_b, np.einsum("ik->k", d_out), atol=1e-13)
    np.testing.assert_allclose(d_X, np.einsum("ik,jk->ij", d_out, W), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logistic_and_its_derivative(dtype):
    pre = np.linspace(-30, 30, 61).astype(dtype).reshape(1, -1)
    eps = np.finfo(dtype).eps
    hidden = pre.copy()
    layers.logistic(hidden)
    exact = expit(pre.astype(float))
    # Through tanh a small σ is a difference from 1/2: its error counts against 1.
    np.testing.assert_allclose(hidden, exact, rtol=0, atol=2 * eps)
    d_hidden = np.full_like(hidden, 3)
    layers.logistic_grad(hidden, d_hidden)
    np.testing.assert_allclose(d_hidden, 3 * exact * (1 - exact), rtol=0, atol=8 * eps)
