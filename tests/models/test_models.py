"""The table of models: shapes, initial values, flops; flat parameters; read-only rows."""

import gc
import weakref

import numpy as np
import pytest

from fastlogit.models import MODELS, FlatParams, Rows, as_writable_view

D, H, K = 5, 4, 3
SHAPES = {
    "logistic": ((D, 1), (1,)),
    "softmax": ((D, K), (K,)),
    "mlp-logistic": ((D, H), (H,), (H, 1), (1,)),
    "mlp-softmax": ((D, H), (H,), (H, K), (K,)),
}


@pytest.fixture(params=[False, True], ids=["", "transposed"])
def transposed(request):
    return request.param


def shapes_of(model):
    spec = MODELS[model]
    return spec.shapes(D, H if spec.has_hidden else None, spec.n_outputs(K))


@pytest.mark.parametrize("model", SHAPES)
def test_shapes(model):
    assert shapes_of(model) == SHAPES[model]


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
def test_the_names_say_what_a_model_is(model):
    spec = MODELS[model]
    assert spec.name == model
    assert spec.binary == ("softmax" not in model)
    assert spec.has_hidden == ("mlp" in model)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("random", [np.random.RandomState, np.random.default_rng])
def test_initial_params_are_drawn_in_order_and_cast(model, random, dtype):
    spec = MODELS[model]
    sizes = (D, H if spec.has_hidden else None, spec.n_outputs(K))
    params = spec.initial_params(*sizes, dtype, random(0))
    generator = random(0)
    fans = [shape for shape in shapes_of(model) if len(shape) == 2 for _ in range(2)]
    for array, shape, fan in zip(params, shapes_of(model), fans, strict=True):
        bound = (2 / (fan[0] + fan[1])) ** 0.5
        assert array.dtype == dtype
        assert np.array_equal(array, generator.uniform(-bound, bound, shape).astype(dtype))


def test_initial_params_are_those_of_scikit_learn():
    from sklearn.neural_network import MLPClassifier

    X, y = np.random.default_rng(0).normal(size=(12, D)), np.arange(12) % K
    peer = MLPClassifier((H,), activation="logistic", solver="sgd", random_state=7)
    peer.set_params(max_iter=1, learning_rate_init=1e-300, alpha=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        peer.fit(X, y)
    W1, b1, W2, b2 = MODELS["mlp-softmax"].initial_params(
        D, H, K, np.float64, np.random.RandomState(7)
    )
    for ours, theirs in zip((W1, W2, b1, b2), (*peer.coefs_, *peer.intercepts_), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_flat_params_hold_all_weights_then_all_biases(model, transposed):
    flat = FlatParams(shapes_of(model), np.float32, transposed=transposed)
    assert flat.flat.dtype == np.float32
    assert not flat.flat.any()
    rng = np.random.default_rng(0)
    values = [rng.random(shape, np.float32) for shape in shapes_of(model)]
    flat.assign(values)
    assert flat.n_weights == sum(array.size for array in values[::2])
    weights, biases = flat.flat[: flat.n_weights], flat.flat[flat.n_weights :]
    assert np.array_equal(
        np.sort(weights), np.sort(np.concatenate([v.ravel() for v in values[::2]]))
    )
    assert np.array_equal(biases, np.concatenate(values[1::2]))
    for view in (*flat.named, *flat.public):
        assert np.shares_memory(view, flat.flat)
    for array in flat.named:
        assert array.flags.c_contiguous
    for array, value in zip(flat.public, values, strict=True):
        assert np.array_equal(array, value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flat_params_begin_with_a_cache_line(model, transposed, dtype):
    shapes, kept = shapes_of(model), []
    for _ in range(20):
        flat = FlatParams(shapes, dtype, transposed=transposed).flat
        assert flat.ctypes.data % 64 == 0
        assert flat.size == sum(int(np.prod(shape)) for shape in shapes)
        assert not flat.any()
        kept.append(np.append(flat, 0))  # so that the next one lies elsewhere


def test_copies_of_flat_params_are_their_own(model, transposed):
    flat = FlatParams(shapes_of(model), np.float64, transposed=transposed)
    copies = flat.copies()
    flat.flat[:] = 1
    for array, shape in zip(copies, shapes_of(model), strict=True):
        assert array.shape == shape
        assert array.flags.c_contiguous
        assert array.flags.owndata
        assert not array.any()


def test_both_backends_name_results_alike(model):
    results = [
        FlatParams(shapes_of(model), np.float64, transposed=transposed).copies()
        for transposed in (False, True)
    ]
    assert len({type(result) for result in results}) == 1
    layers = ("W1", "b1", "W2", "b2") if MODELS[model].has_hidden else ("W", "b")
    assert results[0]._fields == layers


def test_assigning_other_shapes_fails(model, transposed):
    flat = FlatParams(shapes_of(model), np.float64, transposed=transposed)
    with pytest.raises(ValueError, match=r"zip|broadcast"):
        flat.assign(flat.copies()[1:])


def test_a_writable_view_describes_the_same_memory_as_writable():
    array = np.arange(6.0).reshape(2, 3)
    assert as_writable_view(array) is array
    array.setflags(write=False)
    view = as_writable_view(array)
    assert view.flags.writeable
    assert view.flags.c_contiguous
    assert np.shares_memory(view, array)
    assert np.array_equal(view, array)
    assert not array.flags.writeable


def test_a_writable_view_keeps_the_memory_alive():
    array = np.arange(1000.0)
    array.setflags(write=False)
    gone = weakref.ref(array)
    view = as_writable_view(array)
    part = view[10:20]
    del array, view
    gc.collect()
    assert gone() is not None
    assert part.sum() == sum(range(10, 20))
    del part
    gc.collect()
    assert gone() is None


def test_rows_unlock_all_arrays():
    arrays = np.ones((4, 2)), np.zeros(4, np.intp), np.ones(4)
    for array in arrays:
        array.setflags(write=False)
    rows = Rows(*arrays)
    assert all(array.flags.writeable for array in (rows.X, rows.y, rows.weight))
