"""The lines of Python that train as a contender of the benchmark did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastlogit.models import MODELS

__all__ = ["Training", "recipe"]

# As measured.
_NO_PENALTY = {"C": math.inf}


@dataclass(frozen=True)
class Training:
    """What was trained, and how.

    Attributes
    ----------
    model, impl, solver, dtype : str
        Names, as in the benchmark's files.
    n_classes, batch_size, epochs, threads : int
        Sizes.
    n_hidden : int or None
        Hidden units; None for a model without any.
    learning_rate : float
        The step size.
    """

    model: str
    impl: str
    solver: str
    dtype: str
    n_classes: int
    batch_size: int
    epochs: int
    threads: int
    n_hidden: int | None
    learning_rate: float


def recipe(training: Training) -> list[str]:
    """Give an import and a call, a line each; nothing for an implementation without an estimator.

    Parameters
    ----------
    training : Training
        What was trained.

    Returns
    -------
    list of str
        What makes an estimator or, for a softmax of two classes, which no estimator trains, what
        trains it.
    """
    library, _, method = training.impl.partition("-")
    if training.impl in ("numba", "numpy"):
        if training.impl == "numpy" or _has_no_estimator(training):
            return _call_of_train(training)
        return _minibatch(training)
    if training.impl == "scikit-learn":
        return _minibatch_of_scikit_learn(training)
    if library in ("fastlogit", "sklearn") and method:
        return _all_rows(training, library, method)
    return []


def _has_no_estimator(training: Training) -> bool:
    return training.n_classes == 2 and not MODELS[training.model].binary


def _call_of_train(training: Training) -> list[str]:
    arguments: dict[str, Any] = {
        "hidden": training.n_hidden,
        "solver": training.solver,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "epochs": training.epochs,
        "n_threads": training.threads if training.threads > 1 else None,
        "backend": training.impl if training.impl != "numba" else None,
    }
    given = _spelled({name: value for name, value in arguments.items() if value is not None})
    return ["import fastlogit", f'fastlogit.train("{training.model}", X, y, {given})']


def _minibatch(training: Training) -> list[str]:
    arguments = {**_steps(training), **_threads(training)}
    if training.n_hidden is None:
        return _estimator("fastlogit", "LogisticRegression", {**_NO_PENALTY, **arguments})
    return _estimator("fastlogit", "MLPClassifier", {**_network(training), **arguments})


def _minibatch_of_scikit_learn(training: Training) -> list[str]:
    if training.n_hidden is not None:
        network = {**_network(training), "activation": "logistic"}
        return _estimator(
            "sklearn.neural_network", "MLPClassifier", {**network, **_steps(training)}
        )
    arguments = {
        "loss": "log_loss",
        "penalty": None,
        "learning_rate": "constant",
        "eta0": training.learning_rate,
        "max_iter": training.epochs,
    }
    return _estimator("sklearn.linear_model", "SGDClassifier", arguments)


def _all_rows(training: Training, library: str, method: str) -> list[str]:
    ours = library == "fastlogit"
    arguments: dict[str, Any] = {"solver": method, **(_threads(training) if ours else {})}
    if training.n_hidden is None:
        module = library if ours else "sklearn.linear_model"
        return _estimator(module, "LogisticRegression", {**_NO_PENALTY, **arguments})
    module = library if ours else "sklearn.neural_network"
    network = _network(training) | ({} if ours else {"activation": "logistic"})
    return _estimator(module, "MLPClassifier", {**network, **arguments})


def _network(training: Training) -> dict[str, Any]:
    return {"hidden_layer_sizes": (training.n_hidden,), "alpha": 0}


def _steps(training: Training) -> dict[str, Any]:
    """Give the arguments of a mini-batch solver; plain steps, since those were measured."""
    return {
        "solver": training.solver,
        **({"momentum": 0} if training.solver == "sgd" else {}),
        "learning_rate_init": training.learning_rate,
        "batch_size": training.batch_size,
        "max_iter": training.epochs,
    }


def _threads(training: Training) -> dict[str, Any]:
    return {"n_threads": training.threads} if training.threads > 1 else {}


def _estimator(module: str, name: str, arguments: dict[str, Any]) -> list[str]:
    return [f"from {module} import {name}", f"{name}({_spelled(arguments)})"]


def _spelled(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_literal(value)}" for name, value in arguments.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return 'float("inf")' if value == math.inf else repr(value)
