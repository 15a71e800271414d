"""Copied and pickled estimators predict and continue training with the same bits."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from fastlogit import LogisticRegression, MLPClassifier

ESTIMATORS = [
    MLPClassifier((5,), solver="sgd", random_state=0),
    MLPClassifier((5,), solver="adam", random_state=0),
    LogisticRegression(solver="sgd", random_state=0),
    LogisticRegression(solver="adam", random_state=0),
    LogisticRegression(solver="adam", random_state=0, fit_intercept=False),
]


def through_joblib(estimator, folder):
    joblib.dump(estimator, folder / "fitted")
    return joblib.load(folder / "fitted", mmap_mode="r")


COPIES = {
    "pickle": lambda estimator, _: pickle.loads(pickle.dumps(estimator)),  # noqa: S301
    "deepcopy": lambda estimator, _: copy.deepcopy(estimator),
    "joblib, read-only": through_joblib,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_partial_fit_continues_exactly(toy_set, tmp_path, estimator, copied):
    X, y = toy_set("iris", "softmax")
    fitted = clone(estimator)
    for _ in range(3):
        fitted.partial_fit(X, y, classes=[0, 1, 2])
    other = copied(fitted, tmp_path)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
    other.partial_fit(X, y)
    fitted.partial_fit(X, y)
    np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
    assert other.loss_curve_ == fitted.loss_curve_


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_clone_is_unfitted_and_has_the_arguments(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    fitted = clone(estimator).partial_fit(X, y, classes=[0, 1, 2])
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "backend_")
