import inspect
from dataclasses import replace

import pytest

import fastlogit
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS, UnsupportedError
from fastlogit.benchmark.contenders.estimator import EstimatorContender
from fastlogit.benchmark.problem import build
from fastlogit.benchmark.recipe import recipe
from fastlogit.models import MODELS

ESTIMATORS = [name for name, kind in CONTENDERS.items() if issubclass(kind, EstimatorContender)]


def case_of(model, **others):
    grid = {"models": (model,), "datasets": ("iris",), "n_hidden": 8, "epochs": 30}
    (case,) = Grid(**grid | others).cases()
    return case


def result_of(lines, X=None, y=None):
    """Run a recipe's lines as a user would paste them, and give what the last one gives."""
    scope = {"X": X, "y": y}
    exec(lines[0], scope)  # noqa: S102
    return eval(lines[1], scope)  # noqa: S307


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("impl", ESTIMATORS)
def test_an_estimator_is_the_contender_s_own(impl, model, solver):
    case = replace(case_of(model, solvers=(solver,), batch_sizes=(64,)), threads=2, seed=3)
    contender, problem = CONTENDERS[impl](), build(case)
    try:
        contender.prepare(problem)
    except UnsupportedError:
        with pytest.raises(UnsupportedError):
            recipe(impl, case, len(problem.X), 7)
        return
    fitted = {}

    def fit(self, X, y):
        fitted[type(self)], self.backend_ = self.get_params(), "numba"
        return self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(contender.estimator(case, 9, 1)), "fit", fit)
        contender.fit(7)
    made = result_of(recipe(impl, case, len(problem.X), 7))
    assert fitted == {type(made): made.get_params()}
    assert made.get_params()["max_iter"] == 7


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("impl", ["numba", "numpy"])
def test_the_package_s_own_are_called_as_they_were_timed(impl, model, solver, monkeypatch):
    case = replace(case_of(model, solvers=(solver,), batch_sizes=(64,)), threads=2, seed=3)
    contender, problem = CONTENDERS[impl](), build(case)
    contender.prepare(problem)
    calls, signature = [], inspect.signature(fastlogit.train)

    def train(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        calls.append(bound.arguments)

    monkeypatch.setattr(fastlogit, "train", train)
    contender.run()
    result_of(recipe(impl, case, len(problem.X), case.epochs), problem.X, problem.y)
    timed, told = calls
    # The parameters and the order that all contenders have are not a user's: both are drawn.
    assert (told.pop("hidden"), told.pop("random_state")) == (case.n_hidden, 3)
    for arguments in calls:
        for name in ("params", "order", "hidden", "random_state"):
            arguments.pop(name, None)
    assert timed.pop("X") is told.pop("X")
    assert timed.pop("y") is told.pop("y")
    assert timed == told


def test_who_has_no_estimator_has_no_recipe():
    # Whoever joins by another name is passed over, not guessed at.
    for impl in ("torch", "jax", "one-more"):
        assert recipe(impl, case_of("softmax"), 150, 30) == []
