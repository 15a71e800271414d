"""scikit-learn's estimator checks: none is expected to fail, and a warning is a failure."""

import inspect
import warnings
from functools import partial

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimators_dtypes,
    check_param_validation,
    parametrize_with_checks,
)

from fastlogit import LogisticRegression, LogisticRegressionCV, MLPClassifier

# Few folds, for the few rows of the checks, and no default that scikit-learn warns of. The checks
# want an iteration of each fit, and predictions to 1e-7: a large C leaves them to rounding.
CV = {"l1_ratios": (0,), "scoring": "neg_log_loss", "use_legacy_attributes": False, "cv": 3}
CV |= {"Cs": (0.01, 1.0), "tol": 1e-10}
ESTIMATORS = [
    *(LogisticRegression(solver=solver) for solver in ("lbfgs", "sgd", "adam")),
    *(MLPClassifier(solver=solver) for solver in ("sgd", "adam")),
    LogisticRegressionCV(**CV),
]
# The checks reduce max_iter. A divergence warns in the same category and is not ignored.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{beginning}:sklearn.exceptions.ConvergenceWarning")
    for beginning in (
        "lbfgs failed to converge",
        "Stochastic Optimizer. Maximum iterations",
        "The max_iter was reached",
        "Liblinear failed to converge",
        "newton-cg failed to converge",
        "newton-cholesky failed to converge",
        "Newton solver did not converge",
    )
] + [
    pytest.mark.filterwarnings("ignore:The least populated class:UserWarning"),  # for 3 folds
    # By scikit-learn 1.8's own code for C=inf.
    pytest.mark.filterwarnings("ignore:Setting penalty=None will ignore the C:UserWarning"),
]

# Checks that fail with some arguments, in scikit-learn's classes too.
PARTIAL_FIT = (  # which class_weight="balanced" and early_stopping refuse
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
    "check_estimators_partial_fit_n_features",
)
WEIGHTS = (  # compare with a fit on repeated rows, which are shuffled differently
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)
EARLY_STOPPING = (  # have too few rows to split, or require more epochs than early_stopping runs
    *PARTIAL_FIT,
    *WEIGHTS,
    "check_estimators_nan_inf",
    "check_classifiers_one_label",
    "check_fit2d_1feature",
    "check_class_weight_classifiers",
)
EARLY_STOPPING_LINEAR = (
    *EARLY_STOPPING,
    "check_sparsify_coefficients",
    "check_class_weight_balanced_linear_classifier",
)
MULTILABEL = (  # which class_weight refuses
    "check_classifiers_multilabel_representation_invariance",
    "check_classifiers_multilabel_output_format_predict",
    "check_classifiers_multilabel_output_format_predict_proba",
    "check_classifiers_multilabel_output_format_decision_function",
)
VARIANTS = [
    (LogisticRegression(C=float("inf")), ()),
    (LogisticRegression(warm_start=True), ()),
    (LogisticRegression(solver="newton-cg"), ()),
    (LogisticRegression(solver="newton-cholesky"), ()),
    (LogisticRegression(solver="sag"), ()),
    (LogisticRegression(solver="saga"), ()),
    (LogisticRegression(solver="saga", l1_ratio=0.5), ()),
    # It requires two classes, but its message differs from the one these match.
    (
        LogisticRegression(solver="liblinear"),
        ("check_classifier_not_supporting_multiclass", "check_fit2d_1sample"),
    ),
    (LogisticRegressionCV(solver="newton-cg", **CV), ()),
    (LogisticRegressionCV(solver="newton-cholesky", class_weight="balanced", **CV), ()),
    (LogisticRegressionCV(solver="saga", **CV | {"l1_ratios": (0.5, 1)}), ()),
    (LogisticRegressionCV(**CV | {"scoring": "accuracy", "use_legacy_attributes": True}), ()),
    (LogisticRegression(solver="sgd", learning_rate="adaptive"), ()),
    (MLPClassifier(solver="sgd", learning_rate="adaptive"), ()),
    (LogisticRegression(class_weight="balanced"), ()),
    (LogisticRegression(solver="sgd", class_weight="balanced"), PARTIAL_FIT),
    (LogisticRegression(solver="adam", class_weight="balanced"), PARTIAL_FIT),
    # With little penalty it reaches logits whose probabilities are 0 or 1, which the checks refuse,
    # and in a hundred iterations the kinks of relu may magnify rounding beyond their 1e-7.
    (MLPClassifier(solver="lbfgs", alpha=3), ()),
    (MLPClassifier(solver="lbfgs", alpha=1, activation="tanh"), ()),
    (MLPClassifier(solver="lbfgs", alpha=1, class_weight="balanced"), MULTILABEL),
    (MLPClassifier(solver="sgd", class_weight="balanced"), PARTIAL_FIT + MULTILABEL),
    (MLPClassifier(solver="adam", class_weight="balanced"), PARTIAL_FIT + MULTILABEL),
    (LogisticRegression(solver="sgd", early_stopping=True), EARLY_STOPPING_LINEAR),
    (LogisticRegression(solver="adam", early_stopping=True), EARLY_STOPPING_LINEAR),
    (MLPClassifier(solver="adam", early_stopping=True), EARLY_STOPPING),
]


def with_warnings(check):
    """Return the check, a partial, without the decorator that ignores warnings of fits."""
    return partial(inspect.unwrap(check.func), *check.args, **check.keywords)


def with_checks(estimators, left_out=()):
    """Parametrize by all checks but those left out."""
    mark = parametrize_with_checks(estimators).mark
    # A list, since scikit-learn below 1.9 returns a generator, which pytest 9 warns of.
    pairs = [
        (estimator, with_warnings(check))
        for estimator, check in mark.args[1]
        if (str(estimator), check.func.__name__) not in left_out
    ]
    return pytest.mark.parametrize(mark.args[0], pairs, **mark.kwargs)


@with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@with_checks(
    [estimator for estimator, _ in VARIANTS],
    {(str(estimator), name) for estimator, names in VARIANTS for name in names},
)
def test_scikit_learn_checks_with_other_arguments(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("estimator", "names"), VARIANTS)
def test_what_is_left_out_is_a_check(estimator, names):
    checks = parametrize_with_checks([estimator]).mark.args[1]
    assert {*names} <= {check.func.__name__ for _, check in checks} | {*WEIGHTS}


def test_a_warning_inside_of_a_check_is_a_failure():
    class Noisy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            warnings.warn("noise", UserWarning, stacklevel=2)
            return super().fit(X, y, sample_weight)

    check = partial(check_estimators_dtypes, "Noisy")
    check(Noisy())
    with pytest.raises(UserWarning, match="noise"):
        with_warnings(check)(Noisy())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_invalid_arguments_raise(estimator):
    check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_column_names_are_checked(estimator):
    check_dataframe_column_names_consistency(type(estimator).__name__, estimator)
