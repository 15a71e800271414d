"""How far a run has come, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.results import Timing

__all__ = ["Progress"]


class Progress:
    """A run's progress with the time left, as a context manager.

    Parameters
    ----------
    console : rich.console.Console
        Where it is shown. A bar is only drawn if this is a terminal that can redraw a line.
    total : int
        The number of cases.
    enabled : bool, default=True
        False shows nothing.
    """

    def __init__(self, console: Console, total: int, *, enabled: bool = True) -> None:
        self._console = console
        self._total = total
        self._enabled = enabled
        self._done = 0
        self._start = time.monotonic()
        self._stack = ExitStack()
        self._bar: rich.progress.Progress | None = None

    def __enter__(self) -> Self:
        """Draw the bar, if there is to be one."""
        animated = self._console.file.isatty() and not self._console.is_dumb_terminal
        if self._enabled and animated:
            bar = rich.progress.Progress(
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
                rich.progress.TextColumn("{task.description}"),
                console=self._console,
            )
            self._bar = self._stack.enter_context(bar)
            self._task = bar.add_task("", total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar down."""
        self._stack.close()

    def case_done(self, case: Case, rows: Sequence[Timing]) -> None:
        """Show that one more case is measured."""
        self._done += 1
        failed = [f"{row.impl} {row.status}" for row in rows if row.status != "ok"]
        line = ", ".join([case.cell_id, *failed])
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=line)
        elif self._enabled:
            left = (time.monotonic() - self._start) / self._done * (self._total - self._done)
            self._console.print(
                f"[{self._done}/{self._total}] {line}, about {left:.0f} s left",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
