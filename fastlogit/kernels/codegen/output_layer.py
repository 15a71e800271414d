"""The products of an output layer on top of a hidden one, with logits class by class.

Shapes: B rows, H hidden units, K outputs. Hidden A (B, H), Wt (K, H), b (K,), logits Z and their
gradient dZ (K, pitch), of which the first B columns are the rows: so the output loss has rows in
its lanes. pitch is B = 1, or whole vectors.

Back, one pass over A does what four products and sums would read and write it for:

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
from fastlogit.kernels.codegen.simd import Mask, Operand, Vectors, index, where
from fastlogit.kernels.codegen.tiles import for_each_column

# Tiles of dot products as (rows, outputs): the lanes of so many sums are added at once.
ROWS = 8
DOT_TILES = ((16, (1,)), (ROWS, (2, 1))) if HAS_AVX512 else ((ROWS, (1,)),)
# From so many outputs on, sums over lanes are more work than to transpose the rows first.
MANY_OUTPUTS = 3
TRANSPOSED_OUTPUTS = (4, 2, 1)
# Outputs whose weights and their gradients are in registers, and vectors of hidden units.
OUTPUTS = (5, 3, 2, 1) if HAS_AVX512 else (4, 3, 2, 1)
WIDTH = 2 if HAS_AVX512 else 1


def _emit_transposing_tile(v, a, b, bias, row, outputs, inner, c, pitch):
    """Emit as many rows' logits as a vector has lanes, by columns that are turned into vectors."""
    builder, n_columns = v.builder, v.count // 2
    half, first = Vectors(builder, v.element_type, n_columns), builder.mul(row, inner)
    with cgutils.for_range(builder, outputs) as loop:
        at = builder.add(builder.mul(loop.index, pitch), row)
        v.store(v.splat(v.element(bias, loop.index)), c, at, None)

    def some_columns(columns: list[ir.Value], mask: Mask) -> None:
        starts = [builder.add(first, columns[0])]
        for _ in range(v.count - 1):
            starts.append(builder.add(starts[-1], inner))
        halves = [half.load(a, start, mask) for start in starts]
        pairs = zip(halves[:n_columns], halves[n_columns:], strict=True)
        vectors = [v.shuffle(low, high, list(range(v.count))) for low, high in pairs]
        vectors = _transposed(v, vectors)
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


def _transposed(v, vectors):
    """Return the transpose in either half: lane i of vector j becomes lane j of vector i."""
    size = len(vectors)
    firsts = [half * size + lane for half in range(2) for lane in range(size // 2)]
    low = [place for lane in firsts for place in (lane, v.count + lane)]
    high = [place + size // 2 for place in low]
    for _ in range(size.bit_length() - 1):
        pairs = list(zip(vectors[: size // 2], vectors[size // 2 :], strict=True))
        vectors = [v.shuffle(*pair, lanes) for pair in pairs for lanes in (low, high)]
    return vectors


def _emit_dots_by_output(builder, element, a, b, bias, rows, outputs, inner, c, pitch):
    v, eight = Vectors(builder, element), Vectors(builder, element, ROWS)

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

    def eights(count):
        return builder.sdiv(builder.add(count, index(ROWS - 1)), index(ROWS))

    def tile(n_rows, row, output, n_outputs):
        first, rows_of_c = builder.mul(row, inner), Vectors(builder, element, n_rows)
        starts = [builder.add(first, builder.mul(inner, index(n))) for n in range(n_rows)]
        places = [builder.add(output, index(n)) for n in range(n_outputs)]
        totals = dots(a, starts, b, [builder.mul(place, inner) for place in places])
        for place, total in zip(places, totals, strict=True):
            logits = builder.fadd(total, rows_of_c.splat(v.element(bias, place)))
            rows_of_c.store(logits, c, builder.add(builder.mul(place, pitch), row), None)

    with builder.if_else(builder.icmp_signed("==", rows, index(1))) as (single, several):
        with single, cgutils.for_range(builder, eights(outputs)) as loop:
            output, last = builder.mul(loop.index, index(ROWS)), builder.sub(outputs, index(1))
            places = [builder.add(output, index(n)) for n in range(ROWS)]
            known = [builder.icmp_signed("<", place, last) for place in places]
            places = [builder.select(k, p, last) for k, p in zip(known, places, strict=True)]
            starts = [builder.mul(place, inner) for place in places]
            (total,) = dots(b, starts, a, [index(0)])
            biases = eight.load(bias, output, eight.mask(builder.sub(outputs, output)))
            # Not masked: the CPU hands a whole vector on to its load without the cache.
            eight.store(builder.fadd(total, biases), c, output, None)
        with several:
            rounded = builder.mul(eights(rows), index(ROWS))
            are_many = builder.icmp_signed(">=", outputs, index(MANY_OUTPUTS))
            of_many = builder.select(are_many, rounded, index(0))
            with v.steps(index(0), of_many, v.count) as (row, row_end):
                _emit_transposing_tile(v, a, b, bias, row, outputs, inner, c, pitch)
            for n_rows, widths in DOT_TILES:
                with v.steps(row_end, rounded, n_rows) as (row, row_end):
                    end = index(0)
                    for width in widths:
                        with v.steps(end, outputs, width) as (output, end):
                            tile(n_rows, row, output, width)


@llvm_function(_emit_dots_by_output)
def dots_by_output(a, b, bias, rows, outputs, inner, c, pitch):
    """Compute cᵀ = a bᵀ + bias: a (rows, inner), b (outputs, inner). OUT: c (outputs, pitch).

    a has memory up to multiples of eight rows, c of a single row up to multiples of eight outputs,
    and c gets numbers there.
    """
    count = 1 if rows == 1 else min(-(-rows // ROWS) * ROWS, len(a))  # of those in view
    products = b @ a[:count].T + bias[:, None]
    c.reshape(-1)[: outputs * pitch].reshape(outputs, pitch)[:, :count] = products


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
    with cgutils.for_range(builder, outputs) as loop:
        (total,), start = v.sums(1), builder.mul(loop.index, pitch)

        def add(offsets: list[ir.Value], mask: Mask) -> None:
            d = v.load(d_logits, builder.add(start, offsets[0]), mask)
            builder.store(builder.fadd(v.sum(total), d), total)

        v.for_each_vector(rows, (1,), add)
        before = v.element(grad_b2, loop.index)
        before = builder.select(adds, before, ir.Constant(element, 0.0))
        after = builder.fadd(v.sum_of_lanes(v.sum(total)), before)
        builder.store(after, v.address(grad_b2, loop.index))


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
