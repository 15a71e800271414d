"""What goes to stderr, as the environment variable ``FASTLOGIT_VERBOSE`` says.

- unset or empty: one line where a process compiles kernels, unless a warnings filter ignores it;
- "0": nothing;
- "1", like any other value: also one line for each fit, with the code that ran, why and how long.

The variable is read anew each time. The ``fastlogit`` logger has the lines of fits at INFO level.
"""

import logging
import os
import sys
import warnings

VARIABLE = "FASTLOGIT_VERBOSE"
logger = logging.getLogger("fastlogit")


def report(text: str) -> None:
    """Log a line on a fit, and print it if the variable asks for it."""
    logger.info(text)
    if os.environ.get(VARIABLE, "") not in ("", "0"):
        _print(text)


def announce(text: str) -> None:
    """Print a line unless the variable or a warnings filter forbids it; an "error" filter does not.

    A filter sees a UserWarning. None is issued: it would fail where a first fit is not the user's
    fault, such as in tests that allow no warnings.
    """
    if os.environ.get(VARIABLE) == "0":
        return
    is_error = False
    with warnings.catch_warnings(record=True) as shown:
        try:
            warnings.warn(f"fastlogit: {text}", stacklevel=1)
        except UserWarning:
            is_error = True
    if shown or is_error:
        _print(text)


def _print(text: str) -> None:
    if sys.stderr is not None:  # as in a program without a console
        print(f"fastlogit: {text}", file=sys.stderr, flush=True)
