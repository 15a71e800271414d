"""Products with the Hessian against the Hessian itself."""

import numpy as np
import pytest

from fastlogit.kernels.full_batch.hessian_product import fill_curvature, hessian_product
from fastlogit.kernels.training.blocks import BLOCK_ROWS

SIZES = [(1, 1, 1), (7, 3, 1), (600, 70, 1), (5, 1, 3), (257, 17, 3), (520, 20, 8)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "D", "K"), SIZES)
def test_equals_the_hessian_times_the_vector(
    linear_problem, expected_hessian, n, D, K, weighted, dtype, relative_error
):
    X, weight, Wt, b = linear_problem(n, D, K, dtype, weighted)
    scale = 1 / (weight.sum(dtype=float) if weighted else n)
    curvature = np.full((n, K), np.nan, dtype)
    fill_curvature(Wt, b, X, weight, scale, curvature)
    rng = np.random.default_rng(1)
    V, u = rng.normal(size=(K, D)).astype(dtype), rng.normal(size=K).astype(dtype)
    out_V, out_u = np.full((K, D), np.nan, dtype), np.full(K, np.nan, dtype)
    changes = np.full((BLOCK_ROWS, K), np.nan, dtype)
    hessian_product(curvature, X, weight, scale, V, u, changes, out_V, out_u)
    expected = expected_hessian(X, weight, Wt, b, K) @ np.append(V, u).astype(float)
    assert relative_error(np.append(out_V, out_u), expected) < 100 * np.finfo(dtype).eps
