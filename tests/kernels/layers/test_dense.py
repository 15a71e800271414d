"""A layer's products against NumPy's in float64, over sizes around those of the SIMD tiles."""

import itertools

import numpy as np
import pytest

from fastlogit.kernels.layers import dense

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65]
ROWS = [1, 2, 5, 6, 7, 13, 257]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}


@pytest.fixture(scope="module")
def products(jit):
    """Return the products as functions that Python can call, of rows as they lie."""
    forward, backward = dense.hidden_forward, dense.hidden_backward
    output_forward = dense.output_forward
    in_panels = jit(lambda X, rows, W, b, panel, out: forward(X, rows, W, b, panel, out))
    grad_in_panels = jit(lambda X, rows, d, add, panel, W: backward(X, rows, d, add, panel, W))

    class Called:
        @staticmethod
        def forward(X, W, b, out, panel=0):
            in_panels(X, np.arange(len(X)), W, b, np.full(panel, np.nan, X.dtype), out)

        @staticmethod
        def backward(X, d, add, W, panel=0):
            grad_in_panels(X, np.arange(len(X)), d, add, np.full(panel, np.nan, X.dtype), W)

        output_forward = jit(lambda X, Wt, b, out: output_forward(X, Wt, b, out))

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
        X, d_out, start = draw(dtype, (rows, fan_in), (rows, fan_out), (fan_in, fan_out))
        grad_W = start.copy()
        if not accumulate:  # what the array held must not show, not even a NaN
            grad_W[...] = np.nan
        products.backward(X, d_out, accumulate, grad_W)
        assert_product(grad_W, X.T, d_out, start if accumulate else 0, (rows, fan_out))


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
            (products.backward, "W", (X, out, False)),
        ):
            check_margins(function, shapes[target], inputs, dtype)


def check_margins(function, shape, inputs, dtype):
    size = int(np.prod(shape))
    block = np.full(size + 64, 7, dtype)
    function(*inputs, block[32 : 32 + size].reshape(shape))
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
        start, grad_W = W.astype(float) if accumulate else 0, W.copy()
        products.backward(X, d, accumulate, grad_W, panel)
        assert_product(grad_W, X.T, d, start, f"gradient, accumulate={accumulate}")


@pytest.mark.parametrize("panel", [0, 32])
@pytest.mark.parametrize("width", [1, 3, 8, 17, 64])
def test_a_hidden_layer_reads_rows_where_they_lie(jit, width, panel, dtype):
    hidden_forward, hidden_backward = dense.hidden_forward, dense.hidden_backward
    forward = jit(lambda X, rows, W, b, panel, out: hidden_forward(X, rows, W, b, panel, out))
    backward = jit(lambda X, rows, d, panel, W: hidden_backward(X, rows, d, False, panel, W))
    rng, panel = np.random.default_rng(width), np.empty(panel, dtype)
    for n, batch in ((9, 7), (40, 40), (2**21 // width, 13)):  # near the CPU, and far from it
        X = rng.normal(size=(n, width)).astype(dtype)
        numbers = np.append(rng.integers(n, size=batch + 2), n - 1)
        for known in (batch, batch + 3):  # none after those that are wanted, and three
            W, b, d = draw(dtype, (width, 45), (45,), (batch, 45))
            out, grad_W = np.full_like(d, np.nan), np.full_like(W, np.nan)
            forward(X, numbers[:known], W, b, panel, out)
            chosen = X[numbers[:batch]]
            assert_product(out, chosen, W, b, n)
            backward(X, numbers[:known], d, panel, grad_W)
            assert_product(grad_W, chosen.T, d, 0, n)


@pytest.mark.parametrize("outputs", [1, 2, 5, 17])
def test_a_linear_model_reads_rows_where_they_lie(jit, outputs, dtype):
    linear_forward, linear_backward = dense.linear_forward, dense.linear_backward
    forward = jit(lambda X, rows, Wt, b, out: linear_forward(X, rows, Wt, b, out))
    backward = jit(
        lambda X, rows, d, add, grad_Wt, grad_b: linear_backward(X, rows, d, add, grad_Wt, grad_b)
    )
    for n, width, batch in ((9, 3, 1), (40, 33, 13), (2**21 // 65, 65, 20), (300, 200, 256)):
        X, Wt, b, d = draw(dtype, (n, width), (outputs, width), (outputs,), (batch, outputs))
        rows = np.append(np.arange(batch + 3)[::-1] % n, n - 1)
        chosen = X[rows[:batch]]
        logits = np.full((batch, outputs), np.nan, dtype)
        forward(X, rows, Wt, b, logits)
        assert_product(logits, chosen, Wt.T, b, (n, width))
        for add in (False, True):
            grad_Wt, grad_b = Wt.copy(), b.copy()
            backward(X, rows, d.copy(), add, grad_Wt, grad_b)
            assert_product(grad_Wt, d.T, chosen, Wt.astype(float) if add else 0, (n, width))
            ones = np.ones((1, batch), dtype)
            assert_product(grad_b[None], ones, d, b.astype(float) if add else 0, (n, width))
