"""Every activation in both backends: forward alike, derivative by differences; σ in closed form."""

from functools import partial

import numpy as np
import pytest

from fastlogit.kernels.codegen.linking import call
from fastlogit.kernels.layers.activations import activate
from fastlogit.models import ACTIVATIONS, BACKENDS, MODELS
from fastlogit.reference import models as layers

SHAPES = [(1, 1), (1, 7), (2, 8), (3, 9), (5, 16), (7, 17), (31, 33), (256, 3)]
ACCURACY = {np.float32: 4e-7, np.float64: 1e-15}


@pytest.fixture(scope="module")
def run(jit):
    """Return the pair of a backend, as functions of arrays that Python can call."""
    forward = jit(lambda pair, hidden: activate(pair, hidden))
    backward = jit(lambda pair, *arrays: call(pair[1], arrays))

    def choose(backend, name, dtype):
        code = BACKENDS[backend]
        pair = MODELS["mlp-softmax"].with_activation(name).record(code, dtype).activation
        if not code.jitted:
            return partial(layers.activate, pair), partial(layers.activation_grad, pair)

        def derivative(hidden, d_hidden):
            """Multiply d_hidden by the slope: an output layer's pass back, of which dA is that."""
            rows, width = hidden.shape
            weights, unread = d_hidden.copy(), np.zeros(0, dtype)
            d_logits = np.eye(rows, dtype=dtype)
            grads = (np.full(shape, np.nan, dtype) for shape in ((rows, width), width, rows))
            backward(pair, d_logits, weights, hidden, unread, *grads, d_hidden)

        return partial(forward, pair), derivative

    return choose


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_backends_compute_the_same(run, name, shape, dtype):
    rng, results = np.random.default_rng(0), []
    pre, incoming = (rng.normal(scale=4, size=shape).astype(dtype) for _ in range(2))
    for backend in BACKENDS:
        forward, derivative = run(backend, name, dtype)
        hidden, d_hidden = pre.copy(), incoming.copy()
        forward(hidden)
        results.append(hidden.copy())
        derivative(hidden, d_hidden)
        results.append(d_hidden)
    for ours, theirs in zip(results[:2], results[2:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=8 * np.finfo(dtype).eps * 20)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_is_that_of_the_forward_function(run, name, backend):
    forward, derivative = run(backend, name, np.float64)
    pre = np.linspace(-3, 3, 41).reshape(1, -1) + 0.01  # not on a kink
    below, hidden, above = pre - 1e-6, pre.copy(), pre + 1e-6
    for array in (below, hidden, above):
        forward(array)
    d_hidden = np.full_like(hidden, 2)
    derivative(hidden, d_hidden)
    np.testing.assert_allclose(d_hidden, 2 * (above - below) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_logistic(run, shape, dtype):
    forward, derivative = run("numba", "logistic", dtype)
    rng = np.random.default_rng(1)
    pre = rng.normal(scale=4, size=shape).astype(dtype)
    hidden, incoming = pre.copy(), rng.normal(size=shape).astype(dtype)
    forward(hidden)
    np.testing.assert_allclose(hidden, 1 / (1 + np.exp(-pre.astype(float))), rtol=ACCURACY[dtype])
    a, d_hidden = hidden.astype(float), incoming.copy()
    derivative(hidden, d_hidden)
    # 1 − a loses the digits that a shares with 1: the error counts against the incoming gradient.
    np.testing.assert_allclose(d_hidden, incoming * a * (1 - a), atol=4 * np.finfo(dtype).eps)


def test_saturated_units_pass_no_gradient(run, dtype, backend):
    forward, derivative = run(backend, "logistic", dtype)
    hidden = np.array([[-1e4, 1e4, -np.inf, np.inf]], dtype)
    forward(hidden)
    assert hidden.tolist() == [[0, 1, 0, 1]]
    d_hidden = np.full_like(hidden, 1e4)
    derivative(hidden, d_hidden)
    assert not d_hidden.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_to_the_last_places_and_its_limits(run, dtype):
    forward, _ = run("numba", "logistic", dtype)
    values = np.linspace(-87, 90, 20_001).astype(dtype)[None]
    out = values.copy()
    forward(out)
    expected = 1 / (1 + np.exp(-values.astype(np.float64)))
    np.testing.assert_allclose(out, expected, rtol=1.5e-7 if dtype is np.float32 else 4e-16)
    limits = np.array([[np.inf, 1e4, -1e4, -np.inf, np.nan]], dtype)
    forward(limits)
    np.testing.assert_array_equal(limits, [[1, 1, 0, 0, np.nan]])
