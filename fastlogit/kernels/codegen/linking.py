"""Functions that are compiled once and kept: those that kernels link to, and those Python calls.

A jitted function passes an array as nine words, and every caller carries a copy of what it calls.
These are C functions, one for each dtype, and an array is an address and its sizes. So a function
may also travel as a number, its address: `address_of` returns it, and `call` calls it.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import compiler, registry, types
from numba.core.caching import NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.np.arrayobj import populate_array

from fastlogit.kernels.codegen.cache import CacheEntry, cache_directory
from fastlogit.kernels.codegen.compile import ENTRY_OPTIONS, INLINE_OPTIONS, Decorator, emitted

PREFIX = "fastlogit."
# A symbol is the function's name and a kind for each argument. An array's is the letter of its
# elements and the number of its sizes: s2 is float32 of shape (n, m), s0 an address alone.
_ELEMENTS = {"s": types.float32, "d": types.float64, "q": types.int64, "u": types.uint32}
_SCALARS = {"i": types.int64, "r": types.float64}
_LETTERS = {element: letter for letter, element in _ELEMENTS.items()}

_functions: dict[str, Callable[..., Any]] = {}
_generators: dict[str, Callable[..., None]] = {}
_libraries: dict[str, Any] = {}


def compiled_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function once for each dtype, and have jitted calls link to that.

    Arrays are contiguous, numbers int64 or float64; it returns a float64 if annotated, or nothing.
    """
    name = function.__name__
    _functions[name] = function

    def link(context: Any, builder: Any, signature: Any, *operands: Any) -> ir.Value:
        with_sizes = name not in _generators
        kinds, words = _flattened(context, builder, signature.args, operands, with_sizes)
        symbol = PREFIX + ".".join([name, *kinds])
        provide(symbol)
        return builder.call(_declared(builder.module, symbol, [w.type for w in words]), words)

    return emitted(link, lambda *_: _returned(name))(function)


def llvm_function(generate: Callable[..., None]) -> Decorator:
    """Compile what generate emits as a function of that name, and have jitted calls link to that.

    generate takes a builder, the element type of the first array, and for each argument an array's
    address or a number. The Python body is the meaning, and runs where jitting is disabled.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        _generators[function.__name__] = generate
        return compiled_once(function)

    return decorate


def _flattened(context, builder, given, operands, with_sizes):
    """Return the arguments' kinds, and the words that they are passed as."""
    kinds, words = [], []
    for kind, operand in zip(given, operands, strict=True):
        if isinstance(kind, types.Array):
            sizes = kind.ndim if with_sizes else 0
            kinds.append(f"{_LETTERS[kind.dtype]}{sizes}")
            words.append(operand.data)
            words += [builder.extract_value(operand.shape, n) for n in range(sizes)]
        else:
            kinds.append("r" if isinstance(kind, types.Float) else "i")
            words.append(context.cast(builder, operand, kind, _SCALARS[kinds[-1]]))
    return kinds, words


def address_of(function: Callable[..., Any], *kinds: Any) -> Any:
    """Return the address of a `compiled_once` function of arrays, kinds as (dtype, dimensions)."""
    if numba.config.DISABLE_JIT:  # the function stands for itself
        return function
    letters = [f"{_LETTERS[numba.from_dtype(dtype)]}{ndim}" for dtype, ndim in kinds]
    symbol = PREFIX + ".".join([function.__name__, *letters])
    provide(symbol)
    return _libraries[symbol].get_pointer_to_function(symbol)


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


def _returned(name: str) -> Any:
    return types.float64 if "return" in _functions[name].__annotations__ else types.void


def _declared(module: ir.Module, symbol: str, words: list[ir.Type]) -> ir.Function:
    name = symbol.removeprefix(PREFIX).split(".")[0]
    returned = ir.DoubleType() if _returned(name) is types.float64 else ir.VoidType()
    known = module.globals.get(symbol)
    return known or ir.Function(module, ir.FunctionType(returned, words), symbol)


@global_compiler_lock
def provide(symbol: str) -> None:
    """Make a function of that symbol callable: compile it, or load it from the cache."""
    if symbol in _libraries:
        return
    codegen = registry.cpu_target.target_context.codegen()
    entry = CacheEntry(symbol.removeprefix(PREFIX), "", codegen)
    library = _load(entry, codegen.unserialize_library)
    if library is None:
        library = _compiled(symbol)
        entry.save((required(library), library.serialize_using_object_code()))
    llvmlite.binding.add_symbol(symbol, library.get_pointer_to_function(symbol))
    _libraries[symbol] = library


def _load(entry: CacheEntry, rebuild: Callable[[Any], Any]) -> Any:
    """Return what rebuild makes of a cached library, after what it links to; None without one."""

    def rebuild_all(content: Any) -> Any:
        symbols, library = content
        for symbol in symbols:
            provide(symbol)
        return rebuild(library)

    return entry.load(rebuild_all)


def required(library: Any) -> list[str]:
    """Return the symbols that a compiled library links to."""
    functions = library._final_module.functions
    return [f.name for f in functions if f.is_declaration and f.name.startswith(PREFIX)]


def _compiled(symbol: str) -> Any:
    name, *kinds = symbol.removeprefix(PREFIX).split(".")
    context = registry.cpu_target.target_context
    context.refresh()
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
    function = _declared(module, symbol, words)
    builder = ir.IRBuilder(function.append_basic_block())
    if name in _generators:
        library = context.codegen().create_library(symbol)
        element = context.get_data_type(arrays[0].dtype)
        _generators[name](builder, element, *function.args)
        builder.ret_void()
    else:
        library = _call_jitted(context, builder, name, arguments)
    library.add_ir_module(module)
    library.enable_object_caching()
    library.finalize()
    return library


def _call_jitted(context, builder, name, arguments):
    """Emit a call of the jitted function with the words it was given; return its library."""
    flags = compiler.Flags()
    registry.cpu_target.options.parse_as_flags(flags, INLINE_OPTIONS)
    flags.no_compile = True
    flags.enable_pyobject = False
    result = compiler.compile_extra(
        registry.cpu_target.typing_context, context, _functions[name], tuple(arguments),
        _returned(name), flags, {},
    )  # fmt: skip
    native, words, values = result.fndesc, iter(builder.function.args), []
    for argument in arguments:
        value = next(words)
        if isinstance(argument, types.Array):
            shape = list(islice(words, argument.ndim))
            value = contiguous(context, builder, argument, value, shape)
        values.append(value)
    callee = context.declare_function(builder.module, native)
    _status, value = context.call_conv.call_function(
        builder, callee, native.restype, native.argtypes, values
    )
    if _returned(name) is types.float64:
        builder.ret(value)
    else:
        builder.ret_void()
    return result.library


def contiguous(context, builder, kind, data, shape):
    """Emit the array of that type and shape whose first element is at data."""
    itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    size = context.get_constant(types.intp, itemsize)
    strides = [size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = context.make_array(kind)(context, builder)
    populate_array(array, data, shape, strides, size, meminfo=None)
    return array._getvalue()


def entry_point(function: Callable[..., Any]) -> Any:
    """Jit a function that Python calls, and keep what is compiled on disk."""
    dispatcher = numba.njit(**ENTRY_OPTIONS, nogil=True)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(function)
    return dispatcher


class KernelCache(NullCache):
    """The compiled signatures of one entry point, for Numba's dispatcher; no entry goes stale."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """Where the entries are, as Numba's interface wants it."""
        return str(directory) if (directory := cache_directory()) else None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None where there is none that is whole."""
        target_context.refresh()
        entry = CacheEntry(self._name, str(sig), target_context.codegen())
        return _load(entry, lambda r: compiler.CompileResult._rebuild(target_context, *r))

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep a compiled signature with the names of what it links to."""
        content = required(result.library), result._reduce()
        CacheEntry(self._name, str(sig), result.codegen).save(content)
