"""How a command ends: its exit codes, and the line that refuses a wrong one."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console

__all__ = ["CELLS_FAILED", "INTERRUPTED", "USAGE", "VERIFICATION_FAILED", "refuse"]

USAGE, VERIFICATION_FAILED, CELLS_FAILED, INTERRUPTED = 2, 3, 4, 130


def refuse(say: Console, message: str) -> NoReturn:
    """Say what is wrong with the command and end with the code for that."""
    say.print(f"Error: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(USAGE)
