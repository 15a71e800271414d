"""How a function is compiled: the options, and the decorators of functions that kernels call.

Two more decorators are in files of their own, with what they need: `compiled_once` and
`llvm_function` in :mod:`fastlogit.kernels.codegen.linking`, and `entry_point` in
:mod:`fastlogit.kernels.codegen.entry_points`.
"""

from collections.abc import Callable
from typing import Any

import numba

# Without a zero check on divisions (error_model) loops with a division vectorise; reassoc lets sums
# vectorise. nnan and ninf are left out: a diverging loss must stay visible. No references are
# counted (_nrt), so nothing can be allocated: the arrays are the caller's, and counting was three
# quarters of a step of one row.
ENTRY_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"nsz", "contract", "reassoc"},
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
# Without a wrapper for calls from Python, which would be a fifth of the time to compile.
KERNEL_OPTIONS: dict[str, Any] = {**ENTRY_OPTIONS, "no_cpython_wrapper": True}
# For arithmetic whose order of operations matters, such as a constant in two parts.
EXACT: dict[str, Any] = {"error_model": "numpy", "fastmath": {"nsz", "contract"}}
# As a part of the caller.
INLINE_OPTIONS: dict[str, Any] = {**KERNEL_OPTIONS, "forceinline": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Jit a function that only other jitted functions call."""
    return numba.njit(**KERNEL_OPTIONS)(function)


def inline(function: Callable[..., Any]) -> Any:
    """Jit a kernel that only calls others in a row, as a part of its caller.

    Passing on its many arrays through the stack, level by level, was two thirds of a step of one
    row. LLVM does it: Numba's own inlining copies each caller's code with every call, which was a
    quarter of the time to compile, and runs no faster.
    """
    return numba.njit(**INLINE_OPTIONS)(function)
