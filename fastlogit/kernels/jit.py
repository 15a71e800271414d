"""Compiling: the options that every kernel shares, and the on-disk cache of the entry points.

Numba's own cache stamps only the file of the cached function, so a cached caller would outlive a
change in a helper of another file. Here the stamp covers all sources of this folder, and each
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
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import _Cache
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult

# Without a zero check on divisions (error_model) loops with a division vectorise; reassoc lets sums
# vectorise. nnan and ninf are left out: a diverging loss must stay visible. No references are
# counted (_nrt), so nothing can be allocated: the arrays are the caller's, and counting was three
# quarters of a step of one row.
_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"nsz", "contract", "reassoc"},
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
# Without a wrapper for calls from Python, which would be a fifth of the time to compile.
KERNEL_OPTIONS: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True}
# For arithmetic whose order of operations matters, such as a constant in two parts.
EXACT: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz", "contract"}}

_counts = {"compiled": 0, "loaded": 0}
_preparations: list[Callable[[], None]] = []


def kernel(function: Callable[..., Any]) -> Any:
    """Jit a function that only other jitted functions call."""
    return numba.njit(**KERNEL_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Jit a kernel that strings others together, as a part of its caller.

    Handing on its many arrays through the stack, level by level, was two thirds of a step of one
    row.
    """
    return numba.njit(**KERNEL_OPTIONS, inline="always")(function)


def entry(function: Callable[..., Any]) -> Any:
    """Jit a function that Python calls, and cache what it compiles to on disk."""
    dispatcher = numba.njit(**_OPTIONS, nogil=True)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(function)
    return dispatcher


def before_first_use(prepare: Callable[[], None]) -> Callable[[], None]:
    """Have a function called once, before the first entry point is compiled or loaded."""
    _preparations.append(prepare)
    return prepare


def c_callable(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function of C types, or load it from the cache; ``address`` is where it is."""
    compiled = CFunc(function, (signature.args, signature.return_type), {}, dict(EXACT))
    compiled._cache = KernelCache(function)
    compiled.compile()
    return compiled


def compilations() -> int:
    """Count the entry points compiled, or loaded from the cache, so far in this process."""
    return sum(_counts.values())


@cache
def source_stamp() -> str:
    """Hash of all kernel sources: the part of a cache entry's key that an edit changes."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


def _in_tree() -> Path:
    return Path(__file__).parent / "__pycache__"


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
    cache directory.
    """
    name = f"fastlogit-{source_stamp()}"
    for parent in _candidates():
        if _writable(parent / name):
            if parent == _in_tree():  # siblings were compiled from sources that are gone
                for stale in set(parent.glob("fastlogit-*")) - {parent / name}:
                    shutil.rmtree(stale, ignore_errors=True)
            return parent / name
    return None


class KernelCache(_Cache):
    """Compiled signatures of one function: a checksummed file each, written atomically."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """Where the entries are, as Numba's interface wants it."""
        directory = cache_directory()
        return None if directory is None else str(directory)

    def _file(self, sig: Any, codegen: Any) -> Path | None:
        directory = cache_directory()
        if directory is None:
            return None
        versions = numba.__version__, llvmlite.__version__, sys.version
        key = repr((self._name, str(sig), codegen.magic_tuple(), versions))
        return directory / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None where there is none that is whole."""
        target_context.refresh()
        while _preparations:
            prepare = _preparations.pop()
            try:
                prepare()
            except BaseException:  # interrupted: to be done again
                _preparations.append(prepare)
                raise
        file = self._file(sig, target_context.codegen())
        try:
            content = file.read_bytes() if file is not None else b""
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                return None
            result = CompileResult._rebuild(target_context, *pickle.loads(content[32:]))  # noqa: S301
        except Exception:  # an unreadable entry, whatever the reason, is compiled anew
            return None
        _counts["loaded"] += 1
        return result

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep a compiled signature; a failure to write is no failure of the fit."""
        _counts["compiled"] += 1
        file = self._file(sig, result.codegen)
        if file is None:
            return
        partial = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            payload = numba.core.serialize.dumps(result._reduce())
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(hashlib.sha256(payload).digest() + payload)
            partial.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    def disable(self) -> None:
        """Do nothing: without a writable directory there is no cache."""

    def flush(self) -> None:
        """Do nothing: an entry never goes stale, its key covers all sources."""
