import numpy as np
import pytest

import fastlogit
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.recipe import Training, recipe
from fastlogit.datasets import load
from fastlogit.models import MODELS

ITERATIVE = ("numba", "numpy", "scikit-learn")
ALL_ROWS = ("fastlogit-lbfgs", "fastlogit-newton-cholesky", "sklearn-lbfgs", "sklearn-newton-cg")


def training(model, impl, **others):
    sizes = {"batch_size": 32, "epochs": 30, "threads": 1, "n_classes": 2 if "logi" in model else 3}
    hidden = 8 if MODELS[model].has_hidden else None
    given = {"solver": "sgd", "dtype": "float64", "learning_rate": 0.1, "n_hidden": hidden}
    return Training(model=model, impl=impl, **(sizes | given | others))


def result_of(lines, X, y):
    """Run a recipe's lines as a user would paste them, and give what the last one gives."""
    scope = {"X": X, "y": y}
    exec(lines[0], scope)  # noqa: S102
    return eval(lines[1], scope)  # noqa: S307


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings(
    "ignore:Maximum number of iteration:sklearn.exceptions.ConvergenceWarning"
)
@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("impl", ITERATIVE + ALL_ROWS)
def test_a_recipe_trains_the_model(model, impl):
    data = load("wine", binary=MODELS[model].binary)
    if MODELS[model].has_hidden and "newton" in impl:
        pytest.skip("no network has this solver")
    made = result_of(recipe(training(model, impl)), data.X, data.y)
    if impl == "numpy":
        proba = fastlogit.predict_proba(model, made.params, data.X)
        assert (proba.argmax(axis=1) == data.y).mean() > 0.95
        assert len(made.loss_curve) == 30
        return
    assert type(made).__module__.partition(".")[0] == (
        "fastlogit" if impl in ("numba", *ALL_ROWS[:2]) else "sklearn"
    )
    fitted = made.fit(data.X, data.y)
    assert fitted.score(data.X, data.y) > 0.95
    if type(made).__module__.startswith("fastlogit"):
        assert (fitted.backend_, fitted.model_) == ("numba", model)


@pytest.mark.parametrize("impl", ["numba", "numpy"])
@pytest.mark.parametrize("model", ["softmax", "mlp-softmax"])
def test_a_softmax_of_two_classes_is_trained_by_train(model, impl):
    data = load("wine", binary=True)
    lines = recipe(training(model, impl, n_classes=2, threads=2))
    assert lines[0] == "import fastlogit"
    made = result_of(lines, data.X, data.y)
    assert made.params[-1].shape == (2,)
    proba = fastlogit.predict_proba(model, made.params, data.X)
    assert (proba.argmax(axis=1) == data.y).mean() > 0.95


def test_arguments_are_those_that_were_measured():
    case = Grid(models=("mlp-softmax",), datasets=("iris",), n_hidden=5, epochs=7).cases()[0]
    made = result_of(
        recipe(
            training("mlp-softmax", "numba", n_hidden=5, epochs=7, batch_size=64, threads=2)
        ),
        None, None,
    )  # fmt: skip
    expected = {
        "hidden_layer_sizes": (5,),
        "solver": case.solver,
        "momentum": 0,
        "alpha": 0,
        "learning_rate_init": case.learning_rate,
        "batch_size": 64,
        "max_iter": 7,
        "n_threads": 2,
    }
    assert {name: made.get_params()[name] for name in expected} == expected


def test_adam_has_no_momentum_to_set():
    call = recipe(training("softmax", "numba", solver="adam", learning_rate=0.001))[1]
    assert call == (
        'LogisticRegression(C=float("inf"), solver="adam", learning_rate_init=0.001, '
        "batch_size=32, max_iter=30)"
    )


def test_the_numpy_recipe_ends_where_the_numba_backend_does():
    data = load("iris")
    lines = recipe(training("softmax", "numpy"))
    ends = [
        result_of([lines[0], line[:-1] + ", random_state=0)"], data.X, data.y).params
        for line in (lines[1], lines[1].replace("numpy", "numba"))
    ]
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_who_has_no_estimator_has_no_recipe():
    assert recipe(training("softmax", "torch")) == []
    assert recipe(training("softmax", "jax")) == []
    # Whoever joins by another name is passed over, not guessed at.
    assert recipe(training("softmax", "one-more")) == []
    for impl in CONTENDERS:
        assert isinstance(recipe(training("softmax", impl)), list)
