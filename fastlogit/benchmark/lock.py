"""A directory that one process at a time writes into."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """Keeps other processes out until it is released, be it by the death of this one.

    It leaves no file behind. Where the system has no such locks, it keeps nobody out.

    Parameters
    ----------
    directory : Path
        What is locked.

    Raises
    ------
    BlockingIOError
        If another process has it.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor: int | None = None
        if sys.platform == "win32":  # cannot open a directory
            return
        self._descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise
        except OSError:  # a file system without locks
            return

    def release(self) -> None:
        """Let others in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
