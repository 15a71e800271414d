"""How a command ends: its exit codes, and the line that refuses a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import typer
from rich.console import Console

__all__ = [
    "CELLS_FAILED",
    "CRASHED",
    "INTERRUPTED",
    "NOT_READ",
    "TIMED_OUT",
    "USAGE",
    "VERIFICATION_FAILED",
    "exit_code",
    "refuse",
]

USAGE, VERIFICATION_FAILED, CELLS_FAILED, TIMED_OUT, INTERRUPTED = 2, 3, 4, 124, 130
CRASHED = 70  # EX_SOFTWARE of sysexits.h; Python's own 1 would be a regression of `check`
NOT_READ = 141  # as of a program that SIGPIPE ended


def refuse(say: Console, message: str) -> NoReturn:
    """Say what is wrong with the command and end with the code for that."""
    say.print(f"Error: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(USAGE)


def exit_code(outcomes: Iterable[tuple[str, str | None]]) -> int:
    """Give the code for how contenders fared in the cells, the worst of it.

    Wrong work weighs most, since its times would have been believed; then what never ended, then
    what failed in any other way.

    Parameters
    ----------
    outcomes : iterable of (status, error)
        As timings.csv has them.
    """
    codes = {_code(status, error) for status, error in outcomes}
    for code in (VERIFICATION_FAILED, TIMED_OUT, CELLS_FAILED):
        if code in codes:
            return code
    return 0


def _code(status: str, error: str | None) -> int:
    if status == "failed-verification":
        return VERIFICATION_FAILED
    if status != "failed":
        return 0
    return TIMED_OUT if str(error).startswith("timeout after ") else CELLS_FAILED
