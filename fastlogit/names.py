"""Names that users give: types for a type checker, and a check against those that exist.

The tables of ``models/table.py`` decide; a test holds the types to them.
"""

import difflib
from collections.abc import Collection
from typing import Literal

LayerName = Literal["logistic", "softmax"]
NetworkName = Literal["mlp-logistic", "mlp-softmax"]
ModelName = LayerName | NetworkName
SolverName = Literal["sgd", "adam"]
ActivationName = Literal["logistic", "relu", "tanh", "identity"]
BackendName = Literal["numba", "numpy"]


def check_name(kind: str, name: object, known: Collection[str]) -> None:
    """Raise ValueError, naming what exists and what is nearest, unless the name is known."""
    if isinstance(name, str) and name in known:
        return
    by_lower = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    hint = f" (did you mean {by_lower[nearest[0]]!r}?)" if nearest else ""
    raise ValueError(f"no {kind} {name!r}{hint}; there are {listed(known, 30)}")


def listed(names: Collection[str], most: int = 8) -> str:
    """Return names with commas between them, and how many more there are."""
    rest = len(names) - most
    return ", ".join([*names][:most]) + (f" and {rest:,} more" if rest > 0 else "")
