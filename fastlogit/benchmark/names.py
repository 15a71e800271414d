"""Names given by a user, held against the tables they come from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["check_name"]


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError, naming what exists and what is nearest, unless `name` is in `known`."""
    names = list(known)
    if name in names:
        return
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    raise ValueError(f"no {kind} {name!r}{hint}; there are {', '.join(names)}")
