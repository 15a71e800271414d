"""How far a run has come, on stderr: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.plan import Plan
from fastlogit.benchmark.schema import Timing
from fastlogit.benchmark.text import display_name, format_estimate, pluralize


class RunProgress:
    """A run's progress with the time left, as a context manager and an observer of the session."""

    def __init__(self, console: Console, plan: Plan, *, enabled: bool = True) -> None:
        self._console, self._plan, self._enabled = console, plan, enabled and plan.n_parts > 0
        self._bar: Progress | None = None
        self._since, self._round = 0.0, ""

    def __enter__(self) -> Self:
        """Print the estimate, and draw the bar if there can be one."""
        cases = pluralize(self._plan.n_cases, "case")
        rounds = pluralize(self._plan.n_rounds, "round")
        self._print(f"{cases} in {rounds}, {format_estimate(self._plan.seconds_left())}")
        if self._enabled and self._console.file.isatty() and not self._console.is_dumb_terminal:
            # Refreshed seldom, so that it takes nothing from what is timed.
            self._bar = Progress(
                BarColumn(bar_width=15), MofNCompleteColumn(),
                TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
                TextColumn("{task.description}", table_column=Column(no_wrap=True, ratio=1)),
                console=self._console, expand=True, transient=True, refresh_per_second=2,
            )  # fmt: skip
            self._bar.add_task("", total=self._plan.n_parts, left="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def round_started(self, number: int, rounds: int) -> None:
        """Show that a round begins, and once something is measured how long the rest takes."""
        self._round = f"round {number} of {rounds}"
        if self._plan.n_parts > len(self._plan.left):
            self._print(f"{self._round}: {self._time_left()}")

    def case_started(self, case: Case, number: int) -> None:  # noqa: ARG002
        """Show what is measured now."""
        self._since = time.monotonic()
        self._update(f"{self._round}: {case.case_id}")

    def case_done(self, case: Case, number: int, timings: Sequence[Timing]) -> None:
        """Show what was measured, and what failed."""
        self._plan.finish(case.case_id, number, time.monotonic() - self._since, timings)
        self._update(f"{self._round}: {case.case_id}")
        for row in timings:
            if row.status.startswith("failed"):  # after which it takes part no more
                self._print(f"{display_name(row.implementation)} {row.status} in {case.case_id}")
        # A line per case in the first round; later one per round is enough.
        if number == 1 and self._bar is None:
            done = self._plan.n_parts - len(self._plan.left)
            self._print(f"[{done}/{self._plan.n_parts}] {case.case_id}, {self._time_left()}")
        if not self._plan.left and case.data_file is not None:
            self._print(f"choosing a model for {case.data_file.path.name} by cross-validation")

    def _time_left(self) -> str:
        return f"{format_estimate(self._plan.seconds_left())} left"

    def _update(self, description: str) -> None:
        if self._bar is not None:
            done, left = self._plan.n_parts - len(self._plan.left), self._time_left()
            self._bar.update(TaskID(0), completed=done, left=left, description=escape(description))

    def _print(self, line: str) -> None:
        if self._enabled:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
