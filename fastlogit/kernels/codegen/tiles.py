"""Register tiles: the inner loops of every matrix product.

A tile is a block of sums kept in vector registers over the whole inner dimension; plain loops reach
a quarter of its rate. The code generators are Python that unrolls the block for any shape, element
type and vector width. Each stands above its function, whose arguments it takes as LLVM values.

Against OpenBLAS, which NumPy brings, on one core of a Zen 5: 3.2 times its rate at 32 x 64 x 64 in
float32, 2.3 times at 128 x 784 x 128, and 0.8 times at 1024 x 1024 x 1024.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.cpu import HAS_AVX512
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.simd import INDEX, PREFETCH_ROWS, Mask, Vectors, index, prefetch

# Tiles of a product as (rows, vectors), rows left over by one are taken by the next. The first
# keeps 16 of AVX-512's 32 registers busy, or 12 of AVX2's 16; few rows take more vectors instead,
# so that enough sums are in flight to hide the latency of a multiply-add.
PRODUCT_TILES = ((8 if HAS_AVX512 else 6, 2), (4, 2), (2, 4), (1, 8))
# Tiles of dot products as (rows, outputs); outputs left over are taken by narrower ones. The first
# is for one output, of which many rows share one sum over lanes.
DOT_TILES = ((8, (1,)), (4, (4, 3, 2, 1)), (1, (4, 3, 2, 1)))


def _emit_product(
    builder, element, a, a_row, a_inner, b, b_inner, init, init_start, init_row, rows, columns,
    inner, c, c_row, b_rows=None,
):  # fmt: skip
    v = Vectors(builder, element)

    def tile(n_rows: int, width: int, row: ir.Value, column: ir.Value, *, tail: bool) -> None:
        offsets = [index(n * v.count) for n in range(width)]
        masks: list[ir.Value | None] = [None] * width
        if tail:
            masks[-1] = v.mask(builder.sub(builder.sub(columns, column), offsets[-1]))
        sums = [v.sums(width) for _ in range(n_rows)]

        def with_starts(start: ir.Value, stride: ir.Value) -> Iterator[tuple[Any, Any]]:
            for r, places in enumerate(sums):
                yield builder.add(start, builder.mul(stride, index(r))), places

        def load(base: ir.Value, start: ir.Value) -> list[ir.Value]:
            pairs = zip(offsets, masks, strict=True)
            return [v.load(base, builder.add(start, offset), mask) for offset, mask in pairs]

        row_start = builder.mul(row, a_row)
        with cgutils.for_range(builder, inner) as loop:
            b_row = loop.index if b_rows is None else v.element(b_rows, loop.index, INDEX)
            b_vectors = load(b, builder.add(builder.mul(b_row, b_inner), column))
            a_start = builder.add(row_start, builder.mul(loop.index, a_inner))
            for offset, places in with_starts(a_start, a_row):
                factor = v.splat(v.element(a, offset))
                for place, b_vector in zip(places, b_vectors, strict=True):
                    v.add_product(factor, b_vector, place)
        # Added last, to a whole sum: a gradient summed into much larger weights keeps its digits.
        with builder.if_then(builder.icmp_signed(">=", init_start, index(0))):
            start = builder.add(init_start, builder.mul(row, init_row))
            for init_at, places in with_starts(builder.add(start, column), init_row):
                for place, value in zip(places, load(init, init_at), strict=True):
                    builder.store(builder.fadd(v.sum(place), value), place)
        start = builder.add(builder.mul(row, c_row), column)
        for c_at, places in with_starts(start, c_row):
            for place, offset, mask in zip(places, offsets, masks, strict=True):
                v.store(v.sum(place), c, builder.add(c_at, offset), mask)

    _for_each_tile(v, rows, columns, tile)


def _for_each_tile(v, rows, columns, tile):
    """Emit loops over the tiles of a product: PRODUCT_TILES, narrower ones for columns left."""
    builder, row_end = v.builder, index(0)
    for n_rows, width in PRODUCT_TILES:
        with v.steps(row_end, rows, n_rows) as (row, row_end):
            column_end = index(0)
            for n_vectors in dict.fromkeys((width, min(width, 4), 2)):
                step = n_vectors * v.count
                with v.steps(column_end, columns, step) as (column, column_end):
                    tile(n_rows, n_vectors, row, column, tail=False)
            left = builder.sub(columns, column_end)
            with builder.if_then(builder.icmp_signed(">", left, index(0))):
                # Columns left against a vector's: two vectors, one whole, or a part of one.
                for relation, n_vectors in ((">", 2), ("==", 1), ("<", 1)):
                    with builder.if_then(builder.icmp_signed(relation, left, index(v.count))):
                        tile(n_rows, n_vectors, row, column_end, tail=relation != "==")


@llvm_function(_emit_product)
def product(
    a, a_row, a_inner, b, b_inner, init, init_start, init_row, rows, columns, inner, c, c_row
):
    """Compute c = init + a b on the arrays' memory, each described by its strides in elements.

    a's element of row r and inner step p lies at ``r * a_row + p * a_inner``, so a transposed
    operand is a matter of strides; b's row p begins at ``p * b_inner``, c's row r at ``r * c_row``
    and init's at ``init_start + r * init_row``. A negative init_start stands for zeros. OUT: c.
    """
    r, p, columns = np.arange(rows)[:, None], np.arange(inner)[:, None], np.arange(columns)
    result = a.ravel()[r * a_row + p.T * a_inner] @ b.ravel()[p * b_inner + columns]
    if init_start >= 0:
        result = result + init.ravel()[init_start + r * init_row + columns]
    c.reshape(-1)[r * c_row + columns] = result


def _emit_product_with_rows(
    builder, element, a, a_inner, X, x_row, rows, init_start, outputs, columns, inner, c
):
    _emit_product(
        builder, element, a, index(1), a_inner, X, x_row, c, init_start, x_row, outputs, columns,
        inner, c, x_row, rows,
    )  # fmt: skip


@llvm_function(_emit_product_with_rows)
def product_with_rows(a, a_inner, X, x_row, rows, init_start, outputs, columns, inner, c):
    """Compute c = aᵀ X[rows], plus c unless init_start is negative. OUT: c, the first columns."""
    # a's rows lie a_inner elements apart, those of X and c x_row.
    x = X.ravel()[rows[:inner, None] * x_row + np.arange(columns)]
    product(a, 1, a_inner, x, columns, c, init_start, x_row, outputs, columns, inner, c, x_row)


def store_sums(v, sums, bias, output, c, row_start, outputs):
    """Emit stores of c's rows: each row's sums over lanes, plus the bias."""
    builder, width = v.builder, len(sums[0])
    # A row has 1, 2 or 4 lanes, so that none is cut by the end of a vector.
    lanes = {1: 1, 2: 2}.get(width, 4)
    padded = [v.sum(row[n]) if n < width else v.zero for row in sums for n in range(lanes)]
    padded += [v.zero] * (-len(padded) % v.count)
    totals = [v.sums_of_lanes(padded[n : n + v.count]) for n in range(0, len(padded), v.count)]
    row_type = ir.VectorType(v.element_type, width)
    bias_row = builder.load(v.pointer(bias, output, width), align=v.element_bytes, typ=row_type)
    if width == 1 and len(sums) == 8:  # of the only output: c's rows are one vector
        target = v.pointer(c, row_start, 8)
        # Their lanes are in one vector, or in two of AVX2's four float64.
        total = v.shuffle(totals[0], totals[-1], list(range(8)))
        bias_all = v.shuffle(bias_row, bias_row, [0] * 8)
        builder.store(builder.fadd(total, bias_all), target, align=v.element_bytes)
        return
    for r in range(len(sums)):
        vector, lane = divmod(r * lanes, v.count)
        row = v.shuffle(totals[vector], v.zero, list(range(lane, lane + width)))
        place = builder.add(row_start, builder.mul(outputs, index(r)))
        target = v.pointer(c, builder.add(place, output), width)
        builder.store(builder.fadd(row, bias_row), target, align=v.element_bytes)


def _emit_dots(
    builder, element, a, b, bias, rows, outputs, inner, c, a_rows=None, n_known=None, far=None
):
    v = Vectors(builder, element)

    def tile(n_outputs: int, starts: list[ir.Value], row: ir.Value, output: ir.Value) -> None:
        b_rows = [builder.mul(builder.add(output, index(n)), inner) for n in range(n_outputs)]
        sums = [v.sums(len(b_rows)) for _ in starts]

        def add_products(steps: list[ir.Value], mask: Mask) -> None:
            b_vectors = [v.load(b, builder.add(start, steps[0]), mask) for start in b_rows]
            for start, places in zip(starts, sums, strict=True):
                a_vector = v.load(a, builder.add(start, steps[0]), mask)
                for place, b_vector in zip(places, b_vectors, strict=True):
                    v.add_product(a_vector, b_vector, place)

        v.for_each_vector(inner, (1,), add_products)
        store_sums(v, sums, bias, output, c, builder.mul(row, outputs), outputs)

    def ahead(place: ir.Value) -> ir.Value:
        later = builder.add(place, index(PREFETCH_ROWS))
        known = builder.icmp_signed("<", later, n_known)
        return v.element(a_rows, builder.select(known, later, place), INDEX)

    one = builder.icmp_signed("==", outputs, index(1))
    row_end = index(0)
    for n_rows, tile_outputs in DOT_TILES:
        rows_end = builder.select(one, rows, row_end) if tile_outputs == (1,) else rows
        with v.steps(row_end, rows_end, n_rows) as (row, row_end):
            places = [builder.add(row, index(r)) for r in range(n_rows)]
            if a_rows is not None:
                with builder.if_then(far), cgutils.for_range(builder, index(n_rows)) as loop:
                    later = ahead(builder.add(row, loop.index))
                    row_bytes = builder.mul(inner, index(v.element_bytes))
                    prefetch(builder, v.address(a, builder.mul(later, inner)), row_bytes)
                places = [v.element(a_rows, place, INDEX) for place in places]
            starts = [builder.mul(place, inner) for place in places]
            if tile_outputs == (1,):
                tile(1, starts, row, index(0))
                continue
            output_end = index(0)
            for n_outputs in tile_outputs:
                with v.steps(output_end, outputs, n_outputs) as (output, output_end):
                    tile(n_outputs, starts, row, output)


@llvm_function(_emit_dots)
def dots(a, b, bias, rows, outputs, inner, c):
    """Compute c = a bᵀ + bias: a (rows, inner), b (outputs, inner), c (rows, outputs). OUT: c."""
    c.reshape(rows, outputs)[...] = a.reshape(rows, inner) @ b.reshape(outputs, inner).T + bias


def _emit_dots_of_rows(builder, element, X, x_rows, n_known, far, b, bias, rows, outputs, inner, c):
    far = builder.icmp_signed("!=", far, index(0))
    _emit_dots(builder, element, X, b, bias, rows, outputs, inner, c, x_rows, n_known, far)


@llvm_function(_emit_dots_of_rows)
def dots_of_rows(X, x_rows, n_known, far, b, bias, rows, outputs, inner, c):
    """Compute c = X[x_rows[:rows]] bᵀ + bias; if far, prefetch later ones of n_known. OUT: c."""
    dots(X[x_rows[:rows]], b, bias, rows, outputs, inner, c)
