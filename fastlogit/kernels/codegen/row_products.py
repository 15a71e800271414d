"""Products with single rows, dense and sparse: what LLVM does not vectorise by itself.

Dense rows as operands
    `row_dot`, `rows_dot` and `add_row` are emitted into the loop that uses them. Shapes: X (n, D);
    w (D up to whole vectors,) with zeros after its first D elements, so that only rows of X need
    their last vector masked.
Updates fused with the next row's product
    With one row per step a layer's weights are read to be multiplied, and read and written to be
    updated. Both are done while a weight is in a register: it is updated by this row, and its new
    value is multiplied with the next row. Against two passes a step of one row takes 0.3 of the
    time on (784, 128, 10), 0.5 on (64, 64, 10), and of softmax regression 0.6 on 64 features.
    Shapes: X (n, D), d the update of b: minus the learning rate times the gradient of the output.
    A hidden layer's b is updated already.
    W (D, H), b (H,), d and out (1, H); of a linear model b (K,), out (1, K), Wt (K, pitch), of
    which the first D columns are the weights and the others, up to whole vectors, 0.
Sparse rows and the weights of several outputs
    Shapes: values (count,), columns (count,) uint32, W (D, width), d and out (width,).
"""

from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils, emitted, types
from fastlogit.kernels.codegen.cpu import HAS_AVX512
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.simd import INDEX, Mask, Vectors, index
from fastlogit.kernels.codegen.tiles import store_sums

# Sums of a dot product that are in flight, to hide the latency of a multiply-add.
SUMS = 4
# Vectors of columns, and outputs, of a fused update that are processed together: each keeps its
# update and its sum in a register.
WIDTHS = (8, 4, 1) if HAS_AVX512 else (4, 1)
OUTPUTS = (4, 2, 1)
# Vectors of sums, or of what is added, that stay in registers over all non-zeros of a sparse row:
# LLVM would store the sums after each non-zero, at three times the cost.
PANELS = (8, 4, 2, 1)


def _emit_dot(context, builder, signature, X, row, other):
    v = Vectors(builder, context.get_data_type(signature.args[0].dtype))
    width = builder.extract_value(X.shape, 1)
    sums, a = v.sums(SUMS), v.address(X.data, builder.mul(row, width))
    is_row = isinstance(signature.args[2], types.Integer)
    b = v.address(X.data, builder.mul(other, width)) if is_row else other.data

    def add_products(offsets: list[ir.Value], mask: Mask) -> None:
        for offset, place in zip(offsets, sums if mask is None else sums[-1:], strict=False):
            b_vector = v.load(b, offset, mask if is_row else None)
            v.add_product(v.load(a, offset, mask), b_vector, place)

    v.for_each_vector(width, (SUMS, 1), add_products)
    totals = [v.sum(place) for place in sums]
    while len(totals) > 1:
        totals = [builder.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
    return v.sum_of_lanes(totals[0])


@emitted(_emit_dot, lambda X, *_: X.dtype)
def row_dot(X, row, w):
    """Return X[row] · w."""
    return X[row] @ w[: X.shape[1]]


@emitted(_emit_dot, lambda X, *_: X.dtype)
def rows_dot(X, row, other):
    """Return X[row] · X[other]."""
    return X[row] @ X[other]


def _emit_add_row(context, builder, signature, X, row, factor, w):
    v = Vectors(builder, context.get_data_type(signature.args[0].dtype))
    width = builder.extract_value(X.shape, 1)
    factors, start = v.splat(factor), v.address(X.data, builder.mul(row, width))

    def add(offsets: list[ir.Value], mask: Mask) -> None:
        for offset in offsets:
            x = v.load(start, offset, mask)
            total = v.multiply_add(x, factors, v.load(w.data, offset, None))
            v.store(total, w.data, offset, None)

    v.for_each_vector(width, (SUMS, 1), add)


@emitted(_emit_add_row, lambda *_: types.void)
def add_row(X, row, factor, w):
    """Add factor times X[row] to w. OUT: w."""
    w[: X.shape[1]] += factor * X[row]


def _emit_update_and_forward_hidden(
    builder, element, X, row, following, d, W, b, fan_in, fan_out, out
):
    v = Vectors(builder, element)
    x, x_next = builder.mul(row, fan_in), builder.mul(following, fan_in)

    def columns(places: list[ir.Value], mask: Mask) -> None:
        d_vectors = [v.load(d, place, mask) for place in places]
        sums = v.sums(len(places))
        with cgutils.for_range(builder, fan_in) as loop:
            this = v.splat(v.element(X, builder.add(x, loop.index)))
            after = v.splat(v.element(X, builder.add(x_next, loop.index)))
            start = builder.mul(loop.index, fan_out)
            for place, d_vector, total in zip(places, d_vectors, sums, strict=True):
                weights = builder.add(start, place)
                updated = v.multiply_add(this, d_vector, v.load(W, weights, mask))
                v.store(updated, W, weights, mask)
                v.add_product(after, updated, total)
        for place, total in zip(places, sums, strict=True):
            v.store(builder.fadd(v.sum(total), v.load(b, place, mask)), out, place, mask)

    v.for_each_vector(fan_out, WIDTHS, columns)


@llvm_function(_emit_update_and_forward_hidden)
def update_and_forward_hidden(X, row, following, d, W, b, fan_in, fan_out, out):
    """Update W += X[row]ᵀ d; then compute out = X[following] W + b. OUT: W, out."""
    W += np.outer(X[row], d)
    out[0] = X[following] @ W + b


def _emit_update_and_forward_linear(
    builder, element, X, row, following, Wt, pitch, b, fan_in, outputs, out
):
    v = Vectors(builder, element)
    x, x_next = builder.mul(row, fan_in), builder.mul(following, fan_in)

    def tile(width: int, output: ir.Value) -> None:
        places = [builder.add(output, index(n)) for n in range(width)]
        starts = [builder.mul(place, pitch) for place in places]
        d = [v.element(out, place) for place in places]
        for place, step in zip(places, d, strict=True):
            builder.store(builder.fadd(v.element(b, place), step), v.address(b, place))
        d_vectors = [v.splat(step) for step in d]
        sums = v.sums(len(places))

        def update(columns: list[ir.Value], mask: Mask) -> None:
            this = v.load(X, builder.add(x, columns[0]), mask)
            after = v.load(X, builder.add(x_next, columns[0]), mask)
            for start, d_vector, total in zip(starts, d_vectors, sums, strict=True):
                weights = builder.add(start, columns[0])
                updated = v.multiply_add(this, d_vector, v.load(Wt, weights, None))
                v.store(updated, Wt, weights, None)
                v.add_product(after, updated, total)

        v.for_each_vector(fan_in, (1,), update)
        store_sums(v, [sums], b, output, out, index(0), outputs)

    end = index(0)
    for width in OUTPUTS:
        with v.steps(end, outputs, width) as (output, end):
            tile(width, output)


@llvm_function(_emit_update_and_forward_linear)
def update_and_forward_linear(X, row, following, Wt, pitch, b, fan_in, outputs, out):
    """Update Wt += dᵀ X[row], b += d by d = out; out = X[following] Wtᵀ + b. OUT: Wt, b, out."""
    Wt[:, :fan_in] += np.outer(out[0], X[row])
    b += out[0]
    out[0] = Wt[:, :fan_in] @ X[following] + b


@contextmanager
def _non_zeros(v, values, columns, count, width):
    """Emit a loop over a row's non-zeros; yield where W's row of each begins, and its value."""
    with cgutils.for_range(v.builder, count) as loop:
        column = v.element(columns, loop.index, ir.IntType(32))
        start = v.builder.mul(v.builder.zext(column, INDEX), width)
        yield start, v.splat(v.element(values, loop.index))


def _emit_sparse_row_product(builder, element, values, columns, count, W, width, out):
    v = Vectors(builder, element)

    def panel(offsets: list[ir.Value], mask: Mask) -> None:
        sums = v.sums(len(offsets))
        with _non_zeros(v, values, columns, count, width) as (row, value):
            for place, offset in zip(sums, offsets, strict=True):
                weights = v.load(W, builder.add(row, offset), mask)
                v.add_product(value, weights, place)
        for place, offset in zip(sums, offsets, strict=True):
            v.store(v.sum(place), out, offset, mask)

    v.for_each_vector(width, PANELS, panel)


@llvm_function(_emit_sparse_row_product)
def sparse_row_product(values, columns, count, W, width, out):
    """Compute out = Σ values · W[columns]. OUT: out."""
    out[...] = values @ W[columns]


def _emit_add_sparse_row(
    builder, element, values, columns, count, factor, d, width, tracked, squares, W
):
    v, is_f32 = Vectors(builder, element), isinstance(element, ir.FloatType)
    factors = v.splat(builder.fptrunc(factor, element) if is_f32 else factor)

    def panel(offsets: list[ir.Value], mask: Mask, *, tracks: bool) -> None:
        gains = v.sums(len(offsets))
        added = [builder.fmul(factors, v.load(d, offset, mask)) for offset in offsets]
        with _non_zeros(v, values, columns, count, width) as (row, value):
            for gain, vector, offset in zip(gains, added, offsets, strict=True):
                place = builder.add(row, offset)
                before = v.load(W, place, mask)
                after = v.multiply_add(value, vector, before)
                v.store(after, W, place, mask)
                if tracks:
                    change, total = builder.fsub(after, before), builder.fadd(after, before)
                    v.add_product(change, total, gain)
        # Of float32 weights the gain is summed in float32 over the row, and only then in float64.
        for gain in gains if tracks else ():
            total = v.sum_of_lanes(v.sum(gain))
            total = builder.fpext(total, ir.DoubleType()) if is_f32 else total
            before = builder.load(squares, typ=ir.DoubleType())
            builder.store(builder.fadd(before, total), squares)

    with builder.if_else(builder.icmp_signed("!=", tracked, index(0))) as branches:
        for branch, tracks in zip(branches, (True, False), strict=True):
            with branch:
                v.for_each_vector(width, PANELS, partial(panel, tracks=tracks))


@llvm_function(_emit_add_sparse_row)
def add_sparse_row(values, columns, count, factor, d, width, tracked, squares, W):
    """Add factor · value · d to W's row of each column. OUT: W; squares (1,), Σ W², if tracked."""
    for value, column in zip(values, columns, strict=True):
        before: Any = W[column].copy()
        W[column] += value * (W.dtype.type(factor) * d)
        if tracked:
            squares[0] += ((W[column] - before) * (W[column] + before)).sum()
