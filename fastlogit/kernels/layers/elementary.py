"""exp and logarithms as branch-free polynomials: loops over them vectorise, libm's do not.

A vectorised sigmoid costs a tenth of one through libm's exp. The polynomials are minimax fits
(Remez exchange, 60 digits) of the remainders named at each; their relative error is below a quarter
of an ulp. NaN and ±inf go through as IEEE arithmetic wants.
"""

import numpy as np

from fastlogit.kernels.codegen.compile import EXACT, chosen_by_type, exact_kernel

f32, i32, i64 = np.float32, np.int32, np.int64
LOG_2 = float(np.log(2))


def _by_dtype(f32_version, f64_version):
    def choose(_name, x):
        return (
            f32_version
            if getattr(x, "itemsize", 0) == 4 or getattr(x, "bitwidth", 0) == 32
            else f64_version
        )

    return chosen_by_type(choose, EXACT)(f64_version)


@exact_kernel
def _reduced_f32(x):
    """Return r, exp(r) − 1 − r, and 2^k in two factors, of exp(x) = 2^k exp(r)."""
    # k = round(x / ln 2), |r| <= ln 2 / 2; exp(r) = 1 + r + r² q(r).
    x = f32(-104.0) if x < f32(-104.0) else x
    x = f32(89.0) if x > f32(89.0) else x
    k = np.rint(x * f32(1.4426950408889634))
    high = x - k * f32(0.693359375)  # ln 2 in two parts, the first product exact
    r = high - k * f32(-2.12194440e-4)
    low = (high - r) - k * f32(-2.12194440e-4)
    # By pairs of terms, which wait less for each other than Horner's rule.
    r2 = r * r
    low_terms = f32(0.4999999341249613241) + f32(0.16666520108282358163) * r
    high_terms = f32(0.041668394239184525062) + f32(0.0083687803804153062088) * r
    q = low_terms + r2 * (high_terms + r2 * f32(0.0013814464820170638382))
    # 2^k in two factors: the second may round into the denormals, or overflow to inf.
    whole = i32(k)
    half = i32(whole >> i32(1))
    first = i32(i32(half + i32(127)) << i32(23)).view(f32)
    second = i32(i32(i32(whole - half) + i32(127)) << i32(23)).view(f32)
    return r, q * r2 + low, first, second


def _exp_f32(x):
    r, rest, first, second = _reduced_f32(x)
    near = f32(1.0) + r
    return (near + ((r - (near - f32(1.0))) + rest)) * first * second


def _expm1_f32(x):
    r, rest, first, second = _reduced_f32(x)
    scale = first * second
    return (r + rest) * scale + (scale - f32(1.0))


@exact_kernel
def _reduced_f64(x):
    """Return what _reduced_f32 returns."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    k = np.rint(x * 1.4426950408889634)
    high = x - k * 0.693147180369123816490
    r = high - k * 1.90821492927058770002e-10
    low = (high - r) - k * 1.90821492927058770002e-10
    r2 = r * r
    r4 = r2 * r2
    q01 = 0.50000000000000107204 + 0.16666666666666410201 * r
    q23 = 0.041666666666529193125 + 0.0083333333334956492336 * r
    q45 = 0.0013888888943921564148 + 0.00019841269504704312412 * r
    q67 = 0.000024801492763800740706 + 2.7557587400354695061e-6 * r
    q89 = 2.7630378297662027702e-7 + 2.4999946176398252201e-8 * r
    q = (q01 + r2 * q23) + r4 * ((q45 + r2 * q67) + r4 * q89)
    whole = i32(k)
    half = i32(whole >> i32(1))
    first = i64(i64(i64(half) + i64(1023)) << i64(52)).view(np.float64)
    second = i64(i64(i64(i32(whole - half)) + i64(1023)) << i64(52)).view(np.float64)
    return r, q * r2 + low, first, second


def _exp_f64(x):
    r, rest, first, second = _reduced_f64(x)
    near = 1.0 + r
    return (near + ((r - (near - 1.0)) + rest)) * first * second


def _expm1_f64(x):
    r, rest, first, second = _reduced_f64(x)
    scale = first * second
    return (r + rest) * scale + (scale - 1.0)


def _log1p_f32(e):
    # log(1 + e) = 2 artanh(s) = 2 s + s³ q(s²), s = e / (2 + e) <= 1/3. 2 s is taken as e - s e, in
    # which the rounding of s counts for less.
    s = e / (f32(2.0) + e)
    t = s * s
    q = f32(0.24300925167048791828) * t + f32(0.21427660528210506717)
    q = (q * t + f32(0.28616884533578912816)) * t + f32(0.39998877753617531188)
    q = q * t + f32(0.66666675621841933057)
    return e - s * (e - t * q)


def _log1p_f64(e):
    # The first coefficient is 1.5e-7 less than the fit's, so that log1p(1) is log 2 without fused
    # multiply-adds, too: else the last difference is half way between two numbers.
    s = e / (2.0 + e)
    t = s * s
    q = 0.17018609710116494452 * t + 0.08340072812333578475
    q = (q * t + 0.12106093375096777897) * t + 0.13300972601804396005
    q = (q * t + 0.15386560005899190394) * t + 0.18181743920571059154
    q = (q * t + 0.22222223969872206316) * t + 0.28571428547851220626
    q = (q * t + 0.40000000000157268573) * t + 0.6666666666666630371
    return e - s * (e - t * q)


def _log_cosh_f32(t):
    q = f32(0.00034356748297073623892) + f32(-0.000021791119521470429097) * t
    return (q * t + f32(-0.0052071539042117128898)) * t + f32(0.12499988078392766727)


def _log_cosh_f64(t):
    q = -1.3031456678156172935e-9 + 8.0829097192341282441e-11 * t
    q = (q * t + 1.5565570719216776204e-8) * t + -1.802582508642266566e-7
    q = (q * t + 2.1356647887437668373e-6) * t + -0.000026351679444478123844
    q = (q * t + 0.00034722222119125469706) * t + -0.0052083333332594405116
    return q * t + 0.12499999999999817467


# e to the x, for every x of the dtype.
exp = _by_dtype(_exp_f32, _exp_f64)
# exp(x) − 1 for x <= 0, as accurate near 0 as elsewhere.
expm1 = _by_dtype(_expm1_f32, _expm1_f64)
# log(1 + e) for 0 <= e <= 1, as accurate near 0 as elsewhere.
log1p = _by_dtype(_log1p_f32, _log1p_f64)
# log(cosh(z / 2)) / z² for t = z² <= 1.
log_cosh = _by_dtype(_log_cosh_f32, _log_cosh_f64)


@exact_kernel
def sigmoid(z):
    """Return σ(z) = 1 / (1 + e^−z)."""
    # Both signs use e^-|z|, which cannot overflow. e / (1 + e) is written as e - e q, where the
    # rounding of the quotient q = e / (1 + e) counts for less.
    one, e = type(z)(1), exp(-abs(z))
    upper = one / (one + e)
    return upper if z >= 0 else e - e * (e * upper)


@exact_kernel
def softplus(z):
    """Return log(1 + e^z) = −log σ(−z)."""
    # Next to 0 z grows and the logarithm shrinks by less than their sum can show; so there it is
    # log 2 + z / 2 + log cosh(z / 2), in which everything grows.
    scalar = type(z)
    far = log1p(exp(-abs(z)))
    near = scalar(LOG_2) + (scalar(0.5) * z + z * z * log_cosh(z * z))
    positive = near if z < scalar(1) else z + far
    return positive if z > scalar(0) else far


@exact_kernel
def tanh(z):
    """Return tanh(z) = (1 − e^−2z) / (1 + e^−2z)."""
    # From e^−2|z| − 1, in which no digit of a small z is lost.
    scalar = type(z)
    m = expm1(scalar(-2) * abs(z))
    positive = -m / (scalar(2) + m)
    return positive if z >= scalar(0) else -positive
