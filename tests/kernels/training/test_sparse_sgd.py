"""Weights held as a number times an array, against weights that are shrunk one by one."""

import numpy as np
import pytest
from scipy import sparse

import fastlogit
from fastlogit.kernels.layers import sparse as sparse_layers
from fastlogit.kernels.layers.sparse import FORWARD, SQUARES, TRACKED
from fastlogit.kernels.training import in_place_sgd
from fastlogit.models import MODELS


def rows_of(n, width, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, width)) * (rng.random((n, width)) < 0.2)).astype(dtype)
    return X, rng.integers(2, size=n)


def assert_alike(model, X, y, tolerance, **arguments):
    if MODELS[model].has_hidden:
        arguments["hidden"] = 5
    expected = fastlogit.train(model, X, y, random_state=0, **arguments)
    result = fastlogit.train(model, sparse.csr_array(X), y, random_state=0, **arguments)
    np.testing.assert_allclose(result.loss_curve, expected.loss_curve, rtol=tolerance)
    for array, other in zip(result.params, expected.params, strict=True):
        np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)
    assert result.n_steps == expected.n_steps


# 1 − rate alpha is: next to 1, a half, all but 0, 0, negative, beyond −1.
@pytest.mark.parametrize("alpha", [1e-3, 5, 9.9999999999, 10, 11, 15])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_penalties_of_all_sizes(model, alpha, batch_size):
    X, y = rows_of(40, 12)
    assert_alike(model, X, y, 1e-9, alpha=alpha, batch_size=batch_size, epochs=3)


def test_the_scale_is_kept_in_range(model, dtype):
    """It falls to 0.5^800 in an epoch here, far below what float32 or float64 can hold."""
    X, y = rows_of(800, 12, dtype)
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    assert_alike(model, X, y, tolerance, alpha=5, batch_size=1, epochs=2)


def test_weights_that_grow_without_bound_diverge(model):
    X, y = rows_of(800, 12)
    hidden = 5 if MODELS[model].has_hidden else None
    ends = []
    for rows in (X, sparse.csr_array(X)):
        with pytest.raises(fastlogit.DivergenceError) as raised:
            fastlogit.train(
                model, rows, y, hidden=hidden, alpha=100, batch_size=1, epochs=3, random_state=0
            )
        ends.append(raised.value.result)
    assert len(ends[0].loss_curve) == len(ends[1].loss_curve) == 0
    for array, other in zip(*(end.params for end in ends), strict=True):
        assert np.array_equal(array, other)  # the ones it began with


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_batches_that_weigh_nothing(model, place):
    """They take no step, wherever in an epoch they are: the weights are whole at its end."""
    X, y = rows_of(30, 12)
    weight = np.ones(30)
    weight[{"first": slice(0, 6), "middle": slice(12, 18), "last": slice(24, 30)}[place]] = 0
    order = np.tile(np.arange(30), (3, 1))
    assert_alike(
        model, X, y, 1e-10, alpha=0.3, batch_size=6, epochs=3, order=order, sample_weight=weight
    )


def test_callbacks_see_whole_weights(model):
    X, y = rows_of(60, 12)
    hidden = 5 if MODELS[model].has_hidden else None
    seen = []
    for rows in (X, sparse.csr_array(X)):
        params = []
        fastlogit.train(
            model, rows, y, hidden=hidden, alpha=0.5, epochs=3, random_state=0,
            callback=lambda _epoch, _loss, given, into=params: into.append(given),
        )  # fmt: skip
        seen.append(params)
    for epoch, other in zip(*seen, strict=True):
        for array, expected in zip(epoch, other, strict=True):
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-13)


def test_scaled_squares_and_unscale(dtype):
    V = np.array([1, -2, 4], dtype)
    scaling = np.array([1.0, 1.0, 0.0, 0.0])
    assert in_place_sgd.scaled_squares(V, scaling) == 21
    assert scaling[TRACKED] == 1
    scaling[FORWARD], scaling[SQUARES] = 0.5, 20  # in range: as it is kept up
    assert in_place_sgd.scaled_squares(V, scaling) == 5
    scaling[FORWARD] = 2.0**-20  # out of range: multiplied in, and summed anew
    assert in_place_sgd.scaled_squares(V, scaling) == 21 * 2.0**-40
    assert scaling[FORWARD] == 1
    assert V[1] == -(2.0**-19)
    scaling[FORWARD] = 2.0**20
    in_place_sgd.unscale(V, scaling)
    assert V.tolist() == [1, -2, 4]
    assert scaling[: sparse_layers.SQUARES].tolist() == [1, 1]
    assert scaling[TRACKED] == 0


def test_an_untracked_array_is_left_as_it_is():
    V, scaling = np.array([3.0]), np.array([1.0, 1.0, 0.0, 0.0])
    in_place_sgd.unscale(V, scaling)
    assert V[0] == 3
