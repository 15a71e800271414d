"""Functions that are compiled once and kept: those that kernels link to, and those Python calls.

A jitted function passes an array as nine words, and every caller carries a copy of what it calls.
These are C functions, one for each dtype, and an array is an address and its sizes. So a function
may also travel as a number, its address: `address_of` returns it, and `call` calls it.
"""

import functools
import hashlib
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen import objects
from fastlogit.kernels.codegen.compile import DISABLE_JIT, Decorator, emitted, types
from fastlogit.kernels.codegen.signatures import canonical, example, signature, tuple_types
from fastlogit.kernels.codegen.symbols import (
    LETTERS,
    PREFIX,
    declared,
    functions,
    generators,
    types_of_result,
)


def compiled_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function once for each dtype, and have jitted calls link to that.

    Arrays are contiguous, numbers int64 or float64; it returns a float64 if annotated, or nothing.
    """
    name = function.__name__
    functions[name] = function

    def link(context: Any, builder: Any, signature: Any, *operands: Any) -> ir.Value:
        with_sizes = name not in generators
        kinds, words = _flattened(context, builder, signature.args, operands, with_sizes)
        symbol = PREFIX + ".".join([name, *kinds])
        provide_linked(symbol)
        return builder.call(declared(builder.module, symbol, [w.type for w in words]), words)

    returned = types_of_result(function)
    return emitted(link, lambda *_: getattr(types, returned))(function)


def llvm_function(generate: Callable[..., None]) -> Decorator:
    """Compile what generate emits as a function of that name, and have jitted calls link to that.

    generate takes a builder, the element type of the first array, and for each argument an array's
    address or a number. The Python body is the meaning, and runs where jitting is disabled.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        generators[function.__name__] = generate
        return compiled_once(function)

    return decorate


def _flattened(context, builder, given, operands, with_sizes):
    """Return the arguments' kinds, and the words that they are passed as."""
    kinds, words = [], []
    for kind, operand in zip(given, operands, strict=True):
        if isinstance(kind, types.Array):
            sizes = kind.ndim if with_sizes else 0
            kinds.append(f"{LETTERS[kind.dtype.name]}{sizes}")
            words.append(operand.data)
            words += [builder.extract_value(operand.shape, n) for n in range(sizes)]
        else:
            is_float = isinstance(kind, types.Float)
            kinds.append("r" if is_float else "i")
            number = types.float64 if is_float else types.int64
            words.append(context.cast(builder, operand, kind, number))
    return kinds, words


def provide_linked(symbol: str) -> int:
    """Return the address of a `compiled_once` function, compiled or loaded where it is not yet."""

    def compile_it() -> tuple[bytes, list[str]]:
        from fastlogit.kernels.codegen import compiler

        return compiler.compile_linked(symbol)

    return objects.provide(symbol, symbol, compile_it, provide_linked)


def address_of(function: Callable[..., Any], *kinds: Any) -> Any:
    """Return the address of a `compiled_once` function of arrays, kinds as (dtype, dimensions)."""
    if DISABLE_JIT:  # the function stands for itself
        return function
    letters = [f"{LETTERS[np.dtype(dtype).name]}{ndim}" for dtype, ndim in kinds]
    return provide_linked(PREFIX + ".".join([function.__name__, *letters]))


def provide(request: str) -> None:
    """Provide what a NotCompiledError requests: a symbol, or an entry point and its signature."""
    if request.startswith(PREFIX) and ":" not in request:
        provide_linked(request)
        return
    module, name, kinds = request.split(":", 2)
    entry: EntryPoint = getattr(importlib.import_module(module), name)
    getattr(entry, "entry_point", entry).code_for(example(kinds))


def _emit_call(context, builder, signature, address, arrays):
    kinds = list(signature.args[1])
    operands = [
        context.make_array(kind)(context, builder, builder.extract_value(arrays, n))
        for n, kind in enumerate(kinds)
    ]
    _kinds, words = _flattened(context, builder, kinds, operands, with_sizes=True)
    function = ir.FunctionType(ir.VoidType(), [word.type for word in words])
    builder.call(builder.inttoptr(address, function.as_pointer()), words)


@emitted(_emit_call, lambda *_: types.void)
def call(function: Any, arrays: tuple[Any, ...]) -> None:
    """Call the function at an address; nothing checks that it is one for arrays like these."""
    function(*arrays)


def entry_point(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that Python calls, for each signature once, and keep it on disk."""
    return function if DISABLE_JIT else EntryPoint(function)


class EntryPoint:
    """A function that Python calls: with the code for its arguments, which is found by trying.

    Compiled code checks in nanoseconds whether the arguments are what it was compiled for; to name
    their types in Python would take as long as a short call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._codes: list[Callable[[tuple[Any, ...]], Any]] = []
        self.signatures: dict[str, Callable[[tuple[Any, ...]], Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        for place, code in enumerate(self._codes):
            result = code(args)
            if result is not NotImplemented:
                if place > 0:  # the next call is likely to be alike
                    self._codes = [code, *(other for other in self._codes if other is not code)]
                return result
        args = canonical(args)
        result = self.code_for(args)(args)
        if result is NotImplemented:
            raise TypeError(f"{self._name} takes no arguments such as {signature(args)}")
        return result

    def code_for(self, args: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], Any]:
        """Return the code for arguments like these, compiled or loaded where it is not yet."""
        kinds = signature(args)
        if kinds not in self.signatures:
            self._provide(kinds, args)
        return self.signatures[kinds]

    def _provide(self, kinds: str, args: tuple[Any, ...]) -> None:
        def compile_it() -> tuple[bytes, list[str]]:
            from fastlogit.kernels.codegen import compiler

            return compiler.compile_entry(symbol, self._function, args)

        digest = hashlib.sha256(kinds.encode()).hexdigest()[:24]
        symbol = f"{PREFIX}{self._name}.{digest}"
        request = f"{self._function.__module__}:{self._function.__qualname__}:{kinds}"
        address = objects.provide(symbol, request, compile_it, provide_linked)
        code = objects.python_function(symbol, address, tuple_types(args))
        self.signatures[kinds] = code
        self._codes = [code, *self._codes]
