"""Colours, markers and line styles, for light and dark.

matplotlib draws in stand-in colours; the finished drawing names a CSS variable in the place of
each, so that one drawing serves both schemes. No two contenders differ by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fastlogit.benchmark.contenders import CONTENDERS

__all__ = ["GRID", "INK", "MUTED", "SURFACE", "VARIABLES", "Look", "looks", "scheme_css"]

# Stand-ins that occur nowhere else in a drawing.
INK, MUTED, GRID, SURFACE = "#f0f001", "#f0f002", "#f0f003", "#f0f004"

# Okabe and Ito's hues, darkened or lightened to stand out by 4.5 to 1 on either surface; their
# yellow and sky blue have no such shade, so gold and a deep cyan stand in for them.
_SERIES = (
    ("#0063a6", "#5db5f0"),  # blue
    ("#636b74", "#a8b0b8"),  # grey
    ("#00755a", "#3ccb9f"),  # green
    ("#bd3f0a", "#ff9a5c"),  # vermilion
    ("#96457f", "#e5a1cf"),  # purple
    ("#806300", "#e3c54a"),  # gold
    ("#04718a", "#74d8ea"),  # cyan
    ("#6b4fc8", "#b7a6ff"),  # violet
)
_MARKERS = ("o", "|", "s", "^", "D", "v", "P", "X", "<", "p", ">", "d", "h", "8")
# matplotlib's own form: where a pattern begins, and its lengths of ink and gap.
Dash = Literal["-"] | tuple[float, tuple[float, ...]]
_DASHES: tuple[Dash, ...] = (
    "-",
    (0, (1, 1.2)),
    (0, (5, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (2, 2)),
    (0, (8, 2, 2, 2)),
)
_STAND_INS = tuple(f"#f0f1{position:02x}" for position in range(len(_SERIES)))

# By stand-in: the variable's name and its value in the light and in the dark scheme.
VARIABLES: dict[str, tuple[str, str, str]] = {
    INK: ("--ink", "#1b1f24", "#e8eaed"),
    MUTED: ("--muted", "#57606a", "#a9b1ba"),
    GRID: ("--grid", "#e2e5e9", "#30363d"),
    SURFACE: ("--surface", "#ffffff", "#15181d"),
} | {
    stand_in: (f"--series-{position}", light, dark)
    for position, (stand_in, (light, dark)) in enumerate(zip(_STAND_INS, _SERIES, strict=True))
}


@dataclass(frozen=True)
class Look:
    """How a contender is drawn everywhere."""

    colour: str
    marker: str
    dash: Dash


def looks(impls: Iterable[str]) -> dict[str, Look]:
    """Give each contender its look: the package's own always the same, the others in turn.

    With more contenders than colours these come round again, with other markers and line styles.
    """
    known = ["numba", *(name for name in CONTENDERS if name != "numba")]
    names = [*known, *(name for name in dict.fromkeys(impls) if name not in known)]
    return {
        name: Look(
            _STAND_INS[position % len(_STAND_INS)],
            _MARKERS[position % len(_MARKERS)],
            _DASHES[(position + 3 * (position // len(_STAND_INS))) % len(_DASHES)],
        )
        for position, name in enumerate(names)
    }


def scheme_css(selector: str) -> str:
    """Write the variables down for a selector, in both schemes."""
    light = "".join(f"{name}:{value};" for name, value, _ in VARIABLES.values())
    dark = "".join(f"{name}:{value};" for name, _, value in VARIABLES.values())
    return (
        f"{selector}{{{light}}}\n@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}\n"
        f"@media print{{{selector}{{{light}}}}}"
    )
