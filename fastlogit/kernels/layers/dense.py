"""The products of a layer: its output, and the gradients of its parameters and of its input.

A hidden layer has those with `hidden_`, an output layer on top of it those with `output_`, and a
linear model, whose output layer sees the data themselves, those with `linear_`. Those that see the
data are called through ``dispatch``.

Shapes: X (B, D), b (H,), out and d_out (B, H), all C-contiguous and of one dtype. The weights W of
a hidden layer are (D, H); those of an output layer, which has few outputs, are kept transposed as
Wt (H, D), so that vectors run along the layer's input in all three products. With `accumulate` a
gradient is added to what its array holds, else it replaces it; the first row of d_out is used up.
"""

from fastlogit.kernels.codegen.arrays import part, rows_from
from fastlogit.kernels.codegen.compile import inline
from fastlogit.kernels.codegen.linking import compiled_once
from fastlogit.kernels.codegen.simd import NEAR_BYTES, NEAREST_BYTES, PREFETCH_ROWS, prefetch_row
from fastlogit.kernels.codegen.tiles import dots, dots_of_rows, product, product_with_rows

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
def hidden_forward(X, rows, W, b, X_rows, panel, out):
    """Compute out = X[rows] W + b; copy rows not in order for hidden_backward. OUT: last three."""
    n_rows, fan_in = out.shape[0], X.shape[1]
    if not rows.in_order:
        gather(X, rows.numbers, is_far(X), rows_from(X_rows, 0, n_rows))
    X_rows = rows_from(X if rows.in_order else X_rows, 0, n_rows)
    wide_product(X_rows, fan_in, 1, W, b, 0, 0, panel, out)


@inline
def hidden_backward(X, rows, d_out, accumulate, X_rows, panel, grad_W, grad_b):
    """Compute grad_W = X[rows]ᵀ d_out, grad_b = Σ_rows d_out. OUT: d_out, panel, grad_W, grad_b."""
    (fan_in, fan_out), start = grad_W.shape, 0 if accumulate else -1
    X_rows = rows_from(X if rows.in_order else X_rows, 0, d_out.shape[0])
    init = part(grad_W, 0, (grad_W.size,))
    wide_product(X_rows, 1, fan_in, d_out, init, start, fan_out, panel, grad_W)
    add_rows(d_out, accumulate, grad_b)


@inline
def wide_product(a, a_row, a_inner, b, init, init_start, init_row, panel, c):
    """Compute c = init + a b, see tiles.product, by panels where b is large. OUT: panel, c."""
    (inner, columns), rows = b.shape, c.shape[0]
    if b.size <= panel.size or panel.size == 0:
        product(
            a, a_row, a_inner, b, columns, init, init_start, init_row, rows, columns, inner, c,
            columns,
        )  # fmt: skip
    else:
        by_panels(a, a_row, a_inner, b, init, init_start, init_row, panel, c)


@compiled_once
def by_panels(a, a_row, a_inner, b, init, init_start, init_row, panel, c):
    """Compute c = init + a b, see tiles.product, by panels of b's columns. OUT: panel, c."""
    (inner, columns), rows = b.shape, c.shape[0]
    width = max(panel.size // (inner * PANEL_UNIT), 1) * PANEL_UNIT
    apart = columns * b.itemsize >= FAR_APART
    packs = apart and rows >= ROWS_TO_PACK and width * inner <= panel.size
    for first in range(0, columns, width):
        count = min(width, columns - first)
        start = init_start + first if init_start >= 0 else init_start
        b_panel, b_inner = part(b, first, (b.size - first,)), columns
        if packs:
            for p in range(inner):
                target = part(panel, p * count, (count,))
                for j in range(count):
                    target[j] = b_panel[p * columns + j]
            b_panel, b_inner = panel, count
        product(
            a, a_row, a_inner, b_panel, b_inner, init, start, init_row, rows, count, inner,
            part(c, first, (c.size - first,)), columns,
        )  # fmt: skip


@inline
def output_forward(X, Wt, b, out):
    """Compute an output layer's logits, out = X Wtᵀ + b. OUT: out."""
    rows, fan_in = X.shape
    dots(X, Wt, b, rows, b.size, fan_in, out)


@inline
def output_backward(X, d_out, accumulate, grad_Wt, grad_b):
    """Compute grad_Wt = d_outᵀ X and grad_b = Σ_rows d_out. OUT: grad_Wt, grad_b."""
    (rows, fan_in), fan_out = X.shape, d_out.shape[1]
    start = 0 if accumulate else -1
    product(
        d_out, 1, fan_out, X, fan_in, grad_Wt, start, fan_in, fan_out, fan_in, rows, grad_Wt, fan_in
    )
    add_rows(d_out, accumulate, grad_b)


@inline
def output_input_grad(d_out, Wt, d_X):
    """Compute the gradient of an output layer's input, d_X = d_out Wt. OUT: d_X."""
    (fan_out, fan_in), rows = Wt.shape, d_out.shape[0]
    product(d_out, fan_out, 1, Wt, fan_in, Wt, -1, 0, rows, fan_in, fan_out, d_X, fan_in)


@inline
def linear_forward(X, rows, W, b, out):
    """Compute a linear model's logits on the given rows, out = X Wᵀ + b, W (H, D). OUT: out."""
    (n_rows, outputs), numbers = out.shape, rows.numbers
    dots_of_rows(X, numbers, numbers.size, is_far(X), W, b, n_rows, outputs, X.shape[1], out)


@inline
def linear_backward(X, rows, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = d_outᵀ X on the given rows, and grad_b = Σ_rows d_out. OUT: both."""
    (n_rows, outputs), fan_in, start = d_out.shape, X.shape[1], 0 if accumulate else -1
    width = fan_in
    if outputs > FEW_OUTPUTS:
        width = max(NEAREST_BYTES // (n_rows * X.itemsize * PANEL_UNIT), 1) * PANEL_UNIT
    for first in range(0, fan_in, width):
        product_with_rows(
            d_out, outputs, part(X, first, (X.size - first,)), fan_in, rows.numbers, start, outputs,
            min(width, fan_in - first), n_rows, part(grad_W, first, (grad_W.size - first,)),
        )  # fmt: skip
    add_rows(d_out, accumulate, grad_b)


@inline
def is_far(X):
    """Return whether X is too large for the CPU's near caches, so that prefetching pays."""
    return X.size * X.itemsize > NEAR_BYTES


@compiled_once
def gather(X, numbers, far, X_rows):
    """Copy the rows of those numbers. OUT: X_rows."""
    for i in range(X_rows.shape[0]):
        if far:  # later rows, also of the next batch: the CPU cannot predict them
            prefetch_row(X, numbers[min(i + PREFETCH_ROWS, numbers.size - 1)])
        row = numbers[i]
        for j in range(X.shape[1]):
            X_rows[i, j] = X[row, j]


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
