"""What goes to stderr, as the environment variable ``FASTLOGIT_VERBOSE`` says.

- unset or empty: one line where a process compiles kernels, or has another compile them, unless a
  warnings filter ignores it;
- "0": nothing;
- "1", like any other value: also one line for each fit, with the code that ran, why and how long;
  and one where a program run by ``python -m fastlogit`` ends, with the sums.

The variable is read anew each time. The ``fastlogit`` logger has the lines of fits at INFO level.
"""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

VARIABLE = "FASTLOGIT_VERBOSE"
logger = logging.getLogger("fastlogit")
# By the code that ran: the number of fits in this process, and their seconds.
_totals: dict[str, tuple[int, float]] = {}
_lock = threading.Lock()


def report_fit(name: str, code: str, seconds: float) -> None:
    """Report which code ran a fit of an estimator, and how long."""
    with _lock:
        count, spent = _totals.get(code, (0, 0.0))
        _totals[code] = count + 1, spent + seconds
    report("{} ran on {} ({:.3g} s)".format, name, code, seconds)


def report_total(program: str, seconds: float) -> None:
    """Report how long a program ran, and how many fits in it ran on which code."""
    fits = [
        f"{count} {'fit' if count == 1 else 'fits'} on {code} ({spent:.3g} s)"
        for code, (count, spent) in _totals.items()
    ]
    report("{} took {:.3g} s: {}".format, program, seconds, "; ".join(fits) or "no fits")


def report(line: Callable[..., str], *args: Any) -> None:
    """Log the line that a function returns, and print it if the variable asks for it."""
    is_logged, prints = logger.isEnabledFor(logging.INFO), os.environ.get(VARIABLE, "")
    if is_logged or prints not in ("", "0"):
        text = line(*args)
        logger.info(text)
        if prints not in ("", "0"):
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
