"""How long a run will take, roughly, from the sizes of its cases alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastlogit.benchmark.cases import Case, epoch_seconds, sizes

__all__ = ["PlannedCase", "lines", "plan"]

# Beside the timed repeats: the first run, the verified one, the reference's and some passes more.
_OTHER_RUNS = 6

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
class PlannedCase:
    """A case that is to be measured.

    Attributes
    ----------
    case : Case
        What is measured.
    impls : tuple of str
        Who takes part.
    seconds : float
        How long that will take, within a factor of about two.
    """

    case: Case
    impls: tuple[str, ...]
    seconds: float


def plan(cases: Sequence[Case], impls: Sequence[str], repeats: int) -> list[PlannedCase]:
    """Estimate how long each case takes.

    Parameters
    ----------
    cases : sequence of Case
        What is measured.
    impls : sequence of str
        Who takes part.
    repeats : int
        Timed repeats of each.
    """
    return [PlannedCase(case, tuple(impls), _seconds(case, impls, repeats)) for case in cases]


def _seconds(case: Case, impls: Sequence[str], repeats: int) -> float:
    shape = sizes(case.model, case.dataset, case.source)
    run = case.epochs * epoch_seconds(case.model, shape, case.batch_size, case.n_hidden)
    paces = [_PACES.get(impl, (1.0, 0.0)) for impl in impls]
    return sum(start + pace * run * (repeats + _OTHER_RUNS) for pace, start in paces)


def lines(planned: Sequence[PlannedCase], repeats: int) -> Iterator[str]:
    """Say what is planned, a line a case and one for the whole."""
    width = max(len(each.case.cell_id) for each in planned)
    for each in planned:
        yield f"{each.case.cell_id:<{width}}  {spoken(each.seconds):>6}  {', '.join(each.impls)}"
    total = spoken(sum(each.seconds for each in planned))
    yield f"{counted(len(planned))}, {repeats} repeats each: about {total}; nothing was written"


def spoken(seconds: float) -> str:
    """Give a time as one says it, in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(cells: int) -> str:
    """Give a number of cells in words."""
    return "1 cell" if cells == 1 else f"{cells} cells"
