"""The products of the first layer at a batch of one; names and meanings are those of linear_maps.

X is a RowPair: a row to step by, and the one that follows. What the layer makes of a row has been
computed by the step before, in the same pass over the weights
(:mod:`fastlogit.kernels.codegen.row_steps`), so the forward maps have nothing left to do, and a
gradient is a step: d_out comes times minus the learning rate, and the gradient's arrays are the
parameters.
"""

from typing import Any, NamedTuple

from fastlogit.kernels.codegen.jit import inlined, viewing
from fastlogit.kernels.codegen.row_steps import step_affine, step_dots


class RowPair(NamedTuple):
    """Rows row and following of X (n, D); out (1, H) or (1, K), where the layer's output goes.

    padded (K, at least D), a linear model's Wt with zeros up to whole vectors.
    """

    X: Any
    row: Any
    following: Any
    padded: Any
    out: Any


@viewing
def gathered(X, rows, n_rows, X_rows):
    """Return the pair."""
    return X


@inlined
def affine(X, W, b, panel, out):
    """Do nothing: out is there."""


@inlined
def affine_grad(X, d_out, accumulate, panel, grad_W, grad_b):
    """Step by d_out; compute the following row's pre-activations. OUT: grad_W, grad_b, X.out."""
    fan_in, fan_out = grad_W.shape
    step_affine(X.X, X.row, X.following, d_out, grad_W, grad_b, fan_in, fan_out, X.out)


@inlined
def rows_affine(X, rows, Wt, b, out):
    """Do nothing: out is there."""


@inlined
def rows_affine_grad(X, rows, d_out, accumulate, grad_Wt, grad_b):
    """Step by d_out; compute the following row's logits. OUT: d_out, X.padded, grad_b."""
    outputs, pitch = X.padded.shape
    step_dots(X.X, X.row, X.following, X.padded, pitch, grad_b, X.X.shape[1], outputs, d_out)
