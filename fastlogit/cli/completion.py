"""Names that the shell completes.

To import the tables that they come from takes a second, which is too long to wait for after a press
of the tab key. So a few fixed names are written down once more, and the others are looked for in
the files that define them. A test holds all against the tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import typer

__all__ = [
    "ACTIVATIONS",
    "DATASETS",
    "DTYPES",
    "MODELS",
    "SOLVERS",
    "complete",
    "complete_run",
    "impls",
]

_PACKAGE = Path(__file__).parents[1]


def _rows(record: str) -> tuple[str, ...]:
    """Find the names of the records of that class in the core's table."""
    source = (_PACKAGE / "models" / "table.py").read_text(encoding="utf-8")
    return tuple(re.findall(rf'^ +{record}\(\s*"([^"]+)"', source, re.MULTILINE))


MODELS = _rows("Model")
DATASETS = ("iris", "wine", "breast_cancer", "digits", "moons", "circles", "blobs")
DTYPES = ("float32", "float64")
SOLVERS = _rows("Optimizer")
ACTIVATIONS = _rows("Activation")

_CONTENDERS = _PACKAGE / "benchmark" / "contenders"
_NAME = re.compile(r'^    name: ClassVar\[str\] = "([^"]+)"$', re.MULTILINE)


def impls() -> list[str]:
    """List the contenders, and the word for all of them."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(_CONTENDERS.glob("*.py"))]
    return [*(name for source in sources for name in _NAME.findall(source)), "all"]


def complete(names: Callable[[], list[str]] | tuple[str, ...]) -> Callable[[str], list[str]]:
    """Give a function that lists the names with a given beginning, as Typer asks for one."""

    def matching(incomplete: str) -> list[str]:
        known = names() if callable(names) else names
        return [name for name in known if name.startswith(incomplete)]

    return matching


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """List the runs in --out whose names begin so, the youngest first."""
    out = Path(context.params.get("out") or "results")
    found = sorted((path.parent.name for path in out.glob("*/run.json")), reverse=True)
    return [name for name in ("latest", *found) if name.startswith(incomplete)]
