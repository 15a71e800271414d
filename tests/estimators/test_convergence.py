"""Warnings of fits that stop early or diverge: their text, and the line that they point at."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators.minibatch import average_gradient
from fastlogit.estimators.rows import features_off_scale

ESTIMATORS = [
    estimator.set_params(solver=solver, max_iter=2)
    for estimator in (LogisticRegression(), MLPClassifier((4,), random_state=0))
    for solver in ("lbfgs", "sgd", "adam")
]
SETS = [("breast_cancer", "logistic"), ("iris", "softmax")]


class Named:
    feature_names_in_ = np.array([f"x{i}" for i in range(9)], object)


def caught(call, category=ConvergenceWarning):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        call()
    return [warning for warning in record if warning.category is category]


@pytest.mark.parametrize(
    "fit",
    [
        lambda model, X, y: model.fit(X, y),
        lambda model, X, y: make_pipeline(FunctionTransformer(), model).fit(X, y),
        lambda model, X, y: GridSearchCV(model, {"tol": [1e-5]}, cv=2).fit(X, y),
        lambda model, X, y: cross_val_score(model, X, y, cv=2),
    ],
)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_points_at_the_line_of_the_caller(toy_set, estimator, fit):
    found = caught(lambda: fit(clone(estimator), *toy_set("iris", "softmax")))
    expected = fit.__code__.co_filename, fit.__code__.co_firstlineno
    assert found
    assert {(warning.filename, warning.lineno) for warning in found} == {expected}


PARTS = [e for e in ESTIMATORS if e.solver != "lbfgs"]


@pytest.mark.parametrize("weights", [{}, {"sample_weight": np.ones(20)}], ids=["short", "full"])
@pytest.mark.parametrize("estimator", PARTS, ids=str)
def test_partial_fit_points_at_the_line_of_its_caller(toy_set, estimator, weights):
    X, y = (array[:20] for array in toy_set("breast_cancer", "logistic"))
    model = clone(estimator).partial_fit(X, y, classes=[0, 1])
    (clipped,) = caught(
        lambda: model.set_params(batch_size=50).partial_fit(X, y, **weights), UserWarning
    )
    weight = model.coef_ if isinstance(model, LogisticRegression) else model.coefs_[0]
    weight *= 1e200  # the penalty is then infinite
    (diverged,) = caught(lambda: model.partial_fit(X, y, **weights))
    assert "It is going to be clipped" in str(clipped.message)
    assert "The loss is no longer finite" in str(diverged.message)
    assert {clipped.filename, diverged.filename} == {__file__}
    assert diverged.lineno - clipped.lineno == 4


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("arguments", [{"n_jobs": 2}, {"penalty": "l2"}])
def test_a_deprecation_points_at_the_line_of_the_caller(toy_set, arguments, method):
    X, y = toy_set("iris", "softmax")
    model = LogisticRegression(solver="sgd", **arguments)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    (warning,) = caught(lambda: getattr(model, method)(X, y, **classes), FutureWarning)
    assert warning.filename == __file__
    assert warning.lineno == inspect.currentframe().f_lineno - 2


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_begins_as_scikit_learns_does(toy_set, estimator):
    X, y = toy_set("digits", "softmax")
    (ours,) = caught(lambda: clone(estimator).fit(X, y))
    linear = isinstance(estimator, LogisticRegression) and estimator.solver == "lbfgs"
    if linear:
        theirs = SklearnLogisticRegression(max_iter=2)
    else:
        theirs = SklearnMLPClassifier((4,), solver=estimator.solver, max_iter=2, random_state=0)
    (expected,) = caught(lambda: theirs.fit(X, y))
    text = str(expected.message).partition("\nPlease also refer")[0]
    assert str(ours.message).startswith(text)


def named_gradient(call):
    (warning,) = caught(call)
    return str(warning.message).partition("gradient's largest element is ")[2].partition(" at")[0]


@pytest.mark.parametrize(("name", "model"), SETS)
def test_names_the_gradient_of_lbfgs_at_its_end(toy_set, name, model):
    X, y = toy_set(name, model)
    fitted = LogisticRegression(max_iter=3, C=0.7)
    text = named_gradient(lambda: fitted.fit(X, y))
    params = np.ascontiguousarray(fitted.coef_.T), fitted.intercept_
    _, gradient = fastlogit.loss_and_gradient(
        model, params, X, y, alpha=1 / (0.7 * len(y)), backend="numpy"
    )
    largest = max(np.abs(array).max() for array in gradient)
    assert text.partition(".\n")[0].rstrip(".") == f"{largest:.0e}"


@pytest.mark.parametrize(("name", "model"), SETS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_names_the_gradient_of_the_only_batch(toy_set, name, model, solver, momentum):
    X, y = toy_set(name, model)
    fit = LogisticRegression(solver=solver, momentum=momentum, batch_size=len(y), max_iter=1).fit
    n_outputs = 1 if model == "logistic" else 3
    start = np.zeros((X.shape[1], n_outputs)), np.zeros(n_outputs)
    _, gradient = fastlogit.loss_and_gradient(model, start, X, y, backend="numpy")
    largest = max(np.abs(array).max() for array in gradient)
    assert named_gradient(lambda: fit(X, y)) == f"{largest:.0e}"


# C=inf has no penalty: a step without momentum is then taken in place.
@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize(
    ("momentum", "schedule"), [(0.0, "constant"), (0.0, "invscaling"), (0.9, "constant")]
)
def test_names_the_gradient_of_many_small_steps(toy_set, momentum, schedule, C):
    X, y = toy_set("breast_cancer", "logistic")
    fit = LogisticRegression(
        solver="sgd", C=C, momentum=momentum, batch_size=57, max_iter=30, n_iter_no_change=20,
        learning_rate_init=1e-6, learning_rate=schedule, tol=0, random_state=0,
    ).fit  # fmt: skip
    start = np.zeros((X.shape[1], 1)), np.zeros(1)
    _, gradient = fastlogit.loss_and_gradient("logistic", start, X, y, backend="numpy")
    largest = max(np.abs(array).max() for array in gradient)
    assert float(named_gradient(lambda: fit(X, y))) == pytest.approx(largest, rel=0.2)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_without_a_step_no_gradient_is_named(toy_set, solver, momentum):
    X, y = toy_set("breast_cancer", "logistic")
    arguments = {"solver": solver, "momentum": momentum, "random_state": 0}
    linear = LogisticRegression(max_iter=0, **arguments)
    (warning,) = caught(lambda: linear.fit(X, y))
    assert "converged yet." in str(warning.message)
    assert "largest" not in str(warning.message)
    model = MLPClassifier((3,), warm_start=True, max_iter=1, **arguments)
    caught(lambda: model.fit(X, y))
    model.coefs_[0] *= 1e200  # the penalty is then infinite
    (warning,) = caught(lambda: model.fit(X, y))
    assert "before that epoch. A smaller" in str(warning.message)


@pytest.mark.parametrize("steps", [1, 2, 30])
@pytest.mark.parametrize(("decay", "factor"), [(0.9, 0.1), (0.5, 3.0), (1.0, 0.2)])
def test_a_constant_gradient_is_its_own_average(steps, decay, factor):
    gradient, moment = np.array([2.0, -7.0]), np.zeros(2)
    for _ in range(steps):
        moment = decay * moment - factor * gradient
    found = average_gradient(moment, steps, decay=decay, factor=factor, from_rest=True)
    assert found == pytest.approx(7, rel=1e-12)
    if decay < 1:  # at rest in the limit
        settled = factor * gradient / (1 - decay)
        found = average_gradient(settled, steps, decay=decay, factor=factor, from_rest=False)
        assert found == pytest.approx(7, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [3, 1023, 5000])
def test_features_off_scale_are_named_in_order_of_distance(n, dtype):
    X = np.random.default_rng(0).choice([-1, 1], (n, 9)).astype(dtype)
    assert features_off_scale(Named, X) == ""
    X *= np.array([1, 1, 3e4, 1, 1, 0, 1, 2e-3, 99], dtype)
    named = "median: 'x2' (3e+04 times it), 'x7' (2e-03 times it); "
    assert named in features_off_scale(Named, X)
    assert named in features_off_scale(Named, csr_array(X))
    X[:] = 0
    X[:, :6], X[:, 6:] = 1, 1e6
    assert "feature 6 (1e+06 times it), feature 7" in features_off_scale(None, X)


def test_at_most_five_features_are_named():
    X = np.ones((4, 20)) * np.where(np.arange(20) < 8, 1e3, 1)
    text = features_off_scale(None, X)
    assert text.count("feature ") == 5
    assert "times it), 3 more; " in text


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.full((3, 2), 1e300), np.ones((2, 1))])
def test_features_without_a_scale_of_their_own_are_not_named(X):
    assert features_off_scale(None, X) == ""


def test_a_constant_feature_of_a_large_value_counts():
    X = np.array([[0.1, -1, 2025], [0.3, 1, 2025], [-0.2, 1, 2025]])
    assert "feature 2 (2e+03 times it)" in features_off_scale(None, X)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_fit_names_the_columns_of_its_frame(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    frame = pd.DataFrame(X * [1, 1, 1000, 1], columns=["length", "width", "income", "age"])
    (warning,) = caught(lambda: clone(estimator).fit(frame, y))
    assert "median: 'income' (1e+03 times it); " in str(warning.message)
    if estimator.solver != "lbfgs":
        assert f"at learning_rate={estimator.learning_rate_init:g}." in str(warning.message)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_names_the_rate_and_the_features(toy_set, solver):
    X, y = toy_set("iris", "softmax")
    X = X * np.array([1e130, 1, 1, 1])
    model = LogisticRegression(solver=solver, learning_rate_init=3e230, random_state=0)
    with pytest.raises(ValueError, match=r"learning_rate=3e\+230[\s\S]*feature 0 \(1e\+130 times"):
        model.set_params(batch_size=10).fit(X, y)


def test_deep_in_the_package_without_a_caller_it_still_warns():
    from fastlogit.solvers import warn

    (warning,) = caught(lambda: warn("nothing"))
    assert warning.filename == __file__
    assert warning.lineno == inspect.currentframe().f_lineno - 2


def test_no_message_is_composed_that_filters_ignore():
    from fastlogit.solvers import warn

    composed = []

    def message():
        composed.append(1)
        return "in time"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("ignore", "of some other text")
        warnings.filterwarnings("error", category=DeprecationWarning)
        warn(message)
    assert not composed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "in time")
        with pytest.raises(ConvergenceWarning, match="in time"):
            warn(message)
    assert composed
