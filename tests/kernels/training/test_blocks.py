"""What is taken from a block's rows, and what a batch's loss is divided by."""

import numpy as np
import pytest

from fastlogit.kernels.training import epoch
from fastlogit.reference import training as plain

NO_WEIGHT, NO_ORDER = np.empty(0), np.empty(0, np.intp)


@pytest.mark.parametrize("weighted", [False, True])
def test_gather_labels(jit, weighted, dtype):
    gather = epoch.gather_labels
    call = jit(lambda y, w, rows, y_out, w_out: gather(y, w, rows, y_out, w_out))
    rng = np.random.default_rng(0)
    for n in (9, 200_000):  # near the CPU and far
        y, weight = rng.integers(5, size=n), rng.random(n if weighted else 0).astype(dtype)
        rows = np.append(rng.integers(n, size=6), n - 1)  # the last has none to look ahead to
        y_rows, weight_rows = np.zeros(7, np.intp), np.zeros(7 if weighted else 0, dtype)
        call(y, weight, rows, y_rows, weight_rows)
        assert np.array_equal(y_rows, y[rows])
        assert np.array_equal(weight_rows, weight[rows] if weighted else [])


@pytest.fixture(scope="module")
def run_mean_scale(jit):
    return jit(lambda weight, order, first, last: epoch.mean_scale(weight, order, first, last))


def test_mean_scale(run_mean_scale):
    weight = np.array([1.0, 2.0, 0.0, 5.0])
    assert run_mean_scale(NO_WEIGHT, NO_ORDER, 3, 8) == 0.2
    assert run_mean_scale(weight, NO_ORDER, 0, 4) == 0.125
    assert run_mean_scale(weight, NO_ORDER, 2, 3) == 0
    assert run_mean_scale(weight, np.array([3, 0, 1, 2]), 1, 3) == 1 / 3
    assert run_mean_scale(weight, np.array([3, 0, 1, 2]), 3, 4) == 0


def test_mean_scale_of_the_reference():
    assert plain.mean_scale(NO_WEIGHT, 5) == 0.2
    assert plain.mean_scale(np.array([1.0, 2.0, 0.0, 5.0]), 4) == 0.125
    assert plain.mean_scale(np.zeros(3), 3) == 0


def test_mean_scale_sums_in_float64(run_mean_scale):
    weight = np.full(1 << 20, 0.1, np.float32)
    expected = 1 / (float(weight[0]) * weight.size)
    assert run_mean_scale(weight, NO_ORDER, 0, weight.size) == pytest.approx(expected, rel=1e-12)
    assert plain.mean_scale(weight, weight.size) == pytest.approx(expected, rel=1e-12)
