"""A stored run as a page for people, and as the tables and the picture of the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastlogit.benchmark.appended import replace_file
from fastlogit.benchmark.report.page import render
from fastlogit.benchmark.report.readme import PICTURE
from fastlogit.benchmark.report.readme import write as write_readme

if TYPE_CHECKING:
    from fastlogit.benchmark.runs import StoredRun

__all__ = ["PAGE", "PICTURE", "render", "write_page", "write_readme"]

PAGE = "report.html"


def write_page(run: StoredRun, advice: Sequence[str] = ()) -> Path:
    """Write the page of a run beside its files, in the place of an earlier one.

    Raises
    ------
    ValueError
        If the run has no rows.
    OSError
        If the file cannot be written.
    """
    path = run.directory / PAGE
    replace_file(path, render(run, advice).encode())
    return path
