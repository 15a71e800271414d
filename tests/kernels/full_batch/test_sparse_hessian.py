"""The Hessian's products over sparse rows against the Hessian written out."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastlogit.kernels.full_batch import sparse_hessian as module
from fastlogit.kernels.layers.sparse import csr
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.models.arrays import matrix_for_kernels


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n", "D", "K"), [(1, 1, 1), (7, 3, 1), (600, 40, 1), (5, 1, 3), (520, 20, 8)]
)
def test_equals_the_hessian_times_the_vector(
    linear_problem, expected_hessian, n, D, K, weighted, dtype, relative_error
):
    X, weight, Wt, b = linear_problem(n, D, K, dtype, weighted)
    X[:, ::2] *= np.random.default_rng(0).random((n, -(-D // 2))) < 0.5
    scale = 1 / (weight.sum(dtype=float) if weighted else n)
    rows, W = csr(*matrix_for_kernels(csr_array(X))), np.ascontiguousarray(Wt.T)
    curvature = np.full((n, K), np.nan, dtype)
    module.fill_curvature(W, b, rows, weight, scale, curvature)
    rng = np.random.default_rng(1)
    V, u = rng.normal(size=(D, K)).astype(dtype), rng.normal(size=K).astype(dtype)
    out_V, out_u = np.full((D, K), np.nan, dtype), np.full(K, np.nan, dtype)
    changes = np.empty((BLOCK_ROWS, K), dtype)
    module.hessian_product(curvature, rows, weight, scale, V, u, changes, out_V, out_u)
    expected = expected_hessian(X, weight, Wt, b, K) @ np.append(V.T, u)
    actual = np.append(out_V.T, out_u)
    assert relative_error(actual, expected) < 200 * np.finfo(dtype).eps
