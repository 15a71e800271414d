"""How a command ends: its exit codes, and the line that refuses a wrong command."""

from collections.abc import Iterable
from typing import Any, NoReturn

import typer
from rich.console import Console

REGRESSION, USAGE, VERIFICATION_FAILED, CASES_FAILED, INCONCLUSIVE = 1, 2, 3, 4, 5
CRASHED = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 is a regression found by `check`
TIMED_OUT, INTERRUPTED = 124, 130
CLOSED_PIPE = 141  # as of a program that SIGPIPE ended


def consoles() -> tuple[Console, Console]:
    """Return a console for results on stdout and one for messages on stderr."""
    plain: Any = {"highlight": False, "markup": False, "emoji": False}
    return Console(**plain), Console(stderr=True, **plain)


def refuse(say: Console, message: str) -> NoReturn:
    """Print what is wrong with the command and exit with the code for that."""
    for line in f"Error: {message}".splitlines():
        # Prose wraps at word ends on a terminal; a command and a log's line stay whole.
        say.print(line, soft_wrap=not say.is_terminal or "fastlogit bench" in line)
    raise typer.Exit(USAGE)


def exit_code(outcomes: Iterable[tuple[str, str]]) -> int:
    """Return the code of the worst that implementations fared, from pairs of status and error."""
    codes = {
        VERIFICATION_FAILED if status == "failed-verification"
        else TIMED_OUT if error.startswith("timeout after ") else CASES_FAILED
        for status, error in outcomes if status.startswith("failed")
    }  # fmt: skip
    # Wrong results weigh most, since their times would have been believed.
    return next((c for c in (VERIFICATION_FAILED, TIMED_OUT, CASES_FAILED) if c in codes), 0)
