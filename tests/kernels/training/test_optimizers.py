"""The optimizers of both backends against their formulas, written out a parameter at a time."""

import numpy as np
import pytest

from fastlogit.kernels.training import optimizers as jitted
from fastlogit.models import BACKENDS, OPTIMIZERS
from fastlogit.reference import training as plain

SIZES = [1, 3, 8, 17, 65]
ACCURACY = {np.float32: 2e-6, np.float64: 4e-15}
STEPS = 7


@pytest.fixture(scope="module", params=["numba", "numpy"])
def optimizers(request, jit):
    return called(request.param, jit)


def called(backend, jit):
    step, penalty = plain.update, plain.l2_penalty
    if backend == "numba":
        step = jit(lambda o, t, g, m, s, settings: jitted.update(o, t, g, m, s, settings))
        penalty = jit(lambda weights, alpha, grad: jitted.l2_penalty(weights, alpha, grad))

    class Called:
        l2_penalty = staticmethod(penalty)

        @staticmethod
        def update(name, theta, *arrays):
            step(OPTIMIZERS[name].code(BACKENDS[backend], theta.dtype), theta, *arrays)

    return Called


def sgd_by_formula(theta, gradients, learning_rate, momentum, nesterov):
    """v ← μ v − η g; θ ← θ + v, or θ + μ v − η g."""
    velocity = 0.0
    for g in gradients:
        velocity = momentum * velocity - learning_rate * g
        theta = theta + (momentum * velocity - learning_rate * g if nesterov else velocity)
    return theta


def adam_by_formula(theta, gradients, learning_rate, beta_1, beta_2, epsilon):
    """Algorithm 1 of Kingma and Ba (2015), with ε added to √v before v's bias is corrected."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        m_hat = m / (1 - beta_1**t)
        correction = (1 - beta_2**t) ** 0.5
        theta = theta - learning_rate * m_hat / ((v**0.5 + epsilon) / correction)
    return theta


CASES = {
    "sgd": ("sgd", (0.1, 0.0, 0.0), sgd_by_formula),
    "sgd with nesterov but no momentum": ("sgd", (0.1, 0.0, 1.0), sgd_by_formula),
    "momentum": ("sgd", (0.1, 0.9, 0.0), sgd_by_formula),
    "momentum of one": ("sgd", (0.1, 1.0, 0.0), sgd_by_formula),
    "nesterov": ("sgd", (0.1, 0.9, 1.0), sgd_by_formula),
    "adam": ("adam", (0.01, 0.9, 0.999, 1e-8), adam_by_formula),
    "adam of a large epsilon": ("adam", (0.01, 0.5, 0.9, 0.1), adam_by_formula),
    "adam of a tiny epsilon": ("adam", (0.01, 0.9, 0.999, 1e-30), adam_by_formula),
    "adam without memory": ("adam", (0.01, 0.0, 0.0, 1e-8), adam_by_formula),
}


@pytest.mark.parametrize("size", SIZES)
def test_both_backends_take_the_same_steps(jit, solver, size, dtype):
    rng, spec = np.random.default_rng(size), OPTIMIZERS[solver]
    start, *gradients = rng.normal(size=(1 + STEPS, size)).astype(dtype)
    settings = np.linspace(0.1, 0.9, len(spec.settings))
    results = []
    for backend in BACKENDS:
        theta, moments, steps = (
            start.copy(),
            np.zeros((spec.n_moments, size), dtype),
            np.zeros(1, int),
        )
        for gradient in gradients:
            called(backend, jit).update(solver, theta, gradient.copy(), moments, steps, settings)
        results.append((theta, moments, steps))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=ACCURACY[dtype], atol=ACCURACY[dtype])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("solver", "settings", "formula"), CASES.values(), ids=CASES)
def test_steps_follow_the_formula(optimizers, solver, settings, formula, size, dtype):
    rng = np.random.default_rng(size)
    start = rng.normal(size=size).astype(dtype)
    gradients = rng.normal(size=(STEPS, size)).astype(dtype)
    spec = OPTIMIZERS[solver]
    assert len(settings) == len(spec.settings)
    theta, moments = start.copy(), np.zeros((spec.n_moments, size), dtype)
    steps = np.zeros(1, np.int64)
    for gradient in gradients:
        optimizers.update(solver, theta, gradient.copy(), moments, steps, np.array(settings))
    assert steps.tolist() == [STEPS]
    expected = [
        formula(float(x), gradients[:, i].astype(float), *settings) for i, x in enumerate(start)
    ]
    assert theta.dtype == dtype
    np.testing.assert_allclose(theta, expected, rtol=ACCURACY[dtype], atol=ACCURACY[dtype])


def test_adam_counts_steps_from_where_they_stand(optimizers):
    """The bias correction of a resumed training is that of its step, not of the first."""
    theta, moments, steps = np.zeros(1), np.zeros((2, 1)), np.array([9])
    optimizers.update("adam", theta, np.ones(1), moments, steps, np.array([0.1, 0.9, 0.999, 1e-8]))
    rate = 0.1 * (1 - 0.999**10) ** 0.5 / (1 - 0.9**10)
    assert theta[0] == pytest.approx(-rate * 0.1 / (0.001**0.5 + 1e-8), rel=1e-13)


def test_adam_leaves_a_parameter_without_gradient(optimizers, dtype):
    theta, moments = np.array([1, 2, 3], dtype), np.zeros((2, 3), dtype)
    gradient = np.array([0, 1, 0], dtype)
    settings = np.array([0.1, 0.9, 0.999, 1e-8])
    optimizers.update("adam", theta, gradient, moments, np.zeros(1, np.int64), settings)
    assert theta[[0, 2]].tolist() == [1, 3]
    assert theta[1] == pytest.approx(1.9, rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_l2_penalty(optimizers, size, dtype):
    rng = np.random.default_rng(size)
    weights, gradient = rng.normal(size=(2, size)).astype(dtype)
    grad = gradient.copy()
    penalty = optimizers.l2_penalty(weights, 0.3, grad)
    wide = weights.astype(float)
    assert penalty == pytest.approx(0.15 * (wide @ wide), rel=ACCURACY[dtype])
    np.testing.assert_allclose(grad, gradient + 0.3 * wide, rtol=0, atol=ACCURACY[dtype])


@pytest.mark.parametrize("epsilon", [1e-8, 1e-30])
def test_adam_of_squares_that_vanish_or_overflow(jit, epsilon, dtype):
    least, most = (float(limit) for limit in (np.finfo(dtype).tiny, np.finfo(dtype).max))
    gradient = np.array([0, least**0.6, least**0.5, 1, most**0.5, most**0.6, np.nan], dtype)
    results = []
    for backend in BACKENDS:
        theta, moments, steps = np.ones_like(gradient), np.zeros((2, 7), dtype), np.zeros(1, int)
        settings = np.array([0.1, 0.9, 0.999, epsilon])
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            called(backend, jit).update("adam", theta, gradient.copy(), moments, steps, settings)
        results.append(theta)
    np.testing.assert_allclose(*results, rtol=2e-6 if dtype is np.float32 else 4e-15)
