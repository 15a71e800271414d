"""The models' functions over what X is."""

import inspect

import numpy as np
import pytest

from fastlogit.kernels import logistic, mlp_softmax
from fastlogit.kernels.codegen import dispatch
from fastlogit.kernels.layers import dense as linear_maps
from fastlogit.kernels.layers import single_row as row_maps
from fastlogit.kernels.layers import sparse as sparse_maps
from fastlogit.kernels.layers.csr import csr
from fastlogit.kernels.layers.single_row import RowPair
from fastlogit.models import MODELS

SPARSE = csr(np.ones(1), np.zeros(1, np.uint32), np.array([0, 1]))
PAIR = RowPair(np.eye(2), 0, 1, np.eye(2), np.eye(2))


@pytest.mark.parametrize(("X", "maps"), [(SPARSE, sparse_maps), (PAIR, row_maps)])
@pytest.mark.parametrize("module", [logistic, mlp_softmax])
def test_the_same_text_over_other_maps(module, X, maps):
    kind = {logistic: logistic.LogisticParams, mlp_softmax: mlp_softmax.MLPSoftmaxParams}[module]
    function = module.loss_and_gradient
    other = dispatch.of_model(kind, "loss_and_gradient", X)
    assert dispatch.of_model(kind, "loss_and_gradient", X) is other
    assert dispatch.of_model(kind, "loss_and_gradient", np.eye(2)) is function
    code, changed = (getattr(f, "py_func", f) for f in (function, other))
    assert code.__code__ is changed.__code__
    used = set(dispatch.MAPS) & set(code.__code__.co_names)
    assert used
    for name in used:
        assert code.__globals__[name] is getattr(linear_maps, name)
        assert changed.__globals__[name] is getattr(maps, name)


def test_models_reach_their_rows_by_the_maps_alone():
    """Or their other forms would take an X that is none for an array."""
    for model in MODELS.values():
        module = __import__(model.params_types["numba"].__module__, fromlist=["loss_and_gradient"])
        for name in ("loss_and_gradient", "predict_proba"):
            function = getattr(module, name)
            names = getattr(function, "py_func", function).__code__.co_names
            assert set(names) & {"rows_affine", "gathered"}, (model.name, name)


@pytest.mark.parametrize("maps", [sparse_maps, row_maps])
def test_other_maps_take_the_same_arguments(maps):
    for name in dispatch.MAPS:
        plain, other = (
            getattr(f, "py_func", f) for f in (getattr(linear_maps, name), getattr(maps, name))
        )
        assert len(inspect.signature(plain).parameters) == len(inspect.signature(other).parameters)
