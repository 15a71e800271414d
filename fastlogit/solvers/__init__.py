"""Minimisers of an objective over all rows, which know no estimator, and how they warn."""

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sklearn.exceptions import ConvergenceWarning

from fastlogit.models import Floats

# An objective at flat parameters.
LossAndGradient = Callable[[Floats], tuple[float, Floats]]
# A warning points at the first caller outside of these: the user's line, of a search or pipeline.
INNER_PACKAGES = {"fastlogit", "sklearn", "joblib"}


# A warning's text and category, of a fit that is one of many.
Warned = tuple[str, type[Warning]]
_collected: ContextVar[list[Warned] | None] = ContextVar("collected", default=None)


@contextmanager
def collected_warnings() -> Iterator[list[Warned]]:
    """Collect what would be warned of in this thread; the caller warns once of many fits."""
    collected: list[Warned] = []
    token = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(token)


def warn(message: str | Callable[[], str], category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line that called into this package, or into scikit-learn around it.

    Where filters ignore the category, a function that returns the message is not called.
    """
    collected = _collected.get()
    if not isinstance(message, str):
        if collected is None and _is_ignored(category):
            return
        message = message()
    if collected is not None:
        collected.append((message, category))
        return
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in INNER_PACKAGES:
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ignored(category: type[Warning]) -> bool:
    """Return whether filters ignore a category, whatever the message and line."""
    if getattr(sys.flags, "context_aware_warnings", False):  # there may be filters elsewhere
        return False
    for action, message, kind, module, line in warnings.filters:
        if issubclass(category, kind):
            if action != "ignore":
                return False
            if message is None and module is None and line == 0:
                return True
    return False
