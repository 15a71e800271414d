"""Quotients and square roots from the CPU's approximations, refined by Newton's method.

A division or a square root of a vector occupies a unit for 10 to 24 cycles. AVX-512 has reciprocals
to 14 bits, of which one step of two multiply-adds makes 28, and another all of float64's. A step
of Adam takes 0.34 of the time in float64, 0.74 in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from fastlogit.kernels.codegen.compile import cgutils
from fastlogit.kernels.codegen.cpu import HAS_AVX512
from fastlogit.kernels.codegen.linking import llvm_function
from fastlogit.kernels.codegen.simd import VECTOR_BYTES, Mask, Vectors

# By the bytes of an element: the least square whose root is refined, the largest, and an ε next to
# which the root of the least is nothing. Corrections of smaller ones may be denormal, and slow.
_RANGES = {
    4: (1e-31, float(np.finfo(np.float32).max), 9e-9),
    8: (1e-280, float(np.finfo(np.float64).max), 1e-120),
}


def _approximation(v: Vectors, name: str, x: ir.Value) -> ir.Value:
    """Emit AVX-512's rcp14 or rsqrt14."""
    flags = ir.IntType(v.count)
    kind = ir.FunctionType(v.type, [v.type, v.type, flags])
    full_name = f"llvm.x86.avx512.{name}.{'ps' if v.element_bytes == 4 else 'pd'}.512"
    function = cgutils.get_or_insert_function(v.builder.module, kind, full_name)
    return v.builder.call(function, [x, v.zero, ir.Constant(flags, (1 << v.count) - 1)])


def reciprocal(v: Vectors, x: ir.Value) -> ir.Value:
    """Emit 1 / x of normal numbers whose reciprocals are such."""
    builder, one = v.builder, v.constant(1)
    if not HAS_AVX512 or v.count * v.element_bytes < VECTOR_BYTES:
        return builder.fdiv(one, x)
    result = _approximation(v, "rcp14", x)
    for _ in range(v.element_bytes // 4):
        error = v.multiply_add(builder.fneg(x), result, one)
        result = v.multiply_add(result, error, result)
    return result


def _refined_root(v: Vectors, x: ir.Value) -> ir.Value:
    """Emit √x of normal numbers."""
    builder, half = v.builder, v.constant(0.5)
    inverse = _approximation(v, "rsqrt14", x)
    root, half_inverse = builder.fmul(x, inverse), builder.fmul(half, inverse)
    if v.element_bytes == 8:
        error = v.multiply_add(builder.fneg(root), half_inverse, half)
        root = v.multiply_add(root, error, root)
        half_inverse = v.multiply_add(half_inverse, error, half_inverse)
    rest = v.multiply_add(builder.fneg(root), root, x)
    return v.multiply_add(rest, half_inverse, root)


def _emit_adam(
    builder, element, theta, grad, first, second, size, rate, beta_1, rest_1, beta_2, rest_2,
    epsilon,
):  # fmt: skip
    v = Vectors(builder, element)
    is_f32 = v.element_bytes == 4
    least, most, enough = _RANGES[v.element_bytes]

    def everywhere(scalar: ir.Value) -> ir.Value:
        return v.splat(builder.fptrunc(scalar, element) if is_f32 else scalar)

    rates, beta_1s, rest_1s, beta_2s, rest_2s, epsilons = map(
        everywhere, (rate, beta_1, rest_1, beta_2, rest_2, epsilon)
    )

    def exact(m: ir.Value, squares: ir.Value) -> ir.Value:
        root = v.root(squares)
        return builder.fdiv(builder.fmul(rates, m), builder.fadd(root, epsilons))

    def refined(m: ir.Value, squares: ir.Value) -> ir.Value:
        is_small = builder.fcmp_ordered("<", squares, v.constant(least))
        root = _refined_root(v, builder.select(is_small, v.constant(least), squares))
        inverse = reciprocal(v, builder.fadd(root, epsilons))
        is_infinite = builder.fcmp_ordered(">", squares, v.constant(most))
        inverse = builder.select(is_infinite, v.zero, inverse)
        return builder.fmul(builder.fmul(rates, m), inverse)

    def step(change: Callable[[ir.Value, ir.Value], ir.Value]) -> Any:
        def update(offsets: list[ir.Value], mask: Mask) -> None:
            for offset in offsets:
                g, m, s, w = (v.load(a, offset, mask) for a in (grad, first, second, theta))
                m = v.multiply_add(beta_1s, m, builder.fmul(rest_1s, g))
                s = v.multiply_add(beta_2s, s, builder.fmul(builder.fmul(rest_2s, g), g))
                v.store(m, first, offset, mask)
                v.store(s, second, offset, mask)
                v.store(builder.fsub(w, change(m, s)), theta, offset, mask)

        return update

    if not HAS_AVX512:
        v.for_each_vector(size, (1,), step(exact))
        return
    is_enough = builder.fcmp_ordered(">=", epsilon, ir.Constant(ir.DoubleType(), enough))
    with builder.if_else(is_enough) as (usual, tiny):
        with usual:
            v.for_each_vector(size, (2, 1), step(refined))
        with tiny:
            v.for_each_vector(size, (1,), step(exact))


@llvm_function(_emit_adam)
def adam_step(theta, grad, first, second, size, rate, beta_1, rest_1, beta_2, rest_2, epsilon):
    """Step with Adam, see kernels.training.optimizers. OUT: theta, first, second."""
    g, scalar = grad[:size], theta.dtype.type
    first[:size] = scalar(beta_1) * first[:size] + scalar(rest_1) * g
    second[:size] = scalar(beta_2) * second[:size] + scalar(rest_2) * g * g
    change = scalar(rate) * first[:size] / (np.sqrt(second[:size]) + scalar(epsilon))
    theta[:size] -= change
