"""partial_fit's short way: no more than a look at what comes in, then an epoch on it.

scikit-learn takes the better part of a millisecond to check a row and its label, and checks the
arguments in the first call only. Here a call that goes on from an earlier one, with rows, labels
and arguments that are plainly in order, goes straight to its epoch. Any other goes the full way,
and where it is for the arguments they are checked again.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastlogit.estimators import resume
from fastlogit.estimators.plain import (
    plain_arguments,
    plain_labels,
    plain_rows,
    same_classes,
)
from fastlogit.estimators.sklearn_compat import has_callbacks, validate_arguments
from fastlogit.models import Rows

_of_this_thread = threading.local()


def plain_part(
    estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any, *, plain_penalty: bool
) -> Rows | None:
    """Return the rows if the estimator's training can go on with them as they are, else None.

    Parameters
    ----------
    estimator : estimator
        Whose partial_fit is called.
    X, y, sample_weight, classes : object
        What it was given.
    plain_penalty : bool
        Whether those arguments are plainly valid that the two estimators do not share.
    """
    state = estimator.__dict__
    if state.get("backend_") != "numba" or "_optimizer" not in state or has_callbacks(estimator):
        return None
    if not (plain_penalty and plain_arguments(estimator)):
        validate_arguments(estimator)
        return None
    if not (
        sample_weight is None
        and plain_rows(estimator, X)
        and same_classes(estimator.classes_, classes)
    ):
        return None
    indices = plain_labels(estimator.classes_, y, len(X))
    return None if indices is None else Rows(X, indices, np.empty(0, X.dtype))


def next_generator(estimator: Any) -> np.random.RandomState:
    """Return the generator of a call that goes on."""
    generator = generator_of(estimator.random_state)
    resume.take_up(estimator, generator, incremental=True)
    return generator


def generator_of(random_state: Any) -> np.random.RandomState:
    """Return what scikit-learn's check_random_state does, to be drawn from at once.

    To make a generator takes longer than an epoch of one row, to seed one does not: integers share
    one generator a thread.
    """
    if type(random_state) is not int:
        generator: np.random.RandomState = check_random_state(random_state)
        return generator
    if not hasattr(_of_this_thread, "generator"):
        _of_this_thread.generator = np.random.RandomState(0)
    generator = _of_this_thread.generator
    generator.seed(random_state)
    return generator
