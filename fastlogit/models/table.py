"""The four models as data: names, shapes, initial values, and which code computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from fastlogit.kernels import logistic, mlp_logistic, mlp_softmax, softmax
from fastlogit.kernels.training import epoch as jitted_epoch
from fastlogit.kernels.training.blocks import allocate
from fastlogit.models.parameters import Floats, Shapes, is_transposed
from fastlogit.models.rows import as_writable_view
from fastlogit.reference import epoch as plain_epoch
from fastlogit.reference import logistic as reference_logistic
from fastlogit.reference import mlp_logistic as reference_mlp_logistic
from fastlogit.reference import mlp_softmax as reference_mlp_softmax
from fastlogit.reference import softmax as reference_softmax

# Where a backend's entry points are: run_batches and predict_proba.
BACKENDS: dict[str, ModuleType] = {"numba": jitted_epoch, "numpy": plain_epoch}


@dataclass(frozen=True)
class Model:
    """One of the four models.

    Attributes
    ----------
    name : str
        What the public functions and the command line call it.
    binary : bool
        Whether it has one output for two classes.
    has_hidden : bool
        Whether it has a hidden layer.
    params_types : dict
        Named tuple of the parameters for each backend; its fields are the parameters' names.
    """

    name: str
    binary: bool
    has_hidden: bool
    params_types: dict[str, Any]

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs K: 1 for a binary model, else one a class."""
        return 1 if self.binary else n_classes

    def shapes(self, n_features: int, n_hidden: int | None, n_outputs: int) -> Shapes:
        """Return the parameters' shapes: a weight matrix and a bias vector a layer."""
        if n_hidden is None:
            return (n_features, n_outputs), (n_outputs,)
        return (n_features, n_hidden), (n_hidden,), (n_hidden, n_outputs), (n_outputs,)

    def initial_params(
        self, n_features: int, n_hidden: int | None, n_outputs: int, dtype: Any, random_state: Any
    ) -> tuple[Floats, ...]:
        """Draw parameters uniformly from ±√(2 / (fan_in + fan_out)), a layer's bias included.

        Glorot and Bengio (2010), with the factor that suits a sigmoid. They are drawn in float64 in
        the order of the parameters, then cast, as scikit-learn's MLPClassifier does.
        """
        params: list[Floats] = []
        for shape in self.shapes(n_features, n_hidden, n_outputs):
            if len(shape) == 2:
                bound = np.sqrt(2 / sum(shape))
            params.append(random_state.uniform(-bound, bound, shape).astype(dtype))
        return tuple(params)

    def named(self, params: Sequence[Floats], backend: str, sparse: bool = False) -> Any:
        """Return parameters as the backend wants them: see :class:`FlatParams`."""
        arrays = [as_writable_view(array) for array in params]
        if is_transposed(backend, arrays, sparse):
            arrays[-2] = np.ascontiguousarray(arrays[-2].T)
        return self.params_types[backend](*arrays)

    def buffers(self, named: Any, n_rows: int, backend: str, sparse: bool = False) -> Any:
        """Return a thread's workspace for up to n_rows rows."""
        return allocate(named, n_rows, sparse) if backend == "numba" else None

    def flops_per_sample(self, n_features: int, n_hidden: int | None, n_outputs: int) -> int:
        """Count the matrix products' flops of one training row, a multiply-add as two.

        Forward and weight gradient cost 2 · fan_in · fan_out each; a network adds the gradient of
        the hidden layer.
        """
        if n_hidden is None:
            return 4 * n_features * n_outputs
        return 4 * n_features * n_hidden + 6 * n_hidden * n_outputs


def _model(name: str, jitted: Any, plain: Any, params_name: str) -> Model:
    return Model(
        name,
        binary=name.endswith("logistic"),
        has_hidden=name.startswith("mlp"),
        params_types={"numba": getattr(jitted, params_name), "numpy": getattr(plain, params_name)},
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _model("logistic", logistic, reference_logistic, "LogisticParams"),
        _model("softmax", softmax, reference_softmax, "SoftmaxParams"),
        _model("mlp-logistic", mlp_logistic, reference_mlp_logistic, "MLPLogisticParams"),
        _model("mlp-softmax", mlp_softmax, reference_mlp_softmax, "MLPSoftmaxParams"),
    )
}
