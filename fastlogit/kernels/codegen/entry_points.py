"""Functions that Python calls, and what their compiled signatures need to be loaded from disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult

from fastlogit.kernels.codegen.cache import CacheEntry, cache_directory
from fastlogit.kernels.codegen.compile import ENTRY_OPTIONS
from fastlogit.kernels.codegen.linking import provide, required


def entry_point(function: Callable[..., Any]) -> Any:
    """Jit a function that Python calls, and keep what is compiled on disk."""
    dispatcher = numba.njit(**ENTRY_OPTIONS, nogil=True)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(function)
    return dispatcher


class KernelCache(NullCache):
    """The compiled signatures of one entry point, as Numba's dispatcher wants them kept.

    As for NullCache there is nothing to enable, to disable, or to flush: an entry never goes stale.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """Where the entries are, as Numba's interface wants it."""
        return str(directory) if (directory := cache_directory()) else None

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
