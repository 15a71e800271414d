"""exp in vector registers, and what a network needs of it: σ of a layer, softmax's loss.

Of these loops LLVM makes code of half the rate, and takes 2 s for it, where this takes 0.1 s.

e^x = 2^k e^r with k = round(x / ln 2), which is what adding a number leaves that is so large that
its last place is 1; shifted by the width of the mantissa, its bits add to the exponent of e^r. The
coefficients are those of layers/elementary.py.
"""

import math

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.cpu import HAS_AVX512, HAS_FMA
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.quotients import reciprocal
from fastlogit.kernels.codegen.simd import INDEX, VECTOR_BYTES, Mask, Vectors, index

DOUBLE = ir.DoubleType()
ROW_LANES = 8
# Below it five terms of the series of log(1 + e) are all that float64 can show.
SMALL = 2.0**-10

# Powers of 2 by which e^x is too large at first where it is below the normal numbers.
RAISED = 64
# By the bytes of an element: bits of the mantissa, ln 2 in two parts, the least x whose exp is a
# normal number and is not rounded to 0, and c of e^r = 1 + r + r² Σ cₙ rⁿ.
_F32 = (
    23, (0.693359375, -2.12194440e-4), (-87.3, -104.0),
    (0.4999999341249613241, 0.16666520108282358163, 0.041668394239184525062,
     0.0083687803804153062088, 0.0013814464820170638382),
)  # fmt: skip
_F64 = (
    52, (0.693147180369123816490, 1.90821492927058770002e-10), (-708.3, -745.2),
    (0.50000000000000107204, 0.16666666666666410201, 0.041666666666529193125,
     0.0083333333334956492336, 0.0013888888943921564148, 0.00019841269504704312412,
     0.000024801492763800740706, 2.7557587400354695061e-6, 2.7630378297662027702e-7,
     2.4999946176398252201e-8),
)  # fmt: skip
# q of log(1 + e) = e − s (e − s² q(s²)), s = e / (2 + e), from its last coefficient to its first.
_LOG1P = (
    0.17018609710116494452, 0.08340072812333578475, 0.12106093375096777897, 0.13300972601804396005,
    0.15386560005899190394, 0.18181743920571059154, 0.22222223969872206316, 0.28571428547851220626,
    0.40000000000157268573, 0.6666666666666630371,
)  # fmt: skip


def exp_of_negative(v: Vectors, x: ir.Value) -> ir.Value:
    """Emit e^x for x <= 0."""
    builder = v.builder
    digits, (ln2_high, ln2_low), (normal, least), coefficients = (
        _F32 if v.element_bytes == 4 else _F64
    )
    has_scale = HAS_AVX512 and v.count * v.element_bytes == VECTOR_BYTES
    if has_scale:  # and rounds what is small to denormal numbers, or 0, itself
        lowest = v.constant(least - 1)
        x = builder.select(builder.fcmp_ordered("<", x, lowest), lowest, x)
    large = v.constant(1.5 * 2.0**digits)
    shifted = v.multiply_add(x, v.constant(1 / np.log(2)), large)
    k = builder.fsub(shifted, large)
    r = v.multiply_add(k, v.constant(-ln2_high), x)
    r = v.multiply_add(k, v.constant(-ln2_low), r)
    power = builder.fmul(r, r)
    # By pairs of terms, c₀ + c₁ r and so on, which wait less for each other than Horner's rule.
    terms = [v.constant(c) for c in coefficients]
    pairs = [v.multiply_add(r, b, a) for a, b in zip(terms[::2], terms[1::2], strict=False)]
    terms = pairs + terms[2 * len(pairs) :]
    total = terms[-1]
    for term in reversed(terms[:-1]):
        total = v.multiply_add(total, power, term)
    near = builder.fadd(v.constant(1), v.multiply_add(power, total, r))
    if has_scale:
        return _scaled(v, near, k)
    word = ir.VectorType(ir.IntType(8 * v.element_bytes), v.count)
    exponent = builder.shl(builder.bitcast(shifted, word), ir.Constant(word, [digits] * v.count))
    is_low = builder.fcmp_ordered("<", x, v.constant(normal))
    raised = ir.Constant(word, [RAISED << digits] * v.count)
    exponent = builder.add(exponent, builder.select(is_low, raised, ir.Constant(word, None)))
    result = builder.bitcast(builder.add(builder.bitcast(near, word), exponent), v.type)
    lowered = builder.select(is_low, v.constant(2.0**-RAISED), v.constant(1))
    is_least = builder.fcmp_ordered("<", x, v.constant(least))
    return builder.select(is_least, v.zero, builder.fmul(result, lowered))


def _scaled(v: Vectors, x: ir.Value, k: ir.Value) -> ir.Value:
    """Emit 2^k x, by AVX-512's instruction."""
    flags, mode = ir.IntType(v.count), ir.IntType(32)
    kind = ir.FunctionType(v.type, [v.type, v.type, v.type, flags, mode])
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if v.element_bytes == 4 else 'pd'}.512"
    function = cgutils.get_or_insert_function(v.builder.module, kind, name)
    # Of all lanes, by the current rounding mode.
    return v.builder.call(function, [x, k, v.zero, flags((1 << v.count) - 1), mode(4)])


def log_series(builder, e, constant):
    """Emit log(1 + e) of a small e; constant makes one of e's type."""
    series = constant(1 / 5)
    for n in (4, 3, 2, 1):
        series = builder.fsub(constant(1 / n), builder.fmul(e, series))
    return builder.fmul(e, series)


def narrowed(builder: ir.IRBuilder, element: ir.Type, number: ir.Value) -> ir.Value:
    """Emit a float64 number as one of that type."""
    return number if isinstance(element, ir.DoubleType) else builder.fptrunc(number, element)


def _emit_sigmoids(builder, element, values, size):
    v = Vectors(builder, element)

    def replace(offsets: list[ir.Value], mask: Mask) -> None:
        for offset in offsets:
            z, one = v.load(values, offset, mask), v.constant(1)
            is_negative = builder.fcmp_ordered("<", z, v.zero)
            e = exp_of_negative(v, v.negative(z))
            above, below = builder.select(is_negative, e, one), builder.fadd(one, e)
            if not HAS_FMA:  # nothing says what the division leaves, see layers.elementary
                upper = builder.fdiv(one, below)
                lower = builder.fsub(e, builder.fmul(e, builder.fmul(e, upper)))
                v.store(builder.select(is_negative, lower, upper), values, offset, mask)
                continue
            inverse = reciprocal(v, below)
            quotient = builder.fmul(above, inverse)
            # What rounding leaves of the division, and of 1 + e.
            lost = builder.fsub(e, builder.fsub(below, one))
            rest = v.multiply_add(builder.fneg(quotient), below, above)
            rest = v.multiply_add(builder.fneg(quotient), lost, rest)
            v.store(v.multiply_add(rest, inverse, quotient), values, offset, mask)

    v.for_each_vector(size, (2, 1), replace)


@llvm_function(_emit_sigmoids)
def sigmoids(values, size):
    """Replace z by σ(z) = 1 / (1 + e^−z) = e^z / (1 + e^z). OUT: values."""
    block = values.reshape(-1)[:size]
    e = np.exp(-np.abs(block))
    block[...] = np.where(block < 0, e, 1) / (1 + e)


def log_of_product(v: Vectors, exponents: ir.Value, x: ir.Value) -> ir.Value:
    """Emit log(2^n x) for 1 <= x < 2, of float64, given n as whole numbers."""
    builder, log_2 = v.builder, v.constant(math.log(2))
    s = builder.fdiv(builder.fsub(x, v.constant(1)), builder.fadd(x, v.constant(1)))
    t = builder.fmul(s, s)
    q = v.constant(_LOG1P[0])
    for coefficient in _LOG1P[1:]:
        q = v.multiply_add(q, t, v.constant(coefficient))
    # log(1 + e) = e − s (e − t q), see layers.elementary.
    e = builder.fsub(x, v.constant(1))
    log = builder.fsub(e, builder.fmul(s, builder.fsub(e, builder.fmul(t, q))))
    return v.multiply_add(builder.sitofp(exponents, v.type), log_2, log)


class Losses:
    """The sum of losses Σ w (gap + log(own + others)), with own + others from 1 on.

    Without weights it takes one logarithm a lane, that of the product of a lane's sums. So (4, 1)
    takes 0.75 to 0.9 of the time. The product's exponent is kept apart, so that it cannot overflow.
    Of own = 1 and small others the sum would keep too little, so gap gains the logarithm's series.
    """

    def __init__(self, v: Vectors) -> None:
        self._v, self._wide = v, Vectors(v.builder, DOUBLE, v.count)
        self._total, self._product = self._wide.sums(2)
        self._words = ir.VectorType(INDEX, v.count)
        self._exponents = cgutils.alloca_once_value(v.builder, ir.Constant(self._words, None))
        v.builder.store(self._wide.constant(1), self._product)

    def add(
        self, gap: ir.Value, own: ir.Value, others: ir.Value, mask: Mask,
        weighted: ir.Value | None = None, weights: ir.Value | None = None,
    ) -> None:  # fmt: skip
        """Emit the addition of rows' losses, times the weights if weighted."""
        builder, wide = self._v.builder, self._wide
        is_one = builder.fcmp_ordered("==", own, self._v.constant(1))
        if self._v.element_bytes == 4:
            gap, own, others = (builder.fpext(value, wide.type) for value in (gap, own, others))
        is_small = builder.fcmp_ordered("<", others, wide.constant(SMALL))
        is_small = builder.and_(is_small, is_one)
        series = log_series(builder, others, wide.constant)
        # NaN, too, is to show in the sum.
        term = wide.multiply_add(others, wide.zero, gap)
        term = builder.fadd(term, builder.select(is_small, series, wide.zero))
        factor = builder.select(is_small, wide.constant(1), builder.fadd(own, others))
        if mask is not None:
            term = builder.select(mask, term, wide.zero)
            factor = builder.select(mask, factor, wide.constant(1))
        if weights is None:
            self._add(term, factor)
            return
        with builder.if_else(weighted) as (some, none):
            with some:
                if self._v.element_bytes == 4:
                    weights = builder.fpext(weights, wide.type)
                loss = builder.fadd(term, log_of_product(wide, *self._parts(factor)))
                wide.add_product(loss, weights, self._total)
            with none:
                self._add(term, factor)

    def _add(self, term: ir.Value, factor: ir.Value) -> None:
        builder, wide = self._v.builder, self._wide
        builder.store(builder.fadd(wide.sum(self._total), term), self._total)
        exponents, product = self._parts(builder.fmul(wide.sum(self._product), factor))
        builder.store(product, self._product)
        before = builder.load(self._exponents, typ=self._words)
        builder.store(builder.add(before, exponents), self._exponents)

    def _parts(self, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Emit n and y of x = 2^n y, 1 <= y < 2, for x >= 1."""
        builder, count = self._v.builder, self._v.count

        def constant(number: int) -> ir.Constant:
            return ir.Constant(self._words, [index(number)] * count)

        bits = builder.bitcast(x, self._words)
        exponents = builder.sub(builder.lshr(bits, constant(52)), constant(1023))
        bits = builder.or_(builder.and_(bits, constant((1 << 52) - 1)), constant(1023 << 52))
        return exponents, builder.bitcast(bits, self._wide.type)

    def total(self) -> ir.Value:
        """Emit the sum."""
        builder, wide = self._v.builder, self._wide
        exponents = builder.load(self._exponents, typ=self._words)
        logs = log_of_product(wide, exponents, wide.sum(self._product))
        return wide.sum_of_lanes(builder.fadd(wide.sum(self._total), logs))


def _emit_softmax_gradient(
    builder, element, by_class, classes, pitch, y, rows, weight, weighted, scale
):
    v = Vectors(builder, element)
    losses, factor = Losses(v), v.splat(narrowed(builder, element, scale))
    weighted = builder.icmp_signed("!=", weighted, index(0))
    label_type = ir.IntType(8 * v.element_bytes)

    def some_rows(offsets: list[ir.Value], mask: Mask) -> None:
        (offset,) = offsets
        labels = v.load_numbers(y, offset, mask)
        if v.element_bytes == 4:
            labels = builder.trunc(labels, ir.VectorType(label_type, v.count))
        weights, raw_weights = v.sums(2)
        builder.store(factor if mask is None else builder.select(mask, factor, v.zero), weights)
        with builder.if_then(weighted):
            given = v.load(weight, offset, mask)
            builder.store(given, raw_weights)
            builder.store(builder.fmul(factor, given), weights)
        top, gap, own, others = v.sums(4)
        builder.store(v.load(by_class, offset, mask), top)

        def each_class():
            with cgutils.for_range(builder, classes) as loop:
                place = builder.add(builder.mul(loop.index, pitch), offset)
                number = (
                    loop.index if v.element_bytes == 8 else builder.trunc(loop.index, label_type)
                )
                is_own = builder.icmp_signed("==", labels, v.splat(number))
                yield is_own, v.load(by_class, place, mask), place

        for _is_own, z, _place in each_class():
            is_larger = builder.fcmp_ordered(">", z, v.sum(top))
            builder.store(builder.select(is_larger, z, v.sum(top)), top)
        for is_own, z, place in each_class():
            x = builder.fsub(z, v.sum(top))
            e = exp_of_negative(v, x)
            v.store(e, by_class, place, None)
            builder.store(builder.select(is_own, builder.fneg(x), v.sum(gap)), gap)
            builder.store(builder.select(is_own, e, v.sum(own)), own)
            other = builder.select(is_own, v.zero, e)
            builder.store(builder.fadd(v.sum(others), other), others)
        share = builder.fdiv(v.sum(weights), builder.fadd(v.sum(own), v.sum(others)))
        own_gradient = builder.fmul(builder.fneg(v.sum(others)), share)
        for is_own, e, place in each_class():
            d = builder.select(is_own, own_gradient, builder.fmul(e, share))
            v.store(d, by_class, place, None)
        losses.add(v.sum(gap), v.sum(own), v.sum(others), mask, weighted, v.sum(raw_weights))

    v.for_each_vector(rows, (1,), some_rows)
    groups = builder.sdiv(builder.add(rows, index(v.count - 1)), index(v.count))
    filled = builder.mul(groups, index(v.count))
    with (
        v.steps(filled, pitch, v.count) as (offset, _),
        cgutils.for_range(builder, classes) as loop,
    ):
        v.store(v.zero, by_class, builder.add(builder.mul(loop.index, pitch), offset), None)
    return losses.total()


@llvm_function(_emit_softmax_gradient)
def softmax_gradient(by_class, classes, pitch, y, rows, weight, weighted, scale) -> float:
    """Return Σ w (logsumexp(Z) − Z_y); Z becomes dZ = w (P − onehot(y)) · scale. OUT: by_class.

    It holds Z (K, pitch), of which the first columns are the rows; what lies beyond becomes 0.
    """
    block = by_class.reshape(-1)[: classes * pitch].reshape(-1, pitch)
    logits, is_own = block[:, :rows], y[:rows] == np.arange(classes)[:, None]
    w = weight[:rows] if weighted else np.ones(rows, by_class.dtype)
    logits -= logits.max(axis=0)
    gap = -np.where(is_own, logits, 0).sum(axis=0, dtype=float)
    np.exp(logits, out=logits)
    own = np.where(is_own, logits, 0).sum(axis=0)
    others = np.where(is_own, 0, logits).sum(axis=0)
    logits[...] = np.where(is_own, -others, logits) * (w * w.dtype.type(scale) / (own + others))
    block[:, rows:] = 0
    logs = np.log1p(others.astype(float) + (own.astype(float) - 1))
    return float(((gap + logs) * w).sum())


def _emit_softmax_of_row(builder, element, logits, classes, label, factor):
    v = Vectors(builder, element, ROW_LANES)
    lowest = v.constant(-math.inf)
    top, gaps, own, others = v.sums(4)
    builder.store(lowest, top)

    def each_vector():
        rounded = builder.add(classes, index(v.count - 1))
        with cgutils.for_range(builder, builder.sdiv(rounded, index(v.count))) as loop:
            offset = builder.mul(loop.index, index(v.count))
            lanes = v.numbers([builder.add(offset, index(n)) for n in range(v.count)])
            is_own = builder.icmp_signed("==", lanes, v.splat(label))
            yield offset, builder.icmp_signed("<", lanes, v.splat(classes)), is_own

    def larger(a, b):
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    def add(place, condition, value):
        builder.store(builder.fadd(v.sum(place), builder.select(condition, value, v.zero)), place)

    for offset, is_class, _is_own in each_vector():
        z = builder.select(is_class, v.load(logits, offset, None), lowest)
        builder.store(larger(z, v.sum(top)), top)
    largest = v.splat(v.reduced(v.sum(top), larger))
    for offset, is_class, is_own in each_vector():
        x = builder.fsub(v.load(logits, offset, None), largest)
        e = builder.select(is_class, exp_of_negative(v, x), v.zero)
        add(gaps, is_own, builder.fneg(x))
        add(own, is_own, e)
        add(others, builder.not_(is_own), e)
        v.store(e, logits, offset, None)
    gap, own, others = (v.sum_of_lanes(v.sum(place)) for place in (gaps, own, others))
    share = builder.fdiv(narrowed(builder, element, factor), builder.fadd(own, others))
    shares, own_gradient = v.splat(share), v.splat(builder.fmul(builder.fneg(others), share))
    for offset, _is_class, is_own in each_vector():
        d = builder.fmul(v.load(logits, offset, None), shares)
        v.store(builder.select(is_own, own_gradient, d), logits, offset, None)
    if v.element_bytes == 4:
        gap, own, others = (builder.fpext(value, DOUBLE) for value in (gap, own, others))
    return builder.fadd(gap, _log_of_sum(builder, own, others))


def _log_of_sum(builder, own, others):
    """Emit log(own + others), of a small rest next to 1 by its series."""
    kind = ir.FunctionType(DOUBLE, [DOUBLE])
    log = cgutils.get_or_insert_function(builder.module, kind, "llvm.log.f64")
    one = ir.Constant(DOUBLE, 1.0)
    is_small = builder.fcmp_ordered("<", others, ir.Constant(DOUBLE, SMALL))
    is_small = builder.and_(is_small, builder.fcmp_ordered("==", own, one))
    with builder.if_else(is_small) as (small, large):
        with small:
            series = log_series(builder, others, lambda number: ir.Constant(DOUBLE, number))
            of_small = builder.block
        with large:
            logarithm, of_large = builder.call(log, [builder.fadd(own, others)]), builder.block
    result = builder.phi(DOUBLE)
    result.add_incoming(series, of_small)
    result.add_incoming(logarithm, of_large)
    return result


@llvm_function(_emit_softmax_of_row)
def softmax_of_row(logits, classes, label, factor) -> float:
    """Return logsumexp(z) − z_y of one row; z becomes factor (p − onehot(y)). OUT: logits.

    The logits have memory up to multiples of eight.
    """
    z = logits.reshape(-1)[:classes]
    z -= z.max()
    gap, is_own = -float(z[label]), np.arange(classes) == label
    np.exp(z, out=z)
    own, others = z[label], np.where(is_own, 0, z).sum()
    z[...] = np.where(is_own, -others, z) * (z.dtype.type(factor) / (own + others))
    return gap + float(np.log1p(float(others) + (float(own) - 1)))
