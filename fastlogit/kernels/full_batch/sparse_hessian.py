"""The Hessian's products with a vector over sparse rows, as in ``hessian``.

Shapes: n rows, B of them in a block, D features, K outputs (1 for two classes). X a Csr of n rows,
weight (n,) or empty for unit weights, W (D, K), b (K,), curvature (n, K).
"""

import numpy as np

from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.simd import NEAR_BYTES
from fastlogit.kernels.full_batch.hessian import change_gradient, curve_logits, in_calls
from fastlogit.kernels.layers.sparse import add_csr_product, csr_product
from fastlogit.kernels.training.epoch import BLOCK_ROWS


def fill_curvature(W, b, X, weight, scale, curvature):
    """Fill what products at these parameters need: w p (1 − p) or P. OUT: curvature (n, K)."""
    numbers = np.arange(min(BLOCK_ROWS, len(curvature)))
    _fill_curvature(W, b, X, weight, scale, numbers, curvature)


def hessian_product(curvature, X, weight, scale, V, u, changes, out_V, out_u):
    """Fill the Hessian's product with (V, u), like (W, b), without a penalty. OUT: last three."""
    numbers = np.arange(min(BLOCK_ROWS, len(curvature)))
    _hessian_product(curvature, X, weight, scale, V, u, numbers, changes, out_V, out_u)


@in_calls(lambda _W, _b, X, *rest: (len(rest[-1]), 4 * X.data.size / len(rest[-1])))
def _fill_curvature(first, last, W, b, X, weight, scale, numbers, curvature):
    far = X.data.size * X.data.itemsize > NEAR_BYTES
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        block, rows = rows_from(X, start, stop - start), part(numbers, 0, (stop - start,))
        logits = curvature[start:stop]
        csr_product(block.data, block.indices, block.indptr, rows, far, 1.0, W, b, logits)
        curve_logits(weight[start:stop], scale, logits)


@in_calls(lambda curvature, X, *_: (len(curvature), 8 * X.data.size / len(curvature)))
def _hessian_product(
    first, last, curvature, X, weight, scale, V, u, numbers, changes, out_V, out_u
):  # fmt: skip
    far = X.data.size * X.data.itemsize > NEAR_BYTES
    if first == 0:
        out_V[:], out_u[:] = 0, 0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        block, rows = rows_from(X, start, stop - start), part(numbers, 0, (stop - start,))
        logits = changes[: stop - start]
        csr_product(block.data, block.indices, block.indptr, rows, far, 1.0, V, u, logits)
        change_gradient(curvature[start:stop], weight[start:stop], scale, logits, out_u)
        add_csr_product(block.data, block.indices, block.indptr, rows, logits, X.scaling, out_V)
