"""How long a run will take, roughly, from the sizes of its cases alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fastlogit.benchmark.cases import Case, epoch_seconds, sizes
from fastlogit.benchmark.rounds import Visit, repeats_of

__all__ = ["PlannedVisit", "by_case", "counted", "lines", "plan", "spoken"]

# Beside the timed repeats of the first round: the first run, the verified one, the reference's and
# some passes more.
_OTHER_RUNS = 6

# What a visit takes beside any training: the arrays laid out, a first batch, rows on the disk.
_VISIT_SECONDS = 0.04

# A contender's time over NumPy's, and the seconds that it takes to start in a cell, compiling or
# loading. As measured on small and middling sets, rounded; who is not named is taken for NumPy.
_PACES = {
    "numba": (0.1, 0.3),
    "jax": (0.4, 3.0),
    "torch": (1.6, 0.5),
    "fastlogit-lbfgs": (0.1, 0.0),
    "sklearn-lbfgs": (0.1, 0.0),
}


@dataclass(frozen=True)
class PlannedVisit:
    """A visit that is to be made.

    Attributes
    ----------
    visit : Visit
        To which cell, and who takes part.
    seconds : float
        How long that will take, within a factor of about two.
    """

    visit: Visit
    seconds: float

    @property
    def impls(self) -> tuple[str, ...]:
        """The names of those who take part."""
        return tuple(kind.name for kind in self.visit.contenders)


def plan(visits: Iterable[Visit]) -> list[PlannedVisit]:
    """Estimate how long each visit takes."""
    return [PlannedVisit(visit, _seconds(visit)) for visit in visits]


def _seconds(visit: Visit) -> float:
    case, first = visit.case, visit.round == 1
    shape = sizes(case.model, case.dataset, case.source)
    run = case.epochs * epoch_seconds(case.model, shape, case.batch_size, case.n_hidden)
    seconds = _VISIT_SECONDS
    for kind in visit.contenders:
        pace, start = _PACES.get(kind.name, (1.0, 0.0))
        runs = len(repeats_of(kind.division, visit.repeats)) + (_OTHER_RUNS if first else 0)
        seconds += (start if first else 0.0) + pace * run * runs
    return seconds


def by_case(planned: Iterable[PlannedVisit]) -> dict[Case, tuple[tuple[str, ...], float]]:
    """Give who takes part in each cell, and the seconds of all its visits."""
    cells: dict[Case, tuple[tuple[str, ...], float]] = {}
    for each in planned:
        impls, seconds = cells.get(each.visit.case, (each.impls, 0.0))
        cells[each.visit.case] = impls, seconds + each.seconds
    return cells


def lines(planned: Sequence[PlannedVisit], repeats: int) -> Iterator[str]:
    """Say what is planned, a line a case and one for the whole."""
    cells = by_case(planned)
    width = max(len(case.cell_id) for case in cells)
    for case, (impls, seconds) in cells.items():
        yield f"{case.cell_id:<{width}}  {spoken(seconds):>6}  {', '.join(impls)}"
    total = spoken(sum(each.seconds for each in planned))
    yield f"{counted(len(cells))}, {repeats} repeats each: about {total}; nothing was written"


def spoken(seconds: float) -> str:
    """Give a time as one says it, in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(cells: int) -> str:
    """Give a number of cells in words."""
    return "1 cell" if cells == 1 else f"{cells} cells"
