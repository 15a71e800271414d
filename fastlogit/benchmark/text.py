"""Figures, names and failures in words."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def format_duration(seconds: float) -> str:
    """Return a time with at least two digits, in the unit that suits it, such as ``"1.2 ms"``."""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 99.5:
        return f"{seconds / 60:.0f} min"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")):
        if (value := seconds * factor) >= 0.95:
            return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"
    return "0 s"


def format_estimate(seconds: float) -> str:
    """Return an estimate in words, such as ``"about 3 min"``."""
    return "a few seconds" if seconds < 9.5 else f"about {format_duration(seconds)}"


def pluralize(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as ``"1 case"`` and ``"1,200 cases"``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def format_ratio(ratio: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a ratio of times above 1 with the word for its direction, ``"3.3× faster"``.

    It is below 1 for slower; its interval is added, and if it holds 1 the ratio is inconclusive.
    """
    if low <= 1 <= high:
        return f"inconclusive ({format_ratio(low)} to {format_ratio(high)})"
    times = _times(max(ratio, 1 / ratio))
    text = "as fast" if times == "1.00×" else f"{times} {'faster' if ratio > 1 else 'slower'}"
    if not (low > 0 and high > 0):
        return text
    low, high = (low, high) if ratio > 1 else (1 / high, 1 / low)
    return f"{text} ({_times(low)} to {_times(high)})"


def _times(ratio: float) -> str:
    digits = 2 if ratio < 1.095 else 1 if ratio < 9.95 else 0
    return f"{ratio:,.{digits}f}×"


def display_name(implementation: str) -> str:
    """Return what an implementation is called in text."""
    names = {"numpy": "NumPy reference", "jax": "JAX", "torch": "PyTorch"}
    return names.get(implementation, implementation)


def failure_lines(timings: "pd.DataFrame", *, every: bool = False) -> Iterator[str]:
    """Return who failed where and why, a line for each reason, or with `every` for each case."""
    good = timings["status"].str.fullmatch("ok" if every else "ok|unsupported")
    bad = timings[~good].drop_duplicates(["case_id", "implementation"])
    keys = ["implementation", "status", "error"] + (["case_id"] if every else [])
    for (name, status, error, *_), rows in bad.fillna({"error": ""}).groupby(keys, sort=False):
        where, *more = rows["case_id"]
        where = f"{len(rows)} cases, such as {where}" if more else where
        yield f"{display_name(str(name))}: {status} in {where}: {error}"
