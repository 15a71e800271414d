"""Softmax regression against two rows worked by hand."""

from math import log

import numpy as np
import pytest

import fastlogit

# With X the identity the logits are the rows of W: P = (1/6, 1/3, 1/2) and (2/3, 1/6, 1/6).
X = [[1.0, 0.0], [0.0, 1.0]]
PARAMS = [[0.0, log(2), log(3)], [log(4), 0.0, 0.0]], [0.0, 0.0, 0.0]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_two_rows_by_hand(backend):
    loss, gradient = fastlogit.loss_and_gradient("softmax", PARAMS, X, [2, 0], backend=backend)
    assert loss == pytest.approx((log(2) + log(3 / 2)) / 2, rel=1e-15)
    d_logits = [[1 / 12, 1 / 6, -1 / 4], [-1 / 6, 1 / 12, 1 / 12]]
    np.testing.assert_allclose(gradient.W, d_logits, rtol=1e-14)
    np.testing.assert_allclose(gradient.b, [-1 / 12, 1 / 4, -1 / 6], rtol=1e-14)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_probabilities_by_hand(backend):
    proba = fastlogit.predict_proba("softmax", PARAMS, X, backend=backend)
    np.testing.assert_allclose(proba, [[1 / 6, 1 / 3, 1 / 2], [2 / 3, 1 / 6, 1 / 6]], rtol=1e-14)
