"""The products of a layer. Shapes: X (B, D), W (D, H), b (H,), out and d_out (B, H)."""

import numpy as np


def affine(X, W, b, out):
    """Compute out = X W + b. OUT: out."""
    np.matmul(X, W, out=out)
    out += b


def affine_grad(X, d_out, grad_W, grad_b):
    """Compute grad_W = Xᵀ d_out and grad_b = Σ_rows d_out. OUT: grad_W, grad_b."""
    np.matmul(X.T, d_out, out=grad_W)
    np.add.reduce(d_out, axis=0, out=grad_b)


def input_grad(d_out, W, d_X):
    """Compute d_X = d_out Wᵀ. OUT: d_X."""
    np.matmul(d_out, W.T, out=d_X)
