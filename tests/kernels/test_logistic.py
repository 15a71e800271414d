"""Logistic regression against two rows worked by hand."""

from math import log

import numpy as np
import pytest

import fastlogit

# z = (ln 2, ln 3/2), so p = (2/3, 3/5).
X = [[1.0, 0.0], [-1.0, 1.0]]
PARAMS = [[log(2)], [log(3)]], [0.0]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_two_rows_by_hand(backend):
    loss, gradient = fastlogit.loss_and_gradient("logistic", PARAMS, X, [1, 0], backend=backend)
    assert loss == pytest.approx((log(3 / 2) + log(5 / 2)) / 2, rel=1e-15)
    # dz = (2/3 − 1, 3/5) / 2
    np.testing.assert_allclose(gradient.W, [[-1 / 6 - 3 / 10], [3 / 10]], rtol=1e-14)
    np.testing.assert_allclose(gradient.b, [-1 / 6 + 3 / 10], rtol=1e-14)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_probabilities_by_hand(backend):
    proba = fastlogit.predict_proba("logistic", PARAMS, X, backend=backend)
    np.testing.assert_allclose(proba, [[1 / 3, 2 / 3], [2 / 5, 3 / 5]], rtol=1e-15)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("z", [-90.0, -17.0, 17.0, 90.0])
@pytest.mark.parametrize("label", [0, 1])
def test_float32_loss_far_from_the_boundary(backend, z, label):
    """log(1 + e^−z) in float32 as it stands is inf at z = −90 and 0 at z = 17."""
    params = np.array([[z]], np.float32), np.zeros(1, np.float32)
    one_row = np.ones((1, 1), np.float32)
    loss, gradient = fastlogit.loss_and_gradient(
        "logistic", params, one_row, [label], backend=backend
    )
    signed = -z if label else z
    expected = max(signed, 0) + np.log1p(np.exp(-abs(z)))
    # e^−90 is a denormal of float32, with about 20 significant bits.
    assert loss == pytest.approx(expected, rel=2e-6 if signed == -90 else 2e-7, abs=0)
    if backend == "numba":
        sign = -1 if label else 1
        expected = sign * np.exp(min(signed, 0)) / (1 + np.exp(-abs(z)))
        assert gradient.b[0] == pytest.approx(expected, rel=2e-6, abs=0)
