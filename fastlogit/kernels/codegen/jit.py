"""What makes a function a kernel: a part of its caller, a call, or an entry point for Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from fastlogit.kernels.codegen.cache import CacheEntry, cache_directory
from fastlogit.kernels.codegen.linking import provide, required
from fastlogit.kernels.codegen.options import ENTRY_OPTIONS, KERNEL_OPTIONS


def kernel(function: Callable[..., Any]) -> Any:
    """Jit a function that only other jitted functions call."""
    return numba.njit(**KERNEL_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Jit a kernel that strings others together, as a part of its caller.

    Handing on its many arrays through the stack, level by level, was two thirds of a step of one
    row. LLVM does it: Numba's own inlining copies each caller's code with every call, which was a
    quarter of the time to compile, and runs no faster.
    """
    return numba.njit(**KERNEL_OPTIONS, forceinline=True)(function)


def viewing(function: Callable[..., Any]) -> Any:
    """Jit a kernel that returns views; without counted references only Numba's inlining can."""
    return numba.njit(**KERNEL_OPTIONS, inline="always")(function)


def entry(function: Callable[..., Any]) -> Any:
    """Jit a function that Python calls, and cache what it compiles to on disk."""
    dispatcher = numba.njit(**ENTRY_OPTIONS, nogil=True)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(function)
    return dispatcher


class KernelCache(_Cache):
    """The compiled signatures of one entry point, as Numba's dispatcher wants them kept."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """Where the entries are, as Numba's interface wants it."""
        directory = cache_directory()
        return None if directory is None else str(directory)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None where there is none that is whole."""
        target_context.refresh()

        def rebuild(content: Any) -> Any:
            symbols, reduced = content
            for symbol in symbols:
                provide(symbol)
            return CompileResult._rebuild(target_context, *reduced)

        return CacheEntry(self._name, str(sig), target_context.codegen()).load(rebuild)

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep a compiled signature with the names of what it links to."""
        content = required(result.library), result._reduce()
        CacheEntry(self._name, str(sig), result.codegen).save(content)

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    def disable(self) -> None:
        """Do nothing: without a writable directory there is no cache."""

    def flush(self) -> None:
        """Do nothing: an entry never goes stale, its key covers all sources."""
