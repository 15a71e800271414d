"""The order of a run: round by round over all cells, a few repeats of everybody in each.

A machine has slow spells of seconds and minutes. The repeats of a cell are therefore spread over
the whole run, so that no cell falls into one spell altogether. Code that is loaded elsewhere runs
faster or slower too, by up to a fifth in all cells of a model, and rows that lie elsewhere are read
so; each round therefore has a process of its own (Mytkowicz et al.). The least time of a cell
repeats to 4 % then, where it did to 24 % with all repeats at a stretch.

References
----------
T. Mytkowicz, A. Diwan, M. Hauswirth and P. F. Sweeney, "Producing wrong data without doing anything
obviously wrong!", ASPLOS 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastlogit.benchmark.cases import Case
from fastlogit.benchmark.contenders import Contender

__all__ = ["REPEATS_PER_ROUND", "Visit", "repeats_of", "rounds", "schedule"]

# First to last and back once, in arrays that are laid out anew in each round.
REPEATS_PER_ROUND = 2

# Of the open division nothing is compared by its repeats, so that it needs no more of them.
_OPEN_REPEATS = 3


@dataclass(frozen=True)
class Visit:
    """One cell in one round.

    Attributes
    ----------
    case : Case
        The cell.
    round, rounds : int
        Which round, counted from 1, and of how many.
    repeats : range
        The timed repeats that are made.
    contenders : tuple of Contender subclasses
        Who takes part.
    """

    case: Case
    round: int
    rounds: int
    repeats: range
    contenders: tuple[type[Contender], ...]


def rounds(repeats: int, per_round: int = REPEATS_PER_ROUND) -> list[range]:
    """Divide the repeats into rounds."""
    return [range(first, min(first + per_round, repeats)) for first in range(0, repeats, per_round)]


def repeats_of(division: str, repeats: range) -> range:
    """Give those of the repeats that a contender of a division makes: the open one has few."""
    if division == "closed":
        return repeats
    return range(repeats.start, min(repeats.stop, _OPEN_REPEATS))


def schedule(
    cases: Sequence[Case], contenders: Sequence[type[Contender]], repeats: int
) -> list[Visit]:
    """List the visits of a run in their order; none that nobody takes part in.

    Parameters
    ----------
    cases : sequence of Case
        The cells.
    contenders : sequence of Contender subclasses
        Who takes part in all of them.
    repeats : int
        Timed repeats of each contender in each cell.
    """
    parts = [
        (part, tuple(kind for kind in contenders if repeats_of(kind.division, part)))
        for part in rounds(repeats)
    ]
    parts = [(part, kinds) for part, kinds in parts if kinds]
    return [
        Visit(case, number, len(parts), part, kinds)
        for number, (part, kinds) in enumerate(parts, 1)
        for case in cases
    ]
