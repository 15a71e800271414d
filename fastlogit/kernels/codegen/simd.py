"""SIMD vectors in jitted code: an emitter of vector instructions, and prefetching.

LLVM vectorises simple loops itself. Functions that need more are Python that emits instructions on
whole vectors, which LLVM splits on a CPU that has narrower ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from llvmlite import ir

from fastlogit.kernels.codegen.arrays import CACHE_LINE
from fastlogit.kernels.codegen.compile import cgutils, emitted, types
from fastlogit.kernels.codegen.cpu import HAS_AVX512

VECTOR_BYTES = 64 if HAS_AVX512 else 32
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

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, count: int | None = None) -> None:
        self.builder, self.element_type = builder, element
        self.element_bytes = 4 if isinstance(element, ir.FloatType) else 8
        self.count = count or VECTOR_BYTES // self.element_bytes
        self.type = ir.VectorType(element, self.count)
        self.zero = self.constant(0)

    def _call(
        self, name: str, result: ir.Type, *args: ir.Value, elements: str | None = None
    ) -> ir.Value:
        signature = ir.FunctionType(result, [arg.type for arg in args])
        elements = elements or f"f{8 * self.element_bytes}"
        suffix = f"v{self.count}{elements}" + ".p0" * name.startswith("masked")
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

    def constant(self, number: float) -> ir.Constant:
        """Return a vector with the number in every lane."""
        return ir.Constant(self.type, [ir.Constant(self.element_type, float(number))] * self.count)

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

    def load_numbers(self, base: ir.Value, offset: ir.Value, mask: Mask) -> ir.Value:
        """Load int64 numbers, as many as the vectors' elements; those outside the mask are 0."""
        kind = ir.VectorType(INDEX, self.count)
        pointer = self.builder.gep(base, [offset], source_etype=INDEX)
        pointer = self.builder.bitcast(pointer, kind.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=8, typ=kind)
        none, align = ir.Constant(kind, [index(0)] * self.count), ir.Constant(_LANE, 8)
        return self._call("masked.load", kind, pointer, align, mask, none, elements="i64")

    def numbers(self, numbers: list[ir.Value]) -> ir.Value:
        """Return a vector of int64 numbers."""
        vector = ir.Constant(ir.VectorType(INDEX, self.count), ir.Undefined)
        for lane, number in enumerate(numbers):
            vector = self.builder.insert_element(vector, number, ir.Constant(_LANE, lane))
        return vector

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

    def negative(self, a: ir.Value) -> ir.Value:
        """Return −|a|."""
        word = ir.IntType(8 * self.element_bytes)
        words = ir.VectorType(word, self.count)
        signs = ir.Constant(words, [word(1 << (8 * self.element_bytes - 1))] * self.count)
        bits = self.builder.or_(self.builder.bitcast(a, words), signs)
        return self.builder.bitcast(bits, self.type)

    def root(self, a: ir.Value) -> ir.Value:
        """Return the square root."""
        return self._call("sqrt", self.type, a)

    def sums_of_lanes(self, vectors: list[ir.Value]) -> ir.Value:
        """Return a vector whose lane n is the sum of the lanes of vectors[n]; 1, 2, 4, ... ones."""
        if len(vectors) > self.count:
            half = len(vectors) // 2
            low, high = self.sums_of_lanes(vectors[:half]), self.sums_of_lanes(vectors[half:])
            return self.shuffle(low, high, list(range(2 * half)))
        size = self.count
        while size > len(vectors):  # fewer vectors than lanes: each is folded
            size //= 2
            low, high = list(range(size)), list(range(size, 2 * size))
            pairs = [(self.shuffle(u, u, low), self.shuffle(u, u, high)) for u in vectors]
            vectors = [self.builder.fadd(*pair) for pair in pairs]
        # Two vectors become one that holds sums of either's lanes which lie a distance apart: a
        # blend, which any port computes, and one shuffle. Two shuffles took 1.3 times as long.
        distance = size // 2
        while distance > 0:
            kept, moved = [], []
            for lane in range(size):
                is_first = lane // distance % 2 == 0
                kept.append(lane if is_first else size + lane)
                moved.append(lane + distance if is_first else size + lane - distance)
            vectors = [
                self.builder.fadd(self.shuffle(u, v, kept), self.shuffle(u, v, moved))
                for u, v in zip(vectors[:distance], vectors[distance:], strict=True)
            ]
            distance //= 2
        return vectors[0]

    def transposed(self, vectors: list[ir.Value]) -> list[ir.Value]:
        """Return the transpose of as many vectors as lanes, or in each half of half as many.

        Lane i of vector j becomes lane j of vector i.
        """
        size = len(vectors)
        squares = range(0, self.count, size)
        firsts = [square + lane for square in squares for lane in range(size // 2)]
        low = [place for lane in firsts for place in (lane, self.count + lane)]
        high = [place + size // 2 for place in low]
        for _ in range(size.bit_length() - 1):  # the lanes of two vectors, in turn
            pairs = list(zip(vectors[: size // 2], vectors[size // 2 :], strict=True))
            vectors = [self.shuffle(*pair, lanes) for pair in pairs for lanes in (low, high)]
        return vectors

    def sum_of_lanes(self, vector: ir.Value) -> ir.Value:
        """Return the sum of a vector's lanes."""
        return self.reduced(vector, self.builder.fadd)

    def product_of_lanes(self, vector: ir.Value) -> ir.Value:
        """Return the product of a vector's lanes."""
        return self.reduced(vector, self.builder.fmul)

    def reduced(self, vector: ir.Value, combine: Callable[..., ir.Value]) -> ir.Value:
        """Return what combining the lanes of a vector, by halves, comes to."""
        lanes = self.count
        while lanes > 1:
            lanes //= 2
            low = self.shuffle(vector, vector, list(range(lanes)))
            high = self.shuffle(vector, vector, list(range(lanes, 2 * lanes)))
            vector = combine(low, high)
        return self.builder.extract_element(vector, ir.Constant(_LANE, 0))

    def shuffle(self, u: ir.Value, v: ir.Value, lanes: list[int]) -> ir.Value:
        """Return the lanes of those numbers, u's counted first and then v's."""
        numbers = ir.Constant(ir.VectorType(_LANE, len(lanes)), lanes)
        return self.builder.shuffle_vector(u, v, numbers)


class Operand:
    """A vector in formulas that are written for NumPy's arrays as well; numbers are Python's."""

    def __init__(self, vectors: Vectors, value: ir.Value) -> None:
        self.vectors, self.value = vectors, value

    def _with(self, name: str, one: Any, other: Any) -> "Operand":
        values = [value_of(self.vectors, operand) for operand in (one, other)]
        return Operand(self.vectors, getattr(self.vectors.builder, name)(*values))

    def __add__(self, other: Any) -> "Operand":
        """Return the sum."""
        return self._with("fadd", self, other)

    def __sub__(self, other: Any) -> "Operand":
        """Return the difference."""
        return self._with("fsub", self, other)

    def __mul__(self, other: Any) -> "Operand":
        """Return the product."""
        return self._with("fmul", self, other)

    def __truediv__(self, other: Any) -> "Operand":
        """Return the quotient."""
        return self._with("fdiv", self, other)

    def __rsub__(self, other: float) -> "Operand":
        """Return a number less this."""
        return self._with("fsub", other, self)

    __radd__, __rmul__ = __add__, __mul__

    def __abs__(self) -> "Operand":
        """Return the absolute value."""
        return where(self < 0, 0 - self, self)

    def __lt__(self, other: Any) -> Any:
        """Return which lanes are less."""
        builder = self.vectors.builder
        return builder.fcmp_ordered("<", self.value, value_of(self.vectors, other))

    def __eq__(self, other: object) -> Any:
        """Return which lanes are equal."""
        builder = self.vectors.builder
        return builder.fcmp_ordered("==", self.value, value_of(self.vectors, other))

    __hash__ = None  # type: ignore[assignment]


def value_of(vectors: Vectors, operand: Any) -> ir.Value:
    """Return the vector of an operand, or one with a number in every lane."""
    return operand.value if isinstance(operand, Operand) else vectors.constant(operand)


def where(condition: ir.Value, one: Any, other: Any) -> Operand:
    """Return the lanes of one where the condition holds, else those of the other."""
    operand = one if isinstance(one, Operand) else other
    vectors = operand.vectors
    value = vectors.builder.select(condition, value_of(vectors, one), value_of(vectors, other))
    return Operand(vectors, value)


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
