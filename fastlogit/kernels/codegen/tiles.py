"""Register tiles: the inner loops of every matrix product.

A tile is a block of sums kept in vector registers over the whole inner dimension; plain loops reach
a quarter of its rate. The code generators are Python that unrolls the block for any shape, element
type and vector width. Each stands above its function, whose arguments it takes as LLVM values.

Against OpenBLAS, which NumPy brings, on one core of a Zen 5: 3.2 times its rate at 32 x 64 x 64 in
float32, 2.3 times at 128 x 784 x 128, and 0.8 times at 1024 x 1024 x 1024.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.cpu import HAS_AVX512
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.simd import INDEX, PREFETCH_ROWS, Mask, Vectors, index, prefetch

# Tiles of a product as (rows, vectors), rows left over by one are taken by the next. The first
# keeps 24 of AVX-512's 32 registers busy, or 12 of AVX2's 16; few rows take more vectors instead,
# so that enough sums are in flight to hide the latency of a multiply-add. A tile of FULL_ROWS or
# more that lacks one row takes the last twice, and stores it twice: a further tile costs more.
FIRST_TILES = ((12, 2), (8, 2), (6, 2)) if HAS_AVX512 else ((6, 2),)
PRODUCT_TILES = (*FIRST_TILES, (4, 2), (2, 4), (1, 8))
FULL_ROWS = 4
# Tiles of dot products as (rows, outputs); outputs left over are taken by narrower ones. Of one
# output eight rows share the sum over lanes, and a single row has as many sums as are in flight.
DOT_TILES = ((4, (4, 3, 2, 1)), (1, (4, 3, 2, 1)))
ONE_OUTPUT_ROWS, DOT_SUMS = 8, 8


def _emit_product(
    builder, element, a, a_places, b, b_place, init, init_start, init_row, rows, columns, inner, c,
    c_row, before_rows=None, weights=None, init_first=False,
):  # fmt: skip
    """Emit c = init + a b, where weights, if any, multiply b's rows.

    a_places takes rows of a and returns their places at an inner step. init is added last, to a
    whole sum: a gradient summed into much larger weights keeps its digits. Unless init_first: each
    row's sums begin with the same vector of it.
    """
    v = Vectors(builder, element)

    def tile(
        numbers: list[ir.Value], places: Any, width: int, column: ir.Value, tail: bool
    ) -> None:
        offsets = [index(n * v.count) for n in range(width)]
        masks: list[ir.Value | None] = [None] * width
        if tail:
            masks[-1] = v.mask(builder.sub(builder.sub(columns, column), offsets[-1]))
        sums = [v.sums(width) for _ in numbers]

        def with_starts(start: ir.Value, stride: ir.Value) -> Iterator[tuple[Any, Any]]:
            at = builder.add(start, builder.mul(stride, numbers[0]))
            for number, row_sums in zip(numbers, sums, strict=True):
                is_last = number is numbers[-1]
                yield builder.add(start, builder.mul(stride, number)) if is_last else at, row_sums
                at = builder.add(at, stride)

        def load(base: ir.Value, start: ir.Value) -> list[ir.Value]:
            pairs = zip(offsets, masks, strict=True)
            return [v.load(base, builder.add(start, offset), mask) for offset, mask in pairs]

        def add_init() -> None:
            with builder.if_then(builder.icmp_signed(">=", init_start, index(0))):
                for init_at, row_sums in with_starts(builder.add(init_start, column), init_row):
                    for total, value in zip(row_sums, load(init, init_at), strict=True):
                        builder.store(builder.fadd(v.sum(total), value), total)

        if init_first:
            values = load(init, builder.add(init_start, column))
            for row_sums in sums:
                for total, value in zip(row_sums, values, strict=True):
                    builder.store(value, total)
        with cgutils.for_range(builder, inner) as loop:
            b_vectors = load(b, builder.add(b_place(loop.index), column))
            if weights is not None:
                weight = v.splat(v.element(weights, loop.index))
                b_vectors = [builder.fmul(weight, vector) for vector in b_vectors]
            for offset, row_sums in zip(places(loop.index), sums, strict=True):
                factor = v.splat(v.element(a, offset))
                for total, b_vector in zip(row_sums, b_vectors, strict=True):
                    v.add_product(factor, b_vector, total)
        if not init_first:
            add_init()
        for c_at, row_sums in with_starts(column, c_row):
            for total, offset, mask in zip(row_sums, offsets, masks, strict=True):
                v.store(v.sum(total), c, builder.add(c_at, offset), mask)

    row_end, last = index(0), builder.sub(rows, index(1))
    for n_rows, width in PRODUCT_TILES:
        lacks = int(n_rows >= FULL_ROWS)
        with v.steps(row_end, builder.add(rows, index(lacks)), n_rows) as (row, row_end):
            numbers = [builder.add(row, index(r)) for r in range(n_rows)]
            if lacks:
                is_known = builder.icmp_signed("<", numbers[-1], last)
                numbers[-1] = builder.select(is_known, numbers[-1], last)
            if before_rows is not None:
                before_rows(numbers)
            for_each_column(v, columns, width, partial(tile, numbers, a_places(numbers)))


def for_each_column(v, columns, width, tile):
    """Emit loops over a row's tiles of so many vectors, and narrower ones for columns left.

    tile takes how many vectors, the first column, and whether the last vector is a part of one.
    """
    builder, column_end = v.builder, index(0)
    for n_vectors in dict.fromkeys((width, min(width, 4), 2)):
        with v.steps(column_end, columns, n_vectors * v.count) as (column, column_end):
            tile(n_vectors, column, False)
    left = builder.sub(columns, column_end)
    with builder.if_then(builder.icmp_signed(">", left, index(0))):
        # Columns left against a vector's: two vectors, one whole, or a part of one.
        for relation, n_vectors in ((">", 2), ("==", 1), ("<", 1)):
            with builder.if_then(builder.icmp_signed(relation, left, index(v.count))):
                tile(n_vectors, column_end, relation != "==")


def _strided(builder, row_stride, inner_stride):
    """Return the places in an operand whose rows and inner steps are that many elements apart."""

    def places(rows):
        first = builder.mul(rows[0], row_stride)
        starts = [builder.add(first, builder.mul(row_stride, index(r))) for r in range(len(rows))]
        starts[-1] = builder.mul(rows[-1], row_stride)

        def at(step):
            offset = builder.mul(step, inner_stride)
            return [builder.add(start, offset) for start in starts]

        return at

    return places


def prefetching(v, X, numbers, n_known, far, width):
    """Return an emitter that, if far, prefetches the rows PREFETCH_ROWS after those it is given.

    Of those it prefetches for the first count, if one is given.
    """
    builder = v.builder

    def later(rows, count=None):
        count = index(len(rows)) if count is None else count
        with builder.if_then(far), cgutils.for_range(builder, count) as loop:
            ahead = builder.add(builder.add(rows[0], loop.index), index(PREFETCH_ROWS))
            is_known, last = (
                builder.icmp_signed("<", ahead, n_known),
                builder.sub(n_known, index(1)),
            )
            row = v.element(numbers, builder.select(is_known, ahead, last), INDEX)
            row_bytes = builder.mul(width, index(v.element_bytes))
            prefetch(builder, v.address(X, builder.mul(row, width)), row_bytes)

    return later


def _emit_rows_product(
    builder, element, X, numbers, n_known, far, x_row, b, b_inner, bias, rows, columns, inner, c,
    c_row,
):  # fmt: skip
    v, far = Vectors(builder, element), builder.icmp_signed("!=", far, index(0))

    def places(row_places):
        chosen = [v.element(numbers, place, INDEX) for place in row_places]
        starts = [builder.mul(row, x_row) for row in chosen]
        return lambda step: [builder.add(start, step) for start in starts]

    _emit_product(
        builder, element, X, places, b, lambda step: builder.mul(step, b_inner), bias, index(0),
        index(0), rows, columns, inner, c, c_row, prefetching(v, X, numbers, n_known, far, x_row),
        init_first=True,
    )  # fmt: skip


@llvm_function(_emit_rows_product)
def rows_product(X, numbers, n_known, far, x_row, b, b_inner, bias, rows, columns, inner, c, c_row):
    """Compute c = X[numbers[:rows]] b + bias; if far, prefetch later ones of n_known. OUT: c."""
    # X's rows lie x_row elements apart, those of b b_inner and of c c_row.
    a = X.ravel()[numbers[:rows, None] * x_row + np.arange(inner)]
    product(a, inner, 1, b, b_inner, bias, 0, 0, rows, columns, inner, c, c_row)


def _emit_transposed_product(
    builder, element, X, numbers, x_row, b, b_inner, init_start, rows, columns, inner, c, c_row
):
    v = Vectors(builder, element)

    def places(features):
        def at(step):
            start = builder.mul(v.element(numbers, step, INDEX), x_row)
            first = builder.add(start, features[0])
            # Neighbours but the last, at constant distances, which need no register.
            places = [builder.add(first, index(n)) for n in range(len(features) - 1)]
            return [*places, builder.add(start, features[-1])]

        return at

    _emit_product(
        builder, element, X, places, b, lambda step: builder.mul(step, b_inner), c, init_start,
        c_row, rows, columns, inner, c, c_row,
    )  # fmt: skip


@llvm_function(_emit_transposed_product)
def transposed_product(X, numbers, x_row, b, b_inner, init_start, rows, columns, inner, c, c_row):
    """Compute c = X[numbers[:inner]]ᵀ b, plus c unless init_start is negative. OUT: c."""
    a = X.ravel()[numbers[:inner, None] * x_row + np.arange(rows)].T
    a = np.ascontiguousarray(a)
    product(a, inner, 1, b, b_inner, c, init_start, c_row, rows, columns, inner, c, c_row)


def _emit_strided_product(
    builder, element, a, a_row, a_inner, b, b_inner, init, init_start, init_row, rows, columns,
    inner, c, c_row,
):  # fmt: skip
    _emit_product(
        builder, element, a, _strided(builder, a_row, a_inner), b,
        lambda step: builder.mul(step, b_inner), init, init_start, init_row, rows, columns, inner,
        c, c_row,
    )  # fmt: skip


@llvm_function(_emit_strided_product)
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
    builder, element, a, a_row, a_inner, X, x_row, rows, init_start, outputs, columns, inner, c
):
    v = Vectors(builder, element)
    _emit_product(
        builder, element, a, _strided(builder, a_row, a_inner), X,
        lambda step: builder.mul(v.element(rows, step, INDEX), x_row), c, init_start, x_row,
        outputs, columns, inner, c, x_row,
    )  # fmt: skip


@llvm_function(_emit_product_with_rows)
def product_with_rows(a, a_row, a_inner, X, x_row, rows, init_start, outputs, columns, inner, c):
    """Compute c = a X[rows], plus c unless init_start is negative. OUT: c, the first columns."""
    # a's strides are those of product; rows of X and c lie x_row elements apart.
    x = X.ravel()[rows[:inner, None] * x_row + np.arange(columns)]
    product(a, a_row, a_inner, x, columns, c, init_start, x_row, outputs, columns, inner, c, x_row)


def _emit_weighted_product(builder, element, X, x_row, weights, first, rows, columns, inner, c):
    _emit_product(
        builder, element, X, _strided(builder, index(1), x_row), X,
        lambda step: builder.add(builder.mul(step, x_row), first), c, index(-1), index(0), rows,
        columns, inner, c, columns, weights=weights,
    )  # fmt: skip


@llvm_function(_emit_weighted_product)
def weighted_product(X, x_row, weights, first, rows, columns, inner, c):
    """Compute c = Aᵀ diag(weights) B: A is X's first columns, B those from first on. OUT: c."""
    # X's rows lie x_row elements apart.
    x = X.ravel()[np.arange(inner)[:, None] * x_row + np.arange(max(rows, first + columns))]
    weighted = weights.reshape(-1)[:inner, None] * x[:, first : first + columns]
    c.reshape(-1)[: rows * columns] = (x[:, :rows].T @ weighted).ravel()


def store_sums(v, sums, bias, output, c, row_start, outputs):
    """Emit stores of c's rows: each row's sums over lanes, plus the bias."""
    builder, width = v.builder, len(sums[0])
    # A row has 1, 2 or 4 lanes, so that none is cut by the end of a vector.
    lanes = {1: 1, 2: 2}.get(width, 4)
    total = v.sums_of_lanes(
        [v.sum(row[n]) if n < width else v.zero for row in sums for n in range(lanes)]
    )
    row_type = ir.VectorType(v.element_type, width)
    bias_row = builder.load(v.pointer(bias, output, width), align=v.element_bytes, typ=row_type)
    for r in range(len(sums)):
        row = v.shuffle(total, total, list(range(r * lanes, r * lanes + width)))
        place = builder.add(row_start, builder.mul(outputs, index(r)))
        target = v.pointer(c, builder.add(place, output), width)
        builder.store(builder.fadd(row, bias_row), target, align=v.element_bytes)


def _emit_dots(
    builder, element, a, b, bias, rows, outputs, inner, c, a_rows=None, n_known=None, far=None
):
    v, several = Vectors(builder, element), Vectors(builder, element, ONE_OUTPUT_ROWS)

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
        if len(starts) < ONE_OUTPUT_ROWS:
            store_sums(v, sums, bias, output, c, builder.mul(row, outputs), outputs)
        else:  # c's rows are one vector
            total = v.sums_of_lanes([v.sum(place) for (place,) in sums])
            total = builder.fadd(total, several.splat(v.element(bias, output)))
            several.store(total, c, row, several.mask(builder.sub(rows, row)))

    if a_rows is not None:
        prefetch_later = prefetching(v, a, a_rows, n_known, far, inner)

    def starts_of(places: list[ir.Value], count: ir.Value | None = None) -> list[ir.Value]:
        if a_rows is not None:
            prefetch_later(places, count)
            places = [v.element(a_rows, place, INDEX) for place in places]
        return [builder.mul(place, inner) for place in places]

    def single_dot() -> None:
        (start,), sums = starts_of([index(0)]), v.sums(DOT_SUMS)

        def add_products(steps: list[ir.Value], mask: Mask) -> None:
            for step, place in zip(steps, sums, strict=False):
                a_vector = v.load(a, builder.add(start, step), mask)
                v.add_product(a_vector, v.load(b, step, mask), place)

        v.for_each_vector(inner, (DOT_SUMS, 1), add_products)
        total = v.sum(sums[0])
        for place in sums[1:]:
            total = builder.fadd(total, v.sum(place))
        total = builder.fadd(v.sum_of_lanes(total), v.element(bias, index(0)))
        builder.store(total, v.address(c, index(0)))

    def some_rows(row: ir.Value, starts: list[ir.Value], tile_outputs: tuple[int, ...]) -> None:
        output_end = index(0)
        for n_outputs in tile_outputs:
            with v.steps(output_end, outputs, n_outputs) as (output, output_end):
                tile(n_outputs, starts, row, output)

    is_one = builder.icmp_signed("==", outputs, index(1))
    with builder.if_else(is_one) as (one, more):
        with one:  # the last tile takes the last row several times
            n_rows, last = ONE_OUTPUT_ROWS, builder.sub(rows, index(1))
            is_single = builder.icmp_signed("==", rows, index(1))
            with builder.if_then(is_single):
                single_dot()
            n_tiles = builder.sdiv(builder.add(rows, index(n_rows - 1)), index(n_rows))
            n_tiles = builder.select(is_single, index(0), n_tiles)
            with cgutils.for_range(builder, n_tiles) as loop:
                row = builder.mul(loop.index, index(n_rows))
                places = [builder.add(row, index(r)) for r in range(n_rows)]
                known = [builder.icmp_signed("<", place, last) for place in places]
                pairs = zip(known, places, strict=True)
                places, left = (
                    [builder.select(*pair, last) for pair in pairs],
                    builder.sub(rows, row),
                )
                is_whole = builder.icmp_signed(">", left, index(n_rows))
                count = builder.select(is_whole, index(n_rows), left)
                some_rows(row, starts_of(places, count), (1,))
        with more:
            row_end = index(0)
            for n_rows, tile_outputs in DOT_TILES:
                with v.steps(row_end, rows, n_rows) as (row, row_end):
                    places = [builder.add(row, index(r)) for r in range(n_rows)]
                    some_rows(row, starts_of(places), tile_outputs)


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
