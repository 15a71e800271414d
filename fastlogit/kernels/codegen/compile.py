"""How a function is compiled: options and decorators; more decorators are in ``linking``.

A decorated function stays a plain one. What the compiler has to know of it is told once it is
imported, which is where something has to be compiled: Numba's import and start take 0.5 s.
"""

import functools
import importlib
import inspect
import os
from collections.abc import Callable
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# As Numba reads it: the kernels then run as plain Python.
DISABLE_JIT = os.environ.get("NUMBA_DISABLE_JIT", "") not in ("", "0")

# Without a zero check on divisions (error_model) loops with a division vectorise; reassoc lets sums
# vectorise. nnan and ninf are left out: a diverging loss must stay visible. No references are
# counted (_nrt), so nothing can be allocated: the arrays are the caller's, and counting was three
# quarters of a step of one row. Wrappers for calls from Python and C would be a fifth of the time
# to compile; entry points have their own.
KERNEL_OPTIONS: dict[str, Any] = {
    "error_model": "numpy", "fastmath": {"nsz", "contract", "reassoc"}, "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True, "_nrt": False,
}  # fmt: skip
# For arithmetic whose order of operations matters, such as a constant in two parts.
EXACT: dict[str, Any] = {
    "error_model": "numpy", "fastmath": {"nsz", "contract"}, "no_cpython_wrapper": True,
}  # fmt: skip
INLINE_OPTIONS: dict[str, Any] = {**KERNEL_OPTIONS, "forceinline": True}


class LazyModule:
    """A module of Numba's that is imported once a name in it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """Return what the module calls by that name."""
        return getattr(importlib.import_module(self._name), name)


types: Any = LazyModule("numba.core.types")
cgutils: Any = LazyModule("numba.core.cgutils")
_extending: Any = LazyModule("numba.extending")

_declarations: list[Callable[[], Any]] = []
_is_prepared = False


def _declare(declaration: Callable[[], Any]) -> None:
    """Make a declaration to the compiler, or keep it until the compiler is imported."""
    if _is_prepared:
        declaration()
    else:
        _declarations.append(declaration)


def prepare_compiler() -> None:
    """Import the compiler and make the declarations, so that jitted code can call kernels."""
    global _is_prepared
    _is_prepared = True
    while _declarations:
        _declarations.pop(0)()


def compiled_as(function: Callable[..., Any], **options: Any) -> Decorator:
    """Return a decorator that makes a jitted call of function one of what is returned for types."""

    def decorate(choose: Callable[..., Any]) -> Callable[..., Any]:
        _declare(lambda: _extending.overload(function, **options)(choose))
        return choose

    return decorate


def _jitted(options: dict[str, Any]) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled_as(function, jit_options=options, strict=False)(lambda *_: function)
        return function

    return decorate


# Jits a function that only other jitted functions call.
kernel = _jitted(KERNEL_OPTIONS)
exact_kernel = _jitted(EXACT)
# Jits a kernel that only calls others in a row, as a part of its caller. Passing many arrays
# through the stack, level by level, was two thirds of a step of one row. LLVM inlines: Numba's own
# inlining was a quarter of the time to compile, and runs no faster.
inline = _jitted(INLINE_OPTIONS)


def chosen_by_type(
    choose: Callable[..., Any], jit_options: dict[str, Any] = INLINE_OPTIONS
) -> Decorator:
    """Return a decorator that makes a call one of the function that choose returns."""
    # choose takes the decorated function's name and arguments: their Numba types when a jitted
    # caller is compiled, their values when Python calls.

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Any:
            return choose(function.__name__, *args)(*args)

        def chosen(*kinds: Any) -> Any:
            return choose(function.__name__, *kinds)

        def declare() -> None:
            chosen.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
            _extending.overload(call, jit_options=jit_options)(chosen)

        _declare(declare)
        return call

    return decorate


def emitted(generate: Callable[..., Any], returns: Callable[..., Any]) -> Decorator:
    """Return a decorator that makes a jitted call what generate emits, in the caller's own code.

    returns maps the arguments' Numba types to the result's, or None. generate takes the context,
    the builder, the signature, and each argument's value, or an array's struct.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            operands = [
                context.make_array(kind)(context, builder, value)
                if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]  # fmt: skip
            result = generate(context, builder, signature, *operands)
            return context.get_dummy_value() if signature.return_type is types.void else result

        def declare() -> None:
            returns.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
            _extending.type_callable(function)(lambda _context: returns)
            _extending.lower_builtin(function, types.VarArg(types.Any))(lowered)

        _declare(declare)
        return function

    return decorate
