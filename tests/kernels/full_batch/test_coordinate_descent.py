"""Coordinate descent against the conditions of the optimum."""

import numpy as np
import pytest

from fastlogit.kernels.full_batch.coordinate_descent import descend


def quadratic(size, seed=0):
    rng = np.random.default_rng([seed, size])
    A = rng.normal(size=(2 * size, size))
    return A.T @ A / size, rng.normal(size=size), rng.normal(size=size) * (rng.random(size) < 0.5)


@pytest.mark.parametrize("size", [1, 2, 13, 60])
def test_the_subgradient_is_zero_where_it_stops(size):
    H, gradient, x = quadratic(size)
    penalty = np.full(size, 0.5)
    penalty[0] = 0
    step, slope = np.zeros(size), np.full(size, np.nan)
    sweeps = descend(H, gradient, x, penalty, 1e-10, 10_000, step, slope)
    assert 1 <= sweeps < 10_000
    expected = gradient + H @ step
    np.testing.assert_allclose(slope, expected, atol=1e-11)
    ahead = x + step
    np.testing.assert_allclose(
        expected[ahead != 0], -(penalty * np.sign(ahead))[ahead != 0], atol=1e-9
    )
    assert np.all(np.abs(expected[ahead == 0]) <= penalty[ahead == 0] + 1e-9)
    if size > 10:
        assert 0 < np.count_nonzero(ahead == 0) < size


def test_it_goes_on_from_a_given_step():
    H, gradient, x = quadratic(20)
    penalty, results = np.full(20, 0.3), []
    for start in (np.zeros(20), np.linspace(-1, 1, 20)):
        step = start.copy()
        descend(H, gradient, x, penalty, 1e-12, 10_000, step, np.empty(20))
        results.append(step)
    np.testing.assert_allclose(*results, atol=1e-10)


def test_flat_coordinates_stay():
    H, step = np.diag([1.0, 0.0]), np.zeros(2)
    sweeps = descend(
        H, np.array([1.0, 0.0]), np.zeros(2), np.full(2, 0.25), 0.0, 5, step, np.empty(2)
    )
    np.testing.assert_array_equal(step, [-0.75, 0])
    assert sweeps <= 5
