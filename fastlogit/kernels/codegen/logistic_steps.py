"""Logistic regression in vector registers: the loss of many rows, and whole steps of a few.

A step of two to eight rows is not worth the calls that larger ones are made of: to find the rows,
multiply, compute losses, multiply back. Here it is one loop: of batches of 2 rows of 30 float32
features a row takes 0.3 of the time. Rows fill the lanes; a batch of fewer rows than a tile has
takes the last one again, with a gradient of 0.

Shapes: X (n, D), y (n,) of 0 and 1, w (D up to whole vectors,) with zeros after D elements, b (1,).
"""

from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.exponentials import DOUBLE, Losses, exp_of_negative, narrowed
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.quotients import reciprocal
from fastlogit.kernels.codegen.simd import INDEX, PREFETCH_ROWS, Mask, Vectors, index, prefetch

# Rows of a tile: the smallest that holds a batch.
TILES = (2, 4, 8)


def _residual(
    v: Vectors, z: ir.Value, y: ir.Value, losses: Losses, mask: Mask, *weights: ir.Value
) -> ir.Value:
    """Emit p − y, which is σ(u) or −σ(u) with u = ∓z by label; add the losses softplus(u).

    softplus(u) = max(u, 0) + log(1 + e) with e = exp(−|u|).
    """
    builder = v.builder
    is_one = builder.icmp_signed("==", y, ir.Constant(y.type, [index(1)] * v.count))
    u = builder.select(is_one, builder.fneg(z), z)
    is_negative = builder.fcmp_ordered("<", u, v.zero)
    e = exp_of_negative(v, v.negative(u))
    upper = reciprocal(v, builder.fadd(v.constant(1), e))
    d = builder.select(is_negative, builder.fmul(e, upper), upper)
    above = builder.select(is_negative, v.zero, u)  # which keeps NaN
    losses.add(above, v.constant(1), e, mask, *weights)
    return builder.select(is_one, builder.fneg(d), d)


def _emit_logistic_gradient(builder, element, logits, y, size, weight, weighted, factor):
    v = Vectors(builder, element)
    losses, factors = Losses(v), v.splat(narrowed(builder, element, factor))
    weighted = builder.icmp_signed("!=", weighted, index(0))

    def some_rows(offsets: list[ir.Value], mask: Mask) -> None:
        (offset,), (weights,) = offsets, v.sums(1)
        labels, z = v.load_numbers(y, offset, mask), v.load(logits, offset, mask)
        builder.store(v.constant(1), weights)
        with builder.if_then(weighted):
            builder.store(v.load(weight, offset, mask), weights)
        d = _residual(v, z, labels, losses, mask, weighted, v.sum(weights))
        v.store(builder.fmul(builder.fmul(d, factors), v.sum(weights)), logits, offset, mask)

    v.for_each_vector(size, (1,), some_rows)
    return losses.total()


@llvm_function(_emit_logistic_gradient)
def logistic_gradient(logits, y, size, weight, weighted, factor) -> float:
    """Return Σ w softplus(u), w = 1 unless weighted; z becomes w factor (p − y). OUT: logits."""
    z, y = logits.reshape(-1)[:size], y[:size]
    w = weight[:size] if weighted else z.dtype.type(1)
    u = np.where(y == 1, -z, z)
    sigma = np.exp(-np.logaddexp(0, -u))
    z[...] = np.where(y == 1, -sigma, sigma) * z.dtype.type(factor) * w
    return float((np.logaddexp(0, u.astype(float)) * w).sum())


def _emit_logistic_steps(
    builder, element, X, y, order, n_known, size, batch, rate, width, far, w, b
):
    v = Vectors(builder, element)
    result = cgutils.alloca_once_value(builder, ir.Constant(DOUBLE, 0.0))
    least = 0
    for n_rows in TILES:
        is_more = builder.icmp_signed(">", batch, index(least))
        fits = builder.icmp_signed("<=", batch, index(n_rows))
        with builder.if_then(builder.and_(is_more, fits)):
            tile = Vectors(builder, element, n_rows)
            losses = Losses(tile)
            count = builder.sdiv(builder.sub(builder.add(size, batch), index(1)), batch)
            with cgutils.for_range(builder, count) as loop:
                _emit_step(
                    v, tile, losses, X, y, order, n_known, size, batch, rate, width, far, w, b,
                    builder.mul(loop.index, batch),
                )  # fmt: skip
            builder.store(losses.total(), result)
        least = n_rows
    return builder.load(result, typ=DOUBLE)


def _emit_step(v, tile, losses, X, y, order, n_known, size, batch, rate, width, far, w, b, first):
    """Emit the step of one batch, which begins at a place in the order."""
    builder, element = v.builder, v.element_type
    left = builder.sub(size, first)
    count = builder.select(builder.icmp_signed("<", left, batch), left, batch)
    last = builder.sub(builder.add(first, count), index(1))
    places = [builder.add(first, index(r)) for r in range(tile.count)]
    known = [builder.icmp_signed("<", place, last) for place in places]
    places = [builder.select(*pair, last) for pair in zip(known, places, strict=True)]
    rows = [v.element(order, place, INDEX) for place in places]
    with builder.if_then(builder.icmp_signed("!=", far, index(0))):
        _prefetch_later(v, X, y, order, n_known, width, first, tile.count)
    starts = [builder.mul(row, width) for row in rows]
    sums = v.sums(tile.count)

    def add_products(offsets: list[ir.Value], mask: Mask) -> None:
        weights = v.load(w, offsets[0], None)
        for start, place in zip(starts, sums, strict=True):
            v.add_product(v.load(X, builder.add(start, offsets[0]), mask), weights, place)

    v.for_each_vector(width, (1,), add_products)
    bias = v.element(b, index(0))
    z = builder.fadd(v.sums_of_lanes([v.sum(place) for place in sums]), tile.splat(bias))
    labels, mask = tile.numbers([v.element(y, row, INDEX) for row in rows]), tile.mask(count)
    factor = builder.fdiv(builder.fneg(rate), builder.sitofp(count, DOUBLE))
    factors = tile.splat(narrowed(builder, element, factor))
    d = builder.fmul(_residual(tile, z, labels, losses, mask), factors)
    d = builder.select(mask, d, tile.zero)
    builder.store(builder.fadd(bias, tile.sum_of_lanes(d)), v.address(b, index(0)))
    scalars = [
        builder.extract_element(d, ir.Constant(ir.IntType(32), r)) for r in range(tile.count)
    ]
    d_vectors = [v.splat(scalar) for scalar in scalars]

    def update(offsets: list[ir.Value], mask: Mask) -> None:
        total: Any = v.load(w, offsets[0], None)
        for start, d_vector in zip(starts, d_vectors, strict=True):
            x = v.load(X, builder.add(start, offsets[0]), mask)
            total = v.multiply_add(x, d_vector, total)
        v.store(total, w, offsets[0], None)

    v.for_each_vector(width, (1,), update)


def _prefetch_later(v, X, y, order, n_known, width, first, count):
    builder = v.builder
    with cgutils.for_range(builder, index(count)) as loop:
        ahead = builder.add(builder.add(first, loop.index), index(PREFETCH_ROWS))
        last = builder.sub(n_known, index(1))
        is_known = builder.icmp_signed("<", ahead, last)
        row = v.element(order, builder.select(is_known, ahead, last), INDEX)
        row_bytes = builder.mul(width, index(v.element_bytes))
        prefetch(builder, v.address(X, builder.mul(row, width)), row_bytes)
        prefetch(builder, builder.gep(y, [row], source_etype=INDEX), index(8))


@llvm_function(_emit_logistic_steps)
def logistic_steps(X, y, order, n_known, size, batch, rate, width, far, w, b) -> float:
    """Step by batches of 2 to 8 of the rows order[:size]; return Σ softplus(u). OUT: w, b.

    If far, later rows of the n_known in order are prefetched.
    """
    loss = 0.0
    for first in range(0, size, batch):
        rows = order[first : min(first + batch, size)]
        z = X[rows] @ w[:width] + b[0]
        loss += logistic_gradient(z, y[rows], rows.size, z, 0, -rate / rows.size)
        w[:width] += z @ X[rows]
        b[0] += z.sum()
    return loss
