"""The products of a layer: its output, and the gradients of its parameters and of its input.

A hidden layer has those with `hidden_`, an output layer on top of it those with `output_`, and a
linear model, whose output layer sees the data themselves, those with `linear_`. Those that see the
data are called through ``dispatch``.

Shapes: X (B, D), b (H,), out and d_out (B, H), all C-contiguous and of one dtype. The weights W of
a hidden layer are (D, H); those of an output layer, which has few outputs, are kept transposed as
Wt (H, D), so that vectors run along the layer's input in all three products. With `accumulate` a
gradient is added to what its array holds, else it replaces it; the first row of d_out is used up.
"""

from fastlogit.kernels.codegen.arrays import part
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import call, compiled_once
from fastlogit.kernels.codegen.output_layer import (
    add_classes,
    dots_by_output,
    dots_of_rows_by_output,
)
from fastlogit.kernels.codegen.simd import NEAR_BYTES, NEAREST_BYTES
from fastlogit.kernels.codegen.tiles import (
    dots,
    dots_of_rows,
    product_with_rows,
    rows_product,
    transposed_product,
)

# A tile of a few rows of a needs all of b, a panel of which stays in the cache: its bytes, and
# columns that are whole tiles in either dtype. Rows that lie 4096 bytes apart map to the same cache
# set, so then, from so many rows on, a panel is copied to contiguous memory: a step on (784, 512,
# 10) in float64 with 1024 rows takes 0.78 of the time, in float32, with rows of 2048 bytes, 1.1.
PANEL_BYTES = 1 << 18
PANEL_UNIT = 32
ROWS_TO_PACK = 64
FAR_APART = 4096
# With more outputs than these a linear model's gradient takes X by panels that stay in L1 cache.
FEW_OUTPUTS = 16


@inline
def hidden_forward(X, rows, W, b, panel, out):
    """Compute out = X[rows] W + b. OUT: panel, out."""
    (fan_in, fan_out), n_rows = W.shape, out.shape[0]
    if W.size <= panel.size or panel.size == 0:
        rows_product(
            X, rows, rows.size, is_far(X), fan_in, W, fan_out, b, n_rows, fan_out, fan_in,
            out, fan_out,
        )  # fmt: skip
    else:
        by_panels(X, rows, False, W, b, 0, panel, out)


@inline
def hidden_backward(X, rows, d_out, accumulate, panel, grad_W):
    """Compute grad_W = X[rows]ᵀ d_out. OUT: panel, grad_W."""
    (n_rows, fan_out), fan_in, start = d_out.shape, X.shape[1], 0 if accumulate else -1
    if d_out.size <= panel.size or panel.size == 0:
        transposed_product(
            X, rows, fan_in, d_out, fan_out, start, fan_in, fan_out, n_rows, grad_W, fan_out
        )
    else:
        by_panels(X, rows, True, d_out, part(d_out, 0, (fan_out,)), start, panel, grad_W)


@compiled_once
def by_panels(X, numbers, transposed, b, bias, start, panel, c):
    """Compute a hidden layer's product, forward or transposed, by panels of b. OUT: panel, c."""
    (inner, columns), rows, fan_in = b.shape, c.shape[0], X.shape[1]
    width = max(panel.size // (inner * PANEL_UNIT), 1) * PANEL_UNIT
    apart = columns * b.itemsize >= FAR_APART
    packs = apart and rows >= ROWS_TO_PACK and width * inner <= panel.size
    for first in range(0, columns, width):
        count = min(width, columns - first)
        b_panel, b_inner = part(b, first, (b.size - first,)), columns
        if packs:
            for p in range(inner):
                target = part(panel, p * count, (count,))
                for j in range(count):
                    target[j] = b_panel[p * columns + j]
            b_panel, b_inner = panel, count
        target = part(c, first, (c.size - first,))
        if transposed:
            transposed_product(
                X, numbers, fan_in, b_panel, b_inner, start, rows, count, inner, target, columns
            )
        else:
            far = is_far(X) and first == 0
            rows_product(
                X, numbers, numbers.size, far, fan_in, b_panel, b_inner,
                part(bias, first, (count,)), rows, count, inner, target, columns,
            )  # fmt: skip


@inline
def output_forward(X, Wt, b, out):
    """Compute an output layer's logits, out = X Wtᵀ + b. OUT: out."""
    rows, fan_in = X.shape
    dots(X, Wt, b, rows, b.size, fan_in, out)


@inline
def output_forward_by_class(X, Wt, b, by_class):
    """Compute an output layer's logits, class by class. OUT: by_class, the first H rows."""
    rows, fan_in = X.shape
    dots_by_output(X, Wt, b, rows, b.size, fan_in, by_class, by_class.shape[1])


@inline
def output_backward(activation, hidden, d_logits, Wt, accumulate, grads, d_hidden):
    """Compute the gradients but W1's, from dZ by class and A. OUT: grads, d_hidden as dS."""
    _grad_W1, grad_b1, grad_Wt, grad_b2 = grads
    start = part(grad_Wt, 0, (grad_Wt.size if accumulate else 0,))
    call(activation[1], (d_logits, Wt, hidden, start, grad_Wt, grad_b1, grad_b2, d_hidden))


@inline
def linear_forward(X, rows, W, b, out):
    """Compute a linear model's logits on the given rows, out = X Wᵀ + b, W (H, D). OUT: out."""
    n_rows, outputs = out.shape
    dots_of_rows(X, rows, rows.size, is_far(X), W, b, n_rows, outputs, X.shape[1], out)


@inline
def linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = d_outᵀ X on the given rows, and grad_b = Σ_rows d_out. OUT: both."""
    outputs = d_out.shape[1]
    linear_gradient(X, rows, d_out, 1, outputs, d_out.shape[0], accumulate, grad_W)
    add_rows(d_out, accumulate, grad_b)


@inline
def linear_forward_by_class(X, rows, W, b, n_rows, by_class):
    """Compute a linear model's logits on n_rows of the rows, class by class. OUT: by_class."""
    outputs, pitch = by_class.shape
    if n_rows == 1:
        linear_forward(X, rows, W, b, part(by_class, 0, (1, outputs)))
    else:
        dots_of_rows_by_output(
            X, rows, rows.size, is_far(X), W, b, n_rows, outputs, X.shape[1], by_class, pitch
        )


@inline
def linear_backward_by_class(X, rows, d_logits, n_rows, accumulate, grad_W, grad_b):
    """Compute grad_W = dZ X on n_rows of the rows, and grad_b = Σ_rows dZ. OUT: both."""
    outputs, pitch = d_logits.shape
    linear_gradient(X, rows, d_logits, pitch, 1, n_rows, accumulate, grad_W)
    add_classes(d_logits, pitch, n_rows, outputs, accumulate, grad_b)


@inline
def linear_gradient(X, rows, d, d_output, d_row, n_rows, accumulate, grad_W):
    """Compute grad_W = dᵀ X, given the distances of d's outputs and rows. OUT: grad_W."""
    (outputs, fan_in), start = grad_W.shape, 0 if accumulate else -1
    width = fan_in
    if outputs > FEW_OUTPUTS:
        width = max(NEAREST_BYTES // (n_rows * X.itemsize * PANEL_UNIT), 1) * PANEL_UNIT
    for first in range(0, fan_in, width):
        product_with_rows(
            d, d_output, d_row, part(X, first, (X.size - first,)), fan_in, rows, start, outputs,
            min(width, fan_in - first), n_rows, part(grad_W, first, (grad_W.size - first,)),
        )  # fmt: skip


@inline
def is_far(X):
    """Return whether X is too large for the CPU's near caches, so that prefetching pays."""
    return X.size * X.itemsize > NEAR_BYTES


@compiled_once
def add_rows(d_out, accumulate, grad_b):
    """Sum the rows, and add what grad_b holds to whole sums. OUT: d_out's first row, grad_b."""
    if not accumulate:
        grad_b[:] = 0
    if grad_b.size < 8:  # down the columns: a few long sums stay in registers, 3x as fast
        for k in range(grad_b.size):
            total = grad_b.dtype.type(0)
            for row in range(d_out.shape[0]):
                total += d_out[row, k]
            grad_b[k] += total
    else:
        for row in range(1, d_out.shape[0]):
            for k in range(grad_b.size):
                d_out[0, k] += d_out[row, k]
        for k in range(grad_b.size):
            grad_b[k] += d_out[0, k]
