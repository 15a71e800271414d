"""The entry points: the kernels against the reference over many sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastlogit
from fastlogit.kernels.training.epoch import BLOCK_ROWS
from fastlogit.models import MODELS

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65]
ROWS = [1, 2, 5, 255, 256, 257, 600]
ACCURACY = {np.float32: 1e-5, np.float64: 1e-12}


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


# Rows of which fewer than a block's are worked on at a time, down to one.
@pytest.mark.parametrize(("rows", "width"), [(300, 2100), (5, 140_000)])
def test_backends_agree_on_wide_rows(problem, model, rows, width, dtype):
    assert_backends_agree(
        model, problem(model, rows, width, 3, 3, dtype=dtype, weighted=True), dtype
    )


@pytest.mark.parametrize("batch_size", [200, 600])  # steps in place, and of several blocks
def test_wide_rows_train_as_in_the_reference(problem, model, batch_size):
    task = problem(model, 700, 1100, 3, 3)
    settings = {"batch_size": batch_size, "epochs": 2, "learning_rate": 0.01, "random_state": 0}
    first, other, expected = (
        fastlogit.train(model, task.X, task.y, task.params, **settings, **given).params
        for given in ({}, {"n_threads": 2}, {"backend": "numpy"})
    )
    for one, two, three in zip(first, other, expected, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, three, rtol=1e-10, atol=1e-12)


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
    task = problem(model, 3 * BLOCK_ROWS + 1, 5, 7, 3)
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
