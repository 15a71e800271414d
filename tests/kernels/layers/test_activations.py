"""σ over a layer and its derivative, against NumPy in float64."""

import numpy as np
import pytest

from fastlogit.kernels.layers import activations

SHAPES = [(1, 1), (1, 7), (2, 8), (3, 9), (5, 16), (7, 17), (31, 33), (256, 3)]
ACCURACY = {np.float32: 4e-7, np.float64: 1e-15}


@pytest.fixture(scope="module")
def run_sigmoid(jit):
    return jit(lambda hidden: activations.sigmoid(hidden))


@pytest.fixture(scope="module")
def run_sigmoid_grad(jit):
    return jit(lambda hidden, d_hidden: activations.sigmoid_grad(hidden, d_hidden))


@pytest.mark.parametrize("shape", SHAPES)
def test_sigmoid(run_sigmoid, shape, dtype):
    pre = np.random.default_rng(0).normal(scale=4, size=shape).astype(dtype)
    hidden = pre.copy()
    run_sigmoid(hidden)
    np.testing.assert_allclose(hidden, 1 / (1 + np.exp(-pre.astype(float))), rtol=ACCURACY[dtype])


@pytest.mark.parametrize("shape", SHAPES)
def test_sigmoid_grad(run_sigmoid_grad, shape, dtype):
    rng = np.random.default_rng(1)
    hidden, incoming = rng.random(shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    d_hidden = incoming.copy()
    before = hidden.copy()
    run_sigmoid_grad(hidden, d_hidden)
    a = before.astype(float)
    # 1 − a loses the digits that a shares with 1: the error counts against the incoming gradient.
    np.testing.assert_allclose(d_hidden, incoming * a * (1 - a), atol=4 * np.finfo(dtype).eps)


def test_saturated_units_pass_no_gradient(run_sigmoid, run_sigmoid_grad, dtype):
    hidden = np.array([[-1e4, 1e4, -np.inf, np.inf]], dtype)
    run_sigmoid(hidden)
    assert hidden.tolist() == [[0, 1, 0, 1]]
    d_hidden = np.full_like(hidden, 1e4)
    run_sigmoid_grad(hidden, d_hidden)
    assert not d_hidden.any()
