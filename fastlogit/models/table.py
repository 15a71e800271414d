"""The tables of what is chosen by name: models, activations, optimizers and backends.

A record carries what its name stands for, in the kernels and in the NumPy reference, so that no
other file asks for a name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self, TypeVar

import numpy as np

from fastlogit.kernels import logistic, mlp_logistic, mlp_softmax, softmax
from fastlogit.kernels.codegen.linking import address_of
from fastlogit.kernels.layers import activations
from fastlogit.kernels.training import epoch, in_place_sgd, optimizers
from fastlogit.models.arrays import Floats, Shapes
from fastlogit.reference import models as reference
from fastlogit.reference import training as reference_training

Function = Callable[..., None]
Record = TypeVar("Record", "Backend", "Activation", "Optimizer", "Model")


@dataclass(frozen=True, eq=False)
class Backend:
    """Which code computes: the functions that Python calls, and how records reach their own.

    ``jitted`` code shares blocks of rows among threads, reads sparse rows as a Csr, and is given
    functions by their address.
    """

    name: str
    jitted: bool
    run_batches: Callable[..., None]
    run_sparse_sgd: Callable[..., None]
    predict_proba: Callable[..., None]
    predict_classes: Callable[..., float]
    allocate: Callable[..., Any]
    code: Callable[..., Any]

    def transposes(self, n_arrays: int, sparse: bool) -> bool:
        """Return whether output weights are transposed: a sparse row's are to lie together."""
        return self.jitted and not (sparse and n_arrays == 2)

    def choose(self, kernels: Any, reference: Any) -> Any:
        """Return this backend's column of a record."""
        return kernels if self.jitted else reference


@dataclass(frozen=True, eq=False)
class Activation:
    """A hidden layer's (forward, derivative), and the factor f of Model.initial_params."""

    name: str
    kernels: tuple[Function, Function]
    reference: tuple[Function, Function]
    init_factor: float


@dataclass(frozen=True, eq=False)
class Optimizer:
    """An optimizer: its step, the settings that it reads in their order, and its moments.

    ``n_moments`` arrays like the parameters are carried from step to step. Where the settings are
    ``is_plain``, a step is θ ← θ − η g, which may be fused with the gradient's sum.
    """

    name: str
    kernels: Function
    reference: Function
    settings: tuple[str, ...]
    n_moments: int
    is_plain: Callable[[Mapping[str, Any]], bool] = lambda _settings: False

    @cache  # noqa: B019 - a record lives as long as the process
    def code(self, backend: Backend, dtype: Any) -> Any:
        """Return its step as a Rule holds it."""
        params, counts = np.dtype(dtype), np.dtype(np.int64)
        kinds = (params, 1), (params, 1), (params, 2), (counts, 1), (np.dtype(float), 1)
        return backend.code(backend.choose(self.kernels, self.reference), *kinds)


@dataclass(frozen=True, eq=False)
class Model:
    """One of the models; a binary one has one output for two classes.

    Each column makes a backend's record, with a hidden layer of the activation's functions.
    """

    name: str
    kernels: Callable[..., Any]
    reference: Callable[..., Any]
    binary: bool
    has_hidden: bool = False
    activation: Activation | None = None

    @cache  # noqa: B019
    def with_activation(self, name: str) -> Self:
        """Return the model with the activation of that name, if it has one."""
        if self.activation is None or name == self.activation.name:
            return self
        return replace(self, activation=ACTIVATIONS[name])

    @cache  # noqa: B019
    def record(self, backend: Backend, dtype: Any) -> Any:
        """Return the model as the backend's functions take it."""
        kind = backend.choose(self.kernels, self.reference)
        if self.activation is None:
            return kind()
        both = self.activation.kernels, self.activation.reference
        forward, derivative = backend.choose(*both)
        vector, layer = (np.dtype(dtype), 1), (np.dtype(dtype), 2)
        back = layer, layer, layer, vector, layer, vector, vector, layer
        return kind((backend.code(forward, layer), backend.code(derivative, *back)))

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs K: 1 for a binary model, else one per class."""
        return 1 if self.binary else n_classes

    def n_classes(self, params: Sequence[Floats]) -> int:
        """Return the number of classes that parameters are for."""
        return 2 if self.binary else params[-1].size

    def shapes(self, n_features: int, n_hidden: int | None, n_outputs: int) -> Shapes:
        """Return the parameters' shapes: a weight matrix and a bias vector per layer."""
        if n_hidden is None:
            return (n_features, n_outputs), (n_outputs,)
        return (n_features, n_hidden), (n_hidden,), (n_hidden, n_outputs), (n_outputs,)

    def initial_params(
        self, n_features: int, n_hidden: int | None, n_outputs: int, dtype: Any, random_state: Any
    ) -> tuple[Floats, ...]:
        """Draw parameters uniformly from ±√(f / (fan_in + fan_out)), a layer's bias included.

        Glorot and Bengio (2010), with the factor f that suits the activation. Drawn in float64 in
        their order, then cast, as in scikit-learn's MLPClassifier.
        """
        factor = 2.0 if self.activation is None else self.activation.init_factor
        params: list[Floats] = []
        for shape in self.shapes(n_features, n_hidden, n_outputs):
            if len(shape) == 2:
                bound = math.sqrt(factor / sum(shape))
            draws = random_state.uniform(-bound, bound, shape)
            params.append(draws.astype(dtype, copy=False))
        return tuple(params)


def _by_name(*records: Record) -> dict[str, Record]:
    return {record.name: record for record in records}


BACKENDS = _by_name(
    Backend(
        "numba", True, epoch.run_batches, in_place_sgd.run_sparse_batches, epoch.predict_proba,
        epoch.predict_classes, epoch.allocate, address_of,
    ),
    Backend(
        "numpy", False, reference_training.run_batches, reference_training.run_batches,
        reference_training.predict_proba, reference_training.predict_classes,
        reference_training.allocate, lambda function, *_kinds: function,
    ),
)  # fmt: skip

ACTIVATIONS = _by_name(
    Activation(
        "logistic", (activations.logistic, activations.logistic_grad),
        (reference.logistic, reference.logistic_grad), init_factor=2.0,
    ),
    Activation(
        "relu", (activations.relu, activations.relu_grad),
        (reference.relu, reference.relu_grad), init_factor=6.0,
    ),
    Activation(
        "tanh", (activations.tanh, activations.tanh_grad),
        (reference.tanh, reference.tanh_grad), init_factor=6.0,
    ),
    Activation(
        "identity", (activations.identity, activations.identity_grad),
        (reference.identity, reference.identity_grad), init_factor=6.0,
    ),
)  # fmt: skip

OPTIMIZERS = _by_name(
    Optimizer(
        "sgd", optimizers.sgd, reference_training.sgd, ("learning_rate", "momentum", "nesterov"),
        n_moments=1, is_plain=lambda settings: settings["momentum"] == 0,
    ),
    Optimizer(
        "adam", optimizers.adam, reference_training.adam,
        ("learning_rate", "beta_1", "beta_2", "epsilon"), n_moments=2,
    ),
)  # fmt: skip

_LOGISTIC = ACTIVATIONS["logistic"]
MODELS = _by_name(
    Model("logistic", logistic.Logistic, reference.Logistic, binary=True),
    Model("softmax", softmax.Softmax, reference.Softmax, binary=False),
    Model(
        "mlp-logistic", mlp_logistic.MLPLogistic, reference.MLPLogistic, binary=True,
        has_hidden=True, activation=_LOGISTIC,
    ),
    Model(
        "mlp-softmax", mlp_softmax.MLPSoftmax, reference.MLPSoftmax, binary=False,
        has_hidden=True, activation=_LOGISTIC,
    ),
)  # fmt: skip
