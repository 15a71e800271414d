"""The loss by rows and by columns, its steps, and how far they reach."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastlogit.models import Rows
from fastlogit.solvers import columns as solver
from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers.columns import ColumnLoss
from fastlogit.solvers.newton import Point
from fastlogit.solvers.working_sets import Part


def losses(K, *, n=80, M=12, weighted=True, alpha=0.01, dtype=np.float64):
    """Return the loss of the same rows, dense and sparse, and θ."""
    rng = np.random.default_rng(K)
    X = (rng.normal(size=(n, M)) * (rng.random((n, M)) < 0.4)).astype(dtype)
    y = rng.integers(max(K, 2), size=n)
    weight = rng.uniform(0, 2, n * weighted).astype(dtype)
    theta = rng.normal(size=K * (M + 1)) / 3
    kinds = X, csr_array(X)
    return [ColumnLoss(Rows(kind, y, weight), K, True, alpha) for kind in kinds], theta


def whole(loss, theta, strength=0.02):
    """Return all features as a part; the biases have no penalty of their own here."""
    strengths = np.full(theta.size, strength)
    return Part(np.arange(loss.n_features), theta, loss(theta)[1], strengths)


@pytest.mark.parametrize("K", [1, 3])
def test_dense_and_sparse_rows_agree(K):
    (dense, sparse), theta = losses(K)
    (loss, gradient), (other, other_gradient) = dense(theta), sparse(theta)
    np.testing.assert_allclose(other, loss, rtol=1e-13)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-14)
    steps = [kind.step(theta, whole(kind, theta), 1e-5) for kind in (dense, sparse)]
    np.testing.assert_allclose(*steps, atol=1e-3)


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("kind", [0, 1])
def test_a_step_of_some_features_is_that_of_rows_with_only_these(K, kind):
    both, theta = losses(K)
    loss, features = both[kind], np.array([0, 3, 4, 11])
    loss.step(theta, whole(loss, theta), 1e-6)  # other columns are taken
    X = loss.columns._X if kind == 0 else both[0].columns._X
    few = ColumnLoss(Rows(X[:, features].copy(), loss.y, loss.weight), K, True, loss.alpha)
    places = np.append(np.add.outer(12 * np.arange(K), features).ravel(), 12 * K + np.arange(K))
    for loss_of, number in ((loss, features), (few, np.arange(4))):
        loss_of._last = None
        at = np.zeros(loss_of.size)
        gradient = loss_of(at)[1][places if loss_of is loss else slice(None)]
        part = Part(number, np.zeros(places.size), gradient, np.full(places.size, 0.02))
        step = loss_of.step(at, part, 1e-6)
        if loss_of is loss:
            expected = step
    np.testing.assert_allclose(step, expected, atol=1e-5)
    assert step.any()


@pytest.mark.parametrize("K", [1, 3])
def test_a_step_belongs_to_the_parameters_that_it_is_given(K):
    (loss, _), theta = losses(K)
    part = whole(loss, theta)
    expected = loss.step(theta, part, 1e-6)
    loss(theta + 1)
    np.testing.assert_allclose(loss.step(theta, part, 1e-6), expected, atol=1e-12)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_conjugate_gradients_follow_where_sweeps_do_not_suffice(monkeypatch, weighted, kind):
    both, theta = losses(1, weighted=weighted)
    loss = both[kind]
    monkeypatch.setattr(solver, "SWEEPS", 500)
    part = whole(loss, theta, 0.0)
    expected = loss.step(theta, part, 1e-7)
    monkeypatch.setattr(solver, "SWEEPS", 2)
    monkeypatch.setattr(solver, "MOST_ROUNDS", 1)
    monkeypatch.setattr(solver, "MOST_SWEEPS_FOR_HESSIAN", 0)
    near = loss.step(theta, part, 1e-7)
    monkeypatch.setattr(solver, "PRODUCTS", 0)
    far = loss.step(theta, part, 1e-7)
    assert np.abs(near - expected).max() < 0.1 * np.abs(far - expected).max()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_hessian_follows_where_rounds_do_not_suffice(monkeypatch, weighted):
    (loss, sparse), theta = losses(1, weighted=weighted)
    expected = loss.step(theta, whole(loss, theta), 1e-7)
    changes = loss._changes
    monkeypatch.setattr(solver, "SWEEPS", 1)
    monkeypatch.setattr(solver, "PRODUCTS", 0)
    for kind in (loss, sparse):
        kind.step(theta, whole(kind, theta), 1e-8)
    assert not sparse._takes_hessian
    monkeypatch.setattr(solver, "HESSIAN_ROUNDS", 0)
    step = loss.step(theta, whole(loss, theta), 1e-8)
    np.testing.assert_allclose(step, expected, atol=1e-4)
    np.testing.assert_array_equal(theta + step == 0, theta + expected == 0)
    np.testing.assert_allclose(loss._changes, changes, atol=1e-3)


@pytest.mark.parametrize("K", [1, 3])
def test_a_step_is_stretched_far_from_the_optimum_only(K):
    (loss, _), theta = losses(K)
    loss.y[:] = np.arange(80) % max(K, 2)
    X = loss.columns._X
    X += 3 * (loss.y[:, None] == np.arange(12))
    problem = proximal.Penalised(loss, np.full(theta.size, 1e-4))
    at, theta = Point(np.zeros(theta.size), *loss(np.zeros(theta.size))), np.zeros(theta.size)

    def value(length):
        ahead = at.theta + length * step
        return loss(ahead)[0] + problem.penalty(ahead)

    stretches = []
    for _ in range(12):
        at = Point(theta, *loss(theta))
        part = Part(np.arange(12), theta, at.gradient, problem.strength)
        step = loss.step(theta, part, 1e-8)
        stretches.append(loss.stretch(problem, at, step))
        assert stretches[-1] == 1 or value(stretches[-1]) < value(1.0)
        theta = theta + stretches[-1] * step
    assert stretches[0] > 1
    assert stretches[-1] == 1


def test_columns_beyond_single_precision_keep_their_own():
    (loss, _), theta = losses(1, alpha=0.0)
    X = loss.columns._X
    near = ColumnLoss(Rows(X, loss.y, loss.weight), 1, False, 0.0)
    weights = theta[:-1]
    step = near.step(weights, whole(near, weights), 1e-8)
    for factor in (1e25, 1e-25, 1e60):
        far = ColumnLoss(Rows(X * factor, loss.y, loss.weight), 1, False, 0.0)
        scaled = weights / factor
        far_step = far.step(scaled, whole(far, scaled, 0.02 * factor), 1e-8 * factor)
        np.testing.assert_allclose(far_step * factor, step, atol=1e-4)
    assert step.any()
