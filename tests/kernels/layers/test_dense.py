"""A layer's products against NumPy's in float64, over sizes around those of the SIMD tiles."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from fastlogit.kernels.layers import dense

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65]
ROWS = [1, 2, 5, 6, 7, 13, 257]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}


class Rows(NamedTuple):
    numbers: np.ndarray
    in_order: bool


IN_ORDER = Rows(np.arange(1), True)


@pytest.fixture(scope="module")
def products(jit):
    """Return the products as functions that Python can call."""
    forward, backward = dense.hidden_forward, dense.hidden_backward
    output_forward, output_backward = dense.output_forward, dense.output_backward
    output_input_grad = dense.output_input_grad

    in_panels = jit(lambda X, rows, W, b, panel, out: forward(X, rows, W, b, X, panel, out))
    grad_in_panels = jit(
        lambda X, rows, d, add, panel, W, b: backward(X, rows, d, add, X, panel, W, b)
    )

    output_grad = jit(lambda X, d, add, Wt, b: output_backward(X, d, add, Wt, b))

    class Called:
        @staticmethod
        def output_backward(X, d, add, Wt, b):
            output_grad(X, d.copy(), add, Wt, b)

        @staticmethod
        def forward(X, W, b, out, panel=0):
            in_panels(X, IN_ORDER, W, b, np.full(panel, np.nan, X.dtype), out)

        @staticmethod
        def backward(X, d, add, W, b, panel=0):
            panel = np.full(panel, np.nan, X.dtype)
            grad_in_panels(X, IN_ORDER, d.copy(), add, panel, W, b)

        output_forward = jit(lambda X, Wt, b, out: output_forward(X, Wt, b, out))
        output_input_grad = jit(lambda d, Wt, d_X: output_input_grad(d, Wt, d_X))

    return Called


@pytest.fixture(params=WIDTHS, ids="fan_in={}".format)
def fan_in(request):
    return request.param


def draw(dtype, *shapes):
    rng = np.random.default_rng([size for shape in shapes for size in shape])
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def assert_product(actual, a, b, start, message):
    """Compare with a b + start, up to the rounding of sums of terms of those sizes."""
    expected = a.astype(float) @ b.astype(float) + start
    terms = np.abs(a) @ np.abs(b) + np.abs(start)
    error = np.abs(actual - expected)
    assert (error <= ACCURACY[actual.dtype.type] * terms).all(), message


def test_forward(products, fan_in, dtype):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        X, W, b = draw(dtype, (rows, fan_in), (fan_in, fan_out), (fan_out,))
        out = np.full((rows, fan_out), np.nan, dtype)
        products.forward(X, W, b, out)
        assert_product(out, X, W, b, (rows, fan_out))


def test_output_forward(products, fan_in, dtype):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        X, Wt, b = draw(dtype, (rows, fan_in), (fan_out, fan_in), (fan_out,))
        out = np.full((rows, fan_out), np.nan, dtype)
        products.output_forward(X, Wt, b, out)
        assert_product(out, X, Wt.T, b, (rows, fan_out))


@pytest.mark.parametrize("accumulate", [False, True])
def test_backward(products, fan_in, dtype, accumulate):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        X, d_out, start_W, start_b = draw(
            dtype, (rows, fan_in), (rows, fan_out), (fan_in, fan_out), (fan_out,)
        )
        ones = np.ones((1, rows), dtype)
        for function, transposed in ((products.backward, False), (products.output_backward, True)):
            grad_W = start_W.T.copy() if transposed else start_W.copy()
            grad_b = start_b.copy()
            if not accumulate:  # what the arrays held must not show, not even a NaN
                grad_W[...], grad_b[...] = np.nan, np.nan
            function(X, d_out, accumulate, grad_W, grad_b)
            grad_W = grad_W.T if transposed else grad_W
            message = (rows, fan_out, transposed)
            assert_product(grad_W, X.T, d_out, start_W if accumulate else 0, message)
            assert_product(grad_b, ones, d_out, start_b if accumulate else 0, message)


def test_output_input_grad(products, fan_in, dtype):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        d_out, Wt = draw(dtype, (rows, fan_out), (fan_out, fan_in))
        d_X = np.full((rows, fan_in), np.nan, dtype)
        products.output_input_grad(d_out, Wt, d_X)
        assert_product(d_X, d_out, Wt, 0, (rows, fan_out))


def test_nothing_is_written_past_the_end(products, dtype):
    """The last vectors of a row are masked: what lies around an output must stay."""
    for rows, fan_in, fan_out in itertools.product((1, 5, 7), (1, 3, 9, 17), (1, 3, 9, 17)):
        shapes = {
            "X": (rows, fan_in),
            "out": (rows, fan_out),
            "W": (fan_in, fan_out),
            "Wt": (fan_out, fan_in),
            "b": (fan_out,),
        }
        X, out, W, Wt, b = draw(dtype, *shapes.values())
        for function, target, inputs in (
            (products.forward, "out", (X, W, b)),
            (products.output_forward, "out", (X, Wt, b)),
            (products.output_input_grad, "X", (out, Wt)),
        ):
            check_margins(function, shapes[target], inputs, (), dtype)
        for function, target in ((products.backward, "W"), (products.output_backward, "Wt")):
            check_margins(function, shapes[target], (X, out, False), (b,), dtype)


def check_margins(function, shape, inputs, outputs, dtype):
    size = int(np.prod(shape))
    block = np.full(size + 64, 7, dtype)
    function(*inputs, block[32 : 32 + size].reshape(shape), *outputs)
    assert (block[:32] == 7).all()
    assert (block[32 + size :] == 7).all(), (shape, inputs)


def test_nan_and_infinity_go_through(products, dtype):
    X = np.array([[1, 2], [np.nan, 0], [np.inf, 0]], dtype)
    ones, zeros = np.ones(10, dtype), np.zeros(5, dtype)
    for function, W in (
        (products.forward, ones.reshape(2, 5)),
        (products.output_forward, ones.reshape(5, 2)),
    ):
        out = np.empty((3, 5), dtype)
        function(X, W, zeros, out)
        assert (out[0] == 3).all()
        assert np.isnan(out[1]).all()
        assert (out[2] == np.inf).all()


@pytest.mark.parametrize(("rows", "fan_out"), [(70, 1100), (70, 40), (5, 1100), (64, 1024)])
@pytest.mark.parametrize("panel", [1, 32 * 9, 32 * 70, 100 * 70])
def test_panels(products, rows, fan_out, panel, dtype):
    """Too small for one unit of columns, one, several; copied where rows are many and far apart."""
    X, W, b, d = draw(dtype, (rows, 9), (9, fan_out), (fan_out,), (rows, fan_out))
    out = np.full((rows, fan_out), np.nan, dtype)
    products.forward(X, W, b, out, panel)
    assert_product(out, X, W, b, "forward")
    for accumulate in (False, True):
        start = W.astype(float) if accumulate else 0
        grad_W, grad_b = W.copy(), b.copy()
        products.backward(X, d, accumulate, grad_W, grad_b, panel)
        assert_product(grad_W, X.T, d, start, f"gradient, accumulate={accumulate}")


@pytest.mark.parametrize("width", [1, 3, 8, 17, 64])
def test_a_hidden_layer_gathers_rows_unless_they_lie_in_order(jit, width, dtype):
    hidden_forward, hidden_backward = dense.hidden_forward, dense.hidden_backward
    forward = jit(lambda X, rows, W, b, work, out: hidden_forward(X, rows, W, b, work, b[:0], out))
    backward = jit(
        lambda X, rows, d, work, W, b: hidden_backward(X, rows, d, False, work, b[:0], W, b)
    )

    def check(X, rows, chosen, X_rows):
        W, b, d = draw(dtype, (width, 5), (5,), (len(chosen), 5))
        out, grad_W, grad_b = (np.full_like(array, np.nan) for array in (d, W, b))
        forward(X, rows, W, b, X_rows, out)
        assert_product(out, chosen, W, b, len(X))
        backward(X, rows, d.copy(), X_rows, grad_W, grad_b)
        assert_product(grad_W, chosen.T, d, 0, len(X))

    rng = np.random.default_rng(width)
    for n in (9, 2**21 // width):  # near the CPU, and far from it
        X = rng.normal(size=(n, width)).astype(dtype)
        numbers = np.append(rng.integers(n, size=6), n - 1)
        for known in (7, 5):  # all rows wanted, and two after them
            X_rows = np.full((7, width), np.nan, dtype)
            check(X, Rows(numbers, False), X[numbers[:known]], X_rows)
            assert np.array_equal(X_rows[:known], X[numbers[:known]])
            assert np.isnan(X_rows[known:]).all()
        X_rows = np.full((7, width), np.nan, dtype)
        check(X, Rows(np.arange(7), True), X[:7], X_rows)
        assert np.isnan(X_rows).all()  # nothing is copied


@pytest.mark.parametrize("outputs", [1, 2, 5, 17])
def test_a_linear_model_reads_rows_where_they_lie(jit, outputs, dtype):
    linear_forward, linear_backward = dense.linear_forward, dense.linear_backward
    forward = jit(lambda X, rows, Wt, b, out: linear_forward(X, rows, Wt, b, out))
    backward = jit(
        lambda X, rows, d, add, grad_Wt, grad_b: linear_backward(X, rows, d, add, grad_Wt, grad_b)
    )
    for n, width, batch in ((9, 3, 1), (40, 33, 13), (2**21 // 65, 65, 20), (300, 200, 256)):
        X, Wt, b, d = draw(dtype, (n, width), (outputs, width), (outputs,), (batch, outputs))
        rows = Rows(np.append(np.arange(batch + 3)[::-1] % n, n - 1), False)
        chosen = X[rows.numbers[:batch]]
        logits = np.full((batch, outputs), np.nan, dtype)
        forward(X, rows, Wt, b, logits)
        assert_product(logits, chosen, Wt.T, b, (n, width))
        for add in (False, True):
            grad_Wt, grad_b = Wt.copy(), b.copy()
            backward(X, rows, d.copy(), add, grad_Wt, grad_b)
            assert_product(grad_Wt, d.T, chosen, Wt.astype(float) if add else 0, (n, width))
            ones = np.ones((1, batch), dtype)
            assert_product(grad_b[None], ones, d, b.astype(float) if add else 0, (n, width))
