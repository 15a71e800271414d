"""The products of a layer: its output, and the gradients of its parameters and of its input.

Shapes: X (B, D), b (H,), out and d_out (B, H), all C-contiguous and of one dtype. The weights W of
a hidden layer are (D, H); those of an output layer, which has few outputs, are kept transposed as
Wt (H, D), so that vectors run along the layer's input in all three products. Arguments that a
function writes come last and are marked OUT. With `accumulate` a gradient is added to what its
array holds, else it replaces it.
"""

from fastlogit.kernels.jit import kernel
from fastlogit.kernels.tiles import dots, product


@kernel
def affine(X, W, b, out):
    """Compute a hidden layer's pre-activations, out = X W + b. OUT: out."""
    rows, fan_in = X.shape
    product(X, fan_in, 1, W, b, 0, 0, rows, b.size, fan_in, out)


@kernel
def affine_grad(X, d_out, accumulate, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    rows, fan_in = X.shape
    start, fan_out = first_sum(accumulate, grad_W), grad_b.size
    product(X, 1, fan_in, d_out, grad_W, start, fan_out, fan_in, fan_out, rows, grad_W)
    add_rows(d_out, accumulate, grad_b)


@kernel
def output_affine(X, Wt, b, out):
    """Compute an output layer's logits, out = X Wtᵀ + b. OUT: out."""
    rows, fan_in = X.shape
    dots(X, Wt, b, rows, b.size, fan_in, out)


@kernel
def output_affine_grad(X, d_out, accumulate, grad_Wt, grad_b):
    """Compute grad_Wt = d_outᵀ X and grad_b = Σ_rows d_out. OUT: grad_Wt, grad_b."""
    rows, fan_in = X.shape
    start, fan_out = first_sum(accumulate, grad_Wt), grad_b.size
    product(d_out, 1, fan_out, X, grad_Wt, start, fan_in, fan_out, fan_in, rows, grad_Wt)
    add_rows(d_out, accumulate, grad_b)


@kernel
def output_input_grad(d_out, Wt, d_X):
    """Compute the gradient of an output layer's input, d_X = d_out Wt. OUT: d_X."""
    fan_out, fan_in = Wt.shape
    product(d_out, fan_out, 1, Wt, Wt, -1, 0, d_out.shape[0], fan_in, fan_out, d_X)


@kernel
def first_sum(accumulate, grad):
    """Return where a product's sums start: at grad's elements, or (negative, row by row) at 0."""
    return 0 if accumulate else -grad.size


@kernel
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
