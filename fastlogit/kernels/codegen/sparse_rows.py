"""A sparse row times several outputs' weights, in vectors: what LLVM does not make of plain loops.

Shapes: values (count,), columns (count,) uint32, W (D, width), d and out (width,).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from fastlogit.kernels.codegen.linking import emitted
from fastlogit.kernels.codegen.simd import INDEX, Vectors, index, steps

# Vectors of sums, or of what is added, that stay in registers over all non-zeros.
PANELS = (8, 4, 2, 1)


def _for_each_panel(
    v: Vectors, width: ir.Value, do: Callable[[list[ir.Value], ir.Value | None], None]
) -> None:
    """Emit what do emits for parts of the width: the offsets of their vectors, the last masked."""
    builder, end = v.builder, index(0)
    for several in PANELS:
        with steps(builder, end, width, several * v.count) as (start, end):
            do([builder.add(start, index(n * v.count)) for n in range(several)], None)
    left = builder.sub(width, end)
    with builder.if_then(builder.icmp_signed(">", left, index(0))):
        do([end], v.mask(left))


def _sums(v: Vectors, count: int) -> list[ir.Value]:
    places = [cgutils.alloca_once(v.builder, v.type) for _ in range(count)]
    for place in places:
        v.builder.store(v.zero, place)
    return places


def _generate_row_product(
    builder: ir.IRBuilder, element: ir.Type, values: ir.Value, columns: ir.Value, count: ir.Value,
    W: ir.Value, width: ir.Value, out: ir.Value,
) -> None:  # fmt: skip
    v = Vectors(builder, element)

    def panel(offsets: list[ir.Value], mask: ir.Value | None) -> None:
        sums = _sums(v, len(offsets))
        with cgutils.for_range(builder, count) as loop:
            column = builder.zext(v.element(columns, loop.index), INDEX)
            row, value = builder.mul(column, width), v.splat(v.element(values, loop.index))
            for place, offset in zip(sums, offsets, strict=True):
                weights = v.load(W, builder.add(row, offset), mask)
                builder.store(v.multiply_add(value, weights, builder.load(place)), place)
        for place, offset in zip(sums, offsets, strict=True):
            v.store(builder.load(place), out, offset, mask)

    _for_each_panel(v, width, panel)


def _generate_add_row(
    builder: ir.IRBuilder, element: ir.Type, values: ir.Value, columns: ir.Value, count: ir.Value,
    factor: ir.Value, d: ir.Value, width: ir.Value, squares: ir.Value, W: ir.Value, *,
    tracked: bool,
) -> None:  # fmt: skip
    v = Vectors(builder, element)
    if isinstance(element, ir.FloatType):
        factor = builder.fptrunc(factor, element)
    factors = v.splat(factor)

    def panel(offsets: list[ir.Value], mask: ir.Value | None) -> None:
        gains = _sums(v, len(offsets))
        added = [builder.fmul(factors, v.load(d, offset, mask)) for offset in offsets]
        with cgutils.for_range(builder, count) as loop:
            column = builder.zext(v.element(columns, loop.index), INDEX)
            row, value = builder.mul(column, width), v.splat(v.element(values, loop.index))
            for gain, vector, offset in zip(gains, added, offsets, strict=True):
                place = builder.add(row, offset)
                before = v.load(W, place, mask)
                after = v.multiply_add(value, vector, before)
                v.store(after, W, place, mask)
                if tracked:
                    change, total = builder.fsub(after, before), builder.fadd(after, before)
                    builder.store(v.multiply_add(change, total, builder.load(gain)), gain)
        for gain in gains if tracked else ():
            total = v.sum_of_lanes(builder.load(gain))
            if isinstance(element, ir.FloatType):
                total = builder.fpext(total, ir.DoubleType())
            builder.store(builder.fadd(builder.load(squares), total), squares)

    _for_each_panel(v, width, panel)


@emitted(_generate_row_product)
def row_product(values, columns, count, W, width, out):
    """Compute out = Σ values · W[columns]. OUT: out.

    The sums stay in registers; LLVM would store them after each non-zero, in thrice the time.
    """
    out[...] = values @ W[columns]


@emitted(partial(_generate_add_row, tracked=False))
def add_row(values, columns, count, factor, d, width, squares, W):
    """Add factor times each of the values times d to the row of W of its column. OUT: W."""
    np.add.at(W, columns, values[:, None] * (W.dtype.type(factor) * d))


@emitted(partial(_generate_add_row, tracked=True))
def add_row_tracked(values, columns, count, factor, d, width, squares, W):
    """Do what add_row does, and add to squares (1,), float64, what Σ W² gains. OUT: W, squares.

    A gain of float32 weights is summed in float32 over the row, and only then in float64.
    """
    for value, column in zip(values, columns, strict=True):
        before: Any = W[column].copy()
        W[column] += value * (W.dtype.type(factor) * d)
        squares[0] += ((W[column] - before) * (W[column] + before)).sum()
