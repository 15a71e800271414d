"""LogisticRegressionCV against scikit-learn's: attributes, scores, splits, weights, warnings."""

import logging
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV as SklearnLogisticRegressionCV
from sklearn.metrics import get_scorer, make_scorer, zero_one_loss
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastlogit
from fastlogit import LogisticRegression, LogisticRegressionCV
from fastlogit.estimators import full_batch
from fastlogit.estimators.scoring import SCORES
from fastlogit.estimators.sklearn_compat import CALLBACKS_EXIST

PLAIN = {"l1_ratios": (0,), "scoring": "accuracy", "use_legacy_attributes": False}
CS = [0.01, 0.3, 10.0]
TIGHT = {"tol": 1e-8, "max_iter": 10_000, "Cs": CS}
ATTRIBUTES = (
    "C_", "Cs_", "l1_ratio_", "l1_ratios_", "scores_", "coefs_paths_", "n_iter_", "classes_",
    "coef_", "intercept_",
)  # fmt: skip


def subset(toy_set, name):
    """Return a toy set, of digits every third row."""
    X, y = toy_set(name, "softmax")
    return (X[::3], y[::3]) if name == "digits" else (X, y)


def as_array(value):
    return np.stack(list(value.values())) if isinstance(value, dict) else np.asarray(value)


def assert_same(ours, theirs, *, rtol=1e-4, iterations=False):
    """Check every fitted attribute: types, shapes, and values relative to the largest.

    A gradient of ‖g‖ leaves coefficients within ‖g‖ C Σ weights: 1e-4 at TIGHT's C and tol.
    """
    assert ours.backend_ == "numba"
    for name in ATTRIBUTES:
        actual, expected = getattr(ours, name), getattr(theirs, name)
        assert type(actual) is type(expected), name
        if isinstance(expected, dict):
            assert list(actual) == list(expected), name
        actual, expected = as_array(actual), as_array(expected)
        if expected.dtype == object:  # l1_ratio_ is None without refit below scikit-learn 1.9
            continue
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), name
        if name == "scores_":
            np.testing.assert_allclose(actual, expected, rtol=rtol / 10, err_msg=name)
        elif name in ("coefs_paths_", "coef_", "intercept_"):
            scale = max(np.abs(expected).max(), 1)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale, err_msg=name)
        elif name != "n_iter_" or iterations:
            np.testing.assert_array_equal(actual, expected, err_msg=name)


def fit_both(X, y, weight=None, **arguments):
    arguments = PLAIN | TIGHT | arguments
    if not (CALLBACKS_EXIST or arguments["use_legacy_attributes"] or arguments.get("refit", True)):
        pytest.skip("scikit-learn 1.8 raises TypeError for float(None)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ours = LogisticRegressionCV(**arguments).fit(X, y, weight)
        theirs = SklearnLogisticRegressionCV(**arguments).fit(X, y, weight)
    return ours, theirs


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_attributes_are_scikit_learns(toy_set, name, fit_intercept, legacy, refit):
    X, y = subset(toy_set, name)
    arguments = {"fit_intercept": fit_intercept, "use_legacy_attributes": legacy, "refit": refit}
    assert_same(*fit_both(X, y, **arguments))
    assert_same(*fit_both(X, y, l1_ratios=None, **arguments))


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "digits"])
def test_paths_are_scikit_learns(toy_set, name, solver):
    X, y = subset(toy_set, name)
    ours = LogisticRegressionCV(solver=solver, **PLAIN | TIGHT).fit(X, y)
    theirs = SklearnLogisticRegressionCV(solver="newton-cg", **PLAIN | TIGHT).fit(X, y)
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_weights_and_class_weights(toy_set, name):
    X, y = subset(toy_set, name)
    weight = np.random.default_rng(0).uniform(0, 2, len(y))
    assert_same(*fit_both(X, y, weight))
    assert_same(*fit_both(X, y, weight, scoring="neg_log_loss"))
    assert_same(*fit_both(X, y, weight, class_weight="balanced"))
    assert_same(*fit_both(X, y, class_weight={0: 3, 1: 0.5}))


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_sparse_rows(toy_set, name):
    X, y = subset(toy_set, name)
    thinned = np.where(np.abs(X) > 0.5, X, 0)
    ours, theirs = fit_both(csr_matrix(thinned), y)
    assert_same(ours, theirs)
    dense = LogisticRegressionCV(**PLAIN | TIGHT).fit(thinned, y)
    np.testing.assert_allclose(ours.coef_, dense.coef_, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(ours.predict(csr_matrix(thinned)), dense.predict(thinned))


@pytest.mark.filterwarnings("ignore:The max_iter was reached")  # by scikit-learn's saga
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize(
    ("l1_ratios", "name"), [(np.array([0.4, 0.9]), "iris"), ([1.0], "breast_cancer")]
)
def test_l1_ratios(toy_set, name, l1_ratios, refit, legacy):
    X, y = subset(toy_set, name)
    arguments = {"solver": "saga", "l1_ratios": l1_ratios, "cv": 3, "Cs": [0.02, 0.05]}
    arguments |= {"refit": refit, "use_legacy_attributes": legacy, "scoring": "neg_log_loss"}
    arguments |= {"tol": 1e-6, "max_iter": 20_000, "random_state": 0}
    assert_same(*fit_both(X, y, **arguments), rtol=5e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:l1_ratios parameter:UserWarning")
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("penalty", "l1_ratios"), [("l1", None), ("l2", None), ("l2", (0.3,)), ("elasticnet", (0.3,))]
)
def test_penalty_by_its_old_name(toy_set, penalty, l1_ratios, legacy):
    X, y = subset(toy_set, "breast_cancer")
    solver = "lbfgs" if penalty == "l2" else "saga"
    arguments = {"solver": solver, "penalty": penalty, "l1_ratios": l1_ratios, "cv": 2}
    arguments |= {"Cs": [0.1], "use_legacy_attributes": legacy, "random_state": 0, "tol": 1e-6}
    ours, theirs = fit_both(X, y, scoring="neg_log_loss", **arguments)
    assert_same(ours, theirs, rtol=1e-3)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_the_choice_at_the_default_tol(toy_set, name):
    X, y = subset(toy_set, name)
    ours, theirs = fit_both(X, y, tol=1e-4, max_iter=1000, Cs=7)
    assert ours.C_ == theirs.C_
    # A large C leaves much to tol; up to 1, at most one row of a fold's is predicted otherwise.
    one_row = 1.01 * 5 / len(y)
    np.testing.assert_allclose(ours.scores_[..., :4], theirs.scores_[..., :4], rtol=0, atol=one_row)
    if name in ("iris", "wine"):
        np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=0, atol=1e-12)


def test_the_first_fits_take_scikit_learns_iterations(toy_set):
    for name in ("iris", "breast_cancer"):
        X, y = subset(toy_set, name)
        assert_same(*fit_both(X, y, tol=1e-4, Cs=[5e-3], refit=False), rtol=1e-6, iterations=True)


BINARY_SCORERS = ["precision", "recall", "f1", "roc_auc", "average_precision"]
# scikit-learn 1.9's code raises TypeError for the others, whose pos_label it sets twice.
FOR_TWO_CLASSES = [None, "accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc"]
FOR_TWO_CLASSES += ["average_precision"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("scoring", "name"),
    [
        *((scoring, "breast_cancer") for scoring in FOR_TWO_CLASSES),
        *((scoring, "iris") for scoring in SCORES if scoring not in BINARY_SCORERS),
        ("roc_auc_ovr", "iris"),
        ("neg_brier_score", "breast_cancer"),
        (make_scorer(zero_one_loss, greater_is_better=False), "iris"),
    ],
)
def test_scores_are_scikit_learns(toy_set, scoring, name, weighted):
    X, y = subset(toy_set, name)
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y)) if weighted else None
    ours, theirs = fit_both(X, y, weight, scoring=scoring)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=1e-5)
    assert ours.C_ == theirs.C_
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-5)


@pytest.mark.parametrize("scoring", ["precision", "recall", "f1", "f1_macro", "recall_weighted"])
def test_scores_of_two_classes_are_the_scorers(toy_set, scoring):
    X, y = subset(toy_set, "breast_cancer")
    train, test = np.arange(300), np.arange(300, len(y))
    ours = LogisticRegressionCV(cv=[(train, test)], **PLAIN | TIGHT | {"scoring": scoring})
    ours.fit(X, y)
    for C, score in zip(ours.Cs_, ours.scores_[0, 0], strict=True):
        alone = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(X[train], y[train])
        assert score == pytest.approx(get_scorer(scoring)(alone, X[test], y[test]), rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("scoring", ["f1_macro", "balanced_accuracy", "neg_log_loss", "accuracy"])
def test_scores_where_classes_are_never_predicted_or_missing(scoring):
    if scoring == "neg_log_loss" and not CALLBACKS_EXIST:
        pytest.skip("scikit-learn 1.8 does not tell its scorer of classes that test rows lack")
    X = np.linspace(0, 1, 40)[:, None]
    y = np.repeat([0, 1, 2, 0], 10)
    arguments = {"scoring": scoring, "Cs": [1e-4, 1.0], "cv": KFold(3)}
    if scoring == "balanced_accuracy":
        with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
            ours, theirs = fit_both(X, y, **arguments)
    else:
        ours, theirs = fit_both(X, y, **arguments)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=1e-6)


def test_string_labels_and_frames(toy_set):
    pd = pytest.importorskip("pandas")
    X, y = subset(toy_set, "breast_cancer")
    frame = pd.DataFrame(X).add_prefix("x")
    labels = np.array(["benign", "malign"])[y]
    ours, theirs = fit_both(frame, labels, scoring="balanced_accuracy")
    assert_same(ours, theirs)
    assert list(ours.feature_names_in_) == list(frame)
    np.testing.assert_array_equal(ours.predict(frame), theirs.predict(frame))


@pytest.mark.parametrize(
    "cv", [3, KFold(4, shuffle=True, random_state=0), ShuffleSplit(3, random_state=0)]
)
def test_splitters(toy_set, cv):
    X, y = subset(toy_set, "iris")
    assert_same(*fit_both(X, y, cv=cv))
    pairs = [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(1, 150, 2), np.arange(7))]
    assert_same(*fit_both(X, y, cv=pairs))


@pytest.mark.parametrize("weighted", [False, True])
def test_metadata_routing(toy_set, weighted):
    X, y = subset(toy_set, "iris")
    groups = np.arange(len(y)) % 6
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(zero_one_loss).set_score_request(sample_weight=weighted)
        fits = [
            cls(cv=GroupKFold(3), **PLAIN | TIGHT | {"scoring": scorer}).fit(
                X, y, sample_weight=weight, groups=groups
            )
            for cls in (LogisticRegressionCV, SklearnLogisticRegressionCV)
        ]
        assert_same(*fits)
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        LogisticRegressionCV(**PLAIN).fit(X, y, groups=groups)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_jobs_and_threads_change_no_bit(n_jobs, n_threads):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 6))
    y = (X[:, :2].sum(axis=1) + rng.normal(size=1500) > 0).astype(int)
    expected = LogisticRegressionCV(**PLAIN).fit(X, y)
    ours = LogisticRegressionCV(n_jobs=n_jobs, n_threads=n_threads, **PLAIN).fit(X, y)
    for name in ("coefs_paths_", "scores_", "coef_", "n_iter_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))


def test_a_scorer_of_ones_own_sees_a_fitted_model_and_plain_rows(toy_set):
    X, y = subset(toy_set, "iris")
    seen = []

    def score(model, X, y, sample_weight=None):
        seen.append((model.C, model.coef_.shape, model.predict(X).shape == y.shape))
        return -abs(model.C - 0.3)

    ours = LogisticRegressionCV(cv=2, **PLAIN | TIGHT | {"scoring": score}).fit(X, y)
    assert ours.C_ == 0.3
    assert seen == [(C, (3, 4), True) for C in CS] * 2


ADVICE_AND_PLACES = (
    r"failed to converge after 2 iteration[\s\S]*fold 1 of 2 at C=0.01, 0.3, 10; fold 2"
)


def test_one_warning_names_the_folds_and_the_strengths(toy_set):
    X, y = subset(toy_set, "iris")
    with pytest.warns(ConvergenceWarning, match=ADVICE_AND_PLACES) as caught:
        LogisticRegressionCV(cv=2, refit=False, max_iter=2, Cs=CS, **PLAIN).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def warnings_of(estimator, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, y)
    return sorted((w.category.__name__, str(w.message)[:25]) for w in caught)


def test_defaults_warn_as_scikit_learns_do(toy_set):
    X, y = subset(toy_set, "iris")
    for arguments in ({}, {"l1_ratios": None}, {"penalty": "l2", "l1_ratios": (0,)}, PLAIN):
        arguments = {"Cs": [1.0]} | arguments
        found = warnings_of(LogisticRegressionCV(**arguments), X, y)
        assert found == warnings_of(SklearnLogisticRegressionCV(**arguments), X, y)
    assert found == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"l1_ratios": (1,)}, "Solver lbfgs supports only 'l2' or None penalties"),
        ({"solver": "saga", "l1_ratios": [0.1, 2]}, "l1_ratios must be an array-like of numbers"),
        ({"dual": True}, "supports only dual=False"),
        ({"class_weight": {7: 1}}, "class_weight dict must have the class labels as keys"),
        ({"solver": "sgd"}, "The 'solver' parameter"),
        ({"n_threads": 0}, "The 'n_threads' parameter"),
        ({"cv": 1}, "The 'cv' parameter"),
    ],
)
def test_errors(toy_set, arguments, error):
    X, y = subset(toy_set, "iris")
    with pytest.raises(ValueError, match=error):
        LogisticRegressionCV(**PLAIN | arguments).fit(X, y)
    with pytest.raises(ValueError, match="contains only one class: 1"):
        LogisticRegressionCV(**PLAIN).fit(X, np.ones(len(y), int))


def test_what_the_kernels_do_not_support_runs_scikit_learns_code(toy_set, caplog):
    X, y = subset(toy_set, "breast_cancer")
    caplog.set_level(logging.INFO, "fastlogit")
    arguments = PLAIN | {"solver": "sag", "Cs": [0.1], "random_state": 0, "max_iter": 2000}
    ours = LogisticRegressionCV(**arguments)
    if ours._unsupported_reason(X, y) is None:
        pytest.skip("the kernels support sag")
    ours.fit(X, y)
    theirs = SklearnLogisticRegressionCV(**arguments).fit(X, y)
    assert (ours.backend_, hasattr(ours, "model_")) == ("scikit-learn", False)
    assert "LogisticRegressionCV runs on scikit-learn: solver='sag'" in caplog.text
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)


def test_an_interrupt_leaves_the_estimator_as_before(toy_set, monkeypatch):
    X, y = subset(toy_set, "iris")
    fitted = LogisticRegressionCV(cv=2, **PLAIN | TIGHT).fit(X, y)
    before = dict(vars(fitted))

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(full_batch, "minimise", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X[:, :2], y % 2)
    assert vars(fitted) == before


def test_pickle_clone_and_pipeline(toy_set):
    X, y = subset(toy_set, "iris")
    fitted = LogisticRegressionCV(n_threads=2, **PLAIN | TIGHT).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert clone(fitted).get_params() == fitted.get_params()
    pipeline = make_pipeline(StandardScaler(), clone(fitted)).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert isinstance(fitted, SklearnLogisticRegressionCV)
    assert isinstance(fitted, LogisticRegression)
    assert not hasattr(fitted, "partial_fit")


def test_the_last_fit_begins_at_the_mean_of_the_folds_and_equals_a_fit_alone(toy_set):
    X, y = subset(toy_set, "breast_cancer")
    ours = LogisticRegressionCV(**PLAIN | TIGHT).fit(X, y)
    alone = LogisticRegression(C=ours.C_, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, alone.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours.predict_proba(X), alone.predict_proba(X), atol=1e-6)
    assert ours.model_ == "logistic"


def test_a_source_is_refused():
    source = fastlogit.scan(np.eye(4), target=np.array([0, 1, 0, 1]))
    with pytest.raises(TypeError, match="choose C on a sample of its rows"):
        LogisticRegressionCV().fit(source)
