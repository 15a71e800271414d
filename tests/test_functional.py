"""loss_and_gradient and predict_proba: finite differences, closed forms, invariances."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import fastlogit
from fastlogit.kernels.codegen.cache import compilations
from fastlogit.models import ACTIVATIONS, MODELS
from fastlogit.training.orders import LegacyOrders

# Rows, features, hidden units, classes.
SIZES = [(1, 1, 1, 2), (2, 3, 2, 2), (1, 5, 3, 17), (7, 9, 5, 3), (17, 4, 9, 17), (300, 3, 2, 3)]
TWINS = {"logistic": "softmax", "mlp-logistic": "mlp-softmax"}


def evaluate(model, task, backend="numba", **changes):
    arguments = {"params": task.params, "X": task.X, "y": task.y, "sample_weight": task.weight}
    arguments = {**arguments, **changes}
    return fastlogit.loss_and_gradient(
        model, arguments.pop("params"), arguments.pop("X"), arguments.pop("y"),
        backend=backend, **arguments,
    )  # fmt: skip


def finite_differences(loss, params, step=2e-3):
    """Differentiate by the central five-point stencil, whose error is of order step⁴."""
    gradient = []
    for array in params:
        slopes = np.empty_like(array)
        for place in np.ndindex(array.shape):
            value = array[place]
            values = []
            for offset in (-2, -1, 1, 2):
                array[place] = value + offset * step
                values.append(loss(params))
            array[place] = value
            slopes[place] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        gradient.append(slopes)
    return gradient


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradient_is_that_of_finite_differences(
    problem, relative_error, model, backend, size, weighted, alpha
):
    task = problem(model, *size, weighted=weighted)
    for activation in ACTIVATIONS if MODELS[model].has_hidden else ["logistic"]:
        changes = {"alpha": alpha, "activation": activation}
        # An activation need not have higher derivatives everywhere: a short step then.
        step, tolerance = (2e-3, 1e-7) if activation == "logistic" else (1e-6, 1e-5)
        _, gradient = evaluate(model, task, backend, **changes)
        copies = tuple(array.copy() for array in task.params)
        expected = finite_differences(
            lambda params: evaluate(model, task, backend, params=params, **changes)[0],  # noqa: B023
            copies, step,
        )  # fmt: skip
        for name, array, slopes in zip(gradient._fields, gradient, expected, strict=True):
            assert relative_error(array, slopes) < tolerance, (activation, name)


def loss_by_formula(model, task, alpha):
    """Write the loss out in long doubles, one row after another."""
    weights = task.weight if task.weight is not None else np.ones(len(task.X))
    *layers, W, b = (array.astype(np.longdouble) for array in task.params)
    total = np.longdouble(0)
    for x, label, weight in zip(task.X.astype(np.longdouble), task.y, weights, strict=True):
        if layers:
            x = 1 / (1 + np.exp(-(x @ layers[0] + layers[1])))
        z = x @ W + b
        if MODELS[model].binary:
            p = 1 / (1 + np.exp(-z[0]))
            total -= weight * np.log(p if label else 1 - p)
        else:
            total -= weight * np.log(np.exp(z[label]) / np.exp(z).sum())
    squares = sum((array.astype(np.longdouble) ** 2).sum() for array in task.params[::2])
    return float(total / weights.sum() + alpha * squares / 2)


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_loss_is_that_of_the_formula(problem, model, backend, size, weighted, alpha):
    for dtype, tolerance in ((np.float64, 1e-14), (np.float32, 1e-6)):
        task = problem(model, *size, weighted=weighted, dtype=dtype)
        loss, _ = evaluate(model, task, backend, alpha=alpha)
        assert type(loss) is float
        assert loss == pytest.approx(loss_by_formula(model, task, alpha), rel=tolerance)


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
def test_zero_parameters(problem, model, backend):
    """Every class has probability 1/K: the loss is log K, and P − onehot(y) is known."""
    task = problem(model, 11, 4, 3, 5)
    zeros = tuple(np.zeros_like(array) for array in task.params)
    loss, gradient = evaluate(model, task, backend, params=zeros)
    k = task.n_classes
    assert loss == pytest.approx(np.log(k), rel=1e-15)
    d_logits = (1 / k - np.eye(k)[task.y]) / 11
    if MODELS[model].binary:
        d_logits = d_logits[:, 1:]
    last_input = np.full((11, 3), 0.5) if MODELS[model].has_hidden else task.X
    np.testing.assert_allclose(gradient[-2], last_input.T @ d_logits, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(gradient[-1], d_logits.sum(axis=0), rtol=1e-13, atol=1e-16)
    for array in gradient[:-2]:  # the output weights are 0, so nothing reaches the hidden layer
        assert not array.any()
    proba = fastlogit.predict_proba(model, zeros, task.X, backend=backend)
    np.testing.assert_allclose(proba, np.full((11, k), 1 / k), rtol=1e-15)


@pytest.mark.parametrize("binary", TWINS)
def test_two_class_softmax_is_logistic(problem, binary, backend):
    """The logits' difference is the binary logit; its gradient falls on both columns, ∓."""
    task = problem(TWINS[binary], 40, 6, 5, 2, weighted=True)
    *first, W, b = task.params
    difference = (*first, W[:, 1:] - W[:, :1], b[1:] - b[:1])
    loss, gradient = evaluate(TWINS[binary], task, backend)
    binary_loss, binary_gradient = evaluate(binary, task, backend, params=difference)
    assert loss == pytest.approx(binary_loss, rel=1e-14)
    for array, expected in zip(gradient[:-2], binary_gradient[:-2], strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-12, atol=1e-16)
    for array, expected in zip(gradient[-2:], binary_gradient[-2:], strict=True):
        both = np.concatenate([-expected, expected], axis=-1)
        np.testing.assert_allclose(array, both, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(
        fastlogit.predict_proba(TWINS[binary], task.params, task.X, backend=backend),
        fastlogit.predict_proba(binary, difference, task.X, backend=backend),
        rtol=1e-13,
    )


@pytest.mark.parametrize("model", [name for name, spec in MODELS.items() if not spec.binary])
def test_permuted_classes_permute_the_gradient(problem, model, backend):
    task = problem(model, 30, 5, 4, 7, weighted=True)
    new_of_old = np.random.default_rng(0).permutation(7)
    old_of_new = np.argsort(new_of_old)
    *first, W, b = task.params
    loss, gradient = evaluate(model, task, backend)
    permuted_loss, permuted = evaluate(
        model, task, backend,
        params=(*first, W[:, old_of_new], b[old_of_new]), y=new_of_old[task.y],
    )  # fmt: skip
    assert permuted_loss == pytest.approx(loss, rel=1e-14)
    for array, expected in zip(permuted[:-2], gradient[:-2], strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-12, atol=1e-16)
    for array, expected in zip(permuted[-2:], gradient[-2:], strict=True):
        np.testing.assert_allclose(array, expected[..., old_of_new], rtol=1e-12, atol=1e-16)


def assert_same(result, expected):
    assert result[0] == pytest.approx(expected[0], rel=1e-13)
    for array, other in zip(result[1], expected[1], strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-11, atol=1e-15)


def test_the_rows_order_does_not_matter(problem, model, backend):
    task = problem(model, 300, 5, 4, weighted=True)
    order = np.random.default_rng(0).permutation(300)
    shuffled = evaluate(
        model, task, backend, X=task.X[order], y=task.y[order], sample_weight=task.weight[order]
    )
    assert_same(shuffled, evaluate(model, task, backend))


def test_weights_repeat_rows(problem, model, backend):
    task = problem(model, 40, 5, 4)
    counts = np.random.default_rng(0).integers(0, 4, 40)
    weighted = evaluate(model, task, backend, sample_weight=counts)
    rows = np.repeat(np.arange(40), counts)
    assert_same(weighted, evaluate(model, task, backend, X=task.X[rows], y=task.y[rows]))


@pytest.mark.parametrize("factor", [1e-20, 1e20])
def test_only_the_weights_proportions_matter(problem, model, backend, factor):
    task = problem(model, 40, 5, 4, weighted=True)
    scaled = evaluate(model, task, backend, sample_weight=factor * task.weight)
    assert_same(scaled, evaluate(model, task, backend))
    equal = evaluate(model, task, backend, sample_weight=np.full(40, factor))
    assert_same(equal, evaluate(model, task, backend, sample_weight=None))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits(model, backend, dtype, size):
    """Logits of ±10⁴, each row once with the likely label and once with the other."""
    spec = MODELS[model]
    shapes = spec.shapes(1, 2 if spec.has_hidden else None, spec.n_outputs(2))
    params = [np.zeros(shape, dtype) for shape in shapes]
    params[-1][-1] = size  # the last logit, through its bias
    X, y = np.array([[1.0], [1.0]], dtype), np.array([0, 1])
    loss, gradient = fastlogit.loss_and_gradient(model, params, X, y, backend=backend)
    assert loss == 5e3
    assert all(np.isfinite(array).all() for array in gradient)
    assert gradient[-1][-1] == np.sign(size) / 2
    proba = fastlogit.predict_proba(model, params, X, backend=backend)
    assert proba.tolist() == [[0, 1] if size > 0 else [1, 0]] * 2


@settings(deadline=None, max_examples=50)
@given(
    model=st.sampled_from(list(MODELS)),
    backend=st.sampled_from(["numba", "numpy"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    scale=st.floats(1e-3, 1e4),
    seed=st.integers(0, 100),
)
def test_any_scale_gives_finite_results(problem, model, backend, dtype, scale, seed):
    task = problem(model, 9, 3, 4, 5, dtype=dtype, weighted=True, seed=seed)
    X = (task.X * scale).astype(dtype)
    loss, gradient = evaluate(model, task, backend, X=X)
    assert 0 <= loss < np.inf
    assert all(np.isfinite(array).all() for array in gradient)
    proba = fastlogit.predict_proba(model, task.params, X, backend=backend)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_the_callers_own(problem, model, backend, dtype):
    task = problem(model, 9, 3, 4, dtype=dtype, weighted=True)
    inputs = (*task.params, task.X, task.y, task.weight)
    before = [array.copy() for array in inputs]
    _, gradient = evaluate(model, task, backend)
    proba = fastlogit.predict_proba(model, task.params, task.X, backend=backend)
    for array in (*gradient, proba):
        assert array.dtype == dtype
        assert array.flags.writeable
        assert not any(np.may_share_memory(array, other) for other in inputs)
        array[...] = -1
    for array, copy in zip(inputs, before, strict=True):
        assert np.array_equal(array, copy)
    assert [array.shape for array in gradient] == [array.shape for array in task.params]


def test_warmup_leaves_nothing_to_compile(problem):
    fastlogit.warmup()
    before = compilations()
    fastlogit.warmup()
    for model in MODELS:
        for dtype in (np.float32, np.float64):
            task = problem(model, 5, 3, 2, dtype=dtype, weighted=True)
            evaluate(model, task, alpha=0.1)
            LegacyOrders(np.random.RandomState(0), 5).draw(2)
            for solver in ("sgd", "adam"):
                fastlogit.train(
                    model, task.X, task.y, task.params, solver=solver, sample_weight=task.weight
                )
    assert compilations() == before


def test_classes_without_rows_are_told(backend):
    X, y = np.eye(4), [0, 2, 2, 0]
    with pytest.warns(UserWarning, match="y has no rows of class 1, but some of class 2"):
        result = fastlogit.train("softmax", X, y, random_state=0, backend=backend)
    assert result.params.b.shape == (3,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
def test_a_single_element_that_is_not_finite_is_refused(problem, model, backend, value):
    given = problem(model, 300, 3, dtype=np.float32)
    zeros = tuple(np.zeros_like(array) for array in given.params)
    seen = []
    for place in ((0, 0), (150, 2), (299, 1)):
        X = given.X.copy()
        X[place] = value
        for params in (given.params, zeros):
            for call in (
                lambda p, X: fastlogit.loss_and_gradient(model, p, X, given.y, backend=backend),
                lambda p, X: fastlogit.predict_proba(model, p, X, backend=backend),
                lambda p, X: fastlogit.train(model, X, given.y, p, backend=backend),
                lambda p, X: fastlogit.train(
                    model, X, given.y, p, callback=lambda *_: seen.append(1), backend=backend
                ),
            ):
                with pytest.raises(ValueError, match="X must be finite"):
                    call(params, X)
    assert not seen


@pytest.mark.parametrize("as_csr", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_that_overflow_are_refused(backend, dtype, as_csr):
    """Of 0 and the largest number no difference is left to tell the classes by."""
    big = float(np.sqrt(np.finfo(dtype).max)) * 2
    X = np.array([[0, 0], [big, big]], dtype)
    params = np.array([[big, big, 0]] * 2), np.zeros(3)
    message = f"logits of row 1 of X overflow {np.dtype(dtype)}: X holds numbers up to .*, params"
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        fastlogit.predict_proba("softmax", params, csr_array(X) if as_csr else X, backend=backend)


@pytest.mark.parametrize("model", ["logistic", "softmax", "mlp-logistic", "mlp-softmax"])
@pytest.mark.parametrize("settings", [{}, {"alpha": 1e-4}, {"solver": "adam"}], ids=str)
def test_a_loss_that_ends_far_above_its_start_warns(toy_set, model, backend, settings):
    X, y = toy_set("digits", model)
    hidden = 4 if "mlp" in model else None
    with pytest.warns(RuntimeWarning, match=r"training diverged at learning_rate=1e\+06"):
        fastlogit.train(
            model, X * 10, y, hidden=hidden, learning_rate=1e6, random_state=0, backend=backend,
            batch_size=256, **settings,
        )  # fmt: skip


def test_divergence_begins_at_ten_times_the_loss_of_equal_probabilities(backend, recwarn):
    X, y = np.ones((2, 1)), [0, 1]  # each step undoes the one before: the loss is η
    for learning_rate, n_warnings in ((6.5, 0), (7.5, 1)):  # 10 log 2 = 6.93
        result = fastlogit.train(
            "logistic", X, y, ([[0.0]], [0.0]), learning_rate=learning_rate, batch_size=1, epochs=2,
            order=[[0, 1]] * 2, backend=backend,
        )  # fmt: skip
        assert result.loss_curve[-1] == pytest.approx(learning_rate, rel=0.01)
        assert len(recwarn) == n_warnings


def test_a_loss_that_begins_as_high_is_no_divergence(backend):
    X, y = np.array([[1.0], [-1.0]]), [0, 1]
    params = [[1e4]], [0.0]
    result = fastlogit.train("logistic", X, y, params, learning_rate=1e-3, backend=backend)
    assert result.loss_curve[0] == 1e4


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("model", MODELS)
def test_training_on_a_source_is_that_on_its_rows(toy_set, model, backend):
    X, y = toy_set("breast_cancer" if MODELS[model].binary else "iris", model)
    hidden = 4 if MODELS[model].has_hidden else None
    arguments = {"epochs": 20, "batch_size": 16, "random_state": 0, "backend": backend}
    source = fastlogit.scan(X, target=y, weight=np.ones(len(y)), partition_rows=40)
    streamed = fastlogit.train(model, source, hidden=hidden, **arguments)
    in_memory = fastlogit.train(model, X, y, hidden=hidden, **arguments)
    assert streamed.n_steps == in_memory.n_steps
    assert streamed.loss_curve[-1] == pytest.approx(in_memory.loss_curve[-1], rel=0.2)
    assert streamed.loss_curve[-1] < 0.8 * streamed.loss_curve[0]
    arguments["params"], arguments["callback"] = streamed.params, lambda *_: True
    again = fastlogit.train(model, source, **arguments)
    assert len(again.loss_curve) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"y": [0, 1]}, "y must be None where X is a source"),
        ({"order": [[0, 1]]}, "order must be None where X is a source"),
        ({"hidden": 3}, "hidden=3 must be None"),
        ({"alpha": 1e300}, "alpha=1e\\+300 must be 0 or from"),
        ({"learning_rate": 1e-60}, "learning_rate=1e-60 must be 0 or from"),
    ],
)
def test_a_source_brings_its_own_labels(arguments, text):
    source = fastlogit.scan(np.eye(2, dtype=np.float32), target=np.array([0, 1]))
    with pytest.raises(ValueError, match=text):
        fastlogit.train("logistic", source, **arguments)


def test_rows_of_a_source_are_checked():
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="X has no target"):
        fastlogit.train("logistic", fastlogit.scan(X))
    with pytest.raises(ValueError, match="y holds 3, must hold class indices from 0 to 1"):
        fastlogit.train("logistic", fastlogit.scan(X, target=y + 2))
    with pytest.raises(ValueError, match="X must be finite"):
        fastlogit.train("logistic", fastlogit.scan(X * np.nan, target=y))
    for weight, text in ((-1.0, "got -1 to 1"), (np.nan, "got nan to nan"), (0.0, "sum to 0")):
        weights = np.array([weight, weight if weight == 0 else 1.0] * 2)
        source = fastlogit.scan(X, target=y, weight=weights)
        with pytest.raises(ValueError, match=f"weights of X .*{text}"):
            fastlogit.train("logistic", source)
    empty = fastlogit.scan(pa.table({"x": X[:0, 0], "y": y[:0]}), target="y")
    with pytest.raises(ValueError, match="X has no rows"):
        fastlogit.train("logistic", empty)
    # Of some draws of the parameters the first predictions are right, and nothing changes.
    source = fastlogit.scan(X * 1e200, target=y)
    with pytest.raises(fastlogit.DivergenceError) as caught:
        fastlogit.train("logistic", source, learning_rate=1e200, random_state=0)
    assert not caught.value.result.params.W.any() or np.isfinite(caught.value.result.params.W).all()
