"""Names that users give, checked against those that exist."""

import difflib
from collections.abc import Collection


def check_name(kind: str, name: object, known: Collection[str]) -> None:
    """Raise ValueError, naming what exists and what is nearest, unless the name is known."""
    if isinstance(name, str) and name in known:
        return
    nearest = difflib.get_close_matches(str(name), known, n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    raise ValueError(f"no {kind} {name!r}{hint}; there are {', '.join(known)}")
