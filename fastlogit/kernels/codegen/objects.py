"""Compiled code in this process: object files, loaded by llvmlite alone.

Numba is needed only to compile, its import and start take 0.5 s. A function is loaded after those
that it links to, and is known to others, and to Numba's own code, by its symbol.
"""

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding
import numpy as np

from fastlogit.kernels.codegen import waiting
from fastlogit.kernels.codegen.cache import CacheEntry, announce_compilation, cache_directory
from fastlogit.kernels.codegen.cpu import cpu_features, cpu_name
from fastlogit.kernels.codegen.symbols import PREFIX

Compile = Callable[[], tuple[bytes, list[str]]]
# A global of an entry point's object: addresses of what its arguments are compared with.
OBJECTS = ".objects"
# The first of them; after these follow the classes of the arguments that are tuples.
COMPARED = (
    NotImplemented, None, True, bool, int, float, np.float64, np.ndarray, SystemError
)  # fmt: skip

# One thread compiles or loads at a time: a symbol is defined once.
_lock = threading.RLock()
_addresses: dict[str, int] = {}
_compared: dict[str, list[Any]] = {}  # so that each lives as long as the code


@cache
def _engine() -> Any:
    """Return what loads object code into memory."""
    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    target = llvmlite.binding.Target.from_default_triple()
    machine = target.create_target_machine(cpu_name(), cpu_features(), jit=True)
    module = llvmlite.binding.parse_assembly("")
    return llvmlite.binding.create_mcjit_compiler(module, machine)


def provide(
    symbol: str, request: str, compile_it: Compile, provide_linked: Callable[[str], Any]
) -> int:
    """Return the address of a function, loaded from the cache or compiled where it is not yet.

    compile_it returns its object code and the symbols it links to, which provide_linked provides.
    The request is what has another process compile it.
    """
    address = _addresses.get(symbol)
    if address is not None:
        return address
    with _lock:
        if symbol not in _addresses:
            entry = CacheEntry(symbol)
            found = entry.load()
            if found is None:
                if cache_directory() is not None:
                    waiting.check(request)
                announce_compilation()
                found = compile_it()
                entry.save(*found)
            code, linked = found
            for name in linked:
                if name.startswith(PREFIX):
                    provide_linked(name)
                elif not _is_known(name):
                    raise ImportError(f"compiled kernels need {name!r}, which this process lacks")
            _addresses[symbol] = _load(symbol, code)
        return _addresses[symbol]


def _is_known(name: str) -> bool:
    """Return whether this process has a function of Python's or of C's libraries."""
    _engine()  # makes them known to LLVM, which ends the process where it misses one
    return llvmlite.binding.address_of_symbol(name) is not None


def _load(symbol: str, code: bytes) -> int:
    engine = _engine()
    engine.add_object_file(llvmlite.binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    llvmlite.binding.add_symbol(symbol, address)
    return address


def python_function(
    symbol: str, address: int, classes: list[type]
) -> Callable[[tuple[Any, ...]], Any]:
    """Return an entry point's code as a function of the tuple of its arguments."""
    compared = _compared[symbol] = [*COMPARED, *classes]
    start = _engine().get_global_value_address(symbol + OBJECTS)
    table: Any = (ctypes.c_int64 * len(compared)).from_address(start)
    table[:] = [id(value) for value in compared]
    function: Any = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)
    return function
