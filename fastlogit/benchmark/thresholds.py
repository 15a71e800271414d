"""How much slower a cell may become before that is a regression: one figure, or a TOML file.

The file names a default and, by patterns over ``cell_id``, what differs from it; of several
patterns that match a cell the last one counts, and those of a contender go over those of all::

    default = "10%"

    [cells]
    "*/iris/*" = "20%"              # any contender
    "softmax/digits/*" = 0.05

    [impl.torch]
    "*" = "30%"
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fastlogit.names import check_name

__all__ = ["DEFAULT", "Rule", "Thresholds", "load_thresholds", "parse_slowdown"]

DEFAULT = 0.05

_NUMBER = re.compile(r"\s*(\+?(?:\d+\.?\d*|\.\d+))\s*(%?)\s*")
_TABLES = ("default", "cells", "impl")


@dataclass(frozen=True)
class Rule:
    """A slowdown allowed in the cells that match a pattern, of one contender or of all (None)."""

    pattern: str
    impl: str | None
    slowdown: float

    def covers(self, cell_id: str, impl: str) -> bool:
        """Say whether the rule is about a contender in a cell."""
        return self.impl in (None, impl) and fnmatchcase(cell_id, self.pattern)

    def __str__(self) -> str:
        """Name it as the file does."""
        table = "cells" if self.impl is None else f"impl.{self.impl}"
        return f"{self.pattern!r} in [{table}]"


@dataclass(frozen=True)
class Thresholds:
    """What may become of each cell's time; 0.1 allows a tenth more.

    Attributes
    ----------
    default : float
        Where no rule matches.
    rules : tuple of Rule
        Of those that match, the last one counts.
    """

    default: float = DEFAULT
    rules: tuple[Rule, ...] = ()

    def of(self, cell_id: str, impl: str) -> float:
        """Give the slowdown allowed to a contender in a cell."""
        matching = [rule.slowdown for rule in self.rules if rule.covers(cell_id, impl)]
        return matching[-1] if matching else self.default

    def check_matches(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Raise ValueError for a rule that matches none of the cells and contenders.

        A misspelt pattern would otherwise leave its cells to the default, and nobody would know.
        """
        pairs = list(pairs)
        for rule in self.rules:
            if not any(rule.covers(*pair) for pair in pairs):
                example = f"; a cell is {pairs[0][0]!r} of {pairs[0][1]!r}" if pairs else ""
                raise ValueError(f"the threshold {rule} matches no cell of both runs{example}")


def parse_slowdown(value: object, what: str = "the slowdown") -> float:
    """Read a share such as ``"10%"``, ``"0.1"`` or 0.1.

    Parameters
    ----------
    value : object
        A string or a number. From 1 on it needs the percent sign: a bare 10 would be a time
        eleven times as long, and 10 % is what was meant.
    what : str, default="the slowdown"
        What the error calls it.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    allowed = "a share of the time from 0 such as '10%' or 0.1"
    bare = isinstance(value, int | float) and not isinstance(value, bool)
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if bare:
        share, percent = float(value), False  # type: ignore[arg-type]
    elif match:
        share, percent = float(match[1]), bool(match[2])
    else:
        raise ValueError(f"{what} is {value!r}; it must be {allowed}")
    if not (math.isfinite(share) and share >= 0):
        raise ValueError(f"{what} is {value!r}; it must be {allowed}")
    if not percent and share >= 1:
        raise ValueError(f"{what} is {value!r}; for per cent write '{share:g}%'")
    return share / 100 if percent else share


def load_thresholds(path: Path, default: float | None = None) -> Thresholds:
    """Read thresholds from a TOML file.

    Parameters
    ----------
    path : Path
        The file; the module says what may stand in it.
    default : float, optional
        Goes over the file's own default.

    Raises
    ------
    ValueError
        If the file cannot be read, is not TOML, or says what it cannot mean.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the thresholds: {error}") from error
    except ValueError as error:  # not TOML, or not even text
        raise ValueError(f"{path} is not TOML: {error}") from error
    try:
        for name in content:
            check_name("entry", name, _TABLES)
        own = parse_slowdown(content.get("default", DEFAULT), "default")
        rules = _rules(content.get("cells", {}), None, "cells")
        for impl, table in _table(content.get("impl", {}), "impl").items():
            rules += _rules(table, impl, f"impl.{impl}")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Thresholds(own if default is None else default, tuple(rules))


def _rules(table: object, impl: str | None, name: str) -> list[Rule]:
    return [
        Rule(pattern, impl, parse_slowdown(value, f"{pattern!r} in [{name}]"))
        for pattern, value in _table(table, name).items()
    ]


def _table(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"[{name}] is {value!r}; it must be a table of patterns and slowdowns")
    return value
