import re
from pathlib import Path

import pytest

from fastlogit.benchmark.cases import Grid, flops_per_sample, sizes
from fastlogit.benchmark.own_data import Source
from fastlogit.datasets import TOY_SETS, load
from fastlogit.models import MODELS, OPTIMIZERS


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
    cases = Grid(models=("softmax",), datasets=("iris",), solvers=tuple(OPTIMIZERS)).cases()
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
        ({"seeds": (0, -1)}, "the seed is -1; it must be from 0 to 4294967295"),
        ({"seeds": (2**32,)}, "the seed is 4294967296; it must be"),
        ({"target_loss": 0.0}, "the target loss is 0; it must be positive and finite"),
        ({"target_loss": float("nan")}, "the target loss is nan"),
    ],
)
def test_values_that_cannot_be_are_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**axes)


def test_every_seed_is_a_case_and_every_case_keeps_the_grid_s_target():
    grid = Grid(models=("softmax",), datasets=("iris",), seeds=(0, 7, 7), target_loss=0.25)
    cases = grid.cases()
    assert [case.seed for case in cases] == [0, 7]
    assert [case.cell_id.split("/")[-1] for case in cases] == ["s0", "s7"]
    assert {case.target_loss for case in cases} == {0.25}
    without = Grid(models=("softmax",), datasets=("iris",)).cases()[0]
    assert without.target_loss is None
    assert without.cell_id == cases[0].cell_id


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


def source(n_classes, rows=1000, n_features=4):
    return Source(
        path=Path("/data/flowers.csv"),
        target="kind",
        drop=(),
        sha256="",
        size_bytes=1,
        n_features=n_features,
        classes=tuple(map(str, range(n_classes))),
        class_rows=(rows,) * n_classes,
    )


def test_a_file_gets_the_models_for_its_classes():
    assert Grid(source=source(2)).models == tuple(MODELS)
    assert Grid(source=source(3)).models == ("softmax", "mlp-softmax")
    cases = Grid(source=source(3)).cases()
    assert [(case.model, case.batch_size) for case in cases] == [
        (model, batch_size) for model in ("softmax", "mlp-softmax") for batch_size in (32, 256)
    ]
    assert {(case.dataset, case.source) for case in cases} == {("flowers", source(3))}
    assert cases[0].cell_id.startswith("softmax/flowers/sgd/b32/")
    assert Grid(source=source(2, rows=150)).batch_sizes == (32,)


def test_axes_asked_for_beside_a_file_are_kept():
    grid = Grid(source=source(2), models=("logistic",), batch_sizes=(8,), epochs=3)
    assert [case.cell_id for case in grid.cases()] == ["logistic/flowers/sgd/b8/float32/t1/e3/s0"]
    assert grid.quick() == grid


def test_a_model_of_two_classes_is_refused_for_more():
    message = "the model 'logistic' is for two classes and flowers.csv has 3; for any number there"
    with pytest.raises(ValueError, match=re.escape(message)):
        Grid(source=source(3), models=("softmax", "logistic"))


def test_a_file_and_a_data_set_exclude_each_other():
    with pytest.raises(ValueError, match=r"iris are asked for beside the file flowers\.csv"):
        Grid(source=source(2), datasets=("iris",))


@pytest.mark.parametrize(
    ("rows", "n_features", "epochs"),
    [(75, 4, 100), (1000, 4, 62), (10_000, 4, 6), (500_000, 30, 1), (1000, 20_000, 2)],
)
def test_all_cases_of_a_file_have_the_same_epochs(rows, n_features, epochs):
    cases = Grid(source=source(2, rows, n_features)).cases()
    assert {case.epochs for case in cases} == {epochs}


@pytest.mark.parametrize("model", ["logistic", "softmax"])
@pytest.mark.parametrize("name", [*TOY_SETS, "classification-100x5x3"])
def test_sizes_are_those_of_the_arrays(name, model):
    data = load(name, binary=MODELS[model].binary)
    assert sizes(model, name) == (*data.X.shape, data.n_classes)


def test_sizes_of_a_set_that_fits_into_no_memory():
    assert sizes("softmax", "classification-1000000000000x64x10") == (10**12, 64, 10)


def test_flops_of_forward_weight_gradient_and_hidden_gradient():
    D, H, K = 5, 4, 3
    assert flops_per_sample(D, None, K) == 4 * D * K
    assert flops_per_sample(D, H, K) == 4 * D * H + 6 * H * K
