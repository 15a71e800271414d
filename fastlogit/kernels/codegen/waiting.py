"""Whether code that is not compiled yet is waited for, as FASTLOGIT_COMPILE says.

- unset or "background": where a caller can do without, as a fit by scikit-learn's code, it gets a
  `NotCompiledError`, and may have the code compiled by another process;
- "wait": what is missing is compiled at once, everywhere.

The variable is read anew each time that code is missing.
"""

import os
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import partial

VARIABLE, MODES = "FASTLOGIT_COMPILE", ("background", "wait")
_can_do_without: ContextVar[bool] = ContextVar("can_do_without", default=False)


# Have missing code raise NotCompiledError, until `end` of the token that is returned. Bound
# methods, since a prediction of one row makes both calls.
do_without: Callable[[], Token[bool]] = partial(_can_do_without.set, True)
end: Callable[[Token[bool]], None] = _can_do_without.reset


class NotCompiledError(RuntimeError):
    """Code that a call needs is not compiled yet, and is not waited for.

    Attributes
    ----------
    request : str
        What `linking.provide` compiles.
    """

    def __init__(self, request: str) -> None:
        super().__init__(f"{request} is not compiled yet")
        self.request = request


def check(request: str) -> None:
    """Raise NotCompiledError where the caller can do without what is requested, and wants to."""
    if _can_do_without.get() and in_background():
        raise NotCompiledError(request)


def in_background() -> bool:
    """Return whether code is to be compiled in the background where that is possible."""
    mode = os.environ.get(VARIABLE) or MODES[0]
    if mode not in MODES:
        allowed = " or ".join(map(repr, MODES))
        raise ValueError(f"the environment variable {VARIABLE}={mode!r} must be {allowed}")
    return mode == "background"
