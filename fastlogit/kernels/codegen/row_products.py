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
Sparse rows and the weights of several outputs
    Shapes: values (count,), columns (count,) uint32, W (D, width), d and out (width,).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from fastlogit.kernels.codegen.compile import emitted
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.simd import (
    COLUMN,
    HAS_AVX512,
    INDEX,
    Vectors,
    index,
    load_element,
    steps,
)
from fastlogit.kernels.codegen.tiles import store_sums

# Sums of a dot product that are in flight, to hide the latency of a multiply-add.
SUMS = 4
# Vectors of columns, and outputs, of a fused update that are processed together: each keeps its
# update and its sum in a register.
WIDTHS = (8, 4, 1) if HAS_AVX512 else (4, 1)
OUTPUTS = (4, 2, 1)
# Vectors of sums, or of what is added, that stay in registers over all non-zeros of a sparse row.
PANELS = (8, 4, 2, 1)


class _Rows:
    """Emits loads from rows of X, or from w, vector by vector."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: Any, X: Any) -> None:
        self.builder = builder
        self.v = Vectors(builder, context.get_data_type(kind.dtype))
        self.data, self.width = X.data, builder.extract_value(X.shape, 1)
        self.whole = builder.and_(self.width, index(-self.v.count))
        self.mask = self.v.mask(builder.sub(self.width, self.whole))

    def row(self, number: ir.Value) -> Callable[[ir.Value, ir.Value | None], ir.Value]:
        start = self.v.address(self.data, self.builder.mul(number, self.width))
        return lambda place, mask: self.v.load(start, place, mask)

    def for_each_vector(self, do: Callable[[int, ir.Value, ir.Value | None], None]) -> None:
        end = index(0)
        for several in (SUMS, 1):
            with steps(self.builder, end, self.whole, several * self.v.count) as (start, end):
                for n in range(several):
                    do(n, self.builder.add(start, index(n * self.v.count)), None)
        with self.builder.if_then(self.builder.icmp_signed("<", self.whole, self.width)):
            do(SUMS - 1, self.whole, self.mask)

    def dot(self, a: Callable[..., ir.Value], b: Callable[..., ir.Value]) -> ir.Value:
        builder, v = self.builder, self.v
        sums = v.sums(SUMS)
        self.for_each_vector(
            lambda n, start, mask: v.add_product(a(start, mask), b(start, mask), sums[n])
        )
        totals = [v.sum(place) for place in sums]
        while len(totals) > 1:
            totals = [builder.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
        return v.sum_of_lanes(totals[0])


def _emit_row_dot(context, builder, signature, X, row, w):
    rows = _Rows(context, builder, signature.args[0], X)
    return rows.dot(rows.row(row), lambda start, _mask: rows.v.load(w.data, start, None))


@emitted(_emit_row_dot, lambda X, *_: X.dtype)
def row_dot(X, row, w):
    """Return X[row] · w."""
    return X[row] @ w[: X.shape[1]]


def _emit_rows_dot(context, builder, signature, X, row, other):
    rows = _Rows(context, builder, signature.args[0], X)
    return rows.dot(rows.row(row), rows.row(other))


@emitted(_emit_rows_dot, lambda X, *_: X.dtype)
def rows_dot(X, row, other):
    """Return X[row] · X[other]."""
    return X[row] @ X[other]


def _emit_add_row(context, builder, signature, X, row, factor, w):
    rows = _Rows(context, builder, signature.args[0], X)
    v, factors, load = rows.v, rows.v.splat(factor), rows.row(row)

    def add(_n: int, start: ir.Value, mask: ir.Value | None) -> None:
        total = v.multiply_add(load(start, mask), factors, v.load(w.data, start, None))
        v.store(total, w.data, start, None)

    rows.for_each_vector(add)


@emitted(_emit_add_row, lambda *_: types.void)
def add_row(X, row, factor, w):
    """Add factor times X[row] to w. OUT: w."""
    w[: X.shape[1]] += factor * X[row]


def _generate_update_and_forward_hidden(
    builder: ir.IRBuilder, element: ir.Type, X: ir.Value, row: ir.Value, following: ir.Value,
    d: ir.Value, W: ir.Value, b: ir.Value, fan_in: ir.Value, fan_out: ir.Value, out: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)
    x, x_next = builder.mul(row, fan_in), builder.mul(following, fan_in)

    def columns(width: int, column: ir.Value, mask: ir.Value | None) -> None:
        places = [builder.add(column, index(n * v.count)) for n in range(width)]
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
        for place, d_vector, total in zip(places, d_vectors, sums, strict=True):
            bias = builder.fadd(v.load(b, place, mask), d_vector)
            v.store(bias, b, place, mask)
            v.store(builder.fadd(v.sum(total), bias), out, place, mask)

    end = index(0)
    for width in WIDTHS:
        with steps(builder, end, fan_out, width * v.count) as (column, end):
            columns(width, column, None)
    with builder.if_then(builder.icmp_signed("<", end, fan_out)):
        columns(1, end, v.mask(builder.sub(fan_out, end)))


def _generate_update_and_forward_linear(
    builder: ir.IRBuilder, element: ir.Type, X: ir.Value, row: ir.Value, following: ir.Value,
    Wt: ir.Value, pitch: ir.Value, b: ir.Value, fan_in: ir.Value, outputs: ir.Value, out: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)
    x, x_next = builder.mul(row, fan_in), builder.mul(following, fan_in)
    whole = builder.sub(fan_in, builder.srem(fan_in, index(v.count)))
    mask = v.mask(builder.sub(fan_in, whole))

    def tile(width: int, output: ir.Value) -> None:
        places = [builder.add(output, index(n)) for n in range(width)]
        starts = [builder.mul(place, pitch) for place in places]
        d = [v.element(out, place) for place in places]
        for place, step in zip(places, d, strict=True):
            builder.store(builder.fadd(v.element(b, place), step), v.address(b, place))
        d_vectors = [v.splat(step) for step in d]
        sums = v.sums(len(places))

        def vector(column: ir.Value, lanes: ir.Value | None) -> None:
            this = v.load(X, builder.add(x, column), lanes)
            after = v.load(X, builder.add(x_next, column), lanes)
            for start, d_vector, total in zip(starts, d_vectors, sums, strict=True):
                weights = builder.add(start, column)
                updated = v.multiply_add(this, d_vector, v.load(Wt, weights, None))
                v.store(updated, Wt, weights, None)
                v.add_product(after, updated, total)

        with steps(builder, index(0), whole, v.count) as (column, _):
            vector(column, None)
        with builder.if_then(builder.icmp_signed("<", whole, fan_in)):
            vector(whole, mask)
        store_sums(v, [sums], b, output, out, index(0), outputs)

    end = index(0)
    for width in OUTPUTS:
        with steps(builder, end, outputs, width) as (output, end):
            tile(width, output)


@llvm_function(_generate_update_and_forward_hidden)
def update_and_forward_hidden(X, row, following, d, W, b, fan_in, fan_out, out):
    """Update a hidden layer, W += X[row]ᵀ d and b += d; then out = X[following] W + b.

    W (D, H), b (H,), d and out (1, H). OUT: W, b, out.
    """
    W += np.outer(X[row], d)
    b += d[0]
    out[0] = X[following] @ W + b


@llvm_function(_generate_update_and_forward_linear)
def update_and_forward_linear(X, row, following, Wt, pitch, b, fan_in, outputs, out):
    """Update a linear model by d = out, Wt += dᵀ X[row], b += d; out = X[following] Wtᵀ + b.

    b (K,), out (1, K); Wt (K, pitch), of which the first D columns are the weights and the others,
    up to whole vectors, 0. OUT: Wt, b, out.
    """
    Wt[:, :fan_in] += np.outer(out[0], X[row])
    b += out[0]
    out[0] = Wt[:, :fan_in] @ X[following] + b


def _for_each_panel(
    v: Vectors, width: ir.Value, do: Callable[[list[ir.Value], ir.Value | None], None]
) -> None:
    """Call do with the offsets of the vectors of each panel of the width, the last masked."""
    builder, end = v.builder, index(0)
    for several in PANELS:
        with steps(builder, end, width, several * v.count) as (start, end):
            do([builder.add(start, index(n * v.count)) for n in range(several)], None)
    left = builder.sub(width, end)
    with builder.if_then(builder.icmp_signed(">", left, index(0))):
        do([end], v.mask(left))


def _generate_sparse_row_product(
    builder: ir.IRBuilder, element: ir.Type, values: ir.Value, columns: ir.Value, count: ir.Value,
    W: ir.Value, width: ir.Value, out: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)

    def panel(offsets: list[ir.Value], mask: ir.Value | None) -> None:
        sums = v.sums(len(offsets))
        with cgutils.for_range(builder, count) as loop:
            column = builder.zext(load_element(builder, COLUMN, columns, loop.index), INDEX)
            row, value = builder.mul(column, width), v.splat(v.element(values, loop.index))
            for place, offset in zip(sums, offsets, strict=True):
                weights = v.load(W, builder.add(row, offset), mask)
                v.add_product(value, weights, place)
        for place, offset in zip(sums, offsets, strict=True):
            v.store(v.sum(place), out, offset, mask)

    _for_each_panel(v, width, panel)


def _generate_add_sparse_row(
    builder: ir.IRBuilder, element: ir.Type, values: ir.Value, columns: ir.Value, count: ir.Value,
    factor: ir.Value, d: ir.Value, width: ir.Value, squares: ir.Value, W: ir.Value, *,
    tracked: bool,
) -> None:  # fmt: skip
    v = Vectors(builder, element)
    if isinstance(element, ir.FloatType):
        factor = builder.fptrunc(factor, element)
    factors = v.splat(factor)

    def panel(offsets: list[ir.Value], mask: ir.Value | None) -> None:
        gains = v.sums(len(offsets))
        added = [builder.fmul(factors, v.load(d, offset, mask)) for offset in offsets]
        with cgutils.for_range(builder, count) as loop:
            column = builder.zext(load_element(builder, COLUMN, columns, loop.index), INDEX)
            row, value = builder.mul(column, width), v.splat(v.element(values, loop.index))
            for gain, vector, offset in zip(gains, added, offsets, strict=True):
                place = builder.add(row, offset)
                before = v.load(W, place, mask)
                after = v.multiply_add(value, vector, before)
                v.store(after, W, place, mask)
                if tracked:
                    change, total = builder.fsub(after, before), builder.fadd(after, before)
                    v.add_product(change, total, gain)
        for gain in gains if tracked else ():
            total = v.sum_of_lanes(v.sum(gain))
            if isinstance(element, ir.FloatType):
                total = builder.fpext(total, ir.DoubleType())
            before = builder.load(squares, typ=ir.DoubleType())
            builder.store(builder.fadd(before, total), squares)

    _for_each_panel(v, width, panel)


@llvm_function(_generate_sparse_row_product)
def sparse_row_product(values, columns, count, W, width, out):
    """Compute out = Σ values · W[columns]. OUT: out.

    The sums stay in registers; LLVM would store them after each non-zero, at three times the cost.
    """
    out[...] = values @ W[columns]


@llvm_function(partial(_generate_add_sparse_row, tracked=False))
def add_sparse_row(values, columns, count, factor, d, width, squares, W):
    """Add factor times each of the values times d to the row of W of its column. OUT: W."""
    np.add.at(W, columns, values[:, None] * (W.dtype.type(factor) * d))


@llvm_function(partial(_generate_add_sparse_row, tracked=True))
def add_sparse_row_tracked(values, columns, count, factor, d, width, squares, W):
    """Do what add_sparse_row does, and add to squares (1,), float64, what Σ W² gains.

    OUT: W, squares.

    A gain of float32 weights is summed in float32 over the row, and only then in float64.
    """
    for value, column in zip(values, columns, strict=True):
        before: Any = W[column].copy()
        W[column] += value * (W.dtype.type(factor) * d)
        squares[0] += ((W[column] - before) * (W[column] + before)).sum()
