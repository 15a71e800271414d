"""A layer's products against NumPy's in float64, over sizes around those of the SIMD tiles."""

import itertools

import numpy as np
import pytest

from fastlogit.kernels import linear_maps

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65]
ROWS = [1, 2, 5, 6, 7, 13, 257]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}


@pytest.fixture(scope="module")
def run_affine(jit):
    return jit(lambda X, W, b, out: linear_maps.affine(X, W, b, out))


@pytest.fixture(scope="module")
def run_affine_grad(jit):
    return jit(
        lambda X, d_out, accumulate, grad_W, grad_b: linear_maps.affine_grad(
            X, d_out, accumulate, grad_W, grad_b
        )
    )


@pytest.fixture(scope="module")
def run_input_grad(jit):
    return jit(lambda d_out, W, W_t, d_X: linear_maps.input_grad(d_out, W, W_t, d_X))


@pytest.fixture(params=WIDTHS, ids="fan_in={}".format)
def fan_in(request):
    return request.param


def draw(dtype, *shapes):
    rng = np.random.default_rng([size for shape in shapes for size in shape])
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def close(actual, expected, terms, dtype):
    """Whether an entry is off by rounding, given the sum of its terms' absolute values."""
    return (np.abs(actual - expected) <= ACCURACY[dtype] * terms).all()


def test_affine(run_affine, fan_in, dtype):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        X, W, b = draw(dtype, (rows, fan_in), (fan_in, fan_out), (fan_out,))
        out = np.full((rows, fan_out), np.nan, dtype)
        run_affine(X, W, b, out)
        expected = X.astype(float) @ W.astype(float) + b
        assert close(out, expected, np.abs(X) @ np.abs(W) + np.abs(b), dtype), (rows, fan_out)


@pytest.mark.parametrize("accumulate", [False, True])
def test_affine_grad(run_affine_grad, fan_in, dtype, accumulate):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        X, d_out, W_before, b_before = draw(
            dtype, (rows, fan_in), (rows, fan_out), (fan_in, fan_out), (fan_out,)
        )
        if not accumulate:  # what the arrays held must not show, not even a NaN
            W_before[...], b_before[...] = np.nan, np.nan
        grad_W, grad_b = W_before.copy(), b_before.copy()
        run_affine_grad(X, d_out, accumulate, grad_W, grad_b)
        start_W, start_b = (W_before, b_before) if accumulate else (0, 0)
        wide = d_out.astype(float)
        terms = np.abs(X).T @ np.abs(d_out) + np.abs(start_W)
        assert close(grad_W, X.T.astype(float) @ wide + start_W, terms, dtype), (rows, fan_out)
        terms = np.abs(d_out).sum(axis=0) + np.abs(start_b)
        assert close(grad_b, wide.sum(axis=0) + start_b, terms, dtype), (rows, fan_out)


def test_input_grad(run_input_grad, fan_in, dtype):
    for rows, fan_out in itertools.product(ROWS, WIDTHS):
        d_out, W = draw(dtype, (rows, fan_out), (fan_in, fan_out))
        W_transposed = np.full((fan_out, fan_in), np.nan, dtype)
        d_X = np.full((rows, fan_in), np.nan, dtype)
        run_input_grad(d_out, W, W_transposed, d_X)
        expected = d_out.astype(float) @ W.T.astype(float)
        assert close(d_X, expected, np.abs(d_out) @ np.abs(W).T, dtype), (rows, fan_out)


def test_nothing_is_written_past_the_end(run_affine, run_affine_grad, run_input_grad, dtype):
    """The last vectors of a row are masked: what lies behind an output must stay."""
    for rows, fan_in, fan_out in itertools.product((1, 5, 7), (1, 3, 9, 17), (1, 3, 9, 17)):
        X, W, b, d_out = draw(dtype, (rows, fan_in), (fan_in, fan_out), (fan_out,), (rows, fan_out))
        block = np.full(rows * max(fan_in, fan_out) + fan_in * fan_out + 64, 7, dtype)
        for size, run in (
            (rows * fan_out, lambda out: run_affine(X, W, b, out.reshape(-1, W.shape[1]))),  # noqa: B023
            (
                fan_in * fan_out,
                lambda out: run_affine_grad(X, d_out, False, out.reshape(W.shape), b),  # noqa: B023
            ),
            (
                rows * fan_in,
                lambda out: run_input_grad(d_out, W, np.empty_like(W.T), out.reshape(X.shape)),  # noqa: B023
            ),
        ):
            block[:] = 7
            run(block[32 : 32 + size])
            assert (block[:32] == 7).all()
            assert (block[32 + size :] == 7).all(), (rows, fan_in, fan_out)


def test_nan_and_infinity_go_through(run_affine, dtype):
    X = np.array([[1, 2], [np.nan, 0], [np.inf, 0]], dtype)
    out = np.empty((3, 5), dtype)
    run_affine(X, np.ones((2, 5), dtype), np.zeros(5, dtype), out)
    assert (out[0] == 3).all()
    assert np.isnan(out[1]).all()
    assert (out[2] == np.inf).all()
