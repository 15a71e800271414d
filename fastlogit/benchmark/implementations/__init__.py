"""The implementations that are compared.

An implementation is a subclass of `SameSteps`, `AnyAlgorithm` or `SameEstimator` in a module of
this folder: put one there and it takes part, nothing else lists it. A module imports its library
inside its functions, never at the top, so that a missing one costs its own implementations only.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Sequence

from fastlogit.benchmark.implementations.base import (
    AnyAlgorithm,
    Implementation,
    SameEstimator,
    SameSteps,
    UnsupportedError,
)
from fastlogit.benchmark.schema import BASELINES
from fastlogit.names import check_name

__all__ = [
    "IMPLEMENTATIONS", "AnyAlgorithm", "Implementation", "SameEstimator", "SameSteps",
    "UnsupportedError", "choose", "find",
]  # fmt: skip


def discover(folder: Iterable[str], package: str) -> tuple[type[Implementation], ...]:
    """Collect the implementations that have a name from all modules of a package, by rank."""
    found = [
        implementation
        for info in pkgutil.iter_modules(folder, package)
        for implementation in vars(importlib.import_module(info.name)).values()
        if isinstance(implementation, type) and issubclass(implementation, Implementation)
        if implementation.__module__ == info.name and hasattr(implementation, "name")
    ]
    order = list(BASELINES)
    found.sort(key=lambda each: (order.index(each.comparison), each.rank, each.name))
    keys = [(each.comparison, each.name) for each in found]
    if len(set(keys)) < len(keys):
        raise ValueError(f"two implementations have one name among {keys}")
    return tuple(found)


IMPLEMENTATIONS: tuple[type[Implementation], ...] = discover(__path__, __name__ + ".")


def find(comparison: str, name: str) -> type[Implementation]:
    """Return the implementation of a name in a comparison."""
    key = (comparison, name)
    return next(each for each in IMPLEMENTATIONS if (each.comparison, each.name) == key)


def choose(
    names: Sequence[str] | None, questions: Sequence[str] = tuple(BASELINES)
) -> list[type[Implementation]]:
    """Return the implementations of some names that answer some questions.

    ``"all"`` stands for every one that is installed; without names it is those by default. The
    baseline of a question takes part in any case. ValueError if there is none by a name, or it
    cannot run here.
    """
    asked = set(names or ())
    for name in asked - {"all"}:
        check_name("implementation", name, dict.fromkeys(each.name for each in IMPLEMENTATIONS))
        for each in IMPLEMENTATIONS:
            if each.name == name and (missing := each.missing()):
                raise ValueError(f"implementation {name!r} cannot run here: {missing}")
    return [
        each
        for each in IMPLEMENTATIONS
        if each.comparison in questions and each.missing() is None
        if asked & {each.name, "all"}
        or (not asked and each.by_default)
        or each.name == BASELINES[each.comparison]
    ]
