import numpy as np
import pytest

from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.problem import build
from fastlogit.datasets import TOY_SETS
from fastlogit.models import MODELS
from fastlogit.trainer import SOLVERS


def test_the_default_grid_is_every_model_on_every_toy_set():
    cases = Grid().cases()
    assert [(case.model, case.dataset) for case in cases] == [
        (model, dataset) for model in MODELS for dataset in TOY_SETS
    ]
    assert {(case.batch_size, case.dtype, case.solver, case.threads) for case in cases} == {
        (32, "float32", "sgd", 1)
    }


def test_cell_ids_tell_all_cases_apart():
    grid = Grid(
        batch_sizes=(8, 32), dtypes=("float32", "float64"), solvers=("sgd", "adam"), threads=(1, 2)
    )
    cases = grid.cases()
    assert len({case.cell_id for case in cases}) == len(cases) == 28 * 16


def test_a_cell_id_spells_the_case_out():
    grid = Grid(models=("logistic", "mlp-softmax"), datasets=("iris",), epochs=3, n_hidden=5)
    assert [case.cell_id for case in grid.cases()] == [
        "logistic/iris/sgd/b32/float32/t1/e3/s0",
        "mlp-softmax/iris/sgd/b32/float32/t1/e3/h5/s0",
    ]


def test_every_solver_has_a_learning_rate():
    cases = Grid(models=("softmax",), datasets=("iris",), solvers=tuple(SOLVERS)).cases()
    assert {case.solver: case.learning_rate for case in cases} == {"sgd": 0.1, "adam": 0.001}


def test_repeated_values_make_no_repeated_cases():
    assert len(Grid(models=("softmax", "softmax"), datasets=("iris", "iris")).cases()) == 1


def test_only_networks_have_hidden_units():
    for case in Grid(datasets=("iris",)).cases():
        assert (case.n_hidden == 64) == MODELS[case.model].has_hidden


def test_quick_cuts_only_the_default_data_sets_down():
    assert Grid().quick().datasets == ("iris", "digits")
    assert Grid(datasets=("wine",)).quick().datasets == ("wine",)
    assert len(Grid().quick().cases()) == 2 * len(MODELS)


def test_more_work_a_row_means_fewer_epochs():
    def epochs(dataset, batch_size=32):
        grid = Grid(models=("mlp-softmax",), datasets=(dataset,), batch_sizes=(batch_size,))
        return grid.cases()[0].epochs

    assert epochs("iris") > epochs("digits") > epochs("classification-900000x64x10") == 1
    assert epochs("digits", 256) > epochs("digits", 8)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"models": ("sofmax",)}, "did you mean 'softmax'"),
        ({"datasets": ("digit",)}, "did you mean 'digits'"),
        ({"dtypes": ("float16",)}, "no dtype 'float16'"),
        ({"solvers": ("adams",)}, "did you mean 'adam'"),
        ({"batch_sizes": (32, 0)}, "batch size is 0; it must be at least 1"),
        ({"threads": (-1,)}, "number of threads is -1"),
        ({"epochs": 0}, "number of epochs is 0"),
        ({"n_hidden": 0}, "number of hidden units is 0"),
    ],
)
def test_values_that_cannot_be_are_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**axes)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_problem_holds_everything_that_decides_the_work(model, dtype):
    grid = Grid(models=(model,), datasets=("wine",), dtypes=(dtype,), epochs=3, n_hidden=7)
    case = grid.cases()[0]
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
    one, three = (
        build(Grid(models=("softmax",), datasets=("iris",), epochs=epochs).cases()[0])
        for epochs in (1, 3)
    )
    assert three.flops == 3 * one.flops
    # Two products of 4 x 3 a row, forward and for the gradient, a multiply-add counted as two.
    assert one.flops >= 150 * 2 * 2 * 4 * 3


def test_the_first_batch_is_a_problem_of_one_step():
    problem = build(Grid(models=("softmax",), datasets=("iris",), epochs=2).cases()[0])
    batch = problem.first_batch()
    assert batch.samples == 32
    assert np.array_equal(batch.X[batch.order[0]], problem.X[problem.order[0, :32]])
    assert np.array_equal(batch.y, problem.y[problem.order[0, :32]])
    assert batch.X.flags.c_contiguous


def test_another_learning_rate_is_another_cell():
    usual, stated, slow = (
        Grid(models=("logistic",), datasets=("iris",), learning_rate=rate).cases()[0]
        for rate in (None, 0.1, 0.002)
    )
    assert usual == stated
    assert slow.learning_rate == 0.002
    assert slow.cell_id == usual.cell_id.replace("/s0", "/lr0.002/s0")
    for rate in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"the learning rate is .*; it must be positive"):
            Grid(learning_rate=rate)
