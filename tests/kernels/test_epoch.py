"""The entry points' own parts, and the kernels against the reference over many sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastlogit
from fastlogit.kernels import epoch as jitted
from fastlogit.models import MODELS
from fastlogit.reference import epoch as plain

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65]
ROWS = [1, 2, 5, 255, 256, 257, 600]
ACCURACY = {np.float32: 1e-5, np.float64: 1e-12}
NO_WEIGHT, NO_ORDER = np.empty(0), np.empty(0, np.intp)


def assert_backends_agree(model, task, dtype):
    tolerance = ACCURACY[dtype]
    sizes = f"n={len(task.X)} shapes={[array.shape for array in task.params]}"
    results = [
        fastlogit.loss_and_gradient(
            model, task.params, task.X, task.y, sample_weight=task.weight, backend=backend
        )
        for backend in ("numba", "numpy")
    ]
    (loss, gradient), (expected_loss, expected) = results
    assert loss == pytest.approx(expected_loss, rel=tolerance), sizes
    # A bias's gradient may cancel to almost nothing: errors count against the whole gradient.
    scale = np.sqrt(sum(np.square(array, dtype=float).sum() for array in expected))
    for name, one, other in zip(expected._fields, gradient, expected, strict=True):
        assert one.dtype == dtype
        assert np.linalg.norm(one - other) <= tolerance * scale, f"{name} {sizes}"
    probas = [
        fastlogit.predict_proba(model, task.params, task.X, backend=backend)
        for backend in ("numba", "numpy")
    ]
    np.testing.assert_allclose(*probas, rtol=tolerance, atol=tolerance * 1e-3, err_msg=sizes)


@pytest.mark.parametrize("width", WIDTHS)
def test_backends_agree_around_the_vector_widths(problem, model, width, dtype):
    place = WIDTHS.index(width)
    hidden, classes = WIDTHS[(place + 5) % 12], max(WIDTHS[(place + 9) % 12], 2)
    for rows in ROWS:
        task = problem(model, rows, width, hidden, classes, dtype=dtype, weighted=rows % 2 == 1)
        assert_backends_agree(model, task, dtype)


def test_backends_agree_on_sampled_odd_sizes(problem, model, dtype):
    rng = np.random.default_rng(0)
    for trial in range(50):
        rows, width, hidden, classes = (2 * rng.integers((200, 40, 40, 10)) + (1, 1, 1, 3)).tolist()
        task = problem(
            model, rows, width, hidden, classes, dtype=dtype, weighted=trial % 2 == 1, seed=trial
        )
        assert_backends_agree(model, task, dtype)


@settings(deadline=None, max_examples=60)
@given(
    model=st.sampled_from(list(MODELS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    rows=st.integers(1, 300),
    width=st.integers(1, 40),
    hidden=st.integers(1, 40),
    classes=st.integers(2, 20),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_backends_agree_at_any_size(
    problem, model, dtype, rows, width, hidden, classes, weighted, seed
):
    task = problem(model, rows, width, hidden, classes, dtype=dtype, weighted=weighted, seed=seed)
    assert_backends_agree(model, task, dtype)


def test_rows_of_a_block_and_of_many_give_one_gradient(problem, model):
    """The rows are summed in blocks: the whole must be the mean over parts of any size."""
    task = problem(model, 3 * jitted.BLOCK_ROWS + 1, 5, 7, 3)
    loss, gradient = fastlogit.loss_and_gradient(model, task.params, task.X, task.y)
    parts = np.array_split(np.arange(len(task.X)), 7)
    results = [
        fastlogit.loss_and_gradient(model, task.params, task.X[rows], task.y[rows])
        for rows in parts
    ]
    shares = [len(rows) / len(task.X) for rows in parts]
    expected = sum(share * result[0] for share, result in zip(shares, results, strict=True))
    assert loss == pytest.approx(expected, rel=1e-13)
    for i, array in enumerate(gradient):
        mean = sum(share * result[1][i] for share, result in zip(shares, results, strict=True))
        np.testing.assert_allclose(array, mean, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_gather_labels(jit, weighted, dtype):
    gather = jitted.gather_labels
    call = jit(lambda y, w, rows, y_out, w_out: gather(y, w, rows, y_out, w_out))
    rng = np.random.default_rng(0)
    for n in (9, 200_000):  # near the CPU and far
        y, weight = rng.integers(5, size=n), rng.random(n if weighted else 0).astype(dtype)
        rows = np.append(rng.integers(n, size=6), n - 1)  # the last has none to look ahead to
        y_rows, weight_rows = np.zeros(7, np.intp), np.zeros(7 if weighted else 0, dtype)
        call(y, weight, rows, y_rows, weight_rows)
        assert np.array_equal(y_rows, y[rows])
        assert np.array_equal(weight_rows, weight[rows] if weighted else [])


@pytest.fixture(scope="module")
def run_mean_scale(jit):
    return jit(lambda weight, order, first, last: jitted.mean_scale(weight, order, first, last))


def test_mean_scale(run_mean_scale):
    weight = np.array([1.0, 2.0, 0.0, 5.0])
    assert run_mean_scale(NO_WEIGHT, NO_ORDER, 3, 8) == 0.2
    assert run_mean_scale(weight, NO_ORDER, 0, 4) == 0.125
    assert run_mean_scale(weight, NO_ORDER, 2, 3) == 0
    assert run_mean_scale(weight, np.array([3, 0, 1, 2]), 1, 3) == 1 / 3
    assert run_mean_scale(weight, np.array([3, 0, 1, 2]), 3, 4) == 0


def test_mean_scale_of_the_reference():
    assert plain.mean_scale(NO_WEIGHT, 5) == 0.2
    assert plain.mean_scale(np.array([1.0, 2.0, 0.0, 5.0]), 4) == 0.125
    assert plain.mean_scale(np.zeros(3), 3) == 0


def test_mean_scale_sums_in_float64(run_mean_scale):
    weight = np.full(1 << 20, 0.1, np.float32)
    expected = 1 / (float(weight[0]) * weight.size)
    assert run_mean_scale(weight, NO_ORDER, 0, weight.size) == pytest.approx(expected, rel=1e-12)
    assert plain.mean_scale(weight, weight.size) == pytest.approx(expected, rel=1e-12)
