"""The products of a layer: its output, and the gradients of its parameters and of its input.

Shapes: X (B, D), W (D, H), b (H,), out and d_out (B, H), all C-contiguous and of one dtype.
Arguments that a function writes come last and are marked OUT. With `accumulate` a gradient is
added to what its array holds, else it replaces it.
"""

from fastlogit.kernels.jit import kernel
from fastlogit.kernels.simd import product


@kernel
def affine(X, W, b, out):
    """Compute the layer's output, out = X W + b. OUT: out."""
    fan_in, fan_out = W.shape
    if fan_out == 1:
        dots(X, W, b, out)
    else:
        product(X, fan_in, 1, W, b, 0, 0, X.shape[0], fan_out, fan_in, out)


@kernel
def dots(X, W, b, out):
    """Compute out = X W + b for a single output: a dot product a row, four in flight. OUT: out."""
    rows, fan_in = X.shape
    bias = b[0]
    for row in range(0, rows - 3, 4):
        sum_0 = sum_1 = sum_2 = sum_3 = X.dtype.type(0)
        for j in range(fan_in):
            w = W[j, 0]
            sum_0 += X[row, j] * w
            sum_1 += X[row + 1, j] * w
            sum_2 += X[row + 2, j] * w
            sum_3 += X[row + 3, j] * w
        out[row, 0] = sum_0 + bias
        out[row + 1, 0] = sum_1 + bias
        out[row + 2, 0] = sum_2 + bias
        out[row + 3, 0] = sum_3 + bias
    for row in range(rows - rows % 4, rows):
        total = X.dtype.type(0)
        for j in range(fan_in):
            total += X[row, j] * W[j, 0]
        out[row, 0] = total + bias


@kernel
def affine_grad(X, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    rows, fan_in = X.shape
    fan_out = d_out.shape[1]
    # The sums start from what grad_W holds, or (-fan_in * fan_out is below every offset) from 0.
    init_start = 0 if accumulate else -fan_in * fan_out
    if fan_out == 1:
        # d_outᵀ X, a single long row: full vectors, where Xᵀ d_out has one lane of each.
        product(d_out, 1, 1, X, grad_W, init_start, 0, 1, fan_in, rows, grad_W)
    else:
        product(X, 1, fan_in, d_out, grad_W, init_start, fan_out, fan_in, fan_out, rows, grad_W)
    if not accumulate:
        grad_b[:] = 0
    for row in range(rows):
        for k in range(fan_out):
            grad_b[k] += d_out[row, k]


@kernel
def input_grad(d_out, W, W_transposed, d_X):
    """Compute d_X = d_out Wᵀ. OUT: d_X, and the workspace W_transposed (H, D)."""
    fan_in, fan_out = W.shape
    for j in range(fan_in):
        for k in range(fan_out):
            W_transposed[k, j] = W[j, k]
    product(d_out, fan_out, 1, W_transposed, W, -1, 0, d_out.shape[0], fan_in, fan_out, d_X)
