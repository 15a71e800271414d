"""Kernels compiled by another process, while fits that need them run on scikit-learn's code.

The first fit of an installation would wait 7 to 15 s for its kernels. Instead it starts a process
that compiles what the fit lacked, and then all that a fit of the same class on rows of the same
kind needs, and outlives this one. One works for a cache directory at a time.
"""

import atexit
import contextlib
import importlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import IO, Any

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_random_state

from fastlogit import verbosity
from fastlogit.kernels.codegen import linking, waiting
from fastlogit.kernels.codegen.cache import cache_directory
from fastlogit.training.orders import generator_state

REASON = "kernels are being compiled in the background"
# scikit-learn's code is left a fit that takes it about as long as compiling takes, or less.
SECONDS_TO_WAIT = 15.0
# How long it takes for a multiply-add, roughly.
_MULTIPLY_ADD_SECONDS = 5e-10
_PROGRAM = "from fastlogit.estimators import background; background.compile_for({!r}, {!r})"
_process: subprocess.Popen[bytes] | None = None


def is_short(X: Any, multiply_adds: float) -> bool:
    """Return whether a fit of so many multiply-adds per element of X is scikit-learn's to do."""
    elements = X.nnz if issparse(X) else getattr(X, "size", 0)  # a list is not long
    return bool(elements * multiply_adds * _MULTIPLY_ADD_SECONDS <= SECONDS_TO_WAIT)


def saved_generator(random_state: Any) -> tuple[Any, Any] | None:
    """Return the generator that a fit draws from and its state, None for an integer's own."""
    if isinstance(random_state, Integral):
        return None
    generator = check_random_state(random_state)
    return generator, generator_state(generator)


def start(request: str, estimator: Any = None, X: Any = None) -> bool:
    """Have what a NotCompiledError requests compiled; return whether it will be.

    Given an estimator, also what else its fits to rows such as X need.
    """
    global _process
    if not sys.executable:
        return False
    if _process is not None and _process.poll() is None:
        return True
    if _process is not None and _process.returncode != 0:
        return False  # where this process compiles it, the error is seen
    with _lock() as is_free:
        if not is_free:  # another process has one
            return True
    program = _PROGRAM.format(request, json.dumps(_kind(estimator, X)))
    environment = os.environ | {
        waiting.VARIABLE: "wait",
        verbosity.VARIABLE: "0",
        "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
    }
    _process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", program],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment, start_new_session=True,
    )  # fmt: skip
    atexit.register(_leave)
    verbosity.announce(
        f"{REASON}; until then fits run on scikit-learn ({waiting.VARIABLE}=wait waits instead)"
    )
    return True


def wait() -> None:
    """Wait for the process that compiles, if this one has started one."""
    if _process is not None:
        _process.wait()


def _kind(estimator: Any, X: Any) -> dict[str, Any] | None:
    """Return the arguments of `_fit_such`, if there is an estimator."""
    if estimator is None:
        return None
    # A class of ours, which the other process can import, or what this one is derived from.
    ours = next(
        kind for kind in type(estimator).__mro__ if kind.__module__.startswith("fastlogit.")
    )
    return {
        "estimator": (ours.__module__, ours.__name__),
        "dtype": "float32" if getattr(X, "dtype", None) == np.float32 else "float64",
        "sparse": issparse(X),
        "solver": estimator.solver,
        "activation": getattr(estimator, "activation", None),
    }


def _leave() -> None:
    """Have Python not warn at its end that the other process goes on."""
    if _process is not None and _process.poll() is None:
        _process.returncode = 0


def compile_for(request: str, kind: str) -> None:
    """Compile what is requested, then what such fits need: what the other process does."""
    with _lock() as is_ours:
        if not is_ours:
            return
        if hasattr(os, "nice"):
            os.nice(5)
        linking.provide(request)
        if arguments := json.loads(kind):
            _fit_such(**arguments)


def _fit_such(
    estimator: tuple[str, str], dtype: str, sparse: bool, solver: str, activation: str | None
) -> None:
    """Fit to a few rows of two classes and of three, and predict."""
    module, name = estimator
    make = getattr(importlib.import_module(module), name)
    arguments: dict[str, Any] = {"solver": solver, "max_iter": 3}
    if activation is not None:
        arguments["activation"] = activation
    generator = np.random.default_rng(0)
    dense: Any = generator.normal(size=(30, 4)).astype(dtype)
    X = csr_array(dense) if sparse else dense
    for n_classes in (2, 3):
        if solver == "liblinear" and n_classes > 2:
            continue
        fitted = make(**arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(X, np.arange(30) % n_classes)
        many = np.repeat(dense, 200, axis=0)
        fitted.predict_proba(X)
        fitted.predict(csr_array(many) if sparse else many)


@contextlib.contextmanager
def _lock() -> Iterator[bool]:
    """Yield whether no other process compiles for this cache directory, and keep others from it."""
    directory = cache_directory()
    if directory is None:
        yield False
        return
    with (directory / "compiling.lock").open("a") as file:
        try:
            _lock_file(file)
        except OSError:
            yield False
        else:
            yield True


def _lock_file(file: IO[str]) -> None:
    """Lock a file as long as this process has it open; an OSError says that another has."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
