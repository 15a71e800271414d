"""How a function is compiled: options and decorators; more decorators are in ``linking``."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba
from numba.core import types
from numba.extending import lower_builtin, overload, type_callable

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

# Without a zero check on divisions (error_model) loops with a division vectorise; reassoc lets sums
# vectorise. nnan and ninf are left out: a diverging loss must stay visible. No references are
# counted (_nrt), so nothing can be allocated: the arrays are the caller's, and counting was three
# quarters of a step of one row.
ENTRY_OPTIONS: dict[str, Any] = {
    "error_model": "numpy", "fastmath": {"nsz", "contract", "reassoc"}, "no_cfunc_wrapper": True,
    "_nrt": False,
}  # fmt: skip
# Without a wrapper for calls from Python, which would be a fifth of the time to compile.
KERNEL_OPTIONS: dict[str, Any] = {**ENTRY_OPTIONS, "no_cpython_wrapper": True}
# For arithmetic whose order of operations matters, such as a constant in two parts.
EXACT: dict[str, Any] = {
    "error_model": "numpy", "fastmath": {"nsz", "contract"}, "no_cpython_wrapper": True,
}  # fmt: skip
INLINE_OPTIONS: dict[str, Any] = {**KERNEL_OPTIONS, "forceinline": True}

# Jits a function that only other jitted functions call.
kernel = numba.njit(**KERNEL_OPTIONS)
# Jits a kernel that only calls others in a row, as a part of its caller. Passing many arrays
# through the stack, level by level, was two thirds of a step of one row. LLVM inlines: Numba's own
# inlining was a quarter of the time to compile, and runs no faster.
inline = numba.njit(**INLINE_OPTIONS)


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
            implementation = choose(function.__name__, *kinds)
            return getattr(implementation, "py_func", implementation)

        chosen.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        overload(call, jit_options=jit_options)(chosen)
        return call

    return decorate


def emitted(generate: Callable[..., Any], returns: Callable[..., Any]) -> Decorator:
    """Return a decorator that makes a jitted call what generate emits, in the caller's own code.

    returns maps the arguments' Numba types to the result's, or None. generate takes the context,
    the builder, the signature, and each argument's value, or an array's struct.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        returns.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        type_callable(function)(lambda _context: returns)

        @lower_builtin(function, types.VarArg(types.Any))
        def lowered(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            operands = [
                context.make_array(kind)(context, builder, value)
                if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]  # fmt: skip
            result = generate(context, builder, signature, *operands)
            return context.get_dummy_value() if signature.return_type is types.void else result

        return function

    return decorate
