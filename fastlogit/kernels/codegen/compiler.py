"""The compiler: jitted functions to object code. Imported only where something is compiled."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import compiler, registry, types
from numba.core.compiler_lock import global_compiler_lock

from fastlogit.kernels.codegen.arrays import contiguous
from fastlogit.kernels.codegen.compile import INLINE_OPTIONS, cgutils, prepare_compiler
from fastlogit.kernels.codegen.python_calls import emit_python_function
from fastlogit.kernels.codegen.signatures import layout_of
from fastlogit.kernels.codegen.symbols import (
    LETTERS,
    PREFIX,
    declared,
    functions,
    generators,
    types_of_result,
)

prepare_compiler()

_SCALARS = {"i": types.int64, "r": types.float64}
_ELEMENTS = {letter: getattr(types, name) for name, letter in LETTERS.items()}


@global_compiler_lock
def compile_linked(symbol: str) -> tuple[bytes, list[str]]:
    """Return a `compiled_once` function as object code, and the symbols it links to."""
    name, *kinds = symbol.removeprefix(PREFIX).split(".")
    context = _refreshed_context()
    module = context.create_module(symbol)
    arguments: list[Any] = [
        _SCALARS[kind] if kind in _SCALARS else types.Array(_ELEMENTS[kind[0]], int(kind[1]), "C")
        for kind in kinds
    ]
    arrays = [argument for argument in arguments if isinstance(argument, types.Array)]
    words: list[ir.Type] = []
    for argument in arguments:
        if argument in arrays:
            words.append(context.get_data_type(argument.dtype).as_pointer())
            words += [context.get_value_type(types.intp)] * argument.ndim
        else:
            words.append(context.get_value_type(argument))
    function = declared(module, symbol, words)
    builder = ir.IRBuilder(function.append_basic_block())
    if name in generators:
        library = context.codegen().create_library(symbol)
        element = context.get_data_type(arrays[0].dtype)
        value = generators[name](builder, element, *function.args)
        builder.ret_void() if value is None else builder.ret(value)
    else:
        library = _call_with_words(context, builder, functions[name], arguments)
    return _finished(library, module)


def _call_with_words(context, builder, function, arguments):
    """Emit a call of the jitted function with the words it was given; return its library."""
    returned = getattr(types, types_of_result(function))
    compiled = _compiled(context, function, arguments, returned)
    words, values = iter(builder.function.args), []
    for argument in arguments:
        value = next(words)
        if isinstance(argument, types.Array):
            shape = list(islice(words, argument.ndim))
            value = contiguous(context, builder, argument, value, shape)
        values.append(value)
    _status, value = _call(context, builder, compiled, values)
    if returned is types.float64:
        builder.ret(value)
    else:
        builder.ret_void()
    return compiled.library


@global_compiler_lock
def compile_entry(
    symbol: str, function: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[bytes, list[str]]:
    """Return an entry point as object code for arguments like these, and what it links to."""
    context = _refreshed_context()
    module = context.create_module(symbol)
    kinds = tuple(numba_type(value) for value in args)
    compiled = _compiled(context, function, kinds, None)

    def call_jitted(builder: ir.IRBuilder, values: list[ir.Value]) -> tuple[Any, Any, Any]:
        status, value = _call(context, builder, compiled, values)
        return compiled.signature.return_type, value, status.is_error

    emit_python_function(context, module, symbol, kinds, call_jitted)
    return _finished(compiled.library, module)


def numba_type(value: Any) -> Any:
    """Return Numba's type of an argument; arrays may be written to, as kernels know which."""
    if isinstance(value, tuple):
        kind = type(value)
        return types.BaseTuple.from_types([numba_type(part) for part in value], kind)
    if isinstance(value, np.ndarray):
        element, layout = numba.from_dtype(value.dtype), layout_of(value)
        return types.Array(element, value.ndim, layout)
    return {bool: types.boolean, int: types.int64, float: types.float64}[type(value)]


def _refreshed_context():
    context = registry.cpu_target.target_context
    context.refresh()
    return context


def _compiled(context, function, arguments, returned):
    """Compile a function that the caller completes the library of."""
    flags = compiler.Flags()
    registry.cpu_target.options.parse_as_flags(flags, INLINE_OPTIONS)
    flags.no_compile = True
    flags.enable_pyobject = False
    return compiler.compile_extra(
        registry.cpu_target.typing_context, context, function, tuple(arguments), returned, flags, {}
    )


def _call(context, builder, compiled, values):
    native = compiled.fndesc
    callee = context.declare_function(builder.module, native)
    return context.call_conv.call_function(builder, callee, native.restype, native.argtypes, values)


def _finished(library, module):
    """Return the object code of a library with the module, and the symbols it links to."""
    define_reshape(module)
    library.add_ir_module(module)
    library.enable_object_caching()
    library.finalize()
    names = [f.name for f in library._final_module.functions if f.is_declaration]
    linked = [name for name in names if not name.startswith("llvm.")]
    return library._get_compiled_object(), linked


def define_reshape(module):
    """Define the function of Numba's library that a reshape calls, for C-contiguous arrays.

    Its source is attempt_nocopy_reshape in numba/_helperlib.c. It fills the new strides, and
    returns 0 if the array would have to be copied.
    """
    word, flag = ir.IntType(64), ir.IntType(32)
    words = word.as_pointer()
    kinds = [word, words, words, word, words, words, word, flag]
    kind = ir.FunctionType(flag, kinds)
    function = ir.Function(module, kind, "numba_attempt_nocopy_reshape")
    function.linkage = "weak_odr"  # kept until what calls it is linked
    n_dims, shape, strides, n_new, new_shape, new_strides, size, _order = function.args
    builder = ir.IRBuilder(function.append_basic_block())
    stride = cgutils.alloca_once_value(builder, size)

    def for_each(count, lengths):
        with cgutils.for_range(builder, count) as loop:
            place = builder.sub(builder.sub(count, loop.index), word(1))
            at = builder.load(stride, typ=word)
            length = builder.load(builder.gep(lengths, [place], source_etype=word), typ=word)
            yield place, at, length
            builder.store(builder.mul(at, length), stride)

    for place, at, length in for_each(n_dims, shape):
        given = builder.load(builder.gep(strides, [place], source_etype=word), typ=word)
        is_other = builder.icmp_signed("!=", given, at)
        counts = builder.icmp_signed("!=", length, word(1))
        with builder.if_then(builder.and_(is_other, counts)):
            builder.ret(flag(0))
    builder.store(size, stride)
    for place, at, _length in for_each(n_new, new_shape):
        builder.store(at, builder.gep(new_strides, [place], source_etype=word))
    builder.ret(flag(1))
