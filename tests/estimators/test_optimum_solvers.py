"""Solvers that name an optimum, "sag", "saga" and "liblinear" with L2, against scikit-learn's."""

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

from fastlogit import LogisticRegression

SOLVERS = [
    {"solver": "sag"}, {"solver": "saga"}, {"solver": "liblinear"},
    {"solver": "liblinear", "dual": True},
]  # fmt: skip
SPARSE_NEWTON = [{"solver": "newton-cg"}, {"solver": "newton-cholesky"}]
TIGHT = {"tol": 1e-9, "max_iter": 10_000}
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def problem(n, D, n_classes=2, dtype=np.float64, sparse=False):
    rng = np.random.default_rng([n, D, n_classes])
    X = rng.normal(size=(n, D)).astype(dtype)
    if sparse:
        X[rng.random(X.shape) < 0.7] = 0
    signal = X @ rng.normal(size=(D, n_classes)) / np.sqrt(D) + rng.gumbel(size=(n, n_classes))
    y = signal.argmax(axis=1)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def optimum(arguments, X, y, weight=None, *, C=1.0, fit_intercept=True, scaling=1.0):
    """Return scikit-learn's coefficients and intercepts at the optimum of that solver."""
    X, penalised = X.astype(np.float64), arguments["solver"] == "liblinear" and fit_intercept
    if penalised:
        X = np.hstack([X, np.full((len(X), 1), scaling)])
    model = SklearnLogisticRegression(
        C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000,
        fit_intercept=fit_intercept and not penalised,
    ).fit(X, y, weight)  # fmt: skip
    if penalised:
        return model.coef_[:, :-1], model.coef_[:, -1] * scaling
    return model.coef_, model.intercept_ - (len(model.classes_) > 2) * model.intercept_.mean()


def assert_optimal(model, expected, tolerance=1e-5):
    assert model.backend_ == "numba"
    scale = max(np.abs(expected[0]).max(), 1e-3)
    np.testing.assert_allclose(model.coef_, expected[0], rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(model.intercept_, expected[1], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("n", "D"), [(40, 90), (300, 12)])
@pytest.mark.parametrize("arguments", [*SOLVERS, *SPARSE_NEWTON])
def test_optimum_equals_scikit_learns(arguments, n, D, C, fit_intercept, sparse):
    X, y = problem(n, D, sparse=sparse)
    weight = np.random.default_rng(0).integers(0, 3, n) if C == 1.0 else None
    more = {"C": C, "fit_intercept": fit_intercept}
    expected = optimum(arguments, X, y, weight, **more)
    model = LogisticRegression(**arguments, **more, **TIGHT)
    assert_optimal(model.fit(csr_array(X) if sparse else X, y, weight), expected)
    assert (model.n_iter_.shape, model.n_iter_.dtype) == ((1,), np.int32)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("solver", ["sag", "saga", "newton-cg", "newton-cholesky"])
@pytest.mark.parametrize(("n", "D"), [(40, 90), (300, 12)])
def test_many_classes_equal_scikit_learns(solver, n, D, fit_intercept, sparse):
    X, y = problem(n, D, n_classes=4, sparse=sparse)
    weight = np.random.default_rng(0).uniform(0.5, 2, n)
    expected = optimum({"solver": solver}, X, y, weight, fit_intercept=fit_intercept)
    model = LogisticRegression(solver=solver, fit_intercept=fit_intercept, **TIGHT)
    assert_optimal(model.fit(csr_array(X) if sparse else X, y, weight), expected)


@pytest.mark.parametrize("arguments", SOLVERS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("n", "D"), [(40, 90), (300, 12)])
def test_float32_comes_near(arguments, n, D, sparse):
    X, y = problem(n, D, sparse=sparse, dtype=np.float32)
    model = LogisticRegression(**arguments, tol=1e-4).fit(csr_array(X) if sparse else X, y)
    # scikit-learn's "liblinear" computes in float64 for any X.
    expected = np.float64 if arguments["solver"] == "liblinear" else np.float32
    assert model.coef_.dtype == model.intercept_.dtype == expected
    assert_optimal(model, optimum(arguments, X, y), 1e-3)


@pytest.mark.parametrize("scaling", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("arguments", SOLVERS[2:])
def test_liblinear_penalises_the_intercept_through_its_scaling(arguments, scaling):
    for n, D in ((40, 90), (200, 5)):
        X, y = problem(n, D)
        y[: n // 2] = 1
        given = arguments | {"intercept_scaling": scaling}
        expected = optimum(arguments, X, y, scaling=scaling)
        assert_optimal(LogisticRegression(**given, **TIGHT).fit(X, y), expected)
        theirs = SklearnLogisticRegression(**given, tol=1e-9, max_iter=100_000).fit(X, y)
        assert_optimal(LogisticRegression(**given, **TIGHT).fit(X, y),
                       (theirs.coef_, theirs.intercept_), 1e-4)  # fmt: skip


@pytest.mark.parametrize("arguments", SOLVERS)
def test_class_weight_is_a_row_weight(arguments):
    X, y = problem(200, 5)
    expected = optimum(arguments, X, y, np.array([0.5, 3.0])[y])
    model = LogisticRegression(class_weight={0: 0.5, 1: 3.0}, **arguments, **TIGHT)
    assert_optimal(model.fit(X, y), expected)


@pytest.mark.parametrize("arguments", SOLVERS)
def test_odd_data_have_an_optimum_too(arguments):
    rng = np.random.default_rng(0)
    separable = rng.normal(size=(50, 3))
    cases = {
        "separable": (separable, (separable[:, 0] > 0).astype(int)),
        "one feature": problem(60, 1),
        "constant columns": (np.hstack([separable, np.ones((50, 2)), np.zeros((50, 1))]),
                             rng.integers(2, size=50)),
        "a row of each class": (rng.normal(size=(2, 4)), np.array([0, 1])),
        "nothing but an intercept": (np.zeros((20, 3)), np.arange(20) % 3 // 2),
    }  # fmt: skip
    for name, (X, y) in cases.items():
        expected = optimum(arguments, X, y, C=10.0)
        for given in (X, csr_array(X)):
            model = LogisticRegression(C=10.0, **arguments, **TIGHT).fit(given, y)
            assert model.backend_ == "numba", name
            np.testing.assert_allclose(model.coef_, expected[0], atol=2e-5, err_msg=name)
            np.testing.assert_allclose(model.intercept_, expected[1], atol=2e-5, err_msg=name)


@pytest.mark.parametrize("arguments", [*SOLVERS, *SPARSE_NEWTON])
def test_sparse_forms_give_the_same(arguments):
    X, y = problem(60, 80, sparse=True)
    expected = optimum(arguments, X, y)
    plain = csr_array(X)
    order = np.concatenate([
        np.arange(first, last)[::-1]
        for first, last in zip(plain.indptr, plain.indptr[1:], strict=False)
    ])  # fmt: skip
    unsorted = csr_array((plain.data[order], plain.indices[order], plain.indptr), X.shape)
    twice = np.repeat(plain.data / 2, 2), np.repeat(plain.indices, 2), 2 * plain.indptr
    forms = [unsorted, csr_array(twice, X.shape), csc_array(X), csr_matrix(X)]
    if arguments["solver"].startswith("newton"):  # scikit-learn's others refuse wide indices
        wide = plain.indices.astype(np.int64), plain.indptr.astype(np.int64)
        forms.append(csr_array((plain.data, *wide), X.shape))
    for form in forms:
        for array in (form.data, form.indices, form.indptr):
            array.setflags(write=False)
        before = [array.copy() for array in (form.data, form.indices, form.indptr)]
        assert_optimal(LogisticRegression(**arguments, **TIGHT).fit(form, y), expected)
        for array, expected_array in zip((form.data, form.indices, form.indptr), before,
                                         strict=True):  # fmt: skip
            np.testing.assert_array_equal(array, expected_array)


@pytest.mark.parametrize("arguments", SOLVERS)
def test_read_only_arrays_are_read(arguments):
    X, y = problem(40, 60)
    weight = np.ones(40)
    for array in (X, y, weight):
        array.setflags(write=False)
    assert_optimal(LogisticRegression(**arguments, **TIGHT).fit(X, y, weight),
                   optimum(arguments, X, y))  # fmt: skip


@unconverged
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
@pytest.mark.parametrize("name", ["breast_cancer", "iris", "digits", "wide"])
@pytest.mark.parametrize("arguments", SOLVERS)
def test_at_any_tol_the_loss_is_no_higher_than_scikit_learns(toy_set, name, arguments, tol):
    is_liblinear = arguments["solver"] == "liblinear"
    X, y = problem(100, 300)
    if name != "wide":
        X, y = toy_set(name, "logistic" if is_liblinear else "softmax")
    ours, theirs = (
        estimator(**arguments, tol=tol, max_iter=1000, random_state=0).fit(X, y)
        for estimator in (LogisticRegression, SklearnLogisticRegression)
    )

    def objective(model):
        logits = X @ model.coef_.T + model.intercept_
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        loss = np.sum(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y])
        squares = np.sum(model.coef_**2) + is_liblinear * np.sum(model.intercept_**2)
        return loss + squares / 2

    least = optimum(arguments, X, y)
    model = LogisticRegression().fit(X, y)
    model.coef_, model.intercept_ = least
    gaps = [objective(fitted) / objective(model) - 1 for fitted in (ours, theirs)]
    assert gaps[0] <= max(gaps[1], 1e-9)


@pytest.mark.parametrize(("arguments", "text"), [
    *[(arguments, "max_iter was reached") for arguments in SOLVERS[:2]],
    *[(arguments, "Liblinear failed to converge") for arguments in SOLVERS[2:]],
])  # fmt: skip
def test_too_few_iterations_warn(arguments, text):
    for n, D in ((40, 90), (300, 12)):
        X, y = problem(n, D)
        with pytest.warns(ConvergenceWarning, match=text):
            model = LogisticRegression(**arguments, max_iter=2, tol=1e-9).fit(X, y)
        assert model.n_iter_ == 2


@pytest.mark.parametrize("arguments", SOLVERS)
def test_random_state_matters_to_liblinears_dual_alone(arguments):
    X, y = problem(60, 90)
    results = [
        LogisticRegression(**arguments, tol=0.1, random_state=seed).fit(X, y).coef_
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2]) != bool(arguments.get("dual"))


@pytest.mark.parametrize("solver", ["sag", "saga"])
def test_warm_start_goes_on_from_the_last_fit(solver):
    for n, D in ((40, 90), (300, 12)):
        X, y = problem(n, D)
        model = LogisticRegression(solver=solver, warm_start=True, tol=1e-5).fit(X, y)
        cold, coef = model.n_iter_[0], model.coef_
        assert model.fit(X, y).n_iter_[0] < cold
        np.testing.assert_allclose(model.coef_, coef, atol=1e-4)


@pytest.mark.parametrize("solver", ["sag", "saga"])
@pytest.mark.filterwarnings("ignore:Setting penalty=None:UserWarning")  # scikit-learn 1.8
def test_no_penalty_equals_scikit_learn(solver):
    X, y = problem(400, 4)
    expected = SklearnLogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(X, y)
    for given in (X, csr_array(X)):
        model = LogisticRegression(C=np.inf, solver=solver, tol=1e-8).fit(given, y)
        assert_optimal(model, (expected.coef_, expected.intercept_))


@pytest.mark.parametrize("C", [1e4, 1e12, 1e300])
def test_a_weak_penalty_is_left_to_newtons_steps(C):
    X, y = problem(400, 5, sparse=True)
    expected = optimum({"solver": "saga"}, X, y, C=C)
    for given in (X, csr_array(X)):
        assert_optimal(LogisticRegression(solver="saga", C=C, tol=1e-7).fit(given, y), expected)


def test_collinear_features_without_a_penalty_have_a_solution():
    X, y = problem(100, 3)
    model = LogisticRegression(C=np.inf, solver="saga", tol=1e-6).fit(np.hstack([X, X]), y)
    single = LogisticRegression(C=np.inf, solver="saga", tol=1e-6).fit(X, y)
    np.testing.assert_allclose(model.coef_[:, :3] + model.coef_[:, 3:], single.coef_, rtol=1e-4)


def test_liblinear_refuses_what_scikit_learns_does(toy_set):
    X, y = toy_set("iris", "softmax")
    with pytest.raises(ValueError, match="does not support multiclass"):
        LogisticRegression(solver="liblinear").fit(X, y)
    with pytest.raises(ValueError, match="maximum value > 1e30"):
        LogisticRegression(solver="liblinear").fit(X * 1e31, y > 0)
    with pytest.raises(ValueError, match="not supported for the liblinear solver"):
        LogisticRegression(solver="liblinear", C=np.inf).fit(X, y > 0)


@pytest.mark.parametrize("arguments", SOLVERS)
def test_verbose_prints_each_iteration(arguments, capsys):
    X, y = problem(40, 90)
    model = LogisticRegression(**arguments, verbose=1, tol=1e-3).fit(X, y)
    assert len(capsys.readouterr().out.splitlines()) == model.n_iter_[0]
