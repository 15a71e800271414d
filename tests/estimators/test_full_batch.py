"""LogisticRegression's full-batch solvers against scikit-learn's solvers of the same names."""

import re
import warnings
from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning
from scipy.special import log_softmax
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from fastlogit import LogisticRegression

NEWTON = ["newton-cholesky", "newton-cg"]
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
old_scikit_learn = pytest.mark.filterwarnings("ignore:Setting penalty=None:UserWarning")


def objective(model, X, y, weight=None):
    """Return the penalised sum of losses, written out in float64."""
    logits = X.astype(float) @ model.coef_.T.astype(float) + model.intercept_.astype(float)
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    log_p = log_softmax(logits, axis=1)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    squares = np.sum(model.coef_.astype(float) ** 2)
    return -np.sum(log_p * (1 if weight is None else weight)) + squares / (2 * model.C)


@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.1, 10.0])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_optimum_equals_scikit_learn(toy_set, name, C, fit_intercept, solver):
    X, y = toy_set(name, "softmax")
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if C == 0.1 else None
    arguments = {"C": C, "fit_intercept": fit_intercept, "max_iter": 1000}
    ours = LogisticRegression(solver=solver, tol=1e-10, **arguments).fit(X, y, weight)
    theirs = SklearnLogisticRegression(solver="newton-cg", tol=1e-10, **arguments)
    theirs.fit(X, y, weight)
    assert ours.backend_ == "numba"
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6 * scale)
    centred = [m.intercept_ - (len(m.classes_) > 2) * m.intercept_.mean() for m in (ours, theirs)]
    np.testing.assert_allclose(*centred, rtol=0, atol=1e-6 * max(scale, 1))
    for attribute in ("coef_", "intercept_", "n_iter_", "classes_"):
        actual, expected = getattr(ours, attribute), getattr(theirs, attribute)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), attribute


TIGHT = {"tol": 1e-8, "max_iter": 5000}


@pytest.fixture(scope="module")
def least_objective(rows_of):
    """Return a function: the smallest objective that any of scikit-learn's solvers reaches."""

    @cache
    def least(name, C, fit_intercept):
        X, y = rows_of(name)
        arguments = {"C": C, "fit_intercept": fit_intercept, **TIGHT}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = [
                SklearnLogisticRegression(solver=solver, **arguments).fit(X, y)
                for solver in ("lbfgs", *NEWTON)
            ]
        return min(objective(fit, X, y) for fit in fits)

    return least


@pytest.fixture(scope="module")
def rows_of(toy_set):
    """Return a function: X and y by name; "noise" is not separable and needs no penalty."""

    def rows(name):
        if name.startswith("raw "):
            return getattr(datasets, f"load_{name[4:]}")(return_X_y=True)
        if name != "noise":
            return toy_set(name, "softmax")
        rng = np.random.default_rng(0)
        X, noise = rng.normal(size=(400, 4)), rng.normal(size=(400, 2))
        return X, (X[:, :2] + noise > [0, 0.5]).sum(axis=1)

    return rows


SETS = ["iris", "wine", "breast_cancer", "digits", "blobs"]
STRENGTHS = [0.01, 1.0, 100.0, 1e4]
SOLVERS = ["lbfgs", *NEWTON]


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(
    ("solver", "name", "C"),
    [*product(SOLVERS, SETS, STRENGTHS), *product(SOLVERS, ["noise"], [1.0, 1e4, np.inf])],
)
def test_objective_is_never_above_scikit_learns_best(
    rows_of, least_objective, name, C, fit_intercept, solver
):
    X, y = rows_of(name)
    ours = LogisticRegression(solver=solver, C=C, fit_intercept=fit_intercept, **TIGHT).fit(X, y)
    assert objective(ours, X, y) <= least_objective(name, C, fit_intercept) * (1 + 1e-9)


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_lbfgs_objective_holds_on_rows_as_they_come(least_objective, rows_of, name):
    X, y = rows_of(f"raw {name}")
    # How many iterations it takes depends on the rounding of NumPy and SciPy: 3,824 to 5,424.
    ours = LogisticRegression(**TIGHT | {"max_iter": 20_000}).fit(X, y)
    assert objective(ours, X, y) <= least_objective(f"raw {name}", 1.0, True) * (1 + 1e-9)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_lbfgs_in_float32_is_nearer_than_scikit_learns(rows_of, least_objective, name):
    X, y = rows_of(name)
    least, C = least_objective(name, 1e4, True), 1e4
    ours, theirs = (
        objective(estimator(C=C, **TIGHT).fit(X.astype(np.float32), y), X, y)
        for estimator in (LogisticRegression, SklearnLogisticRegression)
    )
    assert ours <= least * (1 + 1e-5)
    assert ours <= theirs * (1 + 1e-9)


@pytest.mark.parametrize("name", ["wine", "digits"])
def test_lbfgs_takes_scikit_learns_iterations_where_tol_is_not_tight(rows_of, name):
    X, y = rows_of(name)
    for tol in (1e-4, 1e-5):
        ours = LogisticRegression(C=1e4, tol=tol).fit(X, y)
        theirs = SklearnLogisticRegression(C=1e4, tol=tol).fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
        scale = np.abs(theirs.coef_).max()
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "wine"])
def test_cholesky_takes_scikit_learns_steps(toy_set, name, fit_intercept):
    X, y = toy_set(name, "softmax")
    arguments = {"solver": "newton-cholesky", "fit_intercept": fit_intercept}
    ours = LogisticRegression(**arguments).fit(X, y)
    theirs = SklearnLogisticRegression(**arguments).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-7, atol=1e-9)


NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-\d+)?")


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_cholesky_prints_what_scikit_learn_prints(toy_set, capsys, fit_intercept):
    X, y = toy_set("wine", "softmax")
    printed = []
    for estimator in (LogisticRegression, SklearnLogisticRegression):
        estimator(solver="newton-cholesky", verbose=1, fit_intercept=fit_intercept).fit(X, y)
        printed.append(capsys.readouterr().out)
    assert "2. Newton decrement" in printed[0]
    assert NUMBER.sub("#", printed[0]) == NUMBER.sub("#", printed[1])
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in printed]
    np.testing.assert_allclose(*numbers, rtol=1e-6)


def test_newton_cg_prints_in_scikit_learns_words(toy_set, capsys):
    X, y = toy_set("iris", "softmax")
    lines = []
    for estimator in (LogisticRegression, SklearnLogisticRegression):
        model = estimator(solver="newton-cg", verbose=1).fit(X, y)
        printed = capsys.readouterr().out
        assert f"Newton-CG iter = {model.n_iter_[0]}\n" in printed
        lines.append(NUMBER.sub("#", printed).splitlines())
        assert len(lines[-1]) == 3 * (model.n_iter_[0] + 1) + 1
    assert lines[0][:6] == lines[1][:6]
    assert lines[0][-4:] == lines[1][-4:]


@old_scikit_learn
@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_penalty_equals_scikit_learn(n_classes, solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = (X[:, 0] + rng.normal(size=400) > 0).astype(int) + (n_classes == 3) * (
        X[:, 1] + rng.normal(size=400) > 0.5
    )
    ours = LogisticRegression(C=np.inf, solver=solver, tol=1e-10).fit(X, y)
    theirs = SklearnLogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "digits"])
def test_float32_comes_as_near_as_it_can(toy_set, name, solver):
    X, y = toy_set(name, "softmax", np.float32)
    model = LogisticRegression(solver=solver).fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    best = LogisticRegression(solver=solver, tol=1e-8, max_iter=1000).fit(X.astype(float), y)
    assert objective(model, X, y) < objective(best, X, y) * (1 + 1e-3)


@pytest.mark.parametrize("solver", NEWTON)
def test_weights_equal_repetition_and_class_weight(toy_set, solver):
    X, y = toy_set("wine", "softmax")
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    settings = {"solver": solver, "tol": 1e-9}
    weighted = LogisticRegression(**settings).fit(X, y, weight)
    repeated = LogisticRegression(**settings).fit(
        np.repeat(X, weight, axis=0), np.repeat(y, weight)
    )
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-8)
    by_class = {0: 0.5, 1: 2.0, 2: 3.0}
    classed = LogisticRegression(class_weight=by_class, **settings).fit(X, y)
    weighted.fit(X, y, np.array(list(by_class.values()))[y])
    np.testing.assert_allclose(weighted.coef_, classed.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("solver", NEWTON)
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_warm_start_goes_on_from_the_last_fit(toy_set, name, solver):
    X, y = toy_set(name, "softmax")
    model = LogisticRegression(solver=solver, warm_start=True, tol=1e-6)
    cold, coef = model.fit(X, y).n_iter_[0], model.coef_
    model.fit(X, y)
    assert model.n_iter_[0] <= 1 < cold
    np.testing.assert_allclose(model.coef_, coef, atol=1e-3)
    model.coef_ = model.coef_ + 1.0  # changes the penalty, but not the loss of softmax
    np.testing.assert_allclose(model.fit(X, y).coef_, coef, atol=1e-3)


@pytest.mark.parametrize("solver", NEWTON)
def test_too_few_iterations_warn(toy_set, solver):
    X, y = toy_set("digits", "softmax")
    with pytest.warns(ConvergenceWarning, match="did not converge after 2"):
        model = LogisticRegression(solver=solver, max_iter=2).fit(X, y)
    assert model.n_iter_ == 2


@old_scikit_learn
def test_collinear_features_without_a_penalty_resort_to_lbfgs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    X = np.hstack([X, X])
    y = (X[:, 0] + rng.normal(size=100) > 0).astype(int)
    with pytest.warns(LinAlgWarning, match="resort to lbfgs"):
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(X, y)
    halved = LogisticRegression(C=np.inf, tol=1e-8).fit(X[:, :3], y).coef_ / 2
    np.testing.assert_allclose(model.coef_, np.hstack([halved, halved]), atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["newton-cholesky", "newton-cg", "lbfgs"])
def test_a_penalty_that_does_not_show_is_none(n_classes, solver):
    """The loss of separable classes has no minimum: each step reduces it by a factor."""
    X = np.random.default_rng(0).normal(size=(200, 5))
    y = np.digitize(X[:, 0], [-0.5, 0.5][: n_classes - 1])
    vanishing, none = (
        LogisticRegression(C=C, solver=solver, tol=1e-8, max_iter=1000).fit(X, y)
        for C in (1e300, np.inf)
    )
    assert vanishing.n_iter_ == none.n_iter_
    np.testing.assert_allclose(vanishing.coef_, none.coef_, rtol=1e-6)


@pytest.mark.parametrize("solver", NEWTON)
def test_a_float32_fit_that_ends_before_its_tol_warns(solver):
    """Also after the steps that take it to where it would go on in float64."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    y, most = X[:, 0] + rng.logistic(size=200) > 0, 1
    while True:
        model = LogisticRegression(solver=solver, tol=1e-8, max_iter=most)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model.fit(X, y)
        if model.n_iter_[0] < most:
            break
        p = 1 / (1 + np.exp(-(X.astype(float) @ model.coef_[0] + model.intercept_[0])))
        gradient = np.append(X.T.astype(float) @ (p - y) + model.coef_[0], np.sum(p - y)) / 200
        assert bool(told) == (np.abs(gradient).max() > 2e-8)  # of which 1e-8 is theta's rounding
        most += 1
    assert most > 3


@pytest.mark.parametrize(
    ("solver", "mean"), [("lbfgs", 0), *((solver, mean) for solver in NEWTON for mean in (0, 100))]
)
def test_float32_fits_end_in_float64(solver, mean):
    """Those to large features too, of which a gradient in float32 is rounded more."""
    rng = np.random.default_rng(0)
    X = rng.normal(mean, 1, size=(2000, 5)).astype(np.float32)
    y = ((X - mean) @ rng.normal(size=(5, 3)) + rng.gumbel(size=(2000, 3))).argmax(axis=1)
    expected = LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(X.astype(float), y)
    fitted = LogisticRegression(solver=solver, tol=1e-8, max_iter=300).fit(X, y)
    largest = np.abs(expected.coef_).max()
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=0, atol=5e-7 * largest)
