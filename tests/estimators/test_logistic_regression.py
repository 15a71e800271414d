"""LogisticRegression against scikit-learn's, the optimality conditions, and mini-batches."""

import re
import warnings

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlogit import LogisticRegression

NAMES = ["iris", "wine", "breast_cancer", "digits"]
EXACT = {"tol": 1e-10, "max_iter": 10_000}
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def penalised_loss(model, X, y, weight=None):
    """Return the objective and its gradient in W (K, D) and b, written out in plain NumPy."""
    weight = np.ones(len(y)) if weight is None else weight
    share = (weight / weight.sum())[:, None]
    logits = X @ model.coef_.T + model.intercept_
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    target = (y[:, None] == model.classes_).astype(float)
    residual = share * (softmax(logits, axis=1) - target)
    if len(model.classes_) == 2:
        residual = residual[:, 1:]
    strength = 1 / (model.C * weight.sum())
    loss = -np.sum(share * target * log_softmax(logits, axis=1))
    loss += 0.5 * strength * np.sum(model.coef_**2)
    return loss, residual.T @ X + strength * model.coef_, residual.sum(axis=0)


@pytest.mark.parametrize(
    ("name", "C", "weighted"),
    [(name, C, C == 0.1) for name in NAMES[:3] for C in (0.1, 1.0)] + [("digits", 0.1, False)],
)
def test_optimum_equals_scikit_learn(toy_set, name, C, weighted):
    X, y = toy_set(name, "softmax")
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    ours = LogisticRegression(C=C, **EXACT).fit(X, y, weight)
    theirs = SklearnLogisticRegression(C=C, **EXACT).fit(X, y, weight)
    _, grad_W, grad_b = penalised_loss(ours, X, y, weight)
    assert max(np.abs(grad_W).max(), np.abs(grad_b).max()) <= 1e-8
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-5 * scale)
    # A shift of all intercepts of softmax does not change the probabilities.
    centred = [m.intercept_ - (len(m.classes_) > 2) * m.intercept_.mean() for m in (ours, theirs)]
    np.testing.assert_allclose(*centred, rtol=0, atol=1e-5 * max(scale, np.abs(centred[1]).max()))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for attribute in ("coef_", "intercept_", "n_iter_", "classes_"):
        actual, expected = getattr(ours, attribute), getattr(theirs, attribute)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), attribute


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_iterations_equal_scikit_learn(toy_set, name, fit_intercept):
    X, y = toy_set(name, "softmax")
    ours = LogisticRegression(fit_intercept=fit_intercept).fit(X, y)
    theirs = SklearnLogisticRegression(fit_intercept=fit_intercept).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-8)
    assert (ours.backend_, ours.model_) == ("numba", "softmax" if name == "iris" else "logistic")


@unconverged
@pytest.mark.filterwarnings("ignore:Setting penalty=None:UserWarning")  # scikit-learn 1.8 at C=inf
def test_no_penalty_equals_scikit_learn(toy_set):
    X, y = toy_set("iris", "softmax")
    y = y == 1  # not separable: the optimum is finite
    ours = LogisticRegression(C=np.inf, **EXACT).fit(X, y)
    theirs = SklearnLogisticRegression(C=np.inf, **EXACT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5)


def test_two_class_softmax_equals_binary_at_half_the_penalty(toy_set):
    X, y = toy_set("breast_cancer", "logistic")
    binary = LogisticRegression(C=1.0, **EXACT).fit(X, y)
    # A third class of negligible weight makes it a softmax of (almost) two.
    X3, y3 = np.vstack([X, X[:1]]), np.append(y, 2)
    weight = np.append(np.ones(len(y)), 1e-14)
    triple = LogisticRegression(C=0.5, **EXACT).fit(X3, y3, weight)
    assert (binary.model_, triple.model_) == ("logistic", "softmax")
    difference = triple.coef_[1] - triple.coef_[0]
    np.testing.assert_allclose(difference, binary.coef_[0], atol=1e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 2.0, 2: 3.0}, "balanced"])
@unconverged
def test_class_weight_equals_sample_weight(toy_set, solver, class_weight):
    X, y = toy_set("iris", "softmax")
    X, y = X[20:], y[20:]
    rows = np.random.default_rng(0).uniform(0.5, 2, len(y))
    if class_weight == "balanced":
        by_class = rows.sum() / (3 * np.bincount(y, rows))
    else:
        by_class = np.array(list(class_weight.values()))
    arguments = {"solver": solver, "max_iter": 20, "random_state": 0}
    weighted = LogisticRegression(class_weight=class_weight, **arguments).fit(X, y, rows)
    expected = LogisticRegression(**arguments).fit(X, y, rows * by_class[y])
    np.testing.assert_allclose(weighted.coef_, expected.coef_, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@unconverged
def test_weights_equal_repetition(toy_set, solver):
    X, y = toy_set("wine", "softmax")
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    arguments = {"solver": solver, "max_iter": 40, "random_state": 0, "batch_size": 1000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # batches are clipped to all rows
        weighted = LogisticRegression(**arguments).fit(X, y, weight)
        repeated = LogisticRegression(**arguments).fit(
            np.repeat(X, weight, axis=0), np.repeat(y, weight)
        )
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_float32_is_kept(toy_set, solver):
    X, y = toy_set("iris", "softmax", np.float32)
    model = LogisticRegression(solver=solver, tol=1e-2, random_state=0).fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert model.predict_proba(X).dtype == model.decision_function(X).dtype == np.float32
    wide = LogisticRegression(solver=solver, tol=1e-2, random_state=0).fit(X.astype(float), y)
    np.testing.assert_allclose(model.coef_, wide.coef_, atol=1e-3)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_warm_start_goes_on_from_the_last_fit(toy_set, name, fit_intercept):
    X, y = toy_set(name, "softmax")
    model = LogisticRegression(
        warm_start=True, fit_intercept=fit_intercept, tol=1e-6, max_iter=1000
    )
    cold = model.fit(X, y).n_iter_[0]
    coef = model.coef_
    model.fit(X, y)
    assert model.n_iter_[0] <= 1 < cold
    np.testing.assert_allclose(model.coef_, coef, atol=1e-5)
    model.sparsify().fit(X, y)
    assert model.n_iter_[0] <= 1
    with pytest.raises(ValueError, match="warm_start: coef_ of the previous fit is of shape"):
        model.fit(X[:, 1:], y)


def test_warns_as_scikit_learn_at_max_iter(toy_set):
    X, y = toy_set("digits", "softmax")
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 2 iteration"):
        LogisticRegression(max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        LogisticRegression(max_iter=2, solver="adam").fit(X, y)


def test_refits_on_the_other_code(toy_set, monkeypatch):
    X, y = toy_set("iris", "softmax")
    model = LogisticRegression(solver="sgd", tol=0.1, random_state=0).fit(X, y)
    assert hasattr(model, "loss_curve_")
    with monkeypatch.context() as patch:
        patch.setattr(LogisticRegression, "_unsupported_reason", lambda *_: "a test")
        model.set_params(solver="newton-cg", tol=1e-7).fit(X, y)
    assert (model.backend_, hasattr(model, "loss_curve_")) == ("scikit-learn", False)
    theirs = model.coef_
    assert model.set_params(solver="lbfgs").fit(X, y).backend_ == "numba"
    np.testing.assert_allclose(model.coef_, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.predict_proba(csr_array(X)), model.predict_proba(X), rtol=1e-12
    )
    dense = model.predict_proba(X)
    np.testing.assert_allclose(model.sparsify().predict_proba(X), dense, rtol=1e-12)


def test_metadata_routing_hands_over_sample_weight(toy_set):
    X, y = toy_set("iris", "softmax")
    weight = np.random.default_rng(0).uniform(0.1, 5, len(y))
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(LogisticRegression().set_fit_request(sample_weight=True))
        routed = pipeline.fit(X, y, sample_weight=weight)[-1]
    expected = LogisticRegression().fit(X, y, weight)
    np.testing.assert_array_equal(routed.coef_, expected.coef_)
    assert not np.array_equal(routed.coef_, LogisticRegression().fit(X, y).coef_)


def test_array_api_dispatch_is_scikit_learns(toy_set, monkeypatch):
    X, y = toy_set("iris", "softmax")
    expected = SklearnLogisticRegression().fit(X, y)
    # SciPy enables it only at import.
    for module in ("logistic_regression",):
        monkeypatch.setattr(
            f"fastlogit.estimators.{module}.get_config", lambda: {"array_api_dispatch": True}
        )
    ours = LogisticRegression().fit(X, y)
    assert (ours.backend_, hasattr(ours, "model_")) == ("scikit-learn", False)
    np.testing.assert_array_equal(ours.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(ours.predict_log_proba(X), expected.predict_log_proba(X))


def recorder():
    """Return a callback of scikit-learn 1.9 that outer estimators propagate, and its calls."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn below 1.9")
    calls = []

    def recorded(hook):
        return lambda *_, **__: calls.append(hook)

    class Recorder:
        max_propagation_depth = None
        setup = recorded("setup")
        on_fit_task_begin = recorded("begin")
        on_fit_task_end = recorded("end")
        teardown = recorded("teardown")

    return Recorder(), calls


def test_solvers_that_show_no_iterations_warn(toy_set):
    callback, calls = recorder()
    X, y = toy_set("iris", "logistic")
    with pytest.warns(UserWarning, match="Callbacks are only supported"):
        model = LogisticRegression(solver="liblinear").set_callbacks(callback)
    model.fit(X, y)
    assert (calls[0], calls[-1]) == ("setup", "teardown")


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@unconverged
def test_pipelines_and_searches_run_on_the_kernels(toy_set, solver):
    X, y = toy_set("iris", "softmax")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(solver=solver)).fit(X, y)
    assert pipeline[-1].backend_ == "numba"
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(X, y)
    assert search.best_estimator_[-1].backend_ == "numba"


# Arguments that scikit-learn warns of, and those that have the same meaning.
OLD_ARGUMENTS = [
    ("lbfgs", {"penalty": "l2"}, {}),
    ("lbfgs", {"penalty": "l2", "l1_ratio": 0.3}, {}),
    ("lbfgs", {"penalty": "l2", "C": np.inf}, {"C": np.inf}),
    ("lbfgs", {"penalty": None}, {"C": np.inf}),
    ("lbfgs", {"penalty": None, "C": 3.0, "l1_ratio": 0.3}, {"C": np.inf}),
    ("lbfgs", {"C": np.inf, "l1_ratio": 0.3}, {"C": np.inf}),
    ("lbfgs", {"l1_ratio": None}, {}),
    ("lbfgs", {"n_jobs": 2}, {}),
    ("newton-cholesky", {"penalty": None}, {"C": np.inf}),
    ("saga", {"penalty": None, "l1_ratio": 1}, {"C": np.inf}),
    ("saga", {"penalty": "l1", "C": np.inf}, {"C": np.inf}),
    ("saga", {"penalty": "l1"}, {"l1_ratio": 1}),
    ("saga", {"penalty": "l1", "l1_ratio": 0.3}, {"l1_ratio": 1}),
    ("saga", {"penalty": "elasticnet", "l1_ratio": 0.3}, {"l1_ratio": 0.3}),
    ("saga", {"penalty": "elasticnet", "l1_ratio": 0}, {}),
    ("liblinear", {"penalty": "l2", "l1_ratio": 1}, {}),
]


def fit_and_warned(kind, X, y, **arguments):
    """Return a fitted model and what it warned of, but for convergence and, below 1.9, C=inf."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind(max_iter=200, random_state=0, **arguments).fit(X, y)
    told = [(w.category, str(w.message)) for w in caught]
    told = [t for t in told if not issubclass(t[0], ConvergenceWarning)]
    if arguments.get("penalty", "deprecated") is not None:
        told = [t for t in told if "Setting penalty=None" not in t[1]]
    return model, told


@pytest.mark.parametrize(("solver", "old", "new"), OLD_ARGUMENTS)
def test_deprecated_arguments_warn_as_in_scikit_learn(toy_set, solver, old, new):
    X, y = toy_set("breast_cancer", "logistic")
    # No logit grows without bounds.
    X, y = StandardScaler().fit_transform(X[:, [0, 1, 4]]), y ^ (np.arange(len(y)) % 3 == 0)
    ours, told = fit_and_warned(LogisticRegression, X, y, solver=solver, tol=1e-6, **old)
    theirs, expected = fit_and_warned(SklearnLogisticRegression, X, y, solver=solver, **old)
    assert [category for category, _ in told] == [category for category, _ in expected]
    if sklearn.__version__.startswith("1.9"):
        assert told == expected
    assert ours.backend_ == "numba"
    same, told = fit_and_warned(LogisticRegression, X, y, solver=solver, tol=1e-6, **new)
    assert told == []
    np.testing.assert_array_equal(ours.coef_, same.coef_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-2)


@unconverged
def test_mini_batches_take_deprecated_arguments(toy_set):
    X, y = toy_set("iris", "softmax")
    for old, new in (({"penalty": "l2"}, {}), ({"penalty": None}, {"C": np.inf})):
        model, told = fit_and_warned(LogisticRegression, X, y, solver="adam", **old)
        assert [category for category, _ in told] == [FutureWarning]
        same, _ = fit_and_warned(LogisticRegression, X, y, solver="adam", **new)
        np.testing.assert_array_equal(model.coef_, same.coef_)


def test_penalties_that_scikit_learn_refuses(toy_set):
    X, y = toy_set("iris", "logistic")
    for arguments in (
        {"penalty": "l1"}, {"penalty": "elasticnet", "solver": "saga", "l1_ratio": None},
        {"penalty": None, "solver": "liblinear"}, {"penalty": "elasticnet", "solver": "liblinear"},
        {"penalty": "l1", "solver": "liblinear", "dual": True}, {"penalty": None, "dual": True},
    ):  # fmt: skip
        with pytest.raises(ValueError) as expected:  # noqa: PT011
            fit_and_warned(SklearnLogisticRegression, X, y, **arguments)
        with pytest.raises(ValueError, match=re.escape(str(expected.value))):
            fit_and_warned(LogisticRegression, X, y, **arguments)
    with pytest.raises(ValueError, match=r"C=np\.inf as well as penalty=None is not supported"):
        LogisticRegression("l2", C=np.inf, solver="liblinear").fit(X, y)  # theirs never ends


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions_agree_and_stay_finite_at_large_logits(dtype, n_classes):
    X = np.array([[1e4], [-1e4], [0.5]], dtype)
    y = np.arange(3) % n_classes
    model = LogisticRegression().fit(X, y)
    model.coef_ = np.arange(len(model.coef_), dtype=dtype)[:, None] + dtype(n_classes == 2)
    model.intercept_ = np.zeros(len(model.coef_), dtype)
    log_proba, proba = model.predict_log_proba(X), model.predict_proba(X)
    assert log_proba.dtype == proba.dtype == dtype
    assert np.isfinite(log_proba).all()
    assert log_proba[0, 0] == pytest.approx(-1e4 * (n_classes - 1))
    np.testing.assert_allclose(np.exp(log_proba), proba, rtol=1e-5, atol=1e-30)
    np.testing.assert_array_equal(model.predict(X), proba.argmax(axis=1))
    if n_classes == 2:
        np.testing.assert_allclose(proba[:, 1], expit(model.decision_function(X)), rtol=1e-6)


# Mini-batch solvers


@unconverged
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_epochs_equal_a_plain_numpy_loop(toy_set, name, solver, fit_intercept):
    """The oracle steps scikit-learn's optimizers with gradients written out above."""
    X, y = toy_set(name, "softmax")
    settings = {"solver": solver, "C": 0.5, "batch_size": 32, "learning_rate_init": 0.05}
    epochs = 4
    model = LogisticRegression(
        max_iter=epochs, random_state=0, fit_intercept=fit_intercept, **settings
    ).fit(X, y)

    oracle = LogisticRegression(C=0.5)
    oracle.classes_ = np.unique(y)
    n_outputs = 1 if len(oracle.classes_) == 2 else len(oracle.classes_)
    oracle.coef_, oracle.intercept_ = np.zeros((n_outputs, X.shape[1])), np.zeros(n_outputs)
    params = [oracle.coef_, oracle.intercept_]
    optimizer = {"sgd": SGDOptimizer, "adam": AdamOptimizer}[solver](params, 0.05)
    generator, order = np.random.RandomState(0), np.arange(len(y))
    for epoch in range(epochs):
        generator.shuffle(order)
        total = 0.0
        for start in range(0, len(y), 32):
            rows = order[start : start + 32]
            oracle.C = 0.5 * len(y) / len(rows)  # the penalty is that of all rows
            loss, grad_W, grad_b = penalised_loss(oracle, X[rows], y[rows])
            optimizer.update_params(params, [grad_W, grad_b * fit_intercept])
            total += loss * len(rows) / len(y)
        assert model.loss_curve_[epoch] == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(model.coef_, oracle.coef_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, oracle.intercept_, rtol=0, atol=1e-12)
    assert (model.n_iter_.tolist(), model.t_) == ([epochs], epochs * len(y))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_minibatches_come_near_the_optimum(toy_set, name, solver):
    X, y = toy_set(name, "softmax")
    best = LogisticRegression(C=0.1, **EXACT).fit(X, y)
    model = LogisticRegression(
        C=0.1, solver=solver, batch_size=32, learning_rate_init=0.005, tol=1e-6, max_iter=2000,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    reached, optimum = penalised_loss(model, X, y)[0], penalised_loss(best, X, y)[0]
    assert optimum < reached < optimum * 1.02


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_early_stopping_keeps_the_best_scored_parameters(toy_set, name):
    X, y = toy_set(name, "softmax")
    model = LogisticRegression(
        solver="sgd", early_stopping=True, validation_fraction=0.3, random_state=0, batch_size=16
    ).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_[0] < 100
    assert model.best_loss_ is None
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_without_shuffling_equals_fit(toy_set, solver):
    X, y = toy_set("iris", "softmax")
    arguments = {"solver": solver, "shuffle": False, "batch_size": 20, "random_state": 0}
    parts = LogisticRegression(**arguments)
    assert not hasattr(LogisticRegression(), "partial_fit")
    for _ in range(5):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.warns(ConvergenceWarning):
        whole = LogisticRegression(max_iter=5, **arguments).fit(X, y)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.loss_curve_, whole.loss_curve_)
    assert parts.t_ == whole.t_ == 5 * len(y)


def test_partial_fit_checks_classes_and_continues_from_lbfgs(toy_set):
    X, y = toy_set("iris", "softmax")
    model = LogisticRegression(solver="adam")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(X[:60], y[:60], classes=[0, 1])
    with pytest.raises(ValueError, match="label 2"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="'balanced' needs all of y"):
        LogisticRegression(solver="adam", class_weight="balanced").partial_fit(
            X, y, classes=[0, 1, 2]
        )
    fitted = LogisticRegression().fit(X, y)
    coef = fitted.coef_
    fitted.set_params(solver="sgd", learning_rate_init=1e-6).partial_fit(X.astype(np.float32), y)
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-5)
    assert fitted.coef_.dtype == np.float64
    assert len(fitted.loss_curve_) == 1


@unconverged
def test_warm_start_of_minibatches_continues(toy_set):
    X, y = toy_set("iris", "softmax")
    model = LogisticRegression(solver="sgd", warm_start=True, max_iter=3, random_state=0).fit(X, y)
    first = list(model.loss_curve_)
    model.fit(X, y)
    assert model.loss_curve_[:3] == first
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[3] < first[2]
    with pytest.raises(ValueError, match="label"):
        model.fit(X, y + 1)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_minibatches_refuse_unsupported_arguments(toy_set, solver):
    X, y = toy_set("iris", "softmax")
    for arguments in ({"l1_ratio": 0.5}, {"dual": True}, {"penalty": "l1"}):
        with pytest.raises(ValueError, match=f"Solver {solver} supports only the L2 penalty"):
            LogisticRegression(solver=solver, **arguments).fit(X, y)
    with pytest.raises(ValueError, match="only one class"):
        LogisticRegression(solver=solver).fit(X[:50], y[:50])
