"""The peak memory of a stretch of work."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["peak_growth"]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def peak_growth(work: Callable[[], None]) -> int | None:
    """Do the work and give how far the resident set rose, at its peak, above where it began.

    What was freed before is first handed back to the system: memory that the process holds anyway
    would be taken again without a trace. Memory that other libraries or prepared arrays occupy is
    there at the start and so not counted.

    Returns
    -------
    int or None
        Bytes; None where the system cannot start a new peak (anywhere but on Linux).
    """
    _hand_back()
    if not _reset_peak():
        work()
        return None
    start = _peak_bytes()
    work()
    return _peak_bytes() - start


def _hand_back() -> None:
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library alone
        if trim is not None:
            trim(0)


def _reset_peak() -> bool:
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def _peak_bytes() -> int:
    """Give the resident set's peak since the last reset; right after it, its size."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
