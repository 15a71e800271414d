"""The optimizer between fits: in files plain, in memory one that scikit-learn goes on with."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import optimizer_state
from fastlogit.models import MODELS
from fastlogit.training.trainer import Trainer

ESTIMATORS = [
    MLPClassifier((5,), solver="sgd", learning_rate="adaptive", random_state=0),
    MLPClassifier((5,), solver="adam", random_state=0, exact_resume=True),
    LogisticRegression(solver="sgd", random_state=0, exact_resume=True),
    LogisticRegression(solver="adam", random_state=0, fit_intercept=False),
]
OURS = [f"{cls.__module__}.{cls.__qualname__}" for cls in (LogisticRegression, MLPClassifier)]


def fitted(estimator, X, y, calls=2):
    fresh = clone(estimator)
    for _ in range(calls):
        fresh.partial_fit(X, y, classes=np.unique(y))
    return fresh


def assert_same(one, other):
    assert type(one._optimizer) is type(other._optimizer)
    np.testing.assert_equal(vars(one._optimizer), vars(other._optimizer))
    assert set(vars(one)) == set(vars(other))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_state_is_plain_and_makes_the_optimizer_anew(toy_set, estimator):
    model = fitted(estimator, *toy_set("iris", "softmax"))
    state = model.__getstate__()
    assert type(state["_optimizer"]) is dict
    assert state["_optimizer"]["solver"] == estimator.solver
    assert type(model._optimizer) is not dict
    assert_same(model, pickle.loads(pickle.dumps(model)))  # noqa: S301
    assert_same(model, copy.deepcopy(model))
    assert_same(model, copy.copy(model))


def test_a_copy_has_an_optimizer_of_its_own(toy_set):
    X, y = toy_set("iris", "softmax")
    model = fitted(ESTIMATORS[1], X, y)
    other = copy.copy(model)
    before = model._optimizer.t
    other.partial_fit(X, y)
    assert model._optimizer.t == before < other._optimizer.t


def test_unfitted_estimators_have_no_optimizer():
    for estimator in ESTIMATORS:
        assert not hasattr(pickle.loads(pickle.dumps(estimator)), "_optimizer")  # noqa: S301


@pytest.mark.parametrize(
    "random_state", [0, pytest.param(np.random.RandomState(0), id="RandomState")]
)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_skops_files_need_trust_in_our_two_classes_only(toy_set, estimator, random_state):
    sio = pytest.importorskip("skops.io")
    X, y = toy_set("iris", "softmax")
    model = fitted(clone(estimator).set_params(random_state=random_state), X, y)
    file = sio.dumps(model)
    assert set(sio.get_untrusted_types(data=file)) <= set(OURS)
    loaded = sio.loads(file, trusted=OURS)
    assert_same(model, loaded)
    for each in (model, loaded):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.loss_curve_ == model.loss_curve_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_skops_files_of_whole_fits(toy_set, solver):
    sio = pytest.importorskip("skops.io")
    X, y = toy_set("breast_cancer", "logistic")
    for estimator in (MLPClassifier((3,), solver=solver), LogisticRegression(solver=solver)):
        arguments = {} if solver == "lbfgs" else {"early_stopping": "loss"}
        model = estimator.set_params(max_iter=4, random_state=0, **arguments).fit(X, y)
        loaded = sio.loads(sio.dumps(model), trusted=OURS)
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_scikit_learn_goes_on_from_a_loaded_state(toy_set, solver, largest_difference):
    X, y = toy_set("iris", "softmax")
    arguments = {"solver": solver, "random_state": 0, "shuffle": False}
    ours = fitted(MLPClassifier((4,), **arguments), X, y)
    theirs = SklearnMLPClassifier((4,), "logistic", **arguments)
    theirs.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    loaded = pickle.loads(pickle.dumps(ours))  # noqa: S301
    handed = copy.deepcopy(theirs)
    vars(handed).update({name: vars(loaded)[name] for name in ("coefs_", "intercepts_")})
    handed._optimizer = loaded._optimizer
    for estimator in (handed, theirs):
        estimator.partial_fit(X, y)
    assert largest_difference(handed.coefs_, theirs.coefs_) < 1e-10


@pytest.mark.parametrize("fit_bias", [True, False])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_store_and_load_are_inverse(problem, solver, fit_bias):
    given = problem("mlp-softmax", 20, 3)
    estimator = MLPClassifier(solver=solver)
    optimizer = optimizer_state.new_optimizer(estimator, [*given.params[::2], *given.params[1::2]])
    trainers = [
        Trainer(
            MODELS["mlp-softmax"], given.params, solver=solver, fit_bias=fit_bias, alpha=0.0,
            settings=optimizer_state.settings_of(optimizer, solver), batch_size=4,
        )
        for _ in range(2)
    ]  # fmt: skip
    trainers[0].moments[:] = np.random.default_rng(0).random(trainers[0].moments.shape)
    trainers[0].steps[0] = 7
    expected = trainers[0].moments.copy()
    optimizer_state.store(trainers[0], optimizer, solver)
    assert optimizer_state.solver_of(optimizer) == solver
    for name in optimizer_state.MOMENTS[solver]:
        shapes = [array.shape for array in getattr(optimizer, name)]
        assert shapes == [array.shape for array in [*given.params[::2], *given.params[1::2]]]
    optimizer_state.load(trainers[1], optimizer, solver)
    np.testing.assert_array_equal(trainers[1].moments, expected)
    assert trainers[1].steps[0] == (7 if solver == "adam" else 0)
