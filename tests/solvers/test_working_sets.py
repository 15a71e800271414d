"""Which features a working set holds, and the optimum on all of them."""

import numpy as np
import pytest

from fastlogit.solvers import proximal_newton as proximal
from fastlogit.solvers import working_sets


def test_a_set_holds_what_has_weights_and_the_worst_of_the_others():
    theta = np.array([0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.0, 7.0])  # two classes, a bias
    violations = np.array([1, 9, 3, 1, 0, 5, 0, 9, 0, 2, 0, 9, 9], float)
    for fewest, expected in ((1, [1, 2, 5]), (4, [1, 2, 3, 5]), (9, [0, 1, 2, 3, 5])):
        chosen = working_sets.chosen(theta, violations, 6, 2, fewest)
        np.testing.assert_array_equal(chosen, expected)


def test_a_set_is_never_empty():
    chosen = working_sets.chosen(np.zeros(6), np.zeros(6), 5, 1, 3)
    np.testing.assert_array_equal(chosen, [0])


@pytest.mark.parametrize("fewest", [1, 10, 100])
def test_a_quadratic_is_minimised(fewest):
    """F = ‖A θ − t‖² / 2 + λ |θ|, of 100 weights and a bias that is free."""
    rng = np.random.default_rng(0)
    A, strength = rng.normal(size=(60, 101)), np.full(101, 8.0)
    A[:, -1], strength[-1] = 1, 0
    target = A[:, 3] * 2 - A[:, 70] + 5 + rng.normal(size=60)

    def loss_and_gradient(theta):
        rest = A @ theta - target
        return float(rest @ rest) / 2, A.T @ rest

    sizes = []

    class Steps:
        def step(self, _theta, part, tol):
            columns = [*part.features, 100]
            sizes.append(len(part.features))
            H = A[:, columns].T @ A[:, columns]
            return proximal.model_step(H, part.gradient, part.theta, part.strength, tol)

        def stretch(self, *_):
            return 1.0

    problem = proximal.Penalised(loss_and_gradient, strength)
    theta, n_iter = working_sets.minimise(
        problem, np.zeros(101), 100, 1, Steps(), max_iter=100, tol=1e-9, unit=8.0, eps=1e-16,
        fewest=fewest, residual=0.1,
    )  # fmt: skip
    slope = A.T @ (A @ theta - target)
    at_zero = np.maximum(np.abs(slope) - strength, 0)
    elsewhere = np.abs(slope + strength * np.sign(theta))
    assert np.where(theta == 0, at_zero, elsewhere).max() < 1e-7
    assert theta[3] > 1
    assert theta[70] < -0.5
    assert 0 < n_iter < 30
    assert max(sizes) < 100 or fewest == 100
