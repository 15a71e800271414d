"""A step and the next row's output in one pass, against the two done one after the other."""

import numpy as np
import pytest

from fastlogit.kernels.codegen import row_steps

ACCURACY = {np.float32: 1e-6, np.float64: 2e-15}
# (features, outputs): single ones, whole vectors of either dtype, one more and one less.
SIZES = [(1, 1), (4, 16), (3, 17), (16, 7), (33, 5), (5, 100), (64, 130), (2, 263)]


@pytest.fixture(scope="module")
def step_affine(jit):
    step = row_steps.step_affine

    @jit
    def call(X, row, following, d, W, b, out):
        step(X, row, following, d, W, b, W.shape[0], W.shape[1], out)

    return call


@pytest.fixture(scope="module")
def step_dots(jit):
    step = row_steps.step_dots

    @jit
    def call(X, row, following, Wt, b, out):
        step(X, row, following, Wt, Wt.shape[1], b, X.shape[1], b.size, out)

    return call


def close(actual, expected, dtype):
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=40 * ACCURACY[dtype] * scale)


@pytest.mark.parametrize(("row", "following"), [(2, 4), (0, 0), (4, 1)])
@pytest.mark.parametrize(("fan_in", "fan_out"), SIZES)
def test_step_affine(step_affine, fan_in, fan_out, row, following, dtype):
    rng = np.random.default_rng([fan_in, fan_out, row])
    X, W = rng.normal(size=(5, fan_in)).astype(dtype), rng.normal(size=(fan_in, fan_out))
    d, b = rng.normal(size=(1, fan_out)).astype(dtype), rng.normal(size=fan_out)
    stepped, bias = W + np.outer(X[row], d), b + d[0]
    W, b, out = W.astype(dtype), b.astype(dtype), np.full((1, fan_out), np.nan, dtype)
    step_affine(X, row, following, d, W, b, out)
    close(W, stepped, dtype)
    close(b, bias, dtype)
    close(out[0], X[following].astype(float) @ stepped + bias, dtype)


@pytest.mark.parametrize(("row", "following"), [(2, 4), (0, 0), (4, 1)])
@pytest.mark.parametrize(("fan_in", "outputs"), SIZES)
def test_step_dots(step_dots, fan_in, outputs, row, following, dtype):
    rng = np.random.default_rng([fan_in, outputs, row])
    X, Wt = rng.normal(size=(5, fan_in)).astype(dtype), rng.normal(size=(outputs, fan_in))
    out, b = rng.normal(size=(1, outputs)).astype(dtype), rng.normal(size=outputs)
    stepped, bias = Wt + np.outer(out, X[row]), b + out[0]
    padded, b = np.zeros((outputs, -(-fan_in // 16) * 16), dtype), b.astype(dtype)
    padded[:, :fan_in] = Wt
    step_dots(X, row, following, padded, b, out)
    close(padded[:, :fan_in], stepped, dtype)
    assert not padded[:, fan_in:].any()
    close(b, bias, dtype)
    close(out[0], stepped @ X[following].astype(float) + bias, dtype)
