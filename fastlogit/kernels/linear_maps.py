"""The products of a layer: its output, and the gradients of its parameters and of its input.

A hidden layer has `affine`, an output layer on top of it `output_affine`, and a linear model, whose
output layer sees the data themselves, `rows_affine`.

Shapes: X (B, D), b (H,), out and d_out (B, H), all C-contiguous and of one dtype. The weights W of
a hidden layer are (D, H); those of an output layer, which has few outputs, are kept transposed as
Wt (H, D), so that vectors run along the layer's input in all three products. Arguments that a
function writes come last and are marked OUT. With `accumulate` a gradient is added to what its
array holds, else it replaces it.
"""

from fastlogit.kernels.jit import inlined
from fastlogit.kernels.layout import part
from fastlogit.kernels.linking import linked
from fastlogit.kernels.simd import NEAR_BYTES, PREFETCH_ROWS, prefetch_row
from fastlogit.kernels.tiles import dots, dots_of_rows, product, product_with_rows


@inlined
def affine(X, W, b, out):
    """Compute a hidden layer's pre-activations, out = X W + b. OUT: out."""
    rows, fan_in = X.shape
    product(X, fan_in, 1, W, b, 0, 0, rows, b.size, fan_in, out)


@inlined
def affine_grad(X, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    (rows, fan_in), fan_out = X.shape, d_out.shape[1]
    start = 0 if accumulate else -1
    product(X, 1, fan_in, d_out, grad_W, start, fan_out, fan_in, fan_out, rows, grad_W)
    add_rows(d_out, accumulate, grad_b)


@inlined
def output_affine(X, Wt, b, out):
    """Compute an output layer's logits, out = X Wtᵀ + b. OUT: out."""
    rows, fan_in = X.shape
    dots(X, Wt, b, rows, b.size, fan_in, out)


@inlined
def output_affine_grad(X, d_out, accumulate, grad_Wt, grad_b):
    """Compute grad_Wt = d_outᵀ X and grad_b = Σ_rows d_out. OUT: grad_Wt, grad_b."""
    (rows, fan_in), fan_out = X.shape, d_out.shape[1]
    start = 0 if accumulate else -1
    product(d_out, 1, fan_out, X, grad_Wt, start, fan_in, fan_out, fan_in, rows, grad_Wt)
    add_rows(d_out, accumulate, grad_b)


@inlined
def output_input_grad(d_out, Wt, d_X):
    """Compute the gradient of an output layer's input, d_X = d_out Wt. OUT: d_X."""
    fan_out, fan_in = Wt.shape
    product(d_out, fan_out, 1, Wt, Wt, -1, 0, d_out.shape[0], fan_in, fan_out, d_X)


@inlined
def rows_affine(X, rows, Wt, b, out):
    """Compute a linear model's logits on the given rows of X, out = X Wtᵀ + b. OUT: out."""
    (n_rows, outputs), numbers = out.shape, rows.numbers
    dots_of_rows(X, numbers, numbers.size, is_far(X), Wt, b, n_rows, outputs, X.shape[1], out)


@inlined
def rows_affine_grad(X, rows, d_out, accumulate, grad_Wt, grad_b):
    """Compute grad_Wt = d_outᵀ X on the given rows, and grad_b = Σ_rows d_out. OUT: both."""
    (n_rows, outputs), start = d_out.shape, 0 if accumulate else -1
    product_with_rows(d_out, outputs, X, rows.numbers, start, outputs, X.shape[1], n_rows, grad_Wt)
    add_rows(d_out, accumulate, grad_b)


@inlined
def gathered(X, rows, n_rows, X_rows):
    """Return the given rows one after another: a view of X if they lie so. OUT: X_rows."""
    shape = (n_rows, X.shape[1])
    if rows.in_order:
        return part(X, 0, shape)
    gather(X, rows.numbers, is_far(X), part(X_rows, 0, shape))
    return part(X_rows, 0, shape)


@inlined
def is_far(X):
    """Return whether X is too large for the CPU's near caches, so that prefetching pays."""
    return X.size * X.itemsize > NEAR_BYTES


@linked
def gather(X, numbers, far, X_rows):
    """Copy the rows of those numbers. OUT: X_rows.

    Rows further on, those of the next batch too, are asked for while these are copied: rows in
    random order come from memory, and the CPU cannot foresee them.
    """
    for i in range(X_rows.shape[0]):
        if far:
            prefetch_row(X, numbers[min(i + PREFETCH_ROWS, numbers.size - 1)])
        row = numbers[i]
        for j in range(X.shape[1]):
            X_rows[i, j] = X[row, j]


@linked
def add_rows(d_out, accumulate, grad_b):
    """Sum the rows. OUT: grad_b."""
    if not accumulate:
        grad_b[:] = 0
    if grad_b.size < 8:  # down the columns: a few long sums stay in registers, 3x as fast
        for k in range(grad_b.size):
            total = grad_b[k]
            for row in range(d_out.shape[0]):
                total += d_out[row, k]
            grad_b[k] = total
    else:
        for row in range(d_out.shape[0]):
            for k in range(grad_b.size):
                grad_b[k] += d_out[row, k]
