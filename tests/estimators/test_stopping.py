from types import SimpleNamespace

import numpy as np
import pytest

from fastlogit.estimators.stopping import Judge, start_curves, stops_on_loss


class Validation:
    """Gives the scores and losses it is told, in turn."""

    def __init__(self, scores, losses=()):
        self.scores, self.losses = iter(scores), iter(losses)
        self.has_loss = bool(losses)

    def score(self, params):
        return next(self.scores)

    def loss(self, params):
        return next(self.losses)


def begun(early_stopping, tol=0.1):
    estimator = SimpleNamespace(early_stopping=early_stopping, tol=tol, verbose=False, n_iter_=0)
    start_curves(estimator)
    return estimator


def counts(judge, losses):
    found = []
    for loss in losses:
        best = judge.enter(loss, None)
        found.append((judge.estimator._no_improvement_count, best))
    return found


def test_training_loss_decides_without_early_stopping():
    estimator = begun(False)
    judge = Judge(estimator, None)
    # An improvement by less than tol counts as none, one by tol as one.
    assert counts(judge, [1.0, 0.95, 0.8125, 0.9]) == [
        (0, False),
        (1, False),
        (0, False),
        (1, False),
    ]
    assert estimator.best_loss_ == 0.8125
    assert estimator.loss_curve_ == [1.0, 0.95, 0.8125, 0.9]
    assert estimator.validation_scores_ is None


def test_score_decides_with_early_stopping():
    estimator = begun(True)
    judge = Judge(estimator, Validation([0.5, 0.55, 0.75, 0.7]))
    assert counts(judge, [1, 2, 3, 4]) == [(0, True), (1, True), (0, True), (1, False)]
    assert (estimator.best_validation_score_, estimator.best_loss_) == (0.75, None)


@pytest.mark.parametrize("early_stopping", ["loss", np.str_("loss")])
def test_loss_decides_where_asked(early_stopping):
    estimator = begun(early_stopping)
    judge = Judge(estimator, Validation([0.9, 0.8, 0.7], [2.0, 1.0, 1.5]))
    assert counts(judge, [9, 8, 7]) == [(0, True), (0, True), (1, False)]
    assert estimator.validation_loss_curve_ == [2.0, 1.0, 1.5]
    assert estimator.best_validation_loss_ == 1.0
    assert estimator.best_validation_score_ == 0.9


def test_validation_without_early_stopping_only_keeps_curves():
    estimator = begun(False)
    judge = Judge(estimator, Validation([0.1, 0.9], [1.0, 9.0]))
    assert [count for count, _ in counts(judge, [2.0, 1.0])] == [0, 0]
    assert (estimator.validation_scores_, estimator.best_loss_) == ([0.1, 0.9], 1.0)


def test_a_fit_begun_anew_drops_the_curves_of_another():
    estimator = begun(False)
    counts(Judge(estimator, Validation([0.1], [1.0])), [2.0])
    start_curves(estimator)
    Judge(estimator, None)
    assert not hasattr(estimator, "validation_loss_curve_")
    assert not hasattr(estimator, "best_validation_loss_")


@pytest.mark.parametrize(
    ("value", "expected"), [(True, False), (False, False), ("score", False), ("loss", True)]
)
def test_stops_on_loss(value, expected):
    assert stops_on_loss(SimpleNamespace(early_stopping=value)) is expected
