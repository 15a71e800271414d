"""What entry points are compiled for: the types of arguments, which are arrays, numbers, tuples.

Their signature is a string such as ``(module.Csr(f8:1C,u4:1C,i8:1C,f8:1C),i,r)``: arrays by
element, dimensions and layout, whole numbers, floats, truth values; named tuples have their class's
name.
"""

import importlib
from typing import Any

import numpy as np

LAYOUTS = "C", "F", "A"  # the last one: with any strides


def layout_of(array: Any) -> str:
    """Return the layout of an array's memory."""
    flags = array.flags
    return "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"


def canonical(value: Any) -> Any:
    """Return an argument with arrays of the base class, native dtypes, and Python's numbers."""
    if isinstance(value, tuple):
        parts = map(canonical, value)
        return value._make(parts) if hasattr(value, "_make") else tuple(parts)
    if isinstance(value, np.ndarray):
        return value.view(np.dtype(value.dtype.str), np.ndarray)
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if type(value) in (bool, int, float):
        return value
    raise TypeError(f"a kernel takes no {type(value).__name__}: {value!r}")


def signature(value: Any) -> str:
    """Return the signature of an argument that is canonical."""
    if isinstance(value, tuple):
        kind = type(value)
        name = "" if kind is tuple else f"{kind.__module__}.{kind.__qualname__}"
        return f"{name}({','.join(map(signature, value))})"
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str[1:]}:{value.ndim}{layout_of(value)}"
    return {bool: "b", int: "i", float: "r"}[type(value)]


def tuple_types(value: Any) -> list[type]:
    """Return the classes of the tuples in a value, from outside to inside."""
    if not isinstance(value, tuple):
        return []
    return [type(value), *(kind for part in value for kind in tuple_types(part))]


def example(text: str) -> Any:
    """Return an argument of that signature."""
    value, rest = _example(text)
    if rest:
        raise ValueError(f"{rest!r} is left of the signature {text!r}")
    return value


def _example(text: str) -> tuple[Any, str]:
    """Return an argument of the signature that a text begins with, and the rest of the text."""
    end = min([n for n, letter in enumerate(text) if letter in "(,)"], default=len(text))
    name, rest = text[:end], text[end:]
    if not rest.startswith("("):
        return {"b": True, "i": 1, "r": 1.0}[name] if len(name) == 1 else _array(name), rest
    parts, rest = [], rest[1:]
    while not rest.startswith(")"):
        part, rest = _example(rest.removeprefix(","))
        parts.append(part)
    if not name:
        return tuple(parts), rest[1:]
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(module), kind)._make(parts), rest[1:]


def _array(text: str) -> Any:
    """Return an array of a signature such as f8:2C."""
    dtype, kind = text.split(":")
    n_dims, layout = int(kind[0]), kind[1]
    array = np.zeros((4,) * n_dims, dtype)
    spread: Any = tuple([slice(0, 4, 2)] * n_dims)
    return {"C": array, "F": array.T, "A": array[spread]}[layout]
