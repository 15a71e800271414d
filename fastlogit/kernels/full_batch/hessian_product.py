"""Products of the linear models' Hessian with a vector, without the Hessian.

Shapes: n rows, B of them in a block, D features, K outputs (1 for two classes). X (n, D), weight
(n,) or empty for unit weights, Wt (K, D), b (K,), curvature (n, K).

Along the direction (V, u) of the parameters the logits of a row change by ż = V x + u, and with the
second derivatives of hessian.py the gradient in them by

    d(w (pₖ − yₖ)) = w Σₗ pₖ ([k = l] − pₗ) żₗ = w pₖ (żₖ − Σₗ pₗ żₗ)      K > 1
    d(w (p − y))   = w p (1 − p) ż                                        one output

so that the product is what the gradient is, with these in place of w (p − y): Pearlmutter, Fast
exact multiplication by the Hessian (1994). What depends on the parameters alone, w p (1 − p) or P,
is stored between products as the curvature.
"""

from typing import Any

from fastlogit.kernels.codegen.compile import kernel
from fastlogit.kernels.codegen.entry_points import entry_point
from fastlogit.kernels.codegen.tiles import dots, product
from fastlogit.kernels.full_batch.hessian import logistic_curvature
from fastlogit.kernels.layers.output_losses import softmax_proba
from fastlogit.kernels.training.blocks import BLOCK_ROWS, calls


def fill_curvature(Wt: Any, b: Any, X: Any, weight: Any, scale: float, curvature: Any) -> None:
    """Fill what products at these parameters need: w p (1 − p) or P. OUT: curvature (n, K)."""
    for first, last in calls(len(X), Wt.size):
        fill_rows(Wt, b, X, weight, scale, first, last, curvature)


@entry_point
def fill_rows(Wt, b, X, weight, scale, first, last, curvature):
    """Do what fill_curvature does for the rows first to last. OUT: curvature."""
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        block = curvature[start:stop]
        dots(X[start:stop], Wt, b, stop - start, Wt.shape[0], X.shape[1], block)
        if Wt.shape[0] == 1:
            logits = block.reshape(-1)
            logistic_curvature(logits, weight[start:stop], logits.dtype.type(scale), logits)
        else:
            softmax_proba(block, block)


def hessian_product(
    curvature: Any, X: Any, weight: Any, scale: float, V: Any, u: Any, changes: Any, out_V: Any,
    out_u: Any,
) -> None:  # fmt: skip
    """Fill the Hessian's product with (V, u), laid out as (Wt, b), without a penalty.

    OUT: out_V (K, D), out_u (K,), changes (B, K).
    """
    for first, last in calls(len(X), 2 * V.size):
        add_product(curvature, X, weight, scale, V, u, changes, first, last, out_V, out_u)


@entry_point
def add_product(curvature, X, weight, scale, V, u, changes, first, last, out_V, out_u):
    """Add rows first to last; row 0 begins the product. OUT: out_V, out_u, changes."""
    outputs, features = V.shape
    if first == 0:
        out_u[:] = 0
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        X_block, rows = X[start:stop], stop - start
        block = changes[:rows]
        dots(X_block, V, u, rows, outputs, features, block)
        if outputs == 1:
            change_of_logistic(curvature[start:stop], block, out_u)
        else:
            change_of_softmax(curvature[start:stop], weight[start:stop], scale, block, out_u)
        init_start = 0 if start > 0 else -1
        product(
            block, 1, outputs, X_block, features, out_V, init_start, features, outputs, features,
            rows, out_V, features,
        )  # fmt: skip


@kernel
def change_of_logistic(curvature, changes, out_u):
    """Replace ż by w p (1 − p) ż. OUT: changes (B, 1), out_u gains their sum."""
    values, factors = changes.reshape(-1), curvature.reshape(-1)
    total = out_u[0]
    for i in range(values.size):
        values[i] *= factors[i]
        total += values[i]
    out_u[0] = total


@kernel
def change_of_softmax(proba, weight, scale, changes, out_u):
    """Replace żₖ by w pₖ (żₖ − Σₗ pₗ żₗ). OUT: changes (B, K), out_u gains their sums."""
    rows, outputs = changes.shape
    scale = changes.dtype.type(scale)
    for i in range(rows):
        w = weight[i] * scale if weight.size > 0 else scale
        mean = changes.dtype.type(0)
        for k in range(outputs):
            mean += proba[i, k] * changes[i, k]
        for k in range(outputs):
            changes[i, k] = w * proba[i, k] * (changes[i, k] - mean)
            out_u[k] += changes[i, k]
