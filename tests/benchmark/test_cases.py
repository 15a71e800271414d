import re
from pathlib import Path

import pytest

from fastlogit.benchmark.cases import ESTIMATORS, Grid, flops_per_sample, sizes, task_of
from fastlogit.benchmark.data_file import DataFile, ReadOptions
from fastlogit.datasets import TOY_SETS, load
from fastlogit.models import MODELS, OPTIMIZERS

TRAINING = ("same-steps", "any-algorithm")
ESTIMATOR = ("same-estimator",)


def grid(questions=TRAINING, **axes):
    return Grid(questions=questions, **axes)


def test_the_default_grid_answers_all_three_questions_on_the_toy_sets():
    cases = Grid().cases()
    training = [case for case in cases if case.task == "train"]
    assert [(case.model, case.dataset) for case in training] == [
        (model, dataset) for model in MODELS for dataset in TOY_SETS
    ]
    assert {(case.batch_size, case.dtype, case.solver, case.threads) for case in training} == {
        (32, "float32", "sgd", 1)
    }
    repeated = [case for case in cases if case.task in ("fit", "predict_proba")]
    assert {(case.model, case.solver, case.dtype) for case in repeated} == {
        ("LogisticRegression", "lbfgs", "float64"), ("MLPClassifier", "adam", "float64"),
    }  # fmt: skip
    assert len(repeated) == 2 * 2 * len(TOY_SETS)
    first = [case for case in cases if case.task in ("first-fit", "cold-fit")]
    assert [(case.model, case.dataset, case.task) for case in first] == [
        (estimator, "iris", task)
        for estimator in ESTIMATORS for task in ("first-fit", "cold-fit")
    ]  # fmt: skip
    assert cases == repeated + first + training  # in a reader's order


def test_the_solvers_are_shared_out_among_the_questions():
    solvers = ("adam", "newton-cg", "sgd")
    cases = Grid(datasets=("iris",), solvers=solvers).cases()
    assert {(case.model, case.solver) for case in cases if case.task == "fit"} == {
        ("LogisticRegression", "newton-cg"), ("MLPClassifier", "adam"), ("MLPClassifier", "sgd"),
    }  # fmt: skip
    assert {case.solver for case in cases if case.task == "train"} == {"adam", "sgd"}


def test_the_models_choose_the_estimators():
    def estimators(*models):
        cases = grid(ESTIMATOR, models=models, datasets=("iris",)).cases()
        return {(case.model, case.n_hidden) for case in cases}

    assert estimators("logistic") == {("LogisticRegression", None)}
    assert estimators("mlp-softmax") == {("MLPClassifier", 100)}


def test_the_first_fits_are_of_one_data_set():
    cases = grid(ESTIMATOR, models=("softmax",), datasets=("iris", "wine")).cases()
    assert [case.dataset for case in cases if case.task == "first-fit"] == ["iris"]


@pytest.mark.parametrize("case", Grid(datasets=("iris",)).cases(), ids=lambda case: case.case_id)
def test_the_task_is_read_from_the_id(case):
    assert task_of(case.case_id) == case.task
    assert case.comparisons == (TRAINING if case.task == "train" else ESTIMATOR)


def test_case_ids_tell_all_cases_apart():
    chosen = grid(
        batch_sizes=(8, 32), dtypes=("float32", "float64"), solvers=("sgd", "adam"), threads=(1, 2)
    )
    cases = chosen.cases()
    assert len({case.case_id for case in cases}) == len(cases) == 28 * 16


def test_a_case_id_spells_the_case_out():
    chosen = grid(models=("logistic", "mlp-softmax"), datasets=("iris",), epochs=3, n_hidden=5)
    assert [case.case_id for case in chosen.cases()] == [
        "logistic/iris/sgd/b32/float32/t1/e3/s0",
        "mlp-softmax/iris/sgd/b32/float32/t1/e3/h5/s0",
    ]


def test_every_solver_has_a_learning_rate():
    cases = grid(models=("softmax",), datasets=("iris",), solvers=tuple(OPTIMIZERS)).cases()
    assert {case.solver: case.learning_rate for case in cases} == {"sgd": 0.1, "adam": 0.001}


def test_repeated_values_make_no_repeated_cases():
    assert len(grid(models=("softmax", "softmax"), datasets=("iris", "iris")).cases()) == 1


def test_only_networks_have_hidden_units():
    for case in grid(datasets=("iris",)).cases():
        assert (case.n_hidden == 64) == MODELS[case.model].has_hidden


def test_quick_cuts_only_the_default_data_sets_down():
    assert Grid().quick().datasets == ("iris", "digits")
    assert Grid(datasets=("wine",)).quick().datasets == ("wine",)
    assert [(case.model, case.dataset) for case in grid().quick().cases()] == [
        (model, dataset)
        for model in MODELS
        for dataset in (["digits"] if MODELS[model].has_hidden else ["iris", "digits"])
    ]


def test_quick_leaves_out_what_takes_seconds():
    def tasks(**axes):
        cases = grid(ESTIMATOR, **axes).quick().cases()
        assert {case.task for case in cases} == {"fit", "predict_proba", "first-fit"}
        fits = [(case.model, case.dataset) for case in cases if case.task == "fit"]
        firsts = [(case.model, case.dataset) for case in cases if case.task == "first-fit"]
        return fits, firsts

    linear, network = ESTIMATORS
    fits, firsts = tasks()
    assert fits == [(linear, "iris"), (linear, "digits"), (network, "iris")]
    assert firsts == [(linear, "iris")]
    fits, firsts = tasks(datasets=("digits", "breast_cancer"))
    assert fits == [(linear, "digits"), (linear, "breast_cancer"), (network, "digits")]
    assert firsts == [(linear, "digits")]


def test_more_work_a_row_means_fewer_epochs():
    def epochs(dataset, batch_size=32):
        chosen = grid(models=("mlp-softmax",), datasets=(dataset,), batch_sizes=(batch_size,))
        return chosen.cases()[0].epochs

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
        ({"n_hidden": 8, "models": ("softmax",)}, "--hidden 8 is for networks, and softmax is"),
        ({"seeds": (0, -1)}, "the seed is -1; it must be from 0 to 4294967295"),
        ({"seeds": (2**32,)}, "the seed is 4294967296; it must be"),
        ({"questions": ("same-step",)}, "did you mean 'same-steps'"),
        ({"target_loss": 0.0}, "the target loss is 0; it must be positive and finite"),
        ({"target_loss": float("nan")}, "the target loss is nan"),
    ],
)
def test_values_that_cannot_be_are_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**axes)


def test_every_seed_is_a_case_and_every_case_keeps_the_grid_s_target():
    chosen = grid(models=("softmax",), datasets=("iris",), seeds=(0, 7, 7), target_loss=0.25)
    cases = chosen.cases()
    assert [case.seed for case in cases] == [0, 7]
    assert [case.case_id.split("/")[-1] for case in cases] == ["s0", "s7"]
    assert {case.target_loss for case in cases} == {0.25}
    without = grid(models=("softmax",), datasets=("iris",)).cases()[0]
    assert without.target_loss is None
    assert without.case_id == cases[0].case_id


def test_another_learning_rate_is_another_case():
    usual, stated, slow = (
        grid(models=("logistic",), datasets=("iris",), learning_rate=rate).cases()[0]
        for rate in (None, 0.1, 0.002)
    )
    assert usual == stated
    assert slow.learning_rate == 0.002
    assert slow.case_id == usual.case_id.replace("/s0", "/lr0.002/s0")
    for rate in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"the learning rate is .*; it must be positive"):
            Grid(learning_rate=rate)


def data_file(n_classes, rows=1000, n_features=4):
    return DataFile(
        path=Path("/data/flowers.csv"),
        target="kind",
        drop=(),
        options=ReadOptions(),
        sha256="",
        size_bytes=1,
        n_features=n_features,
        classes=tuple(map(str, range(n_classes))),
        class_rows=(rows,) * n_classes,
    )


def test_a_file_gets_the_models_for_its_classes():
    assert Grid(data_file=data_file(2)).models == tuple(MODELS)
    assert grid(data_file=data_file(3)).models == ("softmax", "mlp-softmax")
    cases = grid(data_file=data_file(3)).cases()
    assert [(case.model, case.batch_size) for case in cases] == [
        (model, batch_size) for model in ("softmax", "mlp-softmax") for batch_size in (32, 256)
    ]
    assert {(case.dataset, case.data_file) for case in cases} == {("flowers", data_file(3))}
    assert cases[0].case_id.startswith("softmax/flowers/sgd/b32/")
    assert Grid(data_file=data_file(2, rows=150)).batch_sizes == (32,)


def test_networks_are_left_out_of_a_large_file_unless_they_are_asked_for():
    large = data_file(2, rows=1000, n_features=2000)
    assert Grid(data_file=large).models == ("logistic", "softmax")
    assert Grid(data_file=large, models=("mlp-softmax",)).models == ("mlp-softmax",)


def test_axes_asked_for_beside_a_file_are_kept():
    chosen = grid(data_file=data_file(2), models=("logistic",), batch_sizes=(8,), epochs=3)
    assert [case.case_id for case in chosen.cases()] == ["logistic/flowers/sgd/b8/float32/t1/e3/s0"]
    assert chosen.quick().cases() == chosen.cases()


def test_a_model_of_two_classes_is_refused_for_more():
    message = "the model 'logistic' is for two classes and flowers.csv has 3; for any number there"
    with pytest.raises(ValueError, match=re.escape(message)):
        Grid(data_file=data_file(3), models=("softmax", "logistic"))


def test_a_file_and_a_data_set_exclude_each_other():
    with pytest.raises(ValueError, match=r"--dataset iris and --data flowers\.csv exclude each"):
        Grid(data_file=data_file(2), datasets=("iris",))


@pytest.mark.parametrize(
    ("rows", "n_features", "epochs"),
    [(75, 4, 100), (1000, 4, 62), (10_000, 4, 6), (500_000, 30, 1), (1000, 20_000, 2)],
)
def test_all_cases_of_a_file_have_the_same_epochs(rows, n_features, epochs):
    cases = grid(data_file=data_file(2, rows, n_features)).cases()
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
