"""The reference's products against einsum."""

import numpy as np
import pytest

from fastlogit.reference import dense as linear_maps

SIZES = [(1, 1, 1), (1, 5, 3), (7, 1, 2), (9, 4, 17), (33, 31, 8)]


@pytest.mark.parametrize(("rows", "fan_in", "fan_out"), SIZES)
def test_products(rows, fan_in, fan_out):
    rng = np.random.default_rng([rows, fan_in, fan_out])
    X, W = rng.normal(size=(rows, fan_in)), rng.normal(size=(fan_in, fan_out))
    b, d_out = rng.normal(size=fan_out), rng.normal(size=(rows, fan_out))
    out, grad_W, grad_b, d_X = (np.full_like(array, np.nan) for array in (d_out, W, b, X))
    linear_maps.affine(X, W, b, out)
    linear_maps.affine_grad(X, d_out, grad_W, grad_b)
    linear_maps.input_grad(d_out, W, d_X)
    np.testing.assert_allclose(out, np.einsum("ij,jk->ik", X, W) + b, atol=1e-13)
    np.testing.assert_allclose(grad_W, np.einsum("ij,ik->jk", X, d_out), atol=1e-13)
    np.testing.assert_allclose(grad_b, np.einsum("ik->k", d_out), atol=1e-13)
    np.testing.assert_allclose(d_X, np.einsum("ik,jk->ij", d_out, W), atol=1e-13)
