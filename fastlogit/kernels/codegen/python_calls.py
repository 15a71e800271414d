"""The code between Python and an entry point: it reads the arguments from Python's own objects.

It takes the tuple of arguments, compares each with what it was compiled for, reads the addresses
and sizes of arrays in NumPy's struct, which is part of its C interface, gives up the interpreter's
lock, and calls the jitted function. Arguments of other types make it return NotImplemented. That
takes 5 ns an array.
"""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.arrays import array_of, contiguous
from fastlogit.kernels.codegen.compile import types
from fastlogit.kernels.codegen.objects import COMPARED, OBJECTS

_WORD, _INT, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
POINTER = _BYTE.as_pointer()
# Bytes from an object's start to: its type; a float's value, or the first field of an array or a
# dtype; a tuple's items.
_HEADER = object.__basicsize__
_TYPE = _HEADER - ctypes.sizeof(ctypes.c_void_p)
_ITEMS = tuple.__basicsize__
# PyArrayObject_fields: data, nd, dimensions, strides, base, descr, flags.
_DATA, _NDIM, _SHAPE, _STRIDES, _DTYPE, _FLAGS = (_HEADER + n for n in (0, 8, 16, 24, 40, 48))
# PyArray_Descr: typeobj, kind, type, byteorder, flags, type_num.
_BYTE_ORDER, _TYPE_NUMBER = _HEADER + 10, _HEADER + 12
_FLAG_BITS = {"C": 1, "F": 2, "A": 0}


class ArgumentReader:
    """Emits code that reads an entry point's arguments, and leaves it where one is not as wanted.

    ``mismatch`` is the block where it then goes on.
    """

    def __init__(self, context: Any, builder: ir.IRBuilder, objects: ir.Value) -> None:
        self.context, self.builder = context, builder
        self.mismatch = builder.append_basic_block("mismatch")
        self._objects, self._classes = objects, len(COMPARED)

    def read(self, kind: Any, value: ir.Value) -> ir.Value:
        """Emit the reading of an object as a value of that Numba type."""
        builder = self.builder
        if isinstance(kind, types.BaseTuple):
            return self._tuple(kind, value)
        if isinstance(kind, types.Array):
            return self._array(kind, value)
        if isinstance(kind, types.Boolean):
            self._require(self._has_type(value, COMPARED.index(bool)))
            return builder.icmp_unsigned("==", self._address(value), self.compared(True))
        if isinstance(kind, types.Integer):
            self._require(self._has_type(value, COMPARED.index(int)))
            return call_python(builder, "PyLong_AsLongLong", _WORD, value)
        # Both have their value in the same place.
        of_numpy = self._has_type(value, COMPARED.index(np.float64))
        self._require(builder.or_(of_numpy, self._has_type(value, COMPARED.index(float))))
        return self._field(value, _HEADER, ir.DoubleType())

    def compared(self, value: Any) -> ir.Value:
        """Emit the address of one of the objects that arguments are compared with."""
        (place,) = (n for n, other in enumerate(COMPARED) if other is value)
        return self._compared_at(place)

    def _compared_at(self, place: int) -> ir.Value:
        where = self.builder.gep(self._objects, [_INT(0), _INT(place)])
        return self.builder.load(where, typ=_WORD)

    def _tuple(self, kind: Any, value: ir.Value) -> ir.Value:
        self._require(self._has_type(value, self._classes))
        self._classes += 1
        self._require_equal(self._field(value, _HEADER, _WORD), _WORD(len(kind)))
        parts = [
            self.read(part, self._field(value, _ITEMS + 8 * n, POINTER))
            for n, part in enumerate(kind)
        ]
        return self.context.make_tuple(self.builder, kind, parts)

    def _array(self, kind: Any, value: ir.Value) -> ir.Value:
        builder, dtype = self.builder, np.dtype(kind.dtype.name)
        self._require(self._has_type(value, COMPARED.index(np.ndarray)))
        description = self._field(value, _DTYPE, POINTER)
        self._require_equal(self._field(description, _TYPE_NUMBER, _INT), _INT(dtype.num))
        order = ord("|" if dtype.itemsize == 1 else "=")
        self._require_equal(self._field(description, _BYTE_ORDER, _BYTE), _BYTE(order))
        self._require_equal(self._field(value, _NDIM, _INT), _INT(kind.ndim))
        bit = _INT(_FLAG_BITS[kind.layout])
        self._require_equal(builder.and_(self._field(value, _FLAGS, _INT), bit), bit)
        shape_at, strides_at = (self._field(value, at, POINTER) for at in (_SHAPE, _STRIDES))
        shape = [self._field(shape_at, 8 * n, _WORD) for n in range(kind.ndim)]
        element = self.context.get_data_type(kind.dtype).as_pointer()
        data = builder.bitcast(self._field(value, _DATA, POINTER), element)
        if kind.layout == "C":
            return contiguous(self.context, builder, kind, data, shape)
        strides = [self._field(strides_at, 8 * n, _WORD) for n in range(kind.ndim)]
        return array_of(self.context, builder, kind, data, shape, strides)

    def _field(self, start: ir.Value, offset: int, kind: ir.Type) -> ir.Value:
        place = self.builder.gep(start, [_WORD(offset)], source_etype=_BYTE)
        place = self.builder.bitcast(place, kind.as_pointer())
        return self.builder.load(place, typ=kind)

    def _address(self, value: ir.Value) -> ir.Value:
        return self.builder.ptrtoint(value, _WORD)

    def _has_type(self, value: ir.Value, place: int) -> ir.Value:
        given, wanted = self._field(value, _TYPE, _WORD), self._compared_at(place)
        return self.builder.icmp_unsigned("==", given, wanted)

    def _require_equal(self, value: ir.Value, expected: ir.Value) -> None:
        self._require(self.builder.icmp_unsigned("==", value, expected))

    def _require(self, matches: ir.Value) -> None:
        following = self.builder.append_basic_block()
        self.builder.cbranch(matches, following, self.mismatch)
        self.builder.position_at_end(following)


def call_python(builder: ir.IRBuilder, name: str, returned: ir.Type, *values: ir.Value) -> ir.Value:
    """Emit a call of a function of Python's C interface."""
    kinds = ir.FunctionType(returned, [value.type for value in values])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kinds, name)
    return builder.call(function, values)


def emit_python_function(
    context: Any, module: ir.Module, symbol: str, kinds: tuple[Any, ...],
    call_jitted: Callable[[ir.IRBuilder, list[ir.Value]], tuple[Any, ir.Value, ir.Value]],
) -> None:  # fmt: skip
    """Emit the function of that symbol, which takes a tuple of arguments of those Numba types.

    call_jitted emits the call proper; it returns the result's type, value, and whether it failed.
    """
    function = ir.Function(module, ir.FunctionType(POINTER, [POINTER]), symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    all_kinds = types.Tuple(kinds)
    table = ir.ArrayType(_WORD, len(COMPARED) + len(list(_tuples(all_kinds))))
    objects = ir.GlobalVariable(module, table, symbol + OBJECTS)
    objects.initializer = ir.Constant(table, None)
    reader = ArgumentReader(context, builder, objects)
    values = reader.read(all_kinds, function.args[0])
    thread = call_python(builder, "PyEval_SaveThread", POINTER)
    arguments = [builder.extract_value(values, n) for n in range(len(kinds))]
    kind, result, failed = call_jitted(builder, arguments)
    call_python(builder, "PyEval_RestoreThread", ir.VoidType(), thread)
    with builder.if_then(failed):
        text = ir.Constant(ir.ArrayType(_BYTE, len(symbol) + 1), bytearray(symbol.encode() + b"\0"))
        message = ir.GlobalVariable(module, text.type, symbol + ".failed")
        message.initializer = text
        where = builder.bitcast(message, POINTER)
        kind_of_error = builder.inttoptr(reader.compared(SystemError), POINTER)
        call_python(builder, "PyErr_SetString", ir.VoidType(), kind_of_error, where)
        builder.ret(ir.Constant(POINTER, None))
    builder.ret(_object_of(builder, reader, kind, result))
    builder.position_at_end(reader.mismatch)
    builder.ret(_borrowed(builder, reader, NotImplemented))


def _tuples(kind: Any) -> Iterator[Any]:
    """Yield the type and those in it that are of tuples."""
    if isinstance(kind, types.BaseTuple):
        yield kind
        for part in kind:
            yield from _tuples(part)


def _object_of(builder: ir.IRBuilder, reader: ArgumentReader, kind: Any, value: Any) -> ir.Value:
    """Emit Python's object of a result."""
    if isinstance(kind, types.BaseTuple):
        made = call_python(builder, "PyTuple_New", POINTER, _WORD(len(kind)))
        for n, part in enumerate(kind):
            item = _object_of(builder, reader, part, builder.extract_value(value, n))
            call_python(builder, "PyTuple_SetItem", _INT, made, _WORD(n), item)
        return made
    if isinstance(kind, types.Float):
        wide = reader.context.cast(builder, value, kind, types.float64)
        return call_python(builder, "PyFloat_FromDouble", POINTER, wide)
    if isinstance(kind, types.Boolean):
        return call_python(builder, "PyBool_FromLong", POINTER, builder.zext(value, _WORD))
    if isinstance(kind, types.Integer):
        wide = reader.context.cast(builder, value, kind, types.int64)
        return call_python(builder, "PyLong_FromLongLong", POINTER, wide)
    return _borrowed(builder, reader, None)


def _borrowed(builder: ir.IRBuilder, reader: ArgumentReader, value: Any) -> ir.Value:
    """Emit a new reference to one of the objects that arguments are compared with."""
    found = builder.inttoptr(reader.compared(value), POINTER)
    call_python(builder, "Py_IncRef", ir.VoidType(), found)
    return found
