"""The multi-class network against two rows worked by hand."""

from math import log

import numpy as np
import pytest

import fastlogit

# A = ((2/3, 3/4), (1/3, 1/4)), A (1 − A) = (2/9, 3/16) in both rows;
# Z = ((0, ln 4, ln 27), (0, ln 2, ln 3)), so P = (1, 4, 27) / 32 and (1, 2, 3) / 6.
X = [[1.0], [-1.0]]
PARAMS = (
    [[log(2), log(3)]],
    [0.0, 0.0],
    [[0.0, 3 * log(2), 0.0], [0.0, 0.0, 4 * log(3)]],
    [0.0, 0.0, 0.0],
)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_two_rows_by_hand(backend):
    loss, gradient = fastlogit.loss_and_gradient("mlp-softmax", PARAMS, X, [1, 0], backend=backend)
    assert loss == pytest.approx((log(8) + log(6)) / 2, rel=1e-14)
    hidden = np.array([[2 / 3, 3 / 4], [1 / 3, 1 / 4]])
    d_logits = np.array([[1 / 64, -7 / 16, 27 / 64], [-5 / 12, 1 / 6, 1 / 4]])
    np.testing.assert_allclose(gradient.W2, hidden.T @ d_logits, rtol=1e-13)
    np.testing.assert_allclose(gradient.b2, d_logits.sum(axis=0), rtol=1e-13)
    # Each hidden unit reaches one logit:
    # dS = ((−7 ln 2 / 24, 81 ln 3 / 256), (ln 2 / 9, 3 ln 3 / 16))
    np.testing.assert_allclose(gradient.W1, [[-29 / 72 * log(2), 33 / 256 * log(3)]], rtol=1e-13)
    np.testing.assert_allclose(gradient.b1, [-13 / 72 * log(2), 129 / 256 * log(3)], rtol=1e-13)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_probabilities_by_hand(backend):
    proba = fastlogit.predict_proba("mlp-softmax", PARAMS, X, backend=backend)
    np.testing.assert_allclose(proba, [[1 / 32, 1 / 8, 27 / 32], [1 / 6, 1 / 3, 1 / 2]], rtol=1e-14)
