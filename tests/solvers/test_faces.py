"""Conjugate gradients on the parameters that are not 0, against the linear system they solve."""

import numpy as np
import pytest

from fastlogit.solvers import faces


def model(*, free=False, seed=0, n=60, P=12, ridge=0.1):
    """Return a model of columns with a large common part, and A."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, P)) + 3
    strength = np.full(P, 0.5)
    strength[-1] *= not free
    x = rng.choice([-1.0, 1.0], P) * rng.uniform(5, 6, P)
    bend, ridges = (A**2).sum(axis=0) + ridge, np.full(P, ridge)
    return (
        faces.Model(
            lambda places, factors: A[:, places] @ factors,
            lambda places, values: A[:, places].T @ values,
            bend, ridges, rng.normal(size=P), x, strength,
        ),
        A,
    )  # fmt: skip


def subgradient(q, A, step):
    slope = q.gradient + q.ridge * step + A.T @ (A @ step)
    return slope + q.strength * np.sign(q.x + step)


@pytest.mark.parametrize("free", [False, True])
def test_the_face_is_solved_in_as_many_products_as_it_has_dimensions(free):
    q, A = model(free=free)
    q.x[3] = 0  # a weight that is 0 stays so
    step, changes = np.zeros(12), np.zeros(60)
    assert not faces.minimise(q, 1e-9, 12, step, changes)
    assert faces.minimise(q, 1e-7, 12, step, changes)  # near enough already
    assert step[3] == 0
    slope = np.delete(subgradient(q, A, step), 3)
    assert np.abs(slope).max() < 1e-8
    np.testing.assert_allclose(changes, A @ step, atol=1e-12)


def test_a_free_bias_of_0_moves():
    q, A = model(free=True)
    q.x[-1] = 0
    step, changes = np.zeros(12), np.zeros(60)
    faces.minimise(q, 1e-9, 30, step, changes)
    assert step[-1] != 0
    assert np.abs(subgradient(q, A, step)).max() < 1e-8


@pytest.mark.parametrize("gradient", [2.0, 50.0])  # all others' move is taken, or a part
def test_a_weight_that_would_change_its_sign_becomes_0(gradient):
    q, A = model()
    q.x[0], q.gradient[0] = 1e-3, gradient
    step, changes = np.zeros(12), np.zeros(60)
    before = q.value(step, changes)
    faces.minimise(q, 1e-9, 20, step, changes)
    np.testing.assert_array_equal(np.flatnonzero(q.x + step == 0), [0])
    assert not np.any(np.sign(q.x + step) == -np.sign(q.x))
    assert q.value(step, changes) < before
    np.testing.assert_allclose(changes, A @ step, atol=1e-10)


def test_a_step_that_does_not_go_down_is_not_taken():
    q, A = model()
    step, changes = np.zeros(12), np.zeros(60)
    faces.minimise(q, 1e-12, 40, step, changes)
    least = step.copy()
    faces.minimise(q, 0.0, 1, step, changes)
    np.testing.assert_allclose(step, least, rtol=1e-9)
    assert q.value(step, changes) <= q.value(least, A @ least) + 1e-12
