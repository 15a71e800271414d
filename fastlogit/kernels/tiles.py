"""Register tiles: the inner loops of every matrix product.

LLVM does not tile a matrix product by itself: three plain loops reach a quarter of the rate of
these tiles. A tile is a block of sums kept in vector registers over the whole inner dimension. The
code generators are ordinary Python that unrolls the block, so one text serves every block shape,
element type and vector width.

Against OpenBLAS, which NumPy brings, on one core of a Zen 5: 3.2 times its rate at 32 x 64 x 64 in
float32, 2.3 times at 128 x 784 x 128, and 0.8 times at 1024 x 1024 x 1024.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from fastlogit.kernels.simd import HAS_AVX512, Vectors, index, link, steps

# Tiles of a product as (rows, vectors), the rows left over by one taken by the next. The first
# keeps 16 of AVX-512's 32 registers busy, or 12 of AVX2's 16; few rows take more vectors instead,
# so that enough sums are in flight to hide the latency of a multiply-add.
PRODUCT_TILES = ((8 if HAS_AVX512 else 6, 2), (4, 2), (2, 4), (1, 8))
PANEL_BYTES = 1 << 18
# Tiles of dot products as (rows, outputs); outputs left over are taken by narrower ones.
DOT_ROWS = (4, 1)
DOT_OUTPUTS = (4, 3, 2, 1)


def product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
    """Compute c = init + a b on the arrays' memory, each described by its strides in elements.

    a's element of row r and inner step p lies at ``r * a_row + p * a_inner``, so a transposed
    operand is a matter of strides; b is (inner, columns) and c (rows, columns), both contiguous.
    Row r of init starts at ``init_start + r * init_row``; a negative init_start stands for zeros.
    OUT: c.
    """
    r, p = np.arange(rows)[:, None], np.arange(inner)
    result = a.ravel()[r * a_row + p * a_inner] @ b.reshape(inner, columns)
    if init_start >= 0:
        result = result + init.ravel()[init_start + r * init_row + np.arange(columns)]
    c.reshape(rows, columns)[...] = result


def dots(a, b, bias, rows, outputs, inner, c):
    """Compute c = a bᵀ + bias: a (rows, inner), b (outputs, inner), c (rows, outputs). OUT: c."""
    c.reshape(rows, outputs)[...] = a.reshape(rows, inner) @ b.reshape(outputs, inner).T + bias


def _c_product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c):
    product(a, a_row, a_inner, b, init, init_start, init_row, rows, columns, inner, c)


def _c_dots(a, b, bias, rows, outputs, inner, c):
    dots(a, b, bias, rows, outputs, inner, c)


def _generate_product(
    builder: ir.IRBuilder, element: ir.Type, a: ir.Value, a_row: ir.Value, a_inner: ir.Value,
    b: ir.Value, init: ir.Value, init_start: ir.Value, init_row: ir.Value, rows: ir.Value,
    columns: ir.Value, inner: ir.Value, c: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)

    def tile(n_rows: int, width: int, row: ir.Value, column: ir.Value, *, tail: bool) -> None:
        block = _Block(v, n_rows, width, builder.sub(columns, column) if tail else None)
        start = builder.add(init_start, builder.mul(row, init_row))
        block.start(init, start, init_row, column)
        row_start = builder.mul(row, a_row)
        with cgutils.for_range(builder, inner) as loop:
            b_start = builder.add(builder.mul(loop.index, columns), column)
            a_start = builder.add(row_start, builder.mul(loop.index, a_inner))
            block.add_outer_product(a, a_start, a_row, b, b_start)
        block.store(c, builder.add(builder.mul(row, columns), column), columns)

    def row_tiles(panel: ir.Value, panel_end: ir.Value) -> None:
        row_end = index(0)
        for n_rows, width in PRODUCT_TILES:
            with steps(builder, row_end, rows, n_rows) as (row, row_end):
                column_end = panel
                for n_vectors in dict.fromkeys((width, 2)):
                    step = n_vectors * v.count
                    with steps(builder, column_end, panel_end, step) as (column, column_end):
                        tile(n_rows, n_vectors, row, column, tail=False)
                left = builder.sub(panel_end, column_end)
                with builder.if_then(builder.icmp_signed(">", left, index(0))):
                    wide = builder.icmp_signed(">", left, index(v.count))
                    with builder.if_else(wide) as (two, one):
                        with two:
                            tile(n_rows, 2, row, column_end, tail=True)
                        with one:
                            tile(n_rows, 1, row, column_end, tail=True)

    # b is worked through in panels of columns, whole tiles each, that fit into the cache.
    unit = 2 * v.count
    fitting = builder.sdiv(index(PANEL_BYTES // v.element_bytes), builder.mul(inner, index(unit)))
    fitting = builder.select(builder.icmp_signed("<", fitting, index(1)), index(1), fitting)
    width = builder.mul(fitting, index(unit))
    n_panels = builder.sdiv(builder.sub(builder.add(columns, width), index(1)), width)
    with cgutils.for_range(builder, n_panels) as loop:
        panel = builder.mul(loop.index, width)
        end = builder.add(panel, width)
        row_tiles(panel, builder.select(builder.icmp_signed("<", end, columns), end, columns))


class _Block:
    """Emits a block of sums in registers, rows x vectors, the last vector perhaps masked."""

    def __init__(self, vectors: Vectors, rows: int, width: int, columns_left: ir.Value | None):
        self.v, self.builder = vectors, vectors.builder
        self.offsets = [index(n * vectors.count) for n in range(width)]
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
        return self.builder.add(start, self.builder.mul(stride, index(row)))

    def _load(self, base: ir.Value, start: ir.Value) -> list[ir.Value]:
        return [
            self.v.load(base, self.builder.add(start, offset), mask)
            for offset, mask in zip(self.offsets, self.masks, strict=True)
        ]

    def start(self, base: ir.Value, start: ir.Value, stride: ir.Value, column: ir.Value) -> None:
        """Set the sums to the rows at base, or to zero where start is negative."""
        from_zero = self.builder.icmp_signed("<", start, index(0))
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


def _generate_dots(
    builder: ir.IRBuilder, element: ir.Type, a: ir.Value, b: ir.Value, bias: ir.Value,
    rows: ir.Value, outputs: ir.Value, inner: ir.Value, c: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)
    whole = builder.sub(inner, builder.srem(inner, index(v.count)))
    mask = v.mask(builder.sub(inner, whole))

    def tile(n_rows: int, n_outputs: int, row: ir.Value, output: ir.Value) -> None:
        a_rows = [builder.mul(builder.add(row, index(r)), inner) for r in range(n_rows)]
        b_rows = [builder.mul(builder.add(output, index(n)), inner) for n in range(n_outputs)]
        sums = [[cgutils.alloca_once(builder, v.type) for _ in b_rows] for _ in a_rows]
        for place in (place for places in sums for place in places):
            builder.store(v.zero, place)

        def add_products(step: ir.Value, lanes: ir.Value | None) -> None:
            b_vectors = [v.load(b, builder.add(start, step), lanes) for start in b_rows]
            for start, places in zip(a_rows, sums, strict=True):
                a_vector = v.load(a, builder.add(start, step), lanes)
                for place, b_vector in zip(places, b_vectors, strict=True):
                    total = v.multiply_add(a_vector, b_vector, builder.load(place))
                    builder.store(total, place)

        with steps(builder, index(0), inner, v.count) as (step, _):
            add_products(step, None)
        with builder.if_then(builder.icmp_signed("<", whole, inner)):
            add_products(whole, mask)
        _store_sums(v, sums, bias, output, c, builder.mul(row, outputs), outputs)

    row_end = index(0)
    for n_rows in DOT_ROWS:
        with steps(builder, row_end, rows, n_rows) as (row, row_end):
            output_end = index(0)
            for n_outputs in DOT_OUTPUTS:
                with steps(builder, output_end, outputs, n_outputs) as (output, output_end):
                    tile(n_rows, n_outputs, row, output)


def _store_sums(
    v: Vectors, sums: list[list[ir.Value]], bias: ir.Value, output: ir.Value, c: ir.Value,
    row_start: ir.Value, outputs: ir.Value,
) -> None:  # fmt: skip
    """Emit c's rows: a row's sums over lanes, plus the bias."""
    builder, width = v.builder, len(sums[0])
    # A row has four lanes whatever its outputs, so that none is cut by the end of a vector.
    vectors = [builder.load(place) for row in sums for place in row]
    padded = [
        vectors[r * width + n] if n < width else v.zero for r in range(len(sums)) for n in range(4)
    ]
    padded += [v.zero] * (-len(padded) % v.count)
    totals = [v.sums_of_lanes(padded[n : n + v.count]) for n in range(0, len(padded), v.count)]
    row_type = ir.VectorType(v.type.element, width).as_pointer()
    bias_at = builder.bitcast(builder.gep(bias, [output]), row_type)
    bias_row = builder.load(bias_at, align=v.element_bytes)
    for r in range(len(sums)):
        vector, lane = divmod(r * 4, v.count)
        row = v.shuffle(totals[vector], v.zero, list(range(lane, lane + width)))
        place = builder.add(row_start, builder.mul(outputs, index(r)))
        target = builder.gep(c, [builder.add(place, output)])
        target = builder.bitcast(target, row_type)
        builder.store(builder.fadd(row, bias_row), target, align=v.element_bytes)


link(product, _c_product, "aiiaaiiiiia", _generate_product)
link(dots, _c_dots, "aaaiiia", _generate_dots)
