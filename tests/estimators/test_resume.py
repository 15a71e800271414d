"""What a fit leaves for the next: exact resumption, and the optimizer in memory and in files."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import sklearn_compat
from fastlogit.models import MODELS
from fastlogit.training.trainer import Trainer

# exact_resume


EPOCHS = 5
CLASSES = {"mlp": MLPClassifier, "linear": LogisticRegression}
SETTINGS = {
    "sgd": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
    "adam": {"solver": "adam"},
    "unshuffled": {"solver": "adam", "shuffle": False},
    "weighted": {"solver": "adam", "class_weight": {0: 0.5, 1: 3.0}},
}
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=CLASSES)
def make(request):
    def made(settings, *, seed=0, **arguments):
        random_state = np.random.RandomState(4) if seed == "RandomState" else seed
        common = {"batch_size": 32, "random_state": random_state, "exact_resume": True, "tol": 0}
        if request.param == "mlp":
            common["hidden_layer_sizes"] = (6,)
        return CLASSES[request.param](**common | settings | arguments)

    return made


def state_of(model):
    """Return all numbers of the fitted state, in the order of their names."""
    moments = {
        name: value
        for name, value in vars(model._optimizer).items()
        if name in ("ms", "vs", "velocities", "t", "learning_rate")
    }
    curves = {
        name: getattr(model, name)
        for name in ("loss_curve_", "t_", "best_loss_", "_no_improvement_count", "loss_")
    }
    params = [getattr(model, name) for name in ("coef_", "intercept_") if hasattr(model, name)]
    params = params or model.coefs_ + model.intercepts_
    return copy.deepcopy(moments | curves | {"params": params})


def assert_same_bits(model, expected):
    assert state_of(model).keys() == state_of(expected).keys()
    np.testing.assert_equal(state_of(model), state_of(expected))
    (dtype,) = {array.dtype for array in state_of(expected)["params"]}
    assert {array.dtype for array in state_of(model)["params"]} == {dtype}


@unconverged
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", [0, "RandomState"])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_calls_of_partial_fit_are_one_fit(toy_set, make, settings, name, seed, dtype):
    X, y = toy_set(name, "softmax", dtype)
    if "class_weight" in settings:
        weight = {label: settings["class_weight"].get(label, 1.0) for label in np.unique(y)}
        settings = settings | {"class_weight": weight}
    whole = make(settings, seed=seed, max_iter=EPOCHS).fit(X, y)
    parts = make(settings, seed=seed)
    for call in range(EPOCHS):
        parts.partial_fit(X, y, classes=np.unique(y))
        if call in (1, 2):
            parts = pickle.loads(pickle.dumps(parts))  # noqa: S301
    assert_same_bits(parts, whole)
    warm = make(settings, seed=seed, max_iter=2, warm_start=True).fit(X, y)
    warm.set_params(max_iter=EPOCHS - 2).fit(X, y)
    assert_same_bits(warm, whole)
    mixed = make(settings, seed=seed, max_iter=EPOCHS - 2).fit(X, y)
    mixed.partial_fit(X, y).partial_fit(X, y, np.ones(len(y), dtype))  # fast and full validation
    if seed == 0:
        np.testing.assert_equal(state_of(mixed)["params"], state_of(whole)["params"])


@unconverged
@pytest.mark.parametrize("settings", [SETTINGS["adam"], {"solver": "sgd", "momentum": 0.0}])
def test_calls_of_partial_fit_on_sparse_rows_are_one_fit(toy_set, make, settings):
    X, y = toy_set("digits", "softmax")
    X = csr_array(np.where(X > 0.5, X, 0))
    whole = make(settings, max_iter=EPOCHS).fit(X, y)
    parts = make(settings)
    for _ in range(EPOCHS):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y, classes=range(10))))  # noqa: S301
    assert parts.backend_ == "numba"
    assert_same_bits(parts, whole)


CONTINUE = """
import pickle, sys
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
models = pickle.load(open(sys.argv[1], "rb"))
later = [model.partial_fit(X, y).partial_fit(X, y) for model in models]
pickle.dump(later, open(sys.argv[1], "wb"))
"""


@unconverged
def test_continues_in_another_process(make, tmp_path):
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    file = tmp_path / "models.pickle"
    ways = [{"solver": "adam", "seed": seed} for seed in (0, "RandomState")]
    file.write_bytes(pickle.dumps([make({}, max_iter=3, **way).fit(X, y) for way in ways]))
    subprocess.run([sys.executable, "-c", CONTINUE, file], check=True)  # noqa: S603
    models = pickle.loads(file.read_bytes())  # noqa: S301
    for model, way in zip(models, ways, strict=True):
        assert_same_bits(model, make({}, max_iter=5, **way).fit(X, y))


@unconverged
def test_without_it_an_integer_seeds_each_call(toy_set, make):
    X, y = toy_set("iris", "softmax")
    exact, usual = (
        make({"solver": "adam"}, exact_resume=exact).partial_fit(X, y, classes=[0, 1, 2])
        for exact in (True, False)
    )
    np.testing.assert_equal(state_of(exact), state_of(usual))
    assert not {"_generator_state", "_row_order"} & set(vars(usual))
    exact.partial_fit(X, y)
    usual.partial_fit(X, y)
    assert exact.loss_ != usual.loss_
    usual_again = make({"solver": "adam"}, exact_resume=False)
    usual_again.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    np.testing.assert_equal(state_of(usual), state_of(usual_again))


@unconverged
def test_a_fit_begins_anew(toy_set, make):
    X, y = toy_set("iris", "softmax")
    model = make({"solver": "adam"}, max_iter=3).fit(X, y)
    expected = state_of(model)
    model.partial_fit(X, y)
    np.testing.assert_equal(state_of(model.fit(X, y)), expected)
    plain = clone(model).set_params(exact_resume=False).fit(X, y)
    np.testing.assert_equal(state_of(plain), expected)


@unconverged
def test_switched_off_nothing_is_kept(toy_set, make):
    X, y = toy_set("iris", "softmax")
    model = make({"solver": "sgd"}, max_iter=2).fit(X, y)
    assert model._generator_state.dtype == np.uint32
    assert model._row_order.size == len(y)
    model.set_params(exact_resume=False).partial_fit(X, y)
    assert not {"_generator_state", "_row_order"} & set(vars(model))
    given = make({"solver": "sgd"}, seed="RandomState", max_iter=2).fit(X, y)
    assert "_generator_state" not in vars(given)  # an argument continues by itself


def test_other_rows_continue_with_the_generator(toy_set, make):
    X, y = toy_set("iris", "softmax")
    model = make({"solver": "sgd"}).partial_fit(X, y, classes=[0, 1, 2])
    drawn = np.random.RandomState(0)
    drawn.set_state(("MT19937", model._generator_state[:-1], int(model._generator_state[-1])))
    model.partial_fit(X[:40], y[:40])
    np.testing.assert_array_equal(model._row_order, drawn.permutation(40))


@pytest.mark.parametrize("seed", [0, "RandomState"])
@pytest.mark.parametrize("whole_epochs", [0, 1, 3])
@unconverged
def test_continues_after_an_interrupt(toy_set, make, monkeypatch, whole_epochs, seed):
    X, y = toy_set("iris", "softmax")
    run_epochs = Trainer.run_epochs

    def interrupted(self, rows, orders, losses):
        for i in range(whole_epochs):
            for _ in run_epochs(self, rows, orders[i : i + 1], losses[i : i + 1]):
                yield i + 1
        raise KeyboardInterrupt

    settings = {"solver": "adam", "max_iter": 2}
    model = make(settings, seed=seed, warm_start=True).fit(X, y)
    monkeypatch.setattr(Trainer, "run_epochs", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model.set_params(max_iter=6).fit(X, y)
    monkeypatch.undo()
    model.set_params(max_iter=7 - 2 - whole_epochs).fit(X, y)
    assert_same_bits(model, make(settings, seed=seed).set_params(max_iter=7).fit(X, y))


@unconverged
def test_continues_after_an_interrupt_in_a_callback(toy_set, make):
    X, y = toy_set("iris", "softmax")

    def interrupt(epoch, *_):
        if epoch == 1:
            raise KeyboardInterrupt

    model = make({"solver": "adam"}, warm_start=True, max_iter=9)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y, callback=interrupt)
    model.set_params(max_iter=3).fit(X, y)
    assert_same_bits(model, make({"solver": "adam"}, max_iter=5).fit(X, y))


@unconverged
def test_continues_after_a_divergence(toy_set):
    X, y = toy_set("iris", "softmax")
    arguments = {"solver": "sgd", "exact_resume": True, "random_state": 0, "tol": 0}
    model, expected = (
        LogisticRegression(warm_start=True, max_iter=2, **arguments).fit(X, y) for _ in range(2)
    )
    huge = X.copy()
    huge[7] = 1e300
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        model.set_params(max_iter=6).fit(huge, y)
    (finite,) = model.n_iter_
    assert 0 < finite < 6
    expected.set_params(max_iter=int(finite)).fit(huge, y)
    for each in (model, expected):
        each.set_params(max_iter=3, C=0.5).fit(X, y)
    assert_same_bits(model, expected)


@unconverged
def test_a_warm_start_with_another_solver_has_another_optimizer(toy_set, make):
    X, y = toy_set("iris", "softmax")
    model = make({"solver": "sgd"}, warm_start=True, max_iter=2).fit(X, y)
    optimizer = model._optimizer
    assert model.fit(X, y)._optimizer is optimizer
    assert model.set_params(solver="adam").fit(X, y)._optimizer.t == 2 * 5
    model.set_params(early_stopping=True).fit(X, y)
    assert "_generator_state" in vars(model)


@unconverged
def test_scikit_learns_code_does_not_resume_exactly(toy_set):
    X, y = toy_set("iris", "softmax")
    network = MLPClassifier((3, 2), exact_resume=True, max_iter=2)
    assert network.fit(X, y).backend_ == "scikit-learn"
    with pytest.raises(ValueError, match=r"exact_resume=True .* 2 hidden layers"):
        network.partial_fit(X, y)
    network = MLPClassifier((3, 3), exact_resume=True, warm_start=True)
    with pytest.raises(ValueError, match=r"exact_resume=True .* 2 hidden layers"):
        network.fit(X, y)


def test_is_checked_like_other_arguments(toy_set, make):
    X, y = toy_set("iris", "softmax")
    for value in (1, "yes", None):
        with pytest.raises(ValueError, match="The 'exact_resume' parameter"):
            make({"solver": "sgd", "exact_resume": value}).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        make({"solver": "sgd", "exact_resume": np.True_}, max_iter=1).fit(X, y)


# The optimizer between fits


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
def test_state_is_plain_and_rebuilds_the_optimizer(toy_set, estimator):
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
def test_scikit_learn_continues_from_a_loaded_state(toy_set, solver, largest_difference):
    X, y = toy_set("iris", "softmax")
    arguments = {"solver": solver, "random_state": 0, "shuffle": False}
    ours = fitted(MLPClassifier((4,), **arguments), X, y)
    theirs = SklearnMLPClassifier((4,), **arguments)
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
    optimizer = sklearn_compat.new_optimizer(estimator)
    trainers = [
        Trainer(
            MODELS["mlp-softmax"], given.params, solver=solver, fit_bias=fit_bias, alpha=0.0,
            settings=sklearn_compat.optimizer_settings(optimizer), batch_size=4,
        )
        for _ in range(2)
    ]  # fmt: skip
    trainers[0].moments[:] = np.random.default_rng(0).random(trainers[0].moments.shape)
    trainers[0].steps[0] = 7
    expected = trainers[0].moments.copy()
    sklearn_compat.store_moments(trainers[0], optimizer)
    assert sklearn_compat.solver_of(optimizer) == solver
    for name in sklearn_compat.MOMENTS[solver]:
        shapes = [array.shape for array in getattr(optimizer, name)]
        assert shapes == [array.shape for array in [*given.params[::2], *given.params[1::2]]]
    sklearn_compat.load_moments(trainers[1], optimizer)
    np.testing.assert_array_equal(trainers[1].moments, expected)
    assert trainers[1].steps[0] == (7 if solver == "adam" else 0)
