"""What entry points are compiled for: the types of arguments, which are arrays, numbers, tuples.

Their signature is a string such as ``(module.Csr(f8:1C,u4:1C,i8:1C,f8:1C),i,r)``: arrays by
element, dimensions and layout, whole numbers, floats, truth values; named tuples have their class's
name.
"""

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
        text = f"{value.dtype.str[1:]}:{value.ndim}{layout_of(value)}"
        return text if value.flags.aligned else f"{text}u"
    return {bool: "b", int: "i", float: "r"}[type(value)]


def tuple_types(value: Any) -> list[type]:
    """Return the classes of the tuples in a value, from outside to inside."""
    if not isinstance(value, tuple):
        return []
    return [type(value), *(kind for part in value for kind in tuple_types(part))]
