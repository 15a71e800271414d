"""SIMD vectors in jitted code: an emitter of vector instructions, and prefetching.

LLVM vectorises simple loops itself. Functions that need more are Python that emits instructions on
whole vectors, which LLVM splits on a CPU that has narrower ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils, emitted, types
from fastlogit.kernels.codegen.cpu import HAS_AVX512

VECTOR_BYTES = 64 if HAS_AVX512 else 32
CACHE_LINE = 64
# Data of more bytes come from memory, or from a cache that is little faster. Their rows are
# prefetched so many rows ahead.
NEAR_BYTES = 1 << 20
NEAREST_BYTES = 1 << 15
PREFETCH_ROWS = 12

INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
_BYTE = ir.IntType(8)
Mask: TypeAlias = ir.Value | None
Emitter: TypeAlias = Callable[[list[ir.Value], Mask], None]


def index(value: int) -> ir.Constant:
    """Return an index constant."""
    return ir.Constant(INDEX, value)


class Vectors:
    """Emits LLVM instructions on vectors of one element type; offsets count elements."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type) -> None:
        self.builder, self.element_type = builder, element
        self.element_bytes = 4 if isinstance(element, ir.FloatType) else 8
        self.count = VECTOR_BYTES // self.element_bytes
        self.type = ir.VectorType(element, self.count)
        self.zero = ir.Constant(self.type, [ir.Constant(element, 0.0)] * self.count)

    def _call(self, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
        signature = ir.FunctionType(result, [arg.type for arg in args])
        suffix = f"v{self.count}f{8 * self.element_bytes}" + ".p0" * name.startswith("masked")
        full_name = f"llvm.{name}.{suffix}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, full_name)
        return self.builder.call(function, args)

    @contextmanager
    def steps(self, start: ir.Value, stop: ir.Value, step: int) -> Iterator[Any]:
        """Emit a loop over whole steps from start to stop; yield its index, and where it ends."""
        builder = self.builder
        count = builder.sdiv(builder.sub(stop, start), index(step))
        end = builder.add(start, builder.mul(count, index(step)))
        with cgutils.for_range(builder, count) as loop:
            yield builder.add(start, builder.mul(loop.index, index(step))), end

    def for_each_vector(self, length: ir.Value, widths: tuple[int, ...], do: Emitter) -> None:
        """Emit loops of so many vectors at a time; do is called with their offsets and a mask."""
        end = index(0)
        for width in widths:
            with self.steps(end, length, width * self.count) as (start, end):
                do([self.builder.add(start, index(n * self.count)) for n in range(width)], None)
        with self.builder.if_then(self.builder.icmp_signed("<", end, length)):
            do([end], self.mask(self.builder.sub(length, end)))

    def splat(self, scalar: ir.Value) -> ir.Value:
        """Return a vector with the scalar in every lane."""
        vector = ir.Constant(ir.VectorType(scalar.type, self.count), ir.Undefined)
        first = self.builder.insert_element(vector, scalar, ir.Constant(_LANE, 0))
        return self.shuffle(first, vector, [0] * self.count)

    def mask(self, lanes: ir.Value) -> ir.Value:
        """Return a mask of the first ``lanes`` lanes."""
        numbers = [index(n) for n in range(self.count)]
        lane = ir.Constant(ir.VectorType(INDEX, self.count), numbers)
        return self.builder.icmp_signed("<", lane, self.splat(lanes))

    def address(self, base: ir.Value, offset: ir.Value) -> ir.Value:
        """Return the address of an element."""
        return self.builder.gep(base, [offset], source_etype=self.element_type)

    def element(self, base: ir.Value, offset: ir.Value, kind: ir.Type | None = None) -> ir.Value:
        """Load one element of an array, of vectors' elements unless of another type."""
        kind = kind or self.element_type
        return self.builder.load(self.builder.gep(base, [offset], source_etype=kind), typ=kind)

    def pointer(self, base: ir.Value, offset: ir.Value, count: int) -> ir.Value:
        """Return the address of an element as that of a vector of so many."""
        kind = ir.VectorType(self.element_type, count)
        return self.builder.bitcast(self.address(base, offset), kind.as_pointer())

    def load(self, base: ir.Value, offset: ir.Value, mask: Mask) -> ir.Value:
        """Load from an offset on; lanes outside the mask are 0."""
        pointer = self.pointer(base, offset, self.count)
        if mask is None:
            return self.builder.load(pointer, align=self.element_bytes, typ=self.type)
        align = ir.Constant(_LANE, self.element_bytes)
        return self._call("masked.load", self.type, pointer, align, mask, self.zero)

    def store(self, value: ir.Value, base: ir.Value, offset: ir.Value, mask: Mask) -> None:
        """Store the lanes of the mask from an offset on."""
        pointer = self.pointer(base, offset, self.count)
        if mask is None:
            self.builder.store(value, pointer, align=self.element_bytes)
        else:
            align = ir.Constant(_LANE, self.element_bytes)
            self._call("masked.store", ir.VoidType(), value, pointer, align, mask)

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
        """Return a vector whose lane n is the sum of the lanes of vectors[n], ``count`` of them."""
        # Pairs of vectors are folded into one that holds half the lanes of each, until one is left.
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
        numbers = ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes)
        return self.builder.shuffle_vector(u, v, numbers)


def prefetch(builder: ir.IRBuilder, start: ir.Value, size: ir.Value) -> None:
    """Emit requests to bring so many bytes into the cache, without waiting for them."""
    flags = [ir.Constant(_LANE, flag) for flag in (0, 3, 1)]  # to be read, to be kept, data
    start = builder.bitcast(start, _BYTE.as_pointer())
    kinds = ir.FunctionType(ir.VoidType(), [start.type, _LANE, _LANE, _LANE])
    function = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0")
    lines = builder.sdiv(builder.add(size, index(CACHE_LINE - 1)), index(CACHE_LINE))
    with cgutils.for_range(builder, lines) as loop:
        offset = builder.mul(loop.index, index(CACHE_LINE))
        builder.call(function, [builder.gep(start, [offset], source_etype=_BYTE), *flags])


def _emit_prefetch_part(context, builder, signature, array, start, count):
    element = context.get_data_type(signature.args[0].dtype)
    size = builder.mul(count, index(context.get_abi_sizeof(element)))
    prefetch(builder, builder.gep(array.data, [start], source_etype=element), size)


@emitted(_emit_prefetch_part, lambda *_: types.void)
def prefetch_part(array, start, count):
    """Prefetch count elements of a vector from start on, without waiting for them."""


def _emit_prefetch_row(context, builder, signature, array, row):
    width = builder.extract_value(array.shape, 1) if signature.args[0].ndim == 2 else index(1)
    _emit_prefetch_part(context, builder, signature, array, builder.mul(row, width), width)


@emitted(_emit_prefetch_row, lambda *_: types.void)
def prefetch_row(array, row):
    """Prefetch a row of a contiguous array: request it for the cache, without waiting for it."""
