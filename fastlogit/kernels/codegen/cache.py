"""The on-disk cache of what has been compiled.

Numba stamps only the file of the cached function, so a cached caller would outlive a change in
another. Here the stamp covers all sources of the kernels, and each signature is one file with its
checksum. Whatever goes wrong (unwritable, truncated, written by two processes) costs a compilation.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path

import llvmlite
import numpy as np

from fastlogit import verbosity
from fastlogit.kernels.codegen.cpu import cpu_features, cpu_name

PACKAGE = "fastlogit.kernels"
# Functions that this process has compiled, and loaded.
counts = {"compiled": 0, "loaded": 0}


def compilations() -> int:
    """Count what has been compiled, or loaded from the cache, so far in this process."""
    return sum(counts.values())


def _sources(folder: Traversable) -> Iterator[Traversable]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.is_dir() and file.name != "__pycache__":
            yield from _sources(file)
        elif file.name.endswith((".py", ".pyc")):
            yield file


@cache
def source_stamp() -> str | None:
    """Hash all kernel sources, which may be in an archive; None where none can be read."""
    try:
        files = [(file.name, file.read_bytes()) for file in _sources(resources.files(PACKAGE))]
    except OSError:
        return None
    content = b"".join(name.encode() + b"\0" + source + b"\0" for name, source in files)
    return hashlib.sha256(content).hexdigest()[:16] if files else None


def _candidates(in_tree: Path) -> Iterator[Path]:
    if directory := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(directory)
        return
    yield in_tree
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "fastlogit"
        return
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "fastlogit"


@cache
def cache_directory() -> Path | None:
    """Return the directory of these sources' compiled kernels, or None if none is writable."""
    if source_stamp() is None:  # it might hold kernels of other sources
        return None
    in_tree = Path(__file__).parents[1] / "__pycache__"
    for parent in _candidates(in_tree):
        path = parent / f"fastlogit-{source_stamp()}"
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
            if parent == in_tree:  # siblings belong to older sources
                for stale in set(parent.glob("fastlogit-*")) - {path}:
                    shutil.rmtree(stale, ignore_errors=True)
            return path
    return None


@cache
def _versions() -> list[str]:
    """Return the versions of what makes object code, and of what it reads objects of."""
    # Numba's without its import. To read another's as well takes a tenth of a first fit.
    return [metadata.version("numba"), llvmlite.__version__, np.__version__, sys.version]


@cache
def announce_compilation() -> None:
    """Print at the first compilation of a process that it takes a while."""
    kept = "once" if cache_directory() else "anew in each process: no cache directory is writable"
    verbosity.announce(f"compiling kernels for this CPU, {kept} (about 7 s) ...")


class CacheEntry:
    """The file of one function: a checksum, then a header and object code; written atomically."""

    def __init__(self, symbol: str) -> None:
        directory = cache_directory()
        key = repr((symbol, cpu_name(), cpu_features(), _versions()))
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        name = symbol.partition(".")[2]
        self._file = None if directory is None else directory / f"{name}-{digest}.bin"

    def load(self) -> tuple[bytes, list[str]] | None:
        """Return object code and the symbols it links to, None where none is there and whole."""
        try:
            content = self._file.read_bytes() if self._file else b""
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                raise ValueError("no entry, or a damaged one")
            header, _, code = content[32:].partition(b"\n")
            linked = json.loads(header)
        except (OSError, ValueError):  # an unreadable entry is compiled again
            return None
        counts["loaded"] += 1
        return code, linked

    def save(self, code: bytes, linked: list[str]) -> None:
        """Keep what has been compiled; a failure to write is no failure of the fit."""
        counts["compiled"] += 1
        if not self._file:
            return
        partial = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            payload = json.dumps(linked).encode() + b"\n" + code
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(hashlib.sha256(payload).digest() + payload)
            partial.replace(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
