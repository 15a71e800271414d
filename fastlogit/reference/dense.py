"""The products of a layer. Shapes: X (B, D), W (D, H), b (H,), out and d_out (B, H).

X may be one of SciPy's sparse arrays, whose products have no out.
"""

import numpy as np
from scipy.sparse import issparse


def affine(X, W, b, out):
    """Compute out = X W + b. OUT: out."""
    _product(X, W, out)
    out += b


def affine_grad(X, d_out, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    _product(X.T, d_out, grad_W)
    np.add.reduce(d_out, axis=0, out=grad_b)


def input_grad(d_out, W, d_X):
    """Compute d_X = d_out Wᵀ. OUT: d_X."""
    np.matmul(d_out, W.T, out=d_X)


def _product(a, b, out):
    if issparse(a):
        out[...] = a @ b
    else:
        np.matmul(a, b, out=out)
