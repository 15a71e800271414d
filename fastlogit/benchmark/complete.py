"""What a run that goes round by round has so far: whole visits, and rows that still count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastlogit.benchmark.rounds import Visit, repeats_of
from fastlogit.benchmark.schema import Timing

__all__ = ["Standing", "remaining", "settled", "whole_visits"]

Row = dict[str, str]

# What is measured in the first round alone and holds for all repeats of a contender in a cell.
_OF_FIRST_ROUND = ("compile_s", "prep_s", "rss_peak_bytes")


@dataclass
class Standing:
    """How far a cell has come.

    Attributes
    ----------
    repeats : int
        The repeats that are there, of everybody who is still in the race.
    turns : int
        The next `order_index`.
    out : set of str
        Those who failed or have no way to do the case, and take no further part.
    """

    repeats: int = 0
    turns: int = 0
    out: set[str] = field(default_factory=set)

    def add(self, repeats: range, rows: Iterable[Timing]) -> None:
        """Take the rows of one more visit into account."""
        self.repeats = repeats.stop
        for row in rows:
            if row.status != "ok":
                self.out.add(row.impl)
            elif row.order_index is not None:
                self.turns = max(self.turns, row.order_index + 1)


def settled(rows: Iterable[Row]) -> list[Row]:
    """Put rows that were written visit by visit into the order and form of a whole run.

    A cell's rows stand together, contender by contender, with what the first round alone has
    measured in each of them. Of a contender that did other work in any round only the row that
    says so is left: none of its times counts.
    """
    cells: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        cells.setdefault(row["cell_id"], {}).setdefault(row["impl"], []).append(row)
    return [row for impls in cells.values() for own in impls.values() for row in _settled(own)]


def _settled(own: Sequence[Row]) -> Sequence[Row]:
    wrong = [row for row in own if row["status"] == "failed-verification"]
    first = {name: own[0][name] for name in _OF_FIRST_ROUND}
    return wrong[:1] or [
        row | {name: row[name] or value for name, value in first.items()} for row in own
    ]


def whole_visits(
    rows: Sequence[Row], impls: Sequence[str], parts: Sequence[range]
) -> tuple[list[Row], dict[str, Standing]]:
    """Give the rows of the visits that need not be made again, and how far each cell has come.

    Parameters
    ----------
    rows : sequence of dict
        What timings.csv holds, in any order.
    impls : sequence of str
        Who takes part in every cell.
    parts : sequence of range
        The repeats of each round.
    """
    cells: dict[str, list[Row]] = {}
    for row in rows:
        cells.setdefault(row["cell_id"], []).append(row)
    standings = {cell_id: _standing(cell, impls, parts) for cell_id, cell in cells.items()}
    standings = {cell_id: standing for cell_id, standing in standings.items() if standing.repeats}
    kept = [
        row
        for row in rows
        if row["cell_id"] in standings and _counts(row, standings[row["cell_id"]].repeats)
    ]
    return kept, standings


def _standing(cell: Sequence[Row], impls: Sequence[str], parts: Sequence[range]) -> Standing:
    out = {row["impl"] for row in cell if row["status"] != "ok"}
    reached = 0
    for part in parts:
        if not all(impl in out or _has(cell, impl, part) for impl in impls):
            break
        reached = part.stop
    turns = [
        int(row["order_index"]) for row in cell if row["order_index"] and _counts(row, reached)
    ]
    return Standing(reached, max(turns, default=-1) + 1, out)


def _counts(row: Row, reached: int) -> bool:
    """Whether a row is of a whole visit; who has failed has, even if others were cut short then."""
    return row["status"] != "ok" or int(row["repeat"]) < reached


def _has(cell: Sequence[Row], impl: str, part: range) -> bool:
    own = [row for row in cell if row["impl"] == impl]
    return bool(own) and {row["repeat"] for row in own} >= {
        str(repeat) for repeat in repeats_of(own[0]["division"], part)
    }


def remaining(visits: Iterable[Visit], standings: Mapping[str, Standing]) -> list[Visit]:
    """Give those of the visits that are still to be made, without those who are out."""
    found = []
    for visit in visits:
        standing = standings.get(visit.case.cell_id, Standing())
        kinds = tuple(kind for kind in visit.contenders if kind.name not in standing.out)
        if kinds and standing.repeats < visit.repeats.stop:
            found.append(replace(visit, contenders=kinds))
    return found
