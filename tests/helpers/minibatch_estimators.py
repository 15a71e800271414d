"""Estimators that train by mini-batches, and what tests of their callbacks compare."""

from functools import partial

import numpy as np
import pytest

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import mlp_classifier
from fastlogit.estimators.progress import FitCall

MINIBATCH = [
    cls(solver=solver, random_state=0, max_iter=6, batch_size=40)
    for cls in (partial(MLPClassifier, (5,)), LogisticRegression)
    for solver in ("sgd", "adam")
]
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each = pytest.mark.parametrize("estimator", MINIBATCH, ids=str)


def params_of(model):
    if hasattr(model, "coef_"):
        return [model.coef_, model.intercept_]
    return model.coefs_ + model.intercepts_


def assert_same(model, expected):
    np.testing.assert_equal(params_of(model), params_of(expected))
    assert model.loss_curve_ == expected.loss_curve_
    assert np.ravel(model.n_iter_).tolist() == np.ravel(expected.n_iter_).tolist()


def epochs_of(model):
    return int(np.ravel(model.n_iter_)[0])


def assert_no_call_left(model):
    """Neither the estimator nor the module holds the arguments of a call of fit."""
    assert not [name for name, value in vars(model).items() if isinstance(value, FitCall)]
    assert mlp_classifier._current_call.get() is None
