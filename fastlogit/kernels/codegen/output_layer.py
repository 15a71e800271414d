"""The products of an output layer with logits class by class.

Shapes: B rows, H hidden units, K outputs. Hidden A (B, H), Wt (K, H), b (K,), logits Z and their
gradient dZ (K, pitch), of which the first B columns are the rows: so the output loss has rows in
its lanes. pitch is B = 1, or whole vectors. A linear model's A are rows of the data, by number.

Back through a hidden layer, one pass over A does what four products and sums would read it for:

    dW2 = Aᵀ dZ      dA = dZ W2ᵀ      dS = dA ∘ φ'(S)      db1 = Σ_rows dS      db2 = Σ_rows dZ
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.cpu import HAS_AVX512
from fastlogit.kernels.codegen.linking import compiled_once, llvm_function
from fastlogit.kernels.codegen.simd import INDEX, Mask, Operand, Vectors, index, where
from fastlogit.kernels.codegen.tiles import for_each_column, prefetching

# Tiles of dot products as (rows, outputs): the lanes of so many sums are added at once.
ROWS = 8
DOT_TILES = ((16, (1,)), (ROWS, (2, 1))) if HAS_AVX512 else ((ROWS, (1,)),)
# Of the data's rows, which may be long, fewer at once, and more outputs.
ROWS_OF_DATA = 4
DOT_TILES_OF_DATA = ((ROWS_OF_DATA, (4, 2, 1) if HAS_AVX512 else (2, 1)),)
# In rows of up to so many elements an output, sums over lanes are more work than to transpose.
SHORT_ROW = 10
TRANSPOSED_OUTPUTS = (4, 2, 1)
# Outputs whose weights and their gradients are in registers, and vectors of hidden units.
OUTPUTS = (5, 3, 2, 1) if HAS_AVX512 else (4, 3, 2, 1)
WIDTH = 2 if HAS_AVX512 else 1


def _emit_transposing_tile(v, a, starts_at, b, bias, row, outputs, inner, c, pitch):
    """Emit as many rows' logits as a vector has lanes, by columns that are turned into vectors."""
    builder, n_columns = v.builder, v.count // 2
    half = Vectors(builder, v.element_type, n_columns)
    with cgutils.for_range(builder, outputs) as loop:
        at = builder.add(builder.mul(loop.index, pitch), row)
        v.store(v.splat(v.element(bias, loop.index)), c, at, None)

    def some_columns(columns: list[ir.Value], mask: Mask) -> None:
        halves = [half.load(a, start, mask) for start in starts_at(columns[0])]
        pairs = zip(halves[:n_columns], halves[n_columns:], strict=True)
        vectors = [v.shuffle(low, high, list(range(v.count))) for low, high in pairs]
        vectors = v.transposed(vectors)
        last = builder.sub(inner, index(1))
        places = [builder.add(columns[0], index(n)) for n in range(n_columns)]
        if mask is not None:  # beyond the last the vectors are 0
            known = [builder.icmp_signed("<", place, last) for place in places]
            places = [builder.select(k, p, last) for k, p in zip(known, places, strict=True)]
        end = index(0)
        for width in TRANSPOSED_OUTPUTS:
            with v.steps(end, outputs, width) as (output, end):
                for n in range(width):
                    place = builder.add(output, index(n))
                    at = builder.add(builder.mul(place, pitch), row)
                    start = builder.mul(place, inner)
                    sums = [v.load(c, at, None), v.zero]
                    for m, (vector, column) in enumerate(zip(vectors, places, strict=True)):
                        weight = v.splat(v.element(b, builder.add(start, column)))
                        sums[m % 2] = v.multiply_add(weight, vector, sums[m % 2])
                    v.store(builder.fadd(*sums), c, at, None)

    half.for_each_vector(inner, (1,), some_columns)


def _emit_dots_by_output(
    builder, element, a, b, bias, rows, outputs, inner, c, pitch, numbers=None, n_known=None,
    far=None,
):  # fmt: skip
    v, eight = Vectors(builder, element), Vectors(builder, element, ROWS)
    unit, tiles = (ROWS, DOT_TILES) if numbers is None else (ROWS_OF_DATA, DOT_TILES_OF_DATA)
    if numbers is not None:
        prefetch_later = prefetching(v, a, numbers, n_known, far, inner)

    def dots(left, starts, right, right_starts):
        """Emit a tile; return left's dot products with each row of right."""
        sums = [v.sums(len(starts)) for _ in right_starts]

        def add_products(steps: list[ir.Value], mask: Mask) -> None:
            others = [v.load(right, builder.add(start, steps[0]), mask) for start in right_starts]
            for r, start in enumerate(starts):
                row = v.load(left, builder.add(start, steps[0]), mask)
                for other, places in zip(others, sums, strict=True):
                    v.add_product(row, other, places[r])

        v.for_each_vector(inner, (1,), add_products)
        total = v.sums_of_lanes([v.sum(place) for places in sums for place in places])
        firsts = range(0, len(starts) * len(sums), len(starts))
        return [v.shuffle(total, total, list(range(n, n + len(starts)))) for n in firsts]

    def groups(count, size):
        return builder.sdiv(builder.add(count, index(size - 1)), index(size))

    def clamped(first, count, stop):
        """Return so many numbers from the first on, the last before stop several times."""
        last = builder.sub(stop, index(1))
        places = [builder.add(first, index(n)) for n in range(count)]
        known = [builder.icmp_signed("<", place, last) for place in places]
        return [builder.select(*pair, last) for pair in zip(known, places, strict=True)]

    def starts_of(row, n_rows):
        """Return a function of a column: where it begins in so many rows."""
        if numbers is None:

            def at(column):  # one by one, which takes no registers between columns: 0.9 of the time
                starts = [builder.add(builder.mul(row, inner), column)]
                for _ in range(n_rows - 1):
                    starts.append(builder.add(starts[-1], inner))
                return starts

            return at
        left, most = builder.sub(rows, row), index(n_rows)
        count = builder.select(builder.icmp_signed("<", left, most), left, most)
        prefetch_later([row], count)
        places = clamped(row, n_rows, rows)
        starts = [builder.mul(v.element(numbers, place, INDEX), inner) for place in places]
        return lambda column: [builder.add(start, column) for start in starts]

    def tile(starts, row, output, n_outputs):
        rows_of_c = Vectors(builder, element, len(starts))
        places = [builder.add(output, index(n)) for n in range(n_outputs)]
        totals = dots(a, starts, b, [builder.mul(place, inner) for place in places])
        for place, total in zip(places, totals, strict=True):
            logits = builder.fadd(total, rows_of_c.splat(v.element(bias, place)))
            rows_of_c.store(logits, c, builder.add(builder.mul(place, pitch), row), None)

    def of_a_single_row():
        with cgutils.for_range(builder, groups(outputs, ROWS)) as loop:
            output = builder.mul(loop.index, index(ROWS))
            starts = [builder.mul(place, inner) for place in clamped(output, ROWS, outputs)]
            (total,) = dots(b, starts, a, [index(0)])
            biases = eight.load(bias, output, eight.mask(builder.sub(outputs, output)))
            # Not masked: the CPU hands a whole vector on to its load without the cache.
            eight.store(builder.fadd(total, biases), c, output, None)

    def of_several_rows():
        rounded = builder.mul(groups(rows, unit), index(unit))
        is_short = builder.icmp_signed("<=", inner, builder.mul(outputs, index(SHORT_ROW)))
        of_short = builder.select(is_short, rounded, index(0))
        with v.steps(index(0), of_short, v.count) as (row, row_end):
            starts_at = starts_of(row, v.count)
            _emit_transposing_tile(v, a, starts_at, b, bias, row, outputs, inner, c, pitch)
        for n_rows, widths in tiles:
            with v.steps(row_end, rounded, n_rows) as (row, row_end):
                starts, end = starts_of(row, n_rows)(index(0)), index(0)
                for width in widths:
                    with v.steps(end, outputs, width) as (output, end):
                        tile(starts, row, output, width)

    if numbers is not None:
        of_several_rows()
        return
    with builder.if_else(builder.icmp_signed("==", rows, index(1))) as (single, several):
        with single:
            of_a_single_row()
        with several:
            of_several_rows()


@llvm_function(_emit_dots_by_output)
def dots_by_output(a, b, bias, rows, outputs, inner, c, pitch):
    """Compute cᵀ = a bᵀ + bias: a (rows, inner), b (outputs, inner). OUT: c (outputs, pitch).

    a has memory up to multiples of eight rows, c of a single row up to multiples of eight outputs,
    and c gets numbers there.
    """
    count = 1 if rows == 1 else min(-(-rows // ROWS) * ROWS, len(a))  # of those in view
    products = b @ a[:count].T + bias[:, None]
    c.reshape(-1)[: outputs * pitch].reshape(outputs, pitch)[:, :count] = products


def _emit_dots_of_rows_by_output(
    builder, element, X, numbers, n_known, far, b, bias, rows, outputs, inner, c, pitch
):
    far = builder.icmp_signed("!=", far, index(0))
    _emit_dots_by_output(
        builder, element, X, b, bias, rows, outputs, inner, c, pitch, numbers, n_known, far
    )


@llvm_function(_emit_dots_of_rows_by_output)
def dots_of_rows_by_output(X, numbers, n_known, far, b, bias, rows, outputs, inner, c, pitch):
    """Compute dots_by_output of X[numbers[:rows]], 2 or more; if far, prefetch later ones. OUT: c.

    The last row fills c up to multiples of four rows.
    """
    places = np.minimum(np.arange(-(-rows // ROWS_OF_DATA) * ROWS_OF_DATA), rows - 1)
    dots_by_output(X[numbers[places]], b, bias, rows, outputs, inner, c, pitch)


def _emit_add_classes(builder, element, d_logits, pitch, rows, outputs, adds, grad_b):
    v, adds = Vectors(builder, element), builder.icmp_signed("!=", adds, index(0))
    with cgutils.for_range(builder, outputs) as loop:
        (total,), start = v.sums(1), builder.mul(loop.index, pitch)

        def add(offsets: list[ir.Value], mask: Mask) -> None:
            d = v.load(d_logits, builder.add(start, offsets[0]), mask)
            builder.store(builder.fadd(v.sum(total), d), total)

        v.for_each_vector(rows, (1,), add)
        before = v.element(grad_b, loop.index)
        before = builder.select(adds, before, ir.Constant(element, 0.0))
        after = builder.fadd(v.sum_of_lanes(v.sum(total)), before)
        builder.store(after, v.address(grad_b, loop.index))


@llvm_function(_emit_add_classes)
def add_classes(d_logits, pitch, rows, outputs, adds, grad_b):
    """Compute grad_b = Σ_rows dZ, plus grad_b if it adds. OUT: grad_b."""
    dZ = d_logits.reshape(-1)[: outputs * pitch].reshape(outputs, pitch)[:, :rows]
    grad_b[...] = dZ.sum(axis=1) + (grad_b if adds else 0)


def _emit_hidden_gradient(
    builder, element, d_logits, pitch, Wt, hidden, rows, outputs, width, accumulate, grad_Wt,
    grad_b1, grad_b2, d_hidden, *, slope,
):  # fmt: skip
    v = Vectors(builder, element)
    adds = builder.icmp_signed("!=", accumulate, index(0))

    def put(place: ir.Value, base: ir.Value, offset: ir.Value, mask: Mask) -> None:
        """Store a sum, or add it, whole, to what is there."""
        before = builder.select(adds, v.load(base, offset, mask), v.zero)
        v.store(builder.fadd(v.sum(place), before), base, offset, mask)

    def columns(n_vectors: int, column: ir.Value, tail: bool) -> None:
        offsets = [builder.add(column, index(n * v.count)) for n in range(n_vectors)]
        masks: list[Mask] = [None] * n_vectors
        if tail:
            masks[-1] = v.mask(builder.sub(width, offsets[-1]))
        biases, end, vectors = v.sums(n_vectors), index(0), list(zip(offsets, masks, strict=True))
        for n_outputs in OUTPUTS:
            with v.steps(end, outputs, n_outputs) as (output, end):
                some_outputs(n_outputs, output, biases, vectors)
        for place, (offset, mask) in zip(biases, vectors, strict=True):
            put(place, grad_b1, offset, mask)

    def some_outputs(n_outputs, output, biases, vectors):
        places = [builder.add(output, index(n)) for n in range(n_outputs)]
        starts = [builder.mul(place, width) for place in places]
        weights = [
            [v.load(Wt, builder.add(start, offset), mask) for offset, mask in vectors]
            for start in starts
        ]
        grads = [v.sums(len(vectors)) for _ in places]
        is_first = builder.icmp_signed("==", output, index(0))
        end = builder.add(output, index(n_outputs))
        is_last = builder.icmp_signed("==", end, outputs)
        with cgutils.for_range(builder, rows) as loop:
            row = builder.mul(loop.index, width)
            at = [(builder.add(row, offset), mask) for offset, mask in vectors]
            inputs = [v.load(hidden, *place) for place in at]
            sums = [builder.select(is_first, v.zero, v.load(d_hidden, *place)) for place in at]
            for place, of_output, totals in zip(places, weights, grads, strict=True):
                d_at = builder.add(builder.mul(place, pitch), loop.index)
                d = v.splat(v.element(d_logits, d_at))
                for n, vector in enumerate(of_output):
                    sums[n] = v.multiply_add(d, vector, sums[n])
                    v.add_product(d, inputs[n], totals[n])
            with builder.if_else(is_last) as (last, others):
                with last:
                    for a, total, place, bias in zip(inputs, sums, at, biases, strict=True):
                        d_pre = slope(Operand(v, a), Operand(v, total), where).value
                        builder.store(builder.fadd(v.sum(bias), d_pre), bias)
                        v.store(d_pre, d_hidden, *place)
                with others:
                    for total, place in zip(sums, at, strict=True):
                        v.store(total, d_hidden, *place)
        for start, totals in zip(starts, grads, strict=True):
            for total, (offset, mask) in zip(totals, vectors, strict=True):
                put(total, grad_Wt, builder.add(start, offset), mask)

    for_each_column(v, width, WIDTH, columns)
    _emit_add_classes(builder, element, d_logits, pitch, rows, outputs, accumulate, grad_b2)


def hidden_gradient(name: str, slope: Callable[[Any, Any, Any], Any]) -> Callable[..., None]:
    """Return a function of that name: the pass back with dS = slope(A, dA, where), of operators."""

    def products(
        d_logits, pitch, Wt, hidden, rows, outputs, width, adds, grad_Wt, grad_b1, grad_b2, d_hidden
    ):
        dZ = d_logits.reshape(-1)[: outputs * pitch].reshape(outputs, pitch)[:, :rows]
        before = (grad_Wt.copy(), grad_b1.copy(), grad_b2.copy()) if adds else (0, 0, 0)
        d_hidden[...] = slope(hidden, dZ.T @ Wt, np.where)
        grad_Wt[...] = dZ @ hidden + before[0]
        grad_b1[...] = d_hidden.sum(axis=0) + before[1]
        grad_b2[...] = dZ.sum(axis=1) + before[2]

    products.__name__ = f"{name}_products"
    products = llvm_function(partial(_emit_hidden_gradient, slope=slope))(products)

    def gradient(d_logits, Wt, hidden, start, grad_Wt, grad_b1, grad_b2, d_hidden):
        (rows, width), outputs = hidden.shape, Wt.shape[0]
        products(
            d_logits, d_logits.shape[1], Wt, hidden, rows, outputs, width, start.size, grad_Wt,
            grad_b1, grad_b2, d_hidden,
        )  # fmt: skip

    gradient.__name__ = name
    return compiled_once(gradient)
