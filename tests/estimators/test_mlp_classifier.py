"""MLPClassifier against scikit-learn's: the same numbers from the same arguments."""

import logging
import warnings
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.models import ACTIVATIONS

SGD = {"solver": "sgd", "learning_rate_init": 0.1}
ADAM = {"solver": "adam", "learning_rate_init": 0.01}
SETTINGS = {
    "sgd": SGD,
    "no momentum": {**SGD, "momentum": 0, "batch_size": 32},
    "no nesterov": {**SGD, "nesterovs_momentum": False, "batch_size": 32},
    "invscaling": {**SGD, "learning_rate": "invscaling", "power_t": 0.3, "batch_size": 50},
    "adaptive": {**SGD, "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    "sgd stops early": {**SGD, "early_stopping": True, "validation_fraction": 0.2, "tol": 1e-3},
    "adaptive stops early": {
        **SGD, "early_stopping": True, "learning_rate": "adaptive", "n_iter_no_change": 2,
    },
    "unpenalised": {**SGD, "alpha": 0, "batch_size": 32},
    "penalised": {**SGD, "alpha": 0.1, "batch_size": 32},
    "adam": ADAM,
    # Adam divides the rounding of small gradients by small numbers: float32 needs small steps.
    "adam small batches": {
        "solver": "adam", "learning_rate_init": 0.003, "batch_size": 17, "beta_1": 0.8,
    },
    "adam stops early": {**ADAM, "early_stopping": True, "batch_size": 64, "n_iter_no_change": 3},
    "stops by tol": {**ADAM, "tol": 0.02, "n_iter_no_change": 4},
    "never stops": {**ADAM, "n_iter_no_change": np.inf},
    "unshuffled": {**ADAM, "shuffle": False, "batch_size": 40},
}  # fmt: skip
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted_pair(X, y, *, sample_weight=None, **arguments):
    arguments = {
        "hidden_layer_sizes": (16,),
        "activation": "logistic",
        "random_state": 0,
    } | arguments
    ours, theirs = MLPClassifier(**arguments), SklearnMLPClassifier(**arguments)
    return ours.fit(X, y, sample_weight), theirs.fit(X, y, sample_weight)


@unconverged
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_equals_scikit_learn(toy_set, assert_equal, settings, name, dtype):
    X, y = toy_set(name, "softmax", dtype)
    ours, theirs = fitted_pair(X, y, max_iter=30, **settings)
    assert_equal(ours, theirs, X)


@unconverged
@pytest.mark.parametrize("batch_size", [1, 7, 150])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_equals_scikit_learn_at_any_batch_size(toy_set, assert_equal, solver, batch_size):
    X, y = toy_set("iris", "softmax")
    ours, theirs = fitted_pair(X, y, solver=solver, batch_size=batch_size, max_iter=5)
    assert_equal(ours, theirs, X)


@unconverged
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_sample_weights_equal_scikit_learn(toy_set, assert_equal, name, early_stopping):
    X, y = toy_set(name, "softmax")
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    ours, theirs = fitted_pair(
        X, y, sample_weight=weight, max_iter=20, batch_size=32, early_stopping=early_stopping
    )
    assert_equal(ours, theirs, X)


@unconverged
@pytest.mark.parametrize("settings", [SGD, ADAM, SETTINGS["adam stops early"]], ids=str)
def test_leaves_a_given_generator_in_the_same_state_as_scikit_learn(toy_set, settings):
    X, y = toy_set("wine", "softmax")
    states = []
    for estimator in (MLPClassifier, SklearnMLPClassifier):
        generator = np.random.RandomState(3)
        estimator((8,), "logistic", random_state=generator, max_iter=40, **settings).fit(X, y)
        states.append(generator.get_state()[1:3])
    np.testing.assert_array_equal(states[0][0], states[1][0])
    assert states[0][1] == states[1][1]


@unconverged
@pytest.mark.parametrize("settings", [SGD, ADAM, SETTINGS["adam stops early"]], ids=str)
def test_warm_start_equals_scikit_learn(toy_set, assert_equal, settings):
    X, y = toy_set("iris", "softmax")
    ours, theirs = fitted_pair(X, y, warm_start=True, max_iter=8, **settings)
    for _ in range(2):
        assert_equal(ours.fit(X, y), theirs.fit(X, y), X)
    with pytest.raises(ValueError, match="same classes"):
        ours.fit(X[:50], y[:50])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("settings", [SGD, {**SGD, "learning_rate": "invscaling"}, ADAM], ids=str)
def test_partial_fit_equals_scikit_learn(toy_set, assert_equal, settings, dtype):
    X, y = toy_set("digits", "softmax", dtype)
    pair = [
        estimator((9,), random_state=1, batch_size=30, **settings)
        for estimator in (MLPClassifier, SklearnMLPClassifier)
    ]
    weight = np.random.default_rng(0).uniform(0.5, 2, 100)
    for start in range(0, 500, 100):
        rows = slice(start, start + 100)
        for estimator in pair:
            estimator.partial_fit(X[rows], y[rows], weight, classes=np.arange(10))
    assert_equal(*pair, X)


@unconverged
def test_continues_from_a_fit_of_scikit_learns_and_back(toy_set, assert_equal, monkeypatch):
    X, y = toy_set("iris", "softmax")
    ours, theirs = fitted_pair(X, y, max_iter=3)
    weight = np.ones(len(y))  # full validation
    for reason in ("asked to", None, "asked to", None):
        monkeypatch.setattr(MLPClassifier, "_unsupported_reason", lambda *_, in_fit, r=reason: r)
        ours.partial_fit(X, y, weight)
        assert ours.backend_ == ("numba" if reason is None else "scikit-learn")
        assert hasattr(ours, "model_") is (reason is None)
        theirs.partial_fit(X, y, weight)
    assert_equal(ours, theirs, X)


@unconverged
def test_early_stopping_continues_in_scikit_learns_code(toy_set, largest_difference, monkeypatch):
    X, y = toy_set("iris", "softmax")
    ours, theirs = fitted_pair(X, y, early_stopping=True, warm_start=True, max_iter=5, tol=10)
    monkeypatch.setattr(MLPClassifier, "_unsupported_reason", lambda *_, in_fit: "asked to")
    for estimator in (ours, theirs):
        estimator.set_params(learning_rate_init=1e-9).fit(X, y)
    assert ours.backend_ == "scikit-learn"
    assert largest_difference(ours.coefs_, theirs.coefs_) < 1e-10


@unconverged
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_lbfgs_equals_scikit_learn(toy_set, largest_difference, name):
    X, y = toy_set(name, "softmax")
    ours, theirs = fitted_pair(X, y, solver="lbfgs", max_iter=15)
    params, expected = ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_
    assert largest_difference(params, expected) <= 1e-8
    assert ours.n_iter_ == theirs.n_iter_ == 15
    assert abs(ours.loss_ - theirs.loss_) <= 1e-12


def test_lbfgs_in_float32_ends_as_low_as_in_float64(toy_set):
    X, y = toy_set("breast_cancer", "softmax")
    network = MLPClassifier((8,), solver="lbfgs", alpha=1.0, random_state=0, max_iter=500)
    wide = network.fit(X, y).loss_
    narrow = network.fit(X.astype(np.float32), y)
    assert narrow.coefs_[0].dtype == np.float32
    assert narrow.loss_ == pytest.approx(wide, rel=1e-2)


def test_prints_what_scikit_learn_prints(toy_set, capsys):
    X, y = toy_set("iris", "softmax")
    printed = []
    for settings in (
        {"tol": 0.05, "n_iter_no_change": 2},
        {"early_stopping": True, "n_iter_no_change": 2},
        {**SGD, "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
    ):
        for estimator in (MLPClassifier, SklearnMLPClassifier):
            estimator((5,), "logistic", random_state=0, verbose=True, max_iter=200, **settings).fit(
                X, y
            )
            printed.append(capsys.readouterr().out)
        assert printed[-1] == printed[-2]
        assert "Stopping" in printed[-1]


def test_warns_as_scikit_learn_at_max_iter_and_at_large_batches(toy_set):
    X, y = toy_set("iris", "softmax")
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        MLPClassifier((3,), max_iter=2).fit(X, y)
    with pytest.warns(UserWarning, match="batch_size"):
        MLPClassifier((3,), batch_size=151, tol=0.1).fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "labels", "reason"),
    [({"hidden_layer_sizes": (4, 4)}, None, "2 hidden layers"), ({}, "several", "several labels")],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@unconverged
def test_unsupported_fits_run_on_scikit_learn(
    caplog, largest_difference, solver, arguments, labels, reason
):
    X, several = make_multilabel_classification(80, 6, n_classes=3, random_state=0)
    y = several if labels else several[:, 0]
    arguments = {
        "max_iter": 5,
        "random_state": 0,
        "solver": solver,
        "hidden_layer_sizes": 4,
    } | arguments
    with caplog.at_level(logging.INFO, logger="fastlogit"):
        ours = MLPClassifier(**arguments).fit(X, y)
    assert reason in caplog.text
    assert ours.backend_ == "scikit-learn"
    assert not hasattr(ours, "model_")
    theirs = SklearnMLPClassifier(**arguments).fit(X, y)
    assert largest_difference(ours.coefs_, theirs.coefs_) == 0
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(ours.predict_log_proba(X), theirs.predict_log_proba(X))


@unconverged
def test_predicts_sparse_rows_as_dense_ones(toy_set):
    X, y = toy_set("iris", "softmax")
    network = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    for predict in (network.predict, network.predict_proba, network.predict_log_proba):
        np.testing.assert_allclose(predict(csr_array(X)), predict(X), atol=1e-14)


@unconverged
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_class_weight_equals_sample_weight(toy_set, largest_difference, solver, name):
    X, y = toy_set(name, "softmax")
    by_class = {0: 0.5, 1: 2.0, 2: 3.0} if name == "iris" else {0: 0.5, 1: 2.0}
    by_row = np.array([by_class[label] for label in y])
    rows = np.random.default_rng(0).uniform(0.5, 2, len(y))
    network = {"hidden_layer_sizes": (4,), "solver": solver, "max_iter": 5, "random_state": 0}
    weighted = MLPClassifier(class_weight=by_class, **network).fit(X, y, rows)
    expected = MLPClassifier(**network).fit(X, y, rows * by_row)
    assert largest_difference(weighted.coefs_, expected.coefs_) == 0


def test_invalid_class_weight_is_refused(toy_set):
    X, y = toy_set("iris", "softmax")
    with pytest.raises(ValueError, match="'balanced' needs all of y"):
        MLPClassifier((3,), class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    X, y = make_multilabel_classification(30, n_classes=3, random_state=0)
    with pytest.raises(ValueError, match="several labels per row"):
        MLPClassifier((3,), class_weight="balanced").fit(X, y)


def test_partial_fit_refuses_early_stopping_and_lbfgs(toy_set):
    X, y = toy_set("iris", "softmax")
    with pytest.raises(ValueError, match="does not support early_stopping"):
        MLPClassifier((3,), early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_proba_stays_finite_at_large_logits(dtype, n_classes):
    X = np.array([[1.0], [-1.0], [2.0]], dtype)
    y = np.arange(3) % n_classes
    network = MLPClassifier((1,), "logistic", random_state=0)
    network.partial_fit(X, y, classes=range(n_classes))
    network.coefs_[0][:] = 100
    network.intercepts_[1][:] = 0
    network.coefs_[1][:] = 1e4 * np.arange(1, 1 + network.coefs_[1].shape[1])
    log_proba = network.predict_log_proba(X)
    assert log_proba.dtype == dtype
    assert np.isfinite(log_proba).all()
    assert log_proba[0, 0] == pytest.approx(-1e4 * (n_classes - 1))
    proba = network.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert np.log(proba)[0, 0] == -np.inf


# Validation of X and y


LABELS = {
    "two": [3, 7, 3, 7, 7, 3],
    "three": [2, 0, 1, 1, 0, 2],
    "bool": [True, False, False, True, True, False],
    "str": ["b", "a", "cc", "b", "a", "cc"],
    "wide str": np.array(["no", "yes", "no", "yes", "yes", "no"], "U9"),
    "int8": np.array([1, -1, 1, -1, 1, 1], np.int8),
    "uint64": np.array([0, 2**63, 5, 5, 0, 2**63], np.uint64),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_are_validated_as_in_scikit_learn(monkeypatch, largest_difference, labels, solver):
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.array(labels)
    arguments = {"solver": solver, "max_iter": 3, "random_state": 0}
    ours, theirs = MLPClassifier(**arguments), SklearnMLPClassifier(**arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, y)
        # Fails if scikit-learn's validation is called.
        monkeypatch.setattr(SklearnMLPClassifier, "_validate_input", None)
        ours.fit(X, y)
    assert (ours.classes_.dtype, ours.classes_.shape) == (
        theirs.classes_.dtype,
        (len(set(labels)),),
    )
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert largest_difference(ours.coefs_, theirs.coefs_) < 1e-10
    binarizers = [vars(model._label_binarizer) for model in (ours, theirs)]
    assert str(binarizers[0]) == str(binarizers[1])
    assert set(vars(theirs)) - {"_random_state"} <= set(vars(ours))
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_a_callback_may_fit_another_model(toy_set):
    X, y = toy_set("iris", "mlp-softmax")
    arguments = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}

    def fit_another(*_):
        MLPClassifier((3,), max_iter=1, random_state=1).fit(X, y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = MLPClassifier(**arguments).fit(X, y)
        nested = MLPClassifier(**arguments).fit(X, y, callback=fit_another)
    np.testing.assert_array_equal(nested.coefs_[0], alone.coefs_[0])


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2], [0.0, 1.0, 0.5], [0, 1, None]])
def test_labels_in_doubt_are_left_to_scikit_learn(monkeypatch, y):
    def left(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(SklearnMLPClassifier, "_validate_input", left)
    with pytest.raises(NotImplementedError):
        MLPClassifier().fit(np.eye(3), np.array(y))


@pytest.mark.parametrize("estimator", [MLPClassifier, LogisticRegression])
def test_arguments_that_passed_once_do_not_pass_in_another_type(estimator):
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    model = estimator(max_iter=1, tol=1, n_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y).fit(X, y)
    for wrong in ({"n_threads": 1.0}, {"max_iter": -1}, {"tol": "1"}, {"solver": "no"}):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter"):
            clone(model).set_params(**wrong).fit(X, y)
    with pytest.raises(ValueError, match="'max_iter' parameter"):
        clone(model).set_params(max_iter=np.nan).fit(X, y)


def test_arguments_of_a_subclass_are_validated_by_its_own_constraints():
    class Patient(LogisticRegression):
        _parameter_constraints: ClassVar[dict[str, Any]] = {
            **LogisticRegression._parameter_constraints, "max_iter": ["boolean"],
        }  # fmt: skip

    X, y = np.eye(4), np.array([0, 1, 0, 1])
    LogisticRegression(max_iter=50).fit(X, y)
    with pytest.raises(ValueError, match="'max_iter' parameter of Patient"):
        Patient(max_iter=50).fit(X, y)


@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=1), LogisticRegression()])
def test_a_fit_to_an_array_forgets_a_frames_names(estimator):
    pandas = pytest.importorskip("pandas")
    X, y = np.eye(6), np.array([0, 1, 0, 1, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = clone(estimator).fit(pandas.DataFrame(X, columns=[*"abcdef"]), y)
        assert fitted.feature_names_in_.tolist() == [*"abcdef"]
        fitted.fit(X[:, :4], y)
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.n_features_in_ == 4
    assert fitted.predict(X[:, :4]).shape == (6,)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("name", "model"), [("moons", "mlp-logistic"), ("iris", "mlp-softmax")])
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_every_activation_of_the_kernels_trains_and_predicts(toy_set, name, model, activation):
    X, y = toy_set(name, model)
    options = {"activation": activation, "solver": "lbfgs", "max_iter": 50, "random_state": 0}
    network = MLPClassifier((8,), **options).fit(X, y)
    assert network.backend_ == "numba"
    params = (network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1])
    proba = fastlogit.predict_proba(
        network.model_, params, X, activation=activation, backend="numpy"
    )
    np.testing.assert_allclose(network.predict_proba(X), proba, rtol=0, atol=1e-12)
    log_proba = network.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(log_proba), proba, rtol=0, atol=1e-12)
    assert network.score(X, y) > 0.8
