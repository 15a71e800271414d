"""The layer that sees the data, over dense and sparse rows: the type of X chooses the code."""

import inspect

import numba
import numpy as np
import pytest
from scipy.sparse import csr_array

from fastlogit.kernels import dispatch
from fastlogit.kernels.layers import dense, sparse

GENERIC = ("linear_forward", "linear_backward", "hidden_forward", "hidden_backward")
DENSE = np.array([[1.0, 0, 2], [0, 3, 0], [4, 0, 0], [0, 5, 6]])
NUMBERS = np.array([3, 0, 1, 2])


def sparse_rows(X):
    X = csr_array(X)
    return sparse.csr(X.data, X.indices.astype(np.uint32), X.indptr.astype(np.int64))


@pytest.mark.parametrize("module", [dense, sparse])
@pytest.mark.parametrize("name", GENERIC)
def test_both_take_the_arguments_of_the_generic(name, module):
    generic, own = getattr(dispatch, name), getattr(module, name)
    own = inspect.signature(getattr(own, "py_func", own))
    assert list(inspect.signature(generic).parameters) == list(own.parameters)


@pytest.mark.parametrize(("X", "module"), [(DENSE, dense), (sparse_rows(DENSE), sparse)])
def test_values_and_their_types_choose_alike(X, module):
    assert dispatch.layers_for(X) is module
    assert dispatch.layers_for(numba.typeof(X)) is module


@pytest.fixture(scope="module")
def call(jit):
    """Return the generics as functions that Python can call."""
    linear_forward, linear_backward = dispatch.linear_forward, dispatch.linear_backward
    hidden_forward, hidden_backward = dispatch.hidden_forward, dispatch.hidden_backward

    class Called:
        linear_forward = jit(lambda X, rows, W, b, out: linear_forward(X, rows, W, b, out))
        linear_backward = jit(lambda X, rows, d, add, W, b: linear_backward(X, rows, d, add, W, b))
        hidden_forward = jit(
            lambda X, rows, W, b, panel, out: hidden_forward(X, rows, W, b, panel, out)
        )
        hidden_backward = jit(
            lambda X, rows, d, add, panel, W: hidden_backward(X, rows, d, add, panel, W)
        )

    return Called


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_linear_model(call, is_sparse):
    X, rows = sparse_rows(DENSE) if is_sparse else DENSE, NUMBERS
    W, b, out = np.arange(6.0).reshape(3, 2), np.array([10.0, 20]), np.full((3, 2), np.nan)
    kept = W if is_sparse else W.T.copy()  # dense rows meet transposed weights
    call.linear_forward(X, rows, kept, b, out)
    assert np.array_equal(out, DENSE[NUMBERS[:3]] @ W + b)
    d_out, grad_W, grad_b = out.copy(), np.full_like(kept, np.nan), np.full(2, np.nan)
    call.linear_backward(X, rows, d_out, False, grad_W, grad_b)
    expected = DENSE[NUMBERS[:3]].T @ out
    assert np.array_equal(grad_W, expected if is_sparse else expected.T)
    assert np.array_equal(grad_b, out.sum(axis=0))


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_hidden_layer(call, is_sparse):
    X, rows = sparse_rows(DENSE) if is_sparse else DENSE, NUMBERS
    W, b, out = np.arange(6.0).reshape(3, 2), np.array([10.0, 20]), np.full((3, 2), np.nan)
    panel = np.empty(0)
    call.hidden_forward(X, rows, W, b, panel, out)
    assert np.array_equal(out, DENSE[NUMBERS[:3]] @ W + b)
    grad_W = np.full_like(W, np.nan)
    call.hidden_backward(X, rows, out.copy(), False, panel, grad_W)
    assert np.array_equal(grad_W, DENSE[NUMBERS[:3]].T @ out)
