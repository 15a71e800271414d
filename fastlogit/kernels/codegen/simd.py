"""SIMD vectors in jitted code: an emitter of vector instructions, and prefetching.

LLVM vectorises simple loops by itself, but it does not tile a matrix product. Functions that need
more are written as Python that emits LLVM's instructions on whole vectors; LLVM splits the vectors
on a CPU that has narrower ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils, types

from fastlogit.kernels.codegen.compile import emitted

HAS_AVX512 = "+avx512f" in (
    numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
)
VECTOR_BYTES = 64 if HAS_AVX512 else 32
CACHE_LINE = 64
# Data of more bytes come from memory, or from a cache that is little faster. Their rows are
# prefetched so many rows ahead.
NEAR_BYTES = 1 << 20
NEAREST_BYTES = 1 << 15
PREFETCH_ROWS = 12

INDEX = ir.IntType(64)
COLUMN = ir.IntType(32)
_LANE = ir.IntType(32)


def index(value: int) -> ir.Constant:
    """Return an index constant."""
    return ir.Constant(INDEX, value)


@contextmanager
def steps(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Emit a loop over the whole steps from start to stop; yield its index, and where it ends."""
    count = builder.sdiv(builder.sub(stop, start), index(step))
    end = builder.add(start, builder.mul(count, index(step)))
    with cgutils.for_range(builder, count) as loop:
        yield builder.add(start, builder.mul(loop.index, index(step))), end


def load_element(
    builder: ir.IRBuilder, element: ir.Type, base: ir.Value, offset: ir.Value
) -> ir.Value:
    """Emit a load of one element of an array of that type."""
    return builder.load(builder.gep(base, [offset], source_etype=element), typ=element)


class Vectors:
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
        """Return a vector with the scalar in every lane."""
        vector_type = count_type or self.type
        undefined = ir.Constant(vector_type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_LANE, 0))
        zeros = ir.Constant(ir.VectorType(_LANE, self.count), [0] * self.count)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def mask(self, lanes: ir.Value) -> ir.Value:
        """Return a mask of the first ``lanes`` lanes."""
        index_type = ir.VectorType(INDEX, self.count)
        lane = ir.Constant(index_type, [index(n) for n in range(self.count)])
        return self.builder.icmp_signed("<", lane, self.splat(lanes, index_type))

    def address(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        """Return the address of an element of the vectors' element type."""
        return self.builder.gep(base, [offset], source_etype=self.type.element)

    def element(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        """Load one element of the vectors' element type."""
        return load_element(self.builder, self.type.element, base, offset)

    def _pointer(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.address(base, offset), self.type.as_pointer())

    def load(self, base: ir.Value, offset: ir.Value, mask: ir.Value | None) -> ir.Value:
        """Load from element `offset` on; lanes outside the mask are 0."""
        pointer = self._pointer(base, offset)
        if mask is None:
            return self.builder.load(pointer, align=self.element_bytes, typ=self.type)
        align = ir.Constant(_LANE, self.element_bytes)
        return self._call(".masked.load.", self.type, pointer, align, mask, self.zero)

    def store(
        self, value: ir.Value, base: ir.Value, offset: ir.Value, mask: ir.Value | None
    ) -> None:
        """Store from element `offset` on the lanes of the mask."""
        pointer = self._pointer(base, offset)
        if mask is None:
            self.builder.store(value, pointer, align=self.element_bytes)
        else:
            align = ir.Constant(_LANE, self.element_bytes)
            self._call(".masked.store.", ir.VoidType(), value, pointer, align, mask)

    def for_each_vector(
        self, length: ir.Value, widths: tuple[int, ...],
        do: Callable[[list[ir.Value], ir.Value | None], None],
    ) -> None:  # fmt: skip
        """Emit loops over the vectors of a length, which call do with offsets and a mask.

        Each loop takes as many vectors together as its width; the last vector may be masked.
        """
        end = index(0)
        for width in widths:
            with steps(self.builder, end, length, width * self.count) as (start, end):
                do([self.builder.add(start, index(n * self.count)) for n in range(width)], None)
        with self.builder.if_then(self.builder.icmp_signed("<", end, length)):
            do([end], self.mask(self.builder.sub(length, end)))

    def sums(self, count: int) -> list[ir.Value]:
        """Return places on the stack for vectors, set to 0; LLVM promotes them to registers."""
        places = [cgutils.alloca_once(self.builder, self.type) for _ in range(count)]
        for place in places:
            self.builder.store(self.zero, place)
        return places

    def sum(self, place: ir.Value) -> ir.Value:
        """Return the vector at one of those places."""
        return self.builder.load(place, typ=self.type)

    def add_product(self, a: ir.Value, b: ir.Value, place: ir.Value) -> None:
        """Add a b to the vector at one of those places."""
        self.builder.store(self.multiply_add(a, b, self.sum(place)), place)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a b + c, in one instruction where the CPU has it."""
        return self._call("fmuladd", self.type, a, b, c)

    def sums_of_lanes(self, vectors: list[ir.Value]) -> ir.Value:
        """Return a vector whose lane n is the sum of the lanes of vectors[n], ``count`` of them.

        Pairs of vectors are folded into one that holds half the lanes of each, until one is left.
        """
        size = self.count
        while size > 1:
            half, blocks = size // 2, self.count // size
            starts = [v * self.count + b * size for v in range(2) for b in range(blocks)]
            low = [start + n for start in starts for n in range(half)]
            high = [lane + half for lane in low]
            vectors = [
                self.builder.fadd(self.shuffle(u, v, low), self.shuffle(u, v, high))
                for u, v in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            size = half
        return vectors[0]

    def sum_of_lanes(self, vector: ir.Value) -> ir.Value:
        """Return the sum of a vector's lanes."""
        lanes = self.count
        while lanes > 1:
            lanes //= 2
            low = self.shuffle(vector, vector, list(range(lanes)))
            high = self.shuffle(vector, vector, list(range(lanes, 2 * lanes)))
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, ir.Constant(_LANE, 0))

    def shuffle(self, u: ir.Value, v: ir.Value, lanes: list[int]) -> ir.Value:
        """Return the lanes of those numbers, u's counted first and then v's."""
        return self.builder.shuffle_vector(
            u, v, ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes)
        )


def prefetch(
    builder: ir.IRBuilder, base: ir.Value, row: ir.Value, width: ir.Value, element_bytes: int
) -> None:
    """Emit requests to bring a row into the cache, without waiting for it."""
    row_bytes = builder.mul(width, index(element_bytes))
    byte = ir.IntType(8).as_pointer()
    start = builder.gep(
        builder.bitcast(base, byte), [builder.mul(row, row_bytes)], source_etype=ir.IntType(8)
    )
    flag = ir.IntType(32)
    kinds = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0")
    read, keep, data = ir.Constant(flag, 0), ir.Constant(flag, 3), ir.Constant(flag, 1)
    lines = builder.sdiv(builder.add(row_bytes, index(CACHE_LINE - 1)), index(CACHE_LINE))
    with cgutils.for_range(builder, lines) as loop:
        offset = builder.mul(loop.index, index(CACHE_LINE))
        line = builder.gep(start, [offset], source_etype=ir.IntType(8))
        builder.call(function, [line, read, keep, data])


def _emit_prefetch_row(context, builder, signature, array, row):
    kind = signature.args[0]
    width = builder.extract_value(array.shape, 1) if kind.ndim == 2 else index(1)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    prefetch(builder, array.data, row, width, size)


@emitted(_emit_prefetch_row, lambda *_: types.void)
def prefetch_row(array, row):
    """Prefetch a row of a contiguous array: request it for the cache, without waiting for it."""


def _emit_prefetch_part(context, builder, signature, array, start, count):
    element = context.get_data_type(signature.args[0].dtype)
    data = builder.gep(array.data, [start], source_etype=element)
    prefetch(builder, data, index(0), count, context.get_abi_sizeof(element))


@emitted(_emit_prefetch_part, lambda *_: types.void)
def prefetch_part(array, start, count):
    """Prefetch count elements of a vector from start on, without waiting for them."""
