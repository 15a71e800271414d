"""The products of a network's output layer against NumPy's in float64, logits class by class."""

import itertools

import numpy as np
import pytest

from fastlogit.kernels.codegen import output_layer
from fastlogit.kernels.codegen.output_layer import ROWS
from fastlogit.kernels.layers import activations

WIDTHS = [1, 3, 7, 8, 9, 16, 17, 33, 65]
BATCHES = [1, 2, 7, 8, 9, 33]
OUTPUTS = [1, 2, 3, 4, 5, 8, 10, 17]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}


@pytest.fixture(params=["jitted", "plain"])
def dots(request, jit):
    function = output_layer.dots_by_output
    if request.param == "plain":
        return function
    return jit(lambda a, b, bias, n, K, H, c, pitch: function(a, b, bias, n, K, H, c, pitch))


@pytest.mark.parametrize("width", WIDTHS)
def test_dots_by_output(dots, width, dtype):
    for rows, outputs in itertools.product(BATCHES, OUTPUTS):
        rng, pitch = np.random.default_rng([rows, outputs, width]), 1 if rows == 1 else 48
        hidden = np.zeros((-(-rows // ROWS) * ROWS, width), dtype)
        hidden[:rows] = rng.normal(size=(rows, width))
        Wt, b = rng.normal(size=(outputs, width)).astype(dtype), rng.normal(size=outputs)
        b = b.astype(dtype)
        size = outputs * pitch if rows > 1 else -(-outputs // ROWS) * ROWS
        block = np.full(48 + size + 48, 7, dtype)
        dots(hidden, Wt, b, rows, outputs, width, block[48:], pitch)
        logits = block[48 : 48 + outputs * pitch].reshape(-1, pitch)[:, :rows]
        expected = Wt.astype(float) @ hidden[:rows].T.astype(float) + b[:, None]
        terms = np.abs(Wt) @ np.abs(hidden[:rows].T) + np.abs(b)[:, None]
        assert (np.abs(logits - expected) <= ACCURACY[dtype] * terms).all(), (rows, outputs)
        assert (block[:48] == 7).all()
        assert (block[-48:] == 7).all()


@pytest.mark.parametrize("width", [*WIDTHS, 200])
@pytest.mark.parametrize("far", [0, 1])
def test_dots_of_rows_by_output(jit, far, width, dtype):
    function = output_layer.dots_of_rows_by_output
    call = jit(
        lambda X, rows, b, bias, n, K, D, c, pitch: function(
            X, rows, rows.size, far, b, bias, n, K, D, c, pitch
        )
    )
    for rows, outputs in itertools.product([2, 3, 16, 17, 33], [1, 2, 3, 10, 17]):
        rng, pitch = np.random.default_rng([rows, outputs, width]), 48
        X, numbers = rng.normal(size=(40, width)).astype(dtype), rng.integers(40, size=rows + 2)
        numbers[rows - 1] = 39  # no row after which is read
        Wt, b = rng.normal(size=(outputs, width)).astype(dtype), rng.normal(size=outputs)
        b, chosen = b.astype(dtype), X[numbers[:rows]]
        expected = Wt.astype(float) @ chosen.T.astype(float) + b[:, None]
        terms = np.abs(Wt) @ np.abs(chosen.T) + np.abs(b)[:, None]
        for run in (call, lambda X, rows, *args: function(X, rows, rows.size, far, *args)):
            block = np.full(48 + outputs * pitch + 48, 7, dtype)
            run(X, numbers, Wt, b, rows, outputs, width, block[48:-48], pitch)
            logits = block[48:-48].reshape(-1, pitch)[:, :rows]
            assert (np.abs(logits - expected) <= ACCURACY[dtype] * terms).all(), (rows, outputs)
            assert (block[:48] == 7).all()
            assert (block[-48:] == 7).all()


@pytest.fixture(params=["jitted", "plain"])
def gradient(request, jit):
    """Return the pass back through a hidden layer of identity."""
    function = activations.identity_grad
    if request.param == "plain":
        return function
    return jit(
        lambda d_logits, Wt, hidden, start, grad_Wt, grad_b1, grad_b2, d_hidden: function(
            d_logits, Wt, hidden, start, grad_Wt, grad_b1, grad_b2, d_hidden
        )
    )


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_hidden_gradient(gradient, width, adds, dtype):
    for rows, outputs in itertools.product(BATCHES, OUTPUTS):
        rng, pitch = np.random.default_rng([rows, outputs, width]), 1 if rows == 1 else 48
        hidden, dZ = rng.normal(size=(rows, width)), rng.normal(size=(outputs, pitch))
        params = [rng.normal(size=shape) for shape in ((outputs, width), width, outputs)]
        hidden, dZ, *params = (array.astype(dtype) for array in (hidden, dZ, *params))
        # Parameters in the place of their gradients, as where a step is taken in place.
        grads = params if adds else [np.full_like(array, np.nan) for array in params]
        Wt = params[0]
        own, d_hidden = dZ[:outputs, :rows].astype(float), np.full_like(hidden, np.nan)
        d_expected, d_terms = own.T @ Wt, np.abs(own.T) @ np.abs(Wt)
        start = [array.astype(float) if adds else 0 for array in params]
        none_or_some = Wt.reshape(-1) if adds else Wt[0, :0]
        gradient(dZ, Wt, hidden, none_or_some, *grads, d_hidden)
        sums = (
            (own @ hidden, np.abs(own) @ np.abs(hidden)),
            (d_expected.sum(axis=0), d_terms.sum(axis=0)),
            (own.sum(axis=1), np.abs(own).sum(axis=1)),
        )
        for actual, expected, terms in (
            (d_hidden, d_expected, d_terms),
            *(
                (grad, total + before, terms + np.abs(before))
                for grad, (total, terms), before in zip(grads, sums, start, strict=True)
            ),
        ):
            assert (np.abs(actual - expected) <= ACCURACY[dtype] * terms).all(), (rows, outputs)
