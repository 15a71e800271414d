"""How far a run has come, on stderr: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.plan import PlannedVisit, counted, spoken
from fastlogit.benchmark.results import Timing
from fastlogit.benchmark.rounds import Visit
from fastlogit.benchmark.table import duration

__all__ = ["Progress"]

# What may differ between cells beside model and data set, and how it is written in a row.
_AXES = {"solver": "{}", "batch_size": "b{}", "dtype": "{}", "threads": "t{}", "seed": "s{}"}


class Progress:
    """A run's progress with the time left, as a context manager.

    Parameters
    ----------
    console : rich.console.Console
        Where it is shown. A table that grows is only drawn if this is a terminal that can redraw.
    planned : sequence of PlannedVisit
        What is going to be measured.
    enabled : bool, default=True
        False shows nothing.
    """

    def __init__(
        self, console: Console, planned: Sequence[PlannedVisit], *, enabled: bool = True
    ) -> None:
        self._console = console
        self._enabled = enabled
        self._planned = planned
        self._finished = 0
        self._now = ""
        self._start = self._visit_start = time.monotonic()
        self._live: Live | None = None
        self._impls = list(dict.fromkeys(impl for each in planned for impl in each.impls))
        cases = list(dict.fromkeys(each.visit.case for each in planned))
        # The rows of each cell, visit by visit, and the cell that was measured last.
        self._rows: dict[Case, list[Timing]] = {case: [] for case in cases}
        self._latest: Case | None = None
        self._axes = [axis for axis in _AXES if len({getattr(case, axis) for case in cases}) > 1]

    def __enter__(self) -> Self:
        """Begin to draw, if that is to be done."""
        self._start = self._visit_start = time.monotonic()
        if not self._enabled:
            return self
        if self._console.file.isatty() and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._drawn,
                console=self._console,
                refresh_per_second=2,  # seldom, so that it takes nothing from what is timed
                transient=True,
            )
            self._live.__enter__()
        elif self._planned:
            total = spoken(sum(each.seconds for each in self._planned))
            rounds = self._planned[0].visit.rounds
            turns = f" in {rounds} rounds" if rounds > 1 else ""
            self._print(f"{counted(len(self._rows))}{turns}, about {total}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the table down; what was measured is about to be shown whole."""
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)

    def visit_started(self, visit: Visit) -> None:
        """Show what is being measured."""
        self._now = _named(visit)
        self._visit_start = time.monotonic()
        if not self._finished:  # what came ahead of the first says nothing of the others
            self._start = self._visit_start

    def visit_done(self, visit: Visit, rows: Sequence[Timing]) -> None:
        """Show that one more visit is over, with what is known of the cell so far."""
        self._finished += 1
        self._latest = visit.case
        self._rows[visit.case] += rows
        self._now = ""
        if self._live is not None:
            self._live.refresh()
        elif self._enabled:
            figures = _figures(self._rows[visit.case])
            said = [f"{impl} {figure}" for impl, figure in figures.items()]
            count = f"[{self._finished}/{len(self._planned)}]"
            left = f"about {spoken(self._left())} left"
            self._print(f"{count} {_named(visit)}: {', '.join([*said, left])}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> float:
        """Estimate the seconds left, by how long what is done took against what was planned."""
        seconds = [each.seconds for each in self._planned]
        done = sum(seconds[: self._finished])
        now = time.monotonic()
        since = self._visit_start if self._now else now
        pace = (since - self._start) / done if done else 1.0
        return max(0.0, sum(seconds[self._finished :]) * pace - (now - since))

    def _drawn(self) -> RenderableType:
        status = Table.grid(padding=(0, 1))
        done, total = self._finished, len(self._planned)
        left = f"about {spoken(self._left())} left" if done < total else ""
        status.add_row(
            ProgressBar(total=max(total, 1), completed=done, width=20), f"{done}/{total}", left
        )
        now = f"[dim]{escape(self._now)}[/]"
        return Group(*([self._table()] if self._shown() else []), status, now)

    def _table(self) -> Table:
        cases = self._shown()
        shown = [_figures(self._rows[case]) for case in cases]
        labels = [self._label(case) for case in cases]
        impls = self._impls
        widths = {
            impl: max(len(impl), *(len(figures.get(impl, "")) for figures in shown))
            for impl in impls
        }
        fitting = _fitting(widths, self._console.width - max(15, *map(len, labels)))
        table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
        table.add_column("time per sample", no_wrap=True)
        for impl in fitting:
            table.add_column(escape(impl), justify="right", no_wrap=True)
        if len(fitting) < len(impls):
            table.add_column("…")
        for label, figures in zip(labels, shown, strict=True):
            table.add_row(label, *(figures.get(impl, "") for impl in fitting))
        return table

    def _shown(self) -> list[Case]:
        """Give as many cells as there is room for, among them the one measured last."""
        known = [case for case, rows in self._rows.items() if rows]
        room = max(3, self._console.height - 6)
        end = known.index(self._latest) + 1 if self._latest in known else len(known)
        return known[max(0, end - room) : max(end, room)]

    def _label(self, case: Case) -> str:
        varying = [_AXES[axis].format(getattr(case, axis)) for axis in self._axes]
        return " ".join([case.model, case.dataset, *varying])


def _named(visit: Visit) -> str:
    turn = f"round {visit.round} of {visit.rounds}, " if visit.rounds > 1 else ""
    return f"{turn}{visit.case.cell_id}"


def _figures(rows: Sequence[Timing]) -> dict[str, str]:
    """Give each contender's median time per sample, or how else it fared."""
    figures: dict[str, str] = {}
    for impl in dict.fromkeys(row.impl for row in rows):
        own = [row for row in rows if row.impl == impl]
        if own[-1].status != "ok":
            figures[impl] = own[-1].status
            continue
        time_s = median(row.time_s for row in own if row.time_s is not None)
        samples = own[0].samples  # none where a run is no number of passes over the rows
        figures[impl] = duration(time_s / samples) if samples else f"{duration(time_s)} a run"
    return figures


def _fitting(widths: dict[str, int], room: int) -> list[str]:
    """Give the contenders whose columns have room, and room for a mark if that is not all."""
    fitting: list[str] = []
    for impl, width in widths.items():
        room -= width + 2
        if room < 3:
            break
        fitting.append(impl)
    return fitting
