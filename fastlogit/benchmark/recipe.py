"""The lines of Python that train as a contender of the benchmark did."""

from __future__ import annotations

import math
from typing import Any

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.contenders.estimator import EstimatorContender
from fastlogit.benchmark.contenders.own import NumbaContender, NumpyContender

__all__ = ["recipe"]


def recipe(impl: str, case: Case, n_rows: int, iterations: int) -> list[str]:
    """Give an import and a call, a line each, of the very thing that was timed.

    Parameters
    ----------
    impl : str
        A contender's name.
    case : Case
        What it trained.
    n_rows : int
        On how many rows.
    iterations : int
        For how many epochs or iterations.

    Returns
    -------
    list of str
        What trains, or makes an estimator with the contender's own arguments; nothing for a
        contender that is neither the package's nor an estimator.
    """
    kind = CONTENDERS.get(impl)
    if kind is not None and issubclass(kind, (NumbaContender, NumpyContender)):
        return _call_of_train(kind.backend, case, iterations)
    if kind is not None and issubclass(kind, EstimatorContender):
        return _estimator(kind.estimator(case, n_rows, iterations))
    return []


def _call_of_train(backend: str, case: Case, epochs: int) -> list[str]:
    arguments: dict[str, Any] = {
        "hidden": case.n_hidden,
        "solver": case.solver,
        "learning_rate": case.learning_rate,
        "batch_size": case.batch_size,
        "epochs": epochs,
        "random_state": case.seed,
        "n_threads": case.threads if case.threads > 1 else None,
        "activation": case.activation if case.activation != "logistic" else None,
        "backend": backend if backend != "numba" else None,
    }
    given = _spelled({name: value for name, value in arguments.items() if value is not None})
    return ["import fastlogit", f'fastlogit.train("{case.model}", X, y, {given})']


def _estimator(made: Any) -> list[str]:
    """Spell out the solver, and what else is not the default."""
    kind = type(made)
    usual = kind().get_params() | {"solver": None}
    given = {name: value for name, value in made.get_params().items() if value != usual[name]}
    # Where users import it from: "sklearn.linear_model", not its private part.
    public = [part for part in kind.__module__.split(".") if not part.startswith("_")]
    module = public[0] if public[0] == "fastlogit" else ".".join(public)
    return [f"from {module} import {kind.__name__}", f"{kind.__name__}({_spelled(given)})"]


def _spelled(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_literal(value)}" for name, value in arguments.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return 'float("inf")' if value == math.inf else repr(value)
