"""The options that the kernels are compiled with."""

from typing import Any

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
