"""The C functions that jitted code links to: their symbols, and how these are declared."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

# Of the symbols of kernels; others that they link to are of Python's and of C's libraries.
PREFIX = "fastlogit."
# A symbol is the function's name and a kind for each argument. An array's is the letter of its
# elements and the number of its sizes: s2 is float32 of shape (n, m), s0 an address alone.
LETTERS = {"float32": "s", "float64": "d", "int64": "q", "uint32": "u"}

functions: dict[str, Callable[..., Any]] = {}
generators: dict[str, Callable[..., None]] = {}


def types_of_result(function: Callable[..., Any]) -> str:
    """Return the name of the type of what a `compiled_once` function returns."""
    return "float64" if "return" in function.__annotations__ else "void"


def declared(module: ir.Module, symbol: str, words: list[ir.Type]) -> ir.Function:
    """Return the function of that symbol in a module, declared if it is not."""
    function = functions[symbol.removeprefix(PREFIX).split(".")[0]]
    is_float = types_of_result(function) == "float64"
    returned = ir.DoubleType() if is_float else ir.VoidType()
    known = module.globals.get(symbol)
    return known or ir.Function(module, ir.FunctionType(returned, words), symbol)
