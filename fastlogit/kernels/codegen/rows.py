"""Single rows as operands, emitted into the loop that uses them.

Shapes: X (n, D); w (D up to whole vectors,) with zeros after its first D elements, so that only
rows of X need their last vector masked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable

from fastlogit.kernels.codegen.simd import Vectors, index, steps

# Sums that are in flight, to hide the latency of a multiply-add.
SUMS = 4


def row_dot(X: Any, row: int, w: Any) -> Any:
    """Return X[row] · w."""
    return X[row] @ w[: X.shape[1]]


def rows_dot(X: Any, row: int, other: int) -> Any:
    """Return X[row] · X[other]."""
    return X[row] @ X[other]


def add_row(X: Any, row: int, factor: Any, w: Any) -> None:
    """Add factor times X[row] to w. OUT: w."""
    w[: X.shape[1]] += factor * X[row]


@type_callable(row_dot)
@type_callable(rows_dot)
def _typed_dot(_context: Any) -> Callable[..., Any]:
    def typer(X: Any, row: Any, other: Any) -> Any:
        return X.dtype

    return typer


@type_callable(add_row)
def _typed_add_row(_context: Any) -> Callable[..., Any]:
    def typer(X: Any, row: Any, factor: Any, w: Any) -> Any:
        return types.void

    return typer


class _Rows:
    """Emits loads from rows of X, or from w, vector by vector."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: Any, X: ir.Value) -> None:
        self.builder = builder
        self.v = Vectors(builder, context.get_data_type(kind.dtype))
        array = context.make_array(kind)(context, builder, X)
        self.data, self.width = array.data, builder.extract_value(array.shape, 1)
        self.whole = builder.and_(self.width, index(-self.v.count))
        self.mask = self.v.mask(builder.sub(self.width, self.whole))

    def row(self, number: ir.Value) -> Callable[[ir.Value, ir.Value | None], ir.Value]:
        start = self.builder.gep(self.data, [self.builder.mul(number, self.width)])
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
        sums = [cgutils.alloca_once(builder, v.type) for _ in range(SUMS)]
        for place in sums:
            builder.store(v.zero, place)

        def add_product(n: int, start: ir.Value, mask: ir.Value | None) -> None:
            total = v.multiply_add(a(start, mask), b(start, mask), builder.load(sums[n]))
            builder.store(total, sums[n])

        self.for_each_vector(add_product)
        totals = [builder.load(place) for place in sums]
        while len(totals) > 1:
            totals = [builder.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
        return v.sum_of_lanes(totals[0])


@lower_builtin(row_dot, types.Array, types.Integer, types.Array)
def _lower_row_dot(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    X, row, w = values
    rows = _Rows(context, builder, signature.args[0], X)
    weights = context.make_array(signature.args[2])(context, builder, w).data
    return rows.dot(rows.row(row), lambda start, _mask: rows.v.load(weights, start, None))


@lower_builtin(rows_dot, types.Array, types.Integer, types.Integer)
def _lower_rows_dot(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    X, row, other = values
    rows = _Rows(context, builder, signature.args[0], X)
    return rows.dot(rows.row(row), rows.row(other))


@lower_builtin(add_row, types.Array, types.Integer, types.Float, types.Array)
def _lower_add_row(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    X, row, factor, w = values
    rows = _Rows(context, builder, signature.args[0], X)
    weights = context.make_array(signature.args[3])(context, builder, w).data
    factors, load = rows.v.splat(factor), rows.row(row)

    def add(_n: int, start: ir.Value, mask: ir.Value | None) -> None:
        total = rows.v.multiply_add(load(start, mask), factors, rows.v.load(weights, start, None))
        rows.v.store(total, weights, start, None)

    rows.for_each_vector(add)
    return context.get_dummy_value()
