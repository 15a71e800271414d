"""The implementations that are compared, by name.

A contender is a subclass of `ClosedContender` or `OpenContender` in a module of this folder: put
one there and it takes part, nothing else lists it. A module imports its library inside its
functions, never at the top, so that a missing one only costs its own contenders.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from fastlogit.benchmark.contenders.base import (
    ClosedContender,
    Contender,
    Missing,
    OpenContender,
    UnsupportedError,
)

__all__ = [
    "BASELINE",
    "CONTENDERS",
    "ClosedContender",
    "Contender",
    "Missing",
    "OpenContender",
    "UnsupportedError",
]

# The contender that every speed-up is quoted against.
BASELINE = "numpy"


def discovered(folder: Iterable[str], package: str) -> dict[str, type[Contender]]:
    """Collect the contenders that have a name from all modules of a package, in their order."""
    found = [
        kind
        for info in pkgutil.iter_modules(folder, package)
        for kind in vars(importlib.import_module(info.name)).values()
        if isinstance(kind, type) and issubclass(kind, Contender)
        if kind.__module__ == info.name and hasattr(kind, "name")
    ]
    found.sort(key=lambda kind: (kind.place, kind.name))
    by_name = {kind.name: kind for kind in found}
    if len(by_name) < len(found):
        raise ValueError(f"two contenders have one name among {[kind.name for kind in found]}")
    return by_name


CONTENDERS: dict[str, type[Contender]] = discovered(__path__, __name__ + ".")
