"""Training with a row a step, against the reference and against the general way."""

import numpy as np
import pytest

import fastlogit
from fastlogit.kernels.training import row_descent
from fastlogit.models import MODELS

ACCURACY = {np.float32: 2e-5, np.float64: 1e-12}


@pytest.mark.parametrize(
    ("n", "n_features", "n_hidden", "n_classes"),
    [(1, 1, 1, 2), (2, 5, 3, 3), (37, 4, 16, 3), (40, 33, 130, 10), (9, 70, 17, 100)],
)
def test_against_the_reference(model, n, n_features, n_hidden, n_classes, dtype):
    spec = MODELS[model]
    n_classes = 2 if spec.binary else n_classes
    rng = np.random.default_rng([n, n_features])
    X, y = rng.normal(size=(n, n_features)).astype(dtype), rng.integers(n_classes, size=n)
    order = rng.integers(n, size=(3, n))
    order[:, : n // 2] = order[:, :1]  # a row again and again
    hidden = n_hidden if spec.has_hidden else None
    start = spec.initial_params(n_features, hidden, spec.n_outputs(n_classes), dtype, rng)
    arguments = {"epochs": 3, "order": order, "batch_size": 1, "learning_rate": 0.05}
    expected = fastlogit.train(model, X, y, start, backend="numpy", **arguments)
    # Weights that are all alike ask for the same steps, and go the general way.
    weighted = fastlogit.train(model, X, y, start, sample_weight=np.full(n, 2.0), **arguments)
    for result in (fastlogit.train(model, X, y, start, **arguments), weighted):
        assert result.n_steps == 3 * n
        np.testing.assert_allclose(result.loss_curve, expected.loss_curve, rtol=ACCURACY[dtype])
        for array, other in zip(result.params, expected.params, strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(array, other, rtol=0, atol=ACCURACY[dtype])


def test_rows_that_come_from_memory(model, dtype):
    """X is larger than what is taken to be in the cache."""
    n, spec = 1_100_000 // (96 * np.dtype(dtype).itemsize), MODELS[model]
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 96)).astype(dtype), rng.integers(2, size=n)
    start = spec.initial_params(96, 4 if spec.has_hidden else None, spec.n_outputs(2), dtype, rng)
    arguments = {"batch_size": 1, "learning_rate": 0.01, "order": rng.permutation(n)[np.newaxis]}
    fused = fastlogit.train(model, X, y, start, **arguments)
    expected = fastlogit.train(model, X, y, start, backend="numpy", **arguments)
    assert fused.loss_curve[0] == pytest.approx(expected.loss_curve[0], rel=ACCURACY[dtype])


def test_copy_columns_both_ways(jit, dtype):
    copy = row_descent.copy_columns
    run = jit(lambda source, target: copy(source, target))
    narrow, wide = np.arange(6, dtype=dtype).reshape(2, 3), np.full((2, 5), np.nan, dtype)
    for function in (copy, run):
        function(narrow, wide)
        np.testing.assert_array_equal(wide, np.pad(narrow, ((0, 0), (0, 2))))
        back = np.full_like(narrow, np.nan)
        function(wide, back)
        np.testing.assert_array_equal(back, narrow)
