"""SIMD register tiles: the inner loops of every matrix product.

LLVM does not tile a matrix product by itself: three plain loops reach a quarter of the rate of
these tiles. A tile is a block of rows x vectors sums, kept in vector registers over the whole inner
dimension; each inner step loads the vectors of b and broadcasts the rows' elements of a. The code
generator is ordinary Python that unrolls the block, so one text serves every block shape, element
type and vector width; on a CPU with narrower vectors LLVM splits them.

Against OpenBLAS, which NumPy brings, on one core of a Zen 5: 3.2 times its rate at 32 x 64 x 64 in
float32, 2.3 times at 128 x 784 x 128, and 0.8 times at 1024 x 1024 x 1024.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from fastlogit.kernels.jit import EXACT, before_first_use, c_callable

_HAS_AVX512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
VECTOR_BYTES = 64 if _HAS_AVX512 else 32
# Rows of a tile, then of those for the rows left over. With two vectors a row the first keeps 16 of
# AVX-512's 32 registers busy, or 12 of AVX2's 16.
TILE_ROWS = (8, 4, 2, 1) if _HAS_AVX512 else (6, 4, 2, 1)

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)


def _index(value: int) -> ir.Constant:
    return ir.Constant(_INDEX, value)


class _Vectors:
    """Emits LLVM instructions on vectors of one element type."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type) -> None:
        self.builder = builder
        self.suffix, self.element_bytes = (
            ("f32", 4) if isinstance(element, ir.FloatType) else ("f64", 8)
        )
        self.count = VECTOR_BYTES // self.element_bytes
        self.type = ir.VectorType(element, self.count)
        self.zero = ir.Constant(self.type, [ir.Constant(element, 0.0)] * self.count)

    def _call(self, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
        signature = ir.FunctionType(result, [arg.type for arg in args])
        pointer = ".p0" if ".masked." in name else ""
        full_name = f"llvm.{name.strip('.')}.v{self.count}{self.suffix}{pointer}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, full_name)
        return self.builder.call(function, args)

    def splat(self, scalar: ir.Value, count_type: ir.VectorType | None = None) -> ir.Value:
        vector_type = count_type or self.type
        undefined = ir.Constant(vector_type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_LANE, 0))
        zeros = ir.Constant(ir.VectorType(_LANE, self.count), [0] * self.count)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def mask(self, lanes: ir.Value) -> ir.Value:
        """Return a mask of the first ``lanes`` lanes."""
        index_type = ir.VectorType(_INDEX, self.count)
        lane = ir.Constant(index_type, [_index(n) for n in range(self.count)])
        return self.builder.icmp_signed("<", lane, self.splat(lanes, index_type))

    def _pointer(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(base, [offset]), self.type.as_pointer())

    def load(self, base: ir.Value, offset: ir.Value, mask: ir.Value | None) -> ir.Value:
        pointer = self._pointer(base, offset)
        if mask is None:
            return self.builder.load(pointer, align=self.element_bytes)
        align = ir.Constant(_LANE, self.element_bytes)
        return self._call(".masked.load.", self.type, pointer, align, mask, self.zero)

    def store(
        self, value: ir.Value, base: ir.Value, offset: ir.Value, mask: ir.Value | None
    ) -> None:
        pointer = self._pointer(base, offset)
        if mask is None:
            self.builder.store(value, pointer, align=self.element_bytes)
        else:
            align = ir.Constant(_LANE, self.element_bytes)
            self._call(".masked.store.", ir.VoidType(), value, pointer, align, mask)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        return self._call("fmuladd", self.type, a, b, c)


class _Block:
    """Emits a block of sums in registers, rows x vectors, the last vector perhaps masked."""

    def __init__(self, vectors: _Vectors, rows: int, width: int, columns_left: ir.Value | None):
        self.v, self.builder = vectors, vectors.builder
        self.offsets = [_index(n * vectors.count) for n in range(width)]
        self.masks: list[ir.Value | None] = [None] * width
        if columns_left is not None:
            left = self.builder.sub(columns_left, self.offsets[-1])
            self.masks[-1] = vectors.mask(left)
        # LLVM promotes these stack slots to registers.
        self.sums = [
            [cgutils.alloca_once(self.builder, vectors.type) for _ in range(width)]
            for _ in range(rows)
        ]

    def _row(self, start: ir.Value, stride: ir.Value, row: int) -> ir.Value:
        return self.builder.add(start, self.builder.mul(stride, _index(row)))

    def _load(self, base: ir.Value, start: ir.Value) -> list[ir.Value]:
        return [
            self.v.load(base, self.builder.add(start, offset), mask)
            for offset, mask in zip(self.offsets, self.masks, strict=True)
        ]

    def start(self, base: ir.Value, start: ir.Value, stride: ir.Value, column: ir.Value) -> None:
        """Set the sums to the rows at base, or to zero where start is negative."""
        from_zero = self.builder.icmp_signed("<", start, _index(0))
        with self.builder.if_else(from_zero) as (zero, given):
            with zero:
                for row in self.sums:
                    for place in row:
                        self.builder.store(self.v.zero, place)
            with given:
                first = self.builder.add(start, column)
                for r, row in enumerate(self.sums):
                    loaded = self._load(base, self._row(first, stride, r))
                    for place, value in zip(row, loaded, strict=True):
                        self.builder.store(value, place)

    def add_outer_product(
        self, a: ir.Value, a_start: ir.Value, a_row: ir.Value, b: ir.Value, b_start: ir.Value
    ) -> None:
        """Add a's column of `rows` elements times b's row of vectors."""
        b_vectors = self._load(b, b_start)
        for r, row in enumerate(self.sums):
            element = self.builder.load(self.builder.gep(a, [self._row(a_start, a_row, r)]))
            factor = self.v.splat(element)
            for place, b_vector in zip(row, b_vectors, strict=True):
                total = self.v.multiply_add(factor, b_vector, self.builder.load(place))
                self.builder.store(total, place)

    def store(self, base: ir.Value, start: ir.Value, stride: ir.Value) -> None:
        """Write the sums to the rows at base."""
        for r, row in enumerate(self.sums):
            first = self._row(start, stride, r)
            for place, offset, mask in zip(row, self.offsets, self.masks, strict=True):
                target = self.builder.add(first, offset)
                self.v.store(self.builder.load(place), base, target, mask)


def product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
    """Compute c = init + a b on the arrays' memory, each described by its strides in elements.

    a's element of row r and inner step p lies at ``r * a_row + p * a_inner``, so a transposed
    operand is a matter of strides; b is (inner, columns) and c (rows, columns), both contiguous.
    Row r of init starts at ``init_start + r * init_row``; a negative init_start stands for zeros.
    This body is the meaning; jitted code gets :func:`_emit_product` in its place. OUT: c.
    """
    r, p = np.arange(rows)[:, None], np.arange(inner)
    result = a.ravel()[r * a_row + p * a_inner] @ b.reshape(inner, columns)
    if init_start >= 0:
        result = result + init.ravel()[init_start + r * init_row + np.arange(columns)]
    c.reshape(rows, columns)[...] = result


@overload(product, jit_options=EXACT)
def _product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
    def jitted(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
        _call_product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c)

    return jitted


@intrinsic
def _call_product(
    typing_context, a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c
):
    i = types.intp

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arguments = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]
        kinds = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(builder.module, kinds, _symbol(c.dtype))
        builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(a, i, i, b, init, i, i, i, i, i, c), generate


def _symbol(dtype: types.Type) -> str:
    return f"fastlogit_product_{dtype}"


@before_first_use
def _provide_products() -> None:
    """Compile the products once for each dtype, and give the linker their addresses.

    Every jitted function that calls one would else carry, and compile, a copy of its own: 60 s
    instead of 20 s for all kernels.
    """
    for dtype in (types.float32, types.float64):
        p, i = types.CPointer(dtype), types.intp
        compiled = c_callable(_product_of_pointers, types.void(p, i, i, p, p, i, i, i, i, i, p))
        llvmlite.binding.add_symbol(_symbol(dtype), compiled.address)


def _product_of_pointers(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
    _emit_product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c)


@intrinsic
def _emit_product(
    typing_context, a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c
):
    i = types.intp

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _generate_product(builder, context.get_data_type(c.dtype), *values)
        return context.get_dummy_value()

    return types.void(a, i, i, b, init, i, i, i, i, i, c), generate


def _generate_product(
    builder: ir.IRBuilder, element: ir.Type, a: ir.Value, a_row: ir.Value, a_inner: ir.Value,
    b: ir.Value, init: ir.Value, init_start: ir.Value, init_row: ir.Value, rows: ir.Value,
    columns: ir.Value, inner: ir.Value, c: ir.Value,
) -> None:  # fmt: skip
    v = _Vectors(builder, element)

    def tile(n_rows: int, width: int, row: ir.Value, column: ir.Value, tail: bool) -> None:
        block = _Block(v, n_rows, width, builder.sub(columns, column) if tail else None)
        start = builder.add(init_start, builder.mul(row, init_row))
        block.start(init, start, init_row, column)
        row_start = builder.mul(row, a_row)
        with cgutils.for_range(builder, inner) as loop:
            b_start = builder.add(builder.mul(loop.index, columns), column)
            a_start = builder.add(row_start, builder.mul(loop.index, a_inner))
            block.add_outer_product(a, a_start, a_row, b, b_start)
        block.store(c, builder.add(builder.mul(row, columns), column), columns)

    done = _index(0)
    for n_rows in TILE_ROWS:
        with _steps(builder, done, rows, n_rows) as (row, done):
            with _steps(builder, _index(0), columns, 2 * v.count) as (column, column_end):
                tile(n_rows, 2, row, column, tail=False)
            left = builder.sub(columns, column_end)
            with builder.if_then(builder.icmp_signed(">", left, _index(0))):
                wide = builder.icmp_signed(">", left, _index(v.count))
                with builder.if_else(wide) as (two, one):
                    with two:
                        tile(n_rows, 2, row, column_end, tail=True)
                    with one:
                        tile(n_rows, 1, row, column_end, tail=True)


@contextmanager
def _steps(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Emit a loop over the whole steps from start to stop; yield its index, and where it ends."""
    count = builder.sdiv(builder.sub(stop, start), _index(step))
    end = builder.add(start, builder.mul(count, _index(step)))
    with cgutils.for_range(builder, count) as loop:
        yield builder.add(start, builder.mul(loop.index, _index(step))), end
