"""The peak memory of a stretch of work."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_bytes", "reset_peak"]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Start a new peak where the system allows it (Linux); elsewhere do nothing."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return


def peak_bytes() -> int | None:
    """Give the resident set's peak since `reset_peak`, else since the process began.

    None where the system says neither.
    """
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
