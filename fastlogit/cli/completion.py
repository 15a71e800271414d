"""Names that the shell completes.

Written down once more, since to read them from their tables takes a second, which is too long to
wait for after a press of the tab key. A test holds them against the tables.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["DATASETS", "DTYPES", "IMPLS", "MODELS", "SOLVERS", "complete"]

MODELS = ("logistic", "softmax", "mlp-logistic", "mlp-softmax")
DATASETS = ("iris", "wine", "breast_cancer", "digits", "moons", "circles", "blobs")
IMPLS = ("numpy", "numba", "jax", "torch", "scikit-learn")
DTYPES = ("float32", "float64")
SOLVERS = ("sgd", "adam")


def complete(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Give a function that lists the names with a given beginning, as Typer asks for one."""

    def matching(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return matching
