"""Loss and gradient of rows in float32, in float64: those of the same rows in float64."""

import numpy as np
import pytest

import fastlogit
from fastlogit.kernels.full_batch import wide_rows
from fastlogit.kernels.training.epoch import allocate
from fastlogit.models import BACKENDS, MODELS
from fastlogit.models.arrays import FlatParams


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 31, 300])
@pytest.mark.parametrize("D", [3, 200])
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_loss_of_rows_in_float64(name, D, n, weighted):
    rng, K = np.random.default_rng([n, D]), 3 if "softmax" in name else 2
    X, y = rng.normal(size=(n, D)).astype(np.float32), rng.integers(K, size=n)
    weight = rng.uniform(0.5, 2, n) if weighted else np.empty(0)
    outputs = K if K > 2 else 1
    shapes = (
        [(D, 5), (5,), (5, outputs), (outputs,)] if "mlp" in name else [(D, outputs), (outputs,)]
    )
    given = [rng.normal(size=shape) for shape in shapes]
    code, total = BACKENDS["numba"], weight.sum() if weighted else n
    params, gradient = (FlatParams(tuple(shapes), float, transposed=True) for _ in range(2))
    params.assign(given)
    gradient.flat[:] = 1
    block = np.empty((wide_rows.rows_at_once(D), D))
    loss = wide_rows.add_rows(
        allocate(params.named, len(block)), MODELS[name].record(code, np.dtype(float)),
        params.named, X, y, weight, block, gradient.named,
    )  # fmt: skip
    expected, grads = fastlogit.loss_and_gradient(
        name, given, X.astype(float), y, sample_weight=weight if weighted else None
    )
    assert loss / total == pytest.approx(expected, rel=1e-13)
    for array, wanted in zip(gradient.public, grads, strict=True):
        np.testing.assert_allclose((array - 1) / total, wanted, rtol=0, atol=1e-13)
