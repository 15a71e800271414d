"""The on-disk cache of what has been compiled.

Numba's own cache stamps only the file of the cached function, so a cached caller would outlive a
change in a helper of another file. Here the stamp covers all sources of the kernels, and each
compiled signature is one file that carries its checksum. Whatever goes wrong with the cache
(unwritable, truncated, written by two processes at once) costs a compilation and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import llvmlite
import numba

PACKAGE = "fastlogit.kernels"
_counts = {"compiled": 0, "loaded": 0}


def compilations() -> int:
    """Count what has been compiled, or loaded from the cache, so far in this process."""
    return sum(_counts.values())


def _sources(folder: Traversable) -> Iterator[Traversable]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.is_dir() and file.name != "__pycache__":
            yield from _sources(file)
        elif file.name.endswith((".py", ".pyc")):
            yield file


@cache
def source_stamp() -> str | None:
    """Hash of all kernel sources: the part of a cache entry's key that an edit changes.

    They are read where they are imported from, which may be an archive. None where there are none
    to read.
    """
    digest, count = hashlib.sha256(), 0
    try:
        for file in _sources(resources.files(PACKAGE)):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
            count += 1
    except OSError:
        return None
    return digest.hexdigest()[:16] if count else None


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


def _in_tree() -> Path:
    return Path(__file__).parents[1] / "__pycache__"


def _candidates() -> Iterator[Path]:
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR)
        return
    yield _in_tree()
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "fastlogit"
        return
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "fastlogit"


@cache
def cache_directory() -> Path | None:
    """Directory of the compiled kernels of these sources, or None if none is writable.

    The first writable of ``NUMBA_CACHE_DIR``, the package's own ``__pycache__``, and the user's
    cache directory. Without a stamp of the sources there is none: kernels of other ones might be
    in it.
    """
    if source_stamp() is None:
        return None
    name = f"fastlogit-{source_stamp()}"
    for parent in _candidates():
        if _writable(parent / name):
            if parent == _in_tree():  # siblings belong to older sources
                for stale in set(parent.glob("fastlogit-*")) - {parent / name}:
                    shutil.rmtree(stale, ignore_errors=True)
            return parent / name
    return None


class CacheEntry:
    """The file of one compiled signature: a checksum, then a pickle; written atomically.

    Parameters
    ----------
    name : str
        Of the function, the beginning of the file's name.
    signature : str
        Which of its signatures.
    codegen : object
        Numba's code generator, which knows the CPU.
    """

    def __init__(self, name: str, signature: str, codegen: Any) -> None:
        directory = cache_directory()
        versions = numba.__version__, llvmlite.__version__, sys.version
        key = repr((name, signature, codegen.magic_tuple(), versions))
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        self._file = None if directory is None else directory / f"{name}-{digest}.bin"

    def load(self, rebuild: Callable[[Any], Any]) -> Any:
        """Return what rebuild makes of the content, or None where there is none that is whole."""
        try:
            content = self._file.read_bytes() if self._file is not None else b""
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            result = rebuild(pickle.loads(content[32:]))  # noqa: S301
        except Exception:  # an unreadable entry, whatever the reason, is compiled again
            return None
        _counts["loaded"] += 1
        return result

    def save(self, content: Any) -> None:
        """Keep what has been compiled; a failure to write is no failure of the fit."""
        _counts["compiled"] += 1
        if self._file is None:
            return
        partial = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            payload = numba.core.serialize.dumps(content)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(hashlib.sha256(payload).digest() + payload)
            partial.replace(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
