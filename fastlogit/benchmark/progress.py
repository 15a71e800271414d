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
from fastlogit.benchmark.plan import PlannedCase, counted, spoken
from fastlogit.benchmark.results import Timing
from fastlogit.benchmark.table import duration

__all__ = ["Progress"]

# What may differ between cells beside model and data set, and how it is written in a row.
_AXES = {
    "solver": "{}",
    "batch_size": "b{}",
    "dtype": "{}",
    "threads": "t{}",
    "seed": "s{}",
}


class Progress:
    """A run's progress with the time left, as a context manager.

    Parameters
    ----------
    console : rich.console.Console
        Where it is shown. A table that grows is only drawn if this is a terminal that can redraw.
    planned : sequence of PlannedCase
        What is going to be measured.
    enabled : bool, default=True
        False shows nothing.
    """

    def __init__(
        self, console: Console, planned: Sequence[PlannedCase], *, enabled: bool = True
    ) -> None:
        self._console = console
        self._enabled = enabled
        self._planned = planned
        self._finished: list[tuple[Case, dict[str, str]]] = []
        self._now = ""
        self._start = self._case_start = time.monotonic()
        self._live: Live | None = None
        cases = [each.case for each in planned]
        self._axes = [axis for axis in _AXES if len({getattr(case, axis) for case in cases}) > 1]

    def __enter__(self) -> Self:
        """Begin to draw, if that is to be done."""
        self._start = self._case_start = time.monotonic()
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
            self._print(f"{counted(len(self._planned))}, about {total}")
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

    def case_started(self, case: Case) -> None:
        """Show what is being measured."""
        self._now = case.cell_id
        self._case_start = time.monotonic()
        if not self._finished:  # what came ahead of the first says nothing of the others
            self._start = self._case_start

    def case_done(self, case: Case, rows: Sequence[Timing]) -> None:
        """Show that one more case is measured."""
        self._finished.append((case, _figures(rows)))
        self._now = ""
        if self._live is not None:
            self._live.refresh()
        elif self._enabled:
            figures = [f"{impl} {figure}" for impl, figure in _figures(rows).items()]
            count = f"[{len(self._finished)}/{len(self._planned)}]"
            left = f"about {spoken(self._left())} left"
            self._print(f"{count} {case.cell_id}: {', '.join([*figures, left])}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> float:
        """Estimate the seconds left, by how long what is done took against what was planned."""
        seconds = [each.seconds for each in self._planned]
        done = sum(seconds[: len(self._finished)])
        now = time.monotonic()
        since = self._case_start if self._now else now
        pace = (since - self._start) / done if done else 1.0
        return max(0.0, sum(seconds[len(self._finished) :]) * pace - (now - since))

    def _drawn(self) -> RenderableType:
        status = Table.grid(padding=(0, 1))
        done, total = len(self._finished), len(self._planned)
        left = f"about {spoken(self._left())} left" if done < total else ""
        status.add_row(
            ProgressBar(total=max(total, 1), completed=done, width=20), f"{done}/{total}", left
        )
        now = f"[dim]{escape(self._now)}[/]"
        return Group(*([self._table()] if self._finished else []), status, now)

    def _table(self) -> Table:
        shown = self._finished[-max(3, self._console.height - 6) :]
        labels = [self._label(case) for case, _ in shown]
        impls = self._planned[0].impls
        widths = {
            impl: max(len(impl), *(len(figures.get(impl, "")) for _, figures in shown))
            for impl in impls
        }
        fitting = _fitting(widths, self._console.width - max(15, *map(len, labels)))
        table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
        table.add_column("time per sample", no_wrap=True)
        for impl in fitting:
            table.add_column(escape(impl), justify="right", no_wrap=True)
        if len(fitting) < len(impls):
            table.add_column("…")
        for label, (_, figures) in zip(labels, shown, strict=True):
            table.add_row(label, *(figures.get(impl, "") for impl in fitting))
        return table

    def _label(self, case: Case) -> str:
        varying = [_AXES[axis].format(getattr(case, axis)) for axis in self._axes]
        return " ".join([case.model, case.dataset, *varying])


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
