"""exp, its relatives and logarithms against NumPy in a wider type, in units in the last place."""

import numpy as np
import pytest

from fastlogit.kernels.layers import elementary


def most_ulps(name, dtype):
    """Return the error allowed, in units in the last place of the exact value."""
    if dtype is np.float64:
        return 4
    return 3 if name == "tanh" else 2  # a quotient, of whose terms the error counts twice


# Where results run from 0 over the denormals to the largest finite number.
EXP_RANGE = {np.float32: (-103.2, 88.7), np.float64: (-744.4, 709.7)}
WIDER = {np.float32: np.float64, np.float64: np.longdouble}


def exact_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def exact_softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


EXACT = {
    "exp": np.exp, "expm1": np.expm1, "log1p": np.log1p, "sigmoid": exact_sigmoid,
    "softplus": exact_softplus, "tanh": np.tanh,
}  # fmt: skip


@pytest.fixture(scope="module")
def vectorised(jit):
    """Return each function as one over arrays."""

    def over_arrays(function):
        @jit
        def run(values, out):
            for i in range(values.size):
                out[i] = function(values[i])

        def call(values):
            out = np.empty_like(values)
            # Only Python's own scalars, with the compiler off, say that they overflow.
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                run(values, out)
            return out

        return call

    return {name: over_arrays(getattr(elementary, name)) for name in EXACT}


def sample(name, dtype, size):
    """Return sorted values, evenly spread over the function's range and dense around zero."""
    rng = np.random.default_rng(0)
    least, most = EXP_RANGE[dtype]
    low, high = {"log1p": (0.0, 1.0), "expm1": (least, 0.0)}.get(name, (least, most))
    near_zero = np.exp(rng.uniform(np.log(np.finfo(dtype).tiny), 0, size // 4))
    signs = {"log1p": 1, "expm1": -1}.get(name, rng.choice([-1, 1], near_zero.size))
    values = np.concatenate([np.linspace(low, high, size), near_zero * signs, [low, 0.0, high]])
    return np.sort(np.clip(values.astype(dtype), dtype(low), dtype(high)))


def ulp_error(actual, exact):
    spacing = np.spacing(np.abs(exact).astype(actual.dtype)).astype(exact.dtype)
    return np.abs(actual.astype(exact.dtype) - exact) / spacing


@pytest.mark.parametrize("name", EXACT)
def test_error_in_ulps(vectorised, name, dtype, sample_size):
    values = sample(name, dtype, sample_size)
    with np.errstate(under="ignore"):
        exact = EXACT[name](values.astype(WIDER[dtype]))
    error = ulp_error(vectorised[name](values), exact)
    assert error.max() <= most_ulps(name, dtype), (
        f"{error.max():.2f} ulp at {values[error.argmax()]!r}"
    )


@pytest.mark.parametrize("name", EXACT)
def test_monotone(vectorised, name, dtype, sample_size):
    values = sample(name, dtype, sample_size)
    results = vectorised[name](values)
    falls = -np.diff(results) / np.spacing(np.abs(results[1:]))
    assert falls.max() <= 0, f"falls by {falls.max()} ulp at {values[falls.argmax()]!r}"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("exp", [-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf], [0, 0, 1, 1, np.inf, np.inf]),
        ("expm1", [-np.inf, -1e4, -0.0, 0.0], [-1, -1, 0, 0]),
        ("log1p", [0.0, 1.0], [0, np.log(2)]),
        ("tanh", [-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf], [-1, -1, 0, 0, 1, 1]),
        ("sigmoid", [-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf], [0, 0, 0.5, 0.5, 1, 1]),
        (
            "softplus",
            [-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf],
            [0, 0, np.log(2), np.log(2), 1e4, np.inf],
        ),
    ],
)
def test_special_values(vectorised, dtype, name, values, expected):
    # Twice as many as a vector holds, and one alone: the loop's body and its remainder.
    for repeats in (1, 16):
        actual = vectorised[name](np.repeat(np.array(values, dtype), repeats))
        np.testing.assert_array_equal(actual, np.repeat(np.array(expected, dtype), repeats))


@pytest.mark.parametrize("name", EXACT)
def test_nan_stays_nan(vectorised, dtype, name):
    assert np.isnan(vectorised[name](np.full(17, np.nan, dtype))).all()


def test_exp_reaches_the_denormals_and_the_largest_numbers(vectorised, dtype):
    info = np.finfo(dtype)
    values = np.log(np.array([info.smallest_subnormal, info.tiny, info.max], np.longdouble))
    values = np.array([values[0] * 0.9999, values[1] - 1, values[2] * 0.9999]).astype(dtype)
    smallest, denormal, largest = vectorised["exp"](values)
    assert info.smallest_subnormal <= smallest <= 2 * info.smallest_subnormal
    assert 0 < denormal < info.tiny
    assert 0.9 * info.max < largest <= info.max


def test_the_type_is_kept(vectorised, dtype):
    """Called in Python, with the compiler off, the functions keep their argument's type too."""
    for name in EXACT:
        assert type(getattr(elementary, name)(dtype(-0.25 if name == "expm1" else 0.25))) is dtype


@pytest.mark.parametrize("name", EXACT)
def test_python_bodies_equal_the_jitted_ones(vectorised, dtype, name):
    values = sample(name, dtype, 50)
    with np.errstate(over="ignore", under="ignore"):
        plain = np.array([getattr(elementary, name)(value) for value in values])
        exact = EXACT[name](values.astype(WIDER[dtype]))
    assert plain.dtype == dtype
    assert ulp_error(plain, exact).max() <= most_ulps(name, dtype)
