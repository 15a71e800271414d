"""Which cells of a run that was cut short need not be measured again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

__all__ = ["complete_rows"]

Row = dict[str, str]


def complete_rows(rows: Iterable[Row], impls: Sequence[str], repeats: int) -> list[Row]:
    """Give the rows ahead of the first cell that lacks any.

    Cells are measured one after the other, so whatever is behind such a cell is not whole either.

    Parameters
    ----------
    rows : iterable of dict
        What timings.csv holds, in its order.
    impls : sequence of str
        Who takes part in every cell.
    repeats : int
        How many rows a contender has that did not fail.
    """
    kept: list[Row] = []
    for _, group in groupby(rows, key=itemgetter("cell_id")):
        cell = list(group)
        if not all(_has_all(cell, impl, repeats) for impl in impls):
            break
        kept += cell
    return kept


def _has_all(cell: Sequence[Row], impl: str, repeats: int) -> bool:
    own = [row for row in cell if row["impl"] == impl]
    # One that failed has a row that says so, behind those of its repeats.
    failed = any(row["status"] != "ok" for row in own)
    return failed or [row["repeat"] for row in own] == [str(repeat) for repeat in range(repeats)]
