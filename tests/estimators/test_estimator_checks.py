"""scikit-learn's checks of estimators, with no failure expected."""

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from fastlogit import LogisticRegression, MLPClassifier

ESTIMATORS = [
    estimator(solver=solver)
    for estimator in (MLPClassifier, LogisticRegression)
    for solver in ("lbfgs", "sgd", "adam")
]
ESTIMATORS += [LogisticRegression(solver=solver) for solver in ("newton-cholesky", "newton-cg")]
ESTIMATORS.append(LogisticRegression(solver="saga", l1_ratio=0.5))
# The checks cut max_iter short.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__qualname__}"
)


CHECKS = parametrize_with_checks(ESTIMATORS).mark


# A list, since scikit-learn below 1.9 gives a generator, which pytest 9 warns of.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_invalid_arguments_raise(estimator):
    check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_column_names_are_checked(estimator):
    check_dataframe_column_names_consistency(type(estimator).__name__, estimator)
