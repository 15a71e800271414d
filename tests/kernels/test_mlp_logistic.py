"""The binary network against two rows worked by hand."""

from math import log

import numpy as np
import pytest

import fastlogit

# A = ((2/3, 3/4), (1/3, 1/4)), A (1 − A) = (2/9, 3/16) in both rows;
# z = (ln 108 − ln 36, ln 6 − ln 36) = (ln 3, −ln 6), so p = (3/4, 1/7).
X = [[1.0], [-1.0]]
PARAMS = [[log(2), log(3)]], [0.0, 0.0], [[3 * log(2)], [4 * log(3)]], [-log(36)]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_two_rows_by_hand(backend):
    loss, gradient = fastlogit.loss_and_gradient("mlp-logistic", PARAMS, X, [0, 1], backend=backend)
    assert loss == pytest.approx(log(28) / 2, rel=1e-14)
    # dz = (3/4, 1/7 − 1) / 2 = (3/8, −3/7)
    np.testing.assert_allclose(gradient.W2, [[3 / 28], [39 / 224]], rtol=1e-13)
    np.testing.assert_allclose(gradient.b2, [-3 / 56], rtol=1e-13)
    # dS = ((ln 2 / 4, 9 ln 3 / 32), (−2 ln 2 / 7, −9 ln 3 / 28))
    np.testing.assert_allclose(gradient.W1, [[15 / 28 * log(2), 135 / 224 * log(3)]], rtol=1e-13)
    np.testing.assert_allclose(gradient.b1, [-log(2) / 28, -9 / 224 * log(3)], rtol=1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_probabilities_by_hand(backend):
    proba = fastlogit.predict_proba("mlp-logistic", PARAMS, X, backend=backend)
    np.testing.assert_allclose(proba, [[1 / 4, 3 / 4], [6 / 7, 1 / 7]], rtol=1e-14)
