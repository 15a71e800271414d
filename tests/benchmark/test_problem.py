import numpy as np
import pytest
from small_cases import training_case

from fastlogit.benchmark import data_file
from fastlogit.benchmark.problem import build
from fastlogit.models import MODELS


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_problem_holds_everything_that_decides_the_work(model, dtype):
    case = training_case(model, "wine", dtype=dtype, epochs=3, n_hidden=7)
    problem, again = build(case), build(case)
    assert problem.X.dtype == dtype
    assert problem.n_classes == (2 if MODELS[model].binary else 3)
    assert problem.order.shape == (3, 178)
    assert (np.sort(problem.order, axis=1) == np.arange(178)).all()
    assert not np.array_equal(problem.order[0], problem.order[1])
    assert problem.samples == 3 * 178
    assert len(problem.params) == (4 if MODELS[model].has_hidden else 2)
    for ours, theirs in zip(problem.params, again.params, strict=True):
        assert ours.dtype == dtype
        assert np.array_equal(ours, theirs)
    for array in (problem.X, problem.y, problem.order, *problem.params):
        assert not array.flags.writeable


def test_flops_count_the_rows_of_all_epochs():
    one, three = (build(training_case("softmax", "iris", epochs=epochs)) for epochs in (1, 3))
    assert three.flops == 3 * one.flops
    # Two products of 4 x 3 a row, forward and for the gradient, a multiply-add counted as two.
    assert one.flops >= 150 * 2 * 2 * 4 * 3


def test_the_first_batch_is_a_problem_of_one_step():
    problem = build(training_case(epochs=2))
    batch = problem.first_batch()
    assert batch.samples == 32
    assert np.array_equal(batch.X[batch.order[0]], problem.X[problem.order[0, :32]])
    assert np.array_equal(batch.y, problem.y[problem.order[0, :32]])
    assert batch.X.flags.c_contiguous


def test_a_named_set_has_no_test_rows():
    problem = build(training_case("softmax", "iris"))
    assert problem.X_test is None
    assert problem.y_test is None


@pytest.fixture
def letters(tmp_path):
    lines = [f"{row * row},{'ab'[row % 2]},{'pq'[row // 7 % 2]}" for row in range(100)]
    (tmp_path / "letters.csv").write_text("\n".join(["x,letter,kind", *lines, ""]))
    return data_file.describe(tmp_path / "letters.csv", "kind")


@pytest.mark.parametrize("model", MODELS)
def test_a_file_s_problem_trains_on_its_training_rows(model, letters):
    case = training_case(model, data_file=letters, epochs=3, seeds=(5,))
    problem = build(case)
    parts = data_file.load(letters, dtype="float32", seed=5)
    for ours, theirs in (
        (problem.X, parts.X),
        (problem.y, parts.y),
        (problem.X_test, parts.X_test),
        (problem.y_test, parts.y_test),
    ):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
        assert not ours.flags.writeable
    assert problem.X.shape == (letters.n_train, letters.n_features) == (len(problem.y), 2)
    assert problem.n_classes == 2
    assert problem.order.shape == (3, letters.n_train)
    assert problem.params[0].shape[0] == 2


def test_a_first_batch_keeps_the_test_rows(letters):
    problem = build(training_case("softmax", data_file=letters, epochs=1))
    assert problem.first_batch().X_test is problem.X_test
