"""Sparse rows as jitted code knows them, and the models' functions over them."""

import numpy as np
import pytest

from fastlogit.kernels import linear_maps, logistic, mlp_softmax, sparse_maps
from fastlogit.kernels.csr import Csr, csr, is_csr, over_sparse_rows
from fastlogit.kernels.layout import rows_from
from fastlogit.models import MODELS


@pytest.fixture
def rows():
    indices = np.array([0, 2, 1], np.uint32)
    return csr(np.array([1.0, 2.0, 3.0]), indices, np.array([0, 2, 2, 3]))


def test_is_csr(rows):
    assert is_csr(rows)
    assert not is_csr(np.eye(2))
    assert not is_csr(tuple(rows))
    assert not is_csr(None)


def test_rows_from(jit, rows):
    def first(X, start, n_rows):
        part = rows_from(X, start, n_rows)
        return part.data[part.indptr[0]] * 10 + part.indptr.size

    for function in (first, jit(first)):
        assert function(rows, 0, 2) == 10 + 3
        assert function(rows, 2, 1) == 30 + 2


def test_rows_from_dense(jit):
    X = np.arange(12.0).reshape(4, 3)
    jitted = jit(lambda X, start, n_rows: rows_from(X, start, n_rows).sum())
    assert jitted(X, 1, 2) == rows_from(X, 1, 2).sum() == X[1:3].sum()


@pytest.mark.parametrize("module", [logistic, mlp_softmax])
def test_over_sparse_rows(module):
    function = module.loss_and_gradient
    sparse = over_sparse_rows(function)
    assert over_sparse_rows(function) is sparse
    code, other = (getattr(f, "py_func", f) for f in (function, sparse))
    assert code.__code__ is other.__code__
    for name in set(sparse_maps.MAPS) & set(code.__code__.co_names):
        assert code.__globals__[name] is getattr(linear_maps, name)
        assert other.__globals__[name] is getattr(sparse_maps, name)


def test_models_reach_their_rows_by_the_maps_alone():
    """Or their sparse form would take a sparse X for an array."""
    for model in MODELS.values():
        module = __import__(model.params_types["numba"].__module__, fromlist=["loss_and_gradient"])
        for name in ("loss_and_gradient", "predict_proba"):
            function = getattr(module, name)
            names = getattr(function, "py_func", function).__code__.co_names
            assert set(names) & {"rows_affine", "gathered"}, (model.name, name)


def test_a_csr_is_a_tuple_of_arrays(rows):
    assert Csr._fields == ("data", "indices", "indptr", "scaling")
    assert rows.scaling.tolist() == [1, 1, 0, 0]
    assert csr(*rows[:3]).scaling is not rows.scaling  # each training has its own
