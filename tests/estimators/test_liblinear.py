"""solver="liblinear" with an L1 penalty: its optimum, with an intercept that is penalised."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from fastlogit import LogisticRegression

liblinear = {"solver": "liblinear", "l1_ratio": 1}


def objective(model, X, y, weight=1.0):
    """Return liblinear's objective, with the penalty of the intercept's own weight."""
    z = X @ model.coef_[0] + model.intercept_
    loss = (weight * np.logaddexp(0, np.where(y == model.classes_[1], -z, z))).sum()
    penalty = np.abs(model.coef_).sum() + np.abs(model.intercept_).sum() / model.intercept_scaling
    return model.C * loss + penalty


@pytest.mark.parametrize("scaling", [None, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "moons"])
def test_the_optimum_is_liblinears(toy_set, name, C, scaling):
    X, y = toy_set(name, "logistic")
    settings = liblinear | {"C": C, "class_weight": {0: 1.5, 1: 0.5}}
    settings |= {"fit_intercept": False} if scaling is None else {"intercept_scaling": scaling}
    weight = np.random.default_rng(0).uniform(0.2, 2, len(y))
    ours = LogisticRegression(**settings, tol=1e-8).fit(X, y, weight)
    theirs = SklearnLogisticRegression(**settings, tol=1e-8, max_iter=5_000, random_state=0)
    theirs.fit(X, y, weight)
    assert ours.backend_ == "numba"
    total = weight * np.where(y == 0, 1.5, 0.5)
    assert abs(objective(ours, X, y, total) / objective(theirs, X, y, total) - 1) < 1e-9
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=2e-3)
    # Without an intercept theirs is the number 0.
    for attribute in ("coef_", "n_iter_", "classes_", *(["intercept_"] if scaling else [])):
        actual, expected = getattr(ours, attribute), getattr(theirs, attribute)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), attribute


def test_at_the_default_tol_it_is_as_near(toy_set):
    X, y = toy_set("breast_cancer", "logistic")
    least = objective(LogisticRegression(**liblinear, tol=1e-10).fit(X, y), X, y)
    theirs = SklearnLogisticRegression(**liblinear, random_state=0).fit(X, y)
    ours = LogisticRegression(**liblinear).fit(X, y)
    assert objective(ours, X, y) - least <= objective(theirs, X, y) - least + 1e-12 * least


def test_sparse_rows(toy_set):
    X, y = toy_set("breast_cancer", "logistic")
    X = np.where(X > 1, X, 0)
    dense = LogisticRegression(**liblinear, tol=1e-9).fit(X, y)
    model = LogisticRegression(**liblinear, tol=1e-9).fit(csr_array(X), y)
    assert model.backend_ == "numba"
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-7)


def test_the_deprecated_penalty(toy_set):
    X, y = toy_set("iris", "logistic")
    expected = LogisticRegression(**liblinear).fit(X, y)
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        model = LogisticRegression("l1", solver="liblinear", l1_ratio=1).fit(X, y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="Inconsistent values"):
        model = LogisticRegression("l1", solver="liblinear").fit(X, y)
    assert model.backend_ == "numba"
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_a_former_fit_is_no_start(toy_set):
    X, y = toy_set("iris", "logistic")
    model = LogisticRegression(**liblinear, warm_start=True).fit(X, y)
    assert model.n_iter_[0] == model.fit(X, y).n_iter_[0] > 0


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        (lambda X, y: (X, np.arange(len(y)) % 3), {}, "does not support multiclass"),
        (lambda X, y: (X * 1e31, y), {}, "maximum value > 1e30"),
        (lambda X, y: (X, y), {"intercept_scaling": 0.0}, "'intercept_scaling' parameter"),
        (lambda X, y: (X, y), {"l1_ratio": 0.5}, "Only 'saga' solver supports elasticnet"),
        (lambda X, y: (X, y), {"dual": True}, "dual"),
    ],
)
def test_refuses_what_scikit_learn_refuses(toy_set, change, arguments, match):
    X, y = change(*toy_set("iris", "logistic"))
    with pytest.raises(ValueError, match=match):
        LogisticRegression(**liblinear | arguments).fit(X, y)
