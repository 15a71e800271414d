"""The products of an output layer on top of a hidden one, with logits class by class.

Shapes: B rows, H hidden units, K outputs. Hidden A (B, H), Wt (K, H), b (K,), logits Z and their
gradient dZ (K, pitch), of which the first B columns are the rows: so the output loss has rows in
its lanes. pitch is B = 1, or whole vectors.

Back, one pass over A does what four products and sums would read and write it for:

    dW2 = Aᵀ dZ      dA = dZ W2ᵀ      dS = dA ∘ φ'(S)      db1 = Σ_rows dS
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

# Rows of a tile of dot products, and outputs: the lanes of so many sums are added at once.
ROWS = 8
TILE_OUTPUTS = (2, 1) if HAS_AVX512 else (1,)
# Outputs whose weights and their gradients are in registers, and vectors of hidden units.
OUTPUTS = (5, 3, 2, 1) if HAS_AVX512 else (4, 3, 2, 1)
WIDTHS = (2, 1) if HAS_AVX512 else (1,)


def _emit_dots_by_output(builder, element, a, b, bias, rows, outputs, inner, c, pitch):
    v, eight = Vectors(builder, element), Vectors(builder, element, ROWS)

    def dots(left, starts, right, right_starts):
        """Emit a tile; return the eight dot products with each row of right."""
        sums = [v.sums(ROWS) for _ in right_starts]

        def add_products(steps: list[ir.Value], mask: Mask) -> None:
            others = [v.load(right, builder.add(start, steps[0]), mask) for start in right_starts]
            for r, start in enumerate(starts):
                row = v.load(left, builder.add(start, steps[0]), mask)
                for other, places in zip(others, sums, strict=True):
                    v.add_product(row, other, places[r])

        v.for_each_vector(inner, (1,), add_products)
        total = v.sums_of_lanes([v.sum(place) for places in sums for place in places])
        firsts = range(0, ROWS * len(sums), ROWS)
        return [v.shuffle(total, total, list(range(n, n + ROWS))) for n in firsts]

    def each_eight(count):
        groups = builder.sdiv(builder.add(count, index(ROWS - 1)), index(ROWS))
        return cgutils.for_range(builder, groups)

    with builder.if_else(builder.icmp_signed("==", rows, index(1))) as (single, several):
        with single, each_eight(outputs) as loop:
            output, last = builder.mul(loop.index, index(ROWS)), builder.sub(outputs, index(1))
            places = [builder.add(output, index(n)) for n in range(ROWS)]
            known = [builder.icmp_signed("<", place, last) for place in places]
            places = [builder.select(k, p, last) for k, p in zip(known, places, strict=True)]
            starts = [builder.mul(place, inner) for place in places]
            (total,) = dots(b, starts, a, [index(0)])
            biases = eight.load(bias, output, eight.mask(builder.sub(outputs, output)))
            # Not masked: the CPU hands a whole vector on to its load without the cache.
            eight.store(builder.fadd(total, biases), c, output, None)
        with several, each_eight(rows) as loop:
            row, end = builder.mul(loop.index, index(ROWS)), index(0)
            first = builder.mul(row, inner)
            starts = [builder.add(first, builder.mul(inner, index(n))) for n in range(ROWS)]
            for width in TILE_OUTPUTS:
                with v.steps(end, outputs, width) as (output, end):
                    places = [builder.add(output, index(n)) for n in range(width)]
                    totals = dots(a, starts, b, [builder.mul(place, inner) for place in places])
                    for place, total in zip(places, totals, strict=True):
                        logits = builder.fadd(total, eight.splat(v.element(bias, place)))
                        at = builder.add(builder.mul(place, pitch), row)
                        eight.store(logits, c, at, None)


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
    grad_b, d_hidden, *, slope,
):  # fmt: skip
    v = Vectors(builder, element)
    adds = builder.icmp_signed("!=", accumulate, index(0))

    def put(place: ir.Value, base: ir.Value, offset: ir.Value, mask: Mask) -> None:
        """Store a sum, or add it, whole, to what is there."""
        before = builder.select(adds, v.load(base, offset, mask), v.zero)
        v.store(builder.fadd(v.sum(place), before), base, offset, mask)

    def columns(offsets: list[ir.Value], mask: Mask) -> None:
        biases, end = v.sums(len(offsets)), index(0)
        for n_outputs in OUTPUTS:
            with v.steps(end, outputs, n_outputs) as (output, end):
                some_outputs(n_outputs, output, biases, offsets, mask)
        for place, offset in zip(biases, offsets, strict=True):
            put(place, grad_b, offset, mask)

    def some_outputs(n_outputs, output, biases, offsets, mask):
        places = [builder.add(output, index(n)) for n in range(n_outputs)]
        starts = [builder.mul(place, width) for place in places]
        weights = [[v.load(Wt, builder.add(start, at), mask) for at in offsets] for start in starts]
        grads = [v.sums(len(offsets)) for _ in places]
        is_first = builder.icmp_signed("==", output, index(0))
        end = builder.add(output, index(n_outputs))
        is_last = builder.icmp_signed("==", end, outputs)
        with cgutils.for_range(builder, rows) as loop:
            row = builder.mul(loop.index, width)
            at = [builder.add(row, offset) for offset in offsets]
            inputs = [v.load(hidden, place, mask) for place in at]
            sums = [builder.select(is_first, v.zero, v.load(d_hidden, place, mask)) for place in at]
            for place, vectors, totals in zip(places, weights, grads, strict=True):
                d_at = builder.add(builder.mul(place, pitch), loop.index)
                d = v.splat(v.element(d_logits, d_at))
                for n, vector in enumerate(vectors):
                    sums[n] = v.multiply_add(d, vector, sums[n])
                    v.add_product(d, inputs[n], totals[n])
            with builder.if_else(is_last) as (last, others):
                with last:
                    for a, total, place, bias in zip(inputs, sums, at, biases, strict=True):
                        d_pre = slope(Operand(v, a), Operand(v, total), where).value
                        builder.store(builder.fadd(v.sum(bias), d_pre), bias)
                        v.store(d_pre, d_hidden, place, mask)
                with others:
                    for total, place in zip(sums, at, strict=True):
                        v.store(total, d_hidden, place, mask)
        for start, totals in zip(starts, grads, strict=True):
            for total, offset in zip(totals, offsets, strict=True):
                put(total, grad_Wt, builder.add(start, offset), mask)

    v.for_each_vector(width, WIDTHS, columns)


def hidden_gradient(name: str, slope: Callable[[Any, Any, Any], Any]) -> Callable[..., None]:
    """Return a function of that name: the pass back with dS = slope(A, dA, where), of operators."""

    def products(
        d_logits, pitch, Wt, hidden, rows, outputs, width, adds, grad_Wt, grad_b, d_hidden
    ):
        dZ = d_logits.reshape(-1)[: outputs * pitch].reshape(outputs, pitch)[:, :rows]
        before = (grad_Wt.copy(), grad_b.copy()) if adds else (0, 0)
        d_hidden[...] = slope(hidden, dZ.T @ Wt, np.where)
        grad_Wt[...] = dZ @ hidden + before[0]
        grad_b[...] = d_hidden.sum(axis=0) + before[1]

    products.__name__ = f"{name}_products"
    products = llvm_function(partial(_emit_hidden_gradient, slope=slope))(products)

    def gradient(d_logits, Wt, hidden, start, grad_Wt, grad_b, d_hidden):
        (rows, width), outputs = hidden.shape, Wt.shape[0]
        products(
            d_logits, d_logits.shape[1], Wt, hidden, rows, outputs, width, start.size, grad_Wt,
            grad_b, d_hidden,
        )  # fmt: skip

    gradient.__name__ = name
    return compiled_once(gradient)
