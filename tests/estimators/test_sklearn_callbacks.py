"""scikit-learn's callbacks (1.9) see each epoch and iteration, and may end a fit."""

import numpy as np
import pandas as pd
import pytest
from minibatch_estimators import (
    assert_no_call_left,
    assert_same,
    each,
    epochs_of,
    params_of,
    unconverged,
)
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlogit import LogisticRegression, MLPClassifier


@pytest.fixture
def recorder():
    """Return a class of callbacks of scikit-learn 1.9 that record their calls and arguments."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn below 1.9")

    class Recorder:
        def __init__(self, stop_after=None):
            self.calls, self.seen, self.stop_after = [], [], stop_after

        def setup(self, estimator, context):
            self.calls.append("setup")

        def teardown(self, estimator, context):
            self.calls.append("teardown")

        def on_fit_task_begin(self, estimator, context, *, X=None):
            self.calls.append(f"begin {context.task_name}")

        def on_fit_task_end(
            self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
        ):
            self.calls.append(f"end {context.task_name}")
            if context.task_name in ("epoch", "lbfgs-iter"):
                self.seen.append((X, y, metadata, fitted_estimator, context.task_id))
            return len(self.seen) == self.stop_after

    class Propagated(Recorder):
        max_propagation_depth = None

    Recorder.Propagated = Propagated
    return Recorder


@unconverged
@each
def test_epochs_are_the_subtasks_of_a_fit(toy_set, recorder, estimator):
    X, y = toy_set("iris", "softmax")
    weight = np.linspace(0.5, 1, len(y))
    frame = pd.DataFrame(X, columns=list("abcd"))
    callback = recorder()
    model = clone(estimator).set_callbacks(callback).fit(frame, y, weight)
    parts = ["begin epoch", "end epoch"] * 6
    assert callback.calls == ["setup", "begin fit", *parts, "end fit", "teardown"]
    assert_same(model, clone(estimator).fit(frame, y, weight))
    for epoch, (shown_X, shown_y, metadata, fitted, task_id) in enumerate(callback.seen):
        assert shown_X is frame
        assert shown_y is y
        assert metadata["sample_weight"] is weight
        assert task_id == epoch
        assert fitted.loss_curve_ == model.loss_curve_[: epoch + 1]
        shorter = clone(estimator).set_params(max_iter=epoch + 1).fit(frame, y, weight)
        np.testing.assert_array_equal(fitted.predict_proba(frame), shorter.predict_proba(frame))
    assert "_callback_fit_ctx" not in vars(model)
    assert_no_call_left(model)


@each
def test_a_request_to_stop_ends_the_fit(toy_set, recorder, estimator):
    X, y = toy_set("iris", "softmax")
    callback = recorder(stop_after=2)
    model = clone(estimator).set_callbacks(callback).fit(X, y)
    assert epochs_of(model) == 2
    assert callback.calls[-2:] == ["end fit", "teardown"]
    with pytest.warns(match="Maximum iterations"):
        assert_same(model, clone(estimator).set_params(max_iter=2).fit(X, y))


def test_an_epoch_that_diverges_ends_too(toy_set, recorder):
    X, y = toy_set("iris", "softmax")
    callback = recorder()
    model = LogisticRegression(solver="sgd", learning_rate_init=1e300, random_state=0)
    with pytest.warns(match="no longer finite in epoch 2"):
        model.set_callbacks(callback).fit(X, y)
    assert callback.calls[1:-1] == ["begin fit", *["begin epoch", "end epoch"] * 2, "end fit"]
    assert callback.seen[-1] == (None, None, None, None, 1)


@each
def test_callbacks_are_torn_down_after_an_error(toy_set, recorder, estimator):
    X, y = toy_set("iris", "softmax")
    callback = recorder()

    def fail(*_, **__):
        raise RuntimeError("mine")

    callback.on_fit_task_end = fail
    model = clone(estimator).set_callbacks(callback)
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, y)
    assert callback.calls[-2:] == ["begin epoch", "teardown"]
    assert_no_call_left(model)


@unconverged
@pytest.mark.parametrize("arguments", [{"solver": "lbfgs"}, {"hidden_layer_sizes": (4, 4)}])
def test_a_network_without_epochs_of_ours_is_one_task(toy_set, recorder, arguments):
    X, y = toy_set("iris", "softmax")
    callback = recorder()
    MLPClassifier(**{"hidden_layer_sizes": 4, "max_iter": 5} | arguments).set_callbacks(
        callback
    ).fit(X, y)
    assert callback.calls == ["setup", "begin fit", "end fit", "teardown"]


@unconverged
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_iterations_are_the_subtasks_of_a_fit_by_lbfgs(toy_set, recorder, name, fit_intercept):
    X, y = toy_set(name, "softmax", np.float32)
    model, callback = LogisticRegression(fit_intercept=fit_intercept), recorder()
    model.set_callbacks(callback).fit(X, y)
    parts = ["begin lbfgs-iter", "end lbfgs-iter"] * (model.n_iter_[0] + 1)
    assert callback.calls == ["setup", "begin fit", *parts, "end fit", "teardown"]
    assert model.backend_ == "numba"
    for iteration, (shown_X, *_, fitted, task_id) in enumerate(callback.seen[:-1]):
        assert (shown_X is X, task_id) == (True, iteration)
        shorter = clone(model).set_params(max_iter=iteration + 1).fit(X, y)
        np.testing.assert_equal(params_of(fitted), params_of(shorter))
        np.testing.assert_array_equal(fitted.predict_proba(X), shorter.predict_proba(X))
    assert callback.seen[-1][3] is None  # the one that is cancelled


def test_a_request_to_stop_ends_a_fit_by_lbfgs(toy_set, recorder):
    X, y = toy_set("iris", "softmax")
    callback = recorder(stop_after=3)
    model = LogisticRegression().set_callbacks(callback).fit(X, y)
    assert model.n_iter_[0] == 3
    assert callback.calls[-2:] == ["end fit", "teardown"]
    with pytest.warns(match="lbfgs failed to converge"):
        shorter = LogisticRegression(max_iter=3).fit(X, y)
    for actual, expected in zip(params_of(model), params_of(shorter), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("ignore:Callbacks are only supported:UserWarning")
@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("arguments", "backend"),
    [
        ({"solver": "newton-cg"}, "numba"),
        ({"solver": "saga", "l1_ratio": 1}, "numba"),
        ({"solver": "sag"}, "numba"),
        ({"solver": "saga", "penalty": "l1", "l1_ratio": 1, "max_iter": 3000}, "numba"),
    ],
)
def test_other_solvers_are_one_task(toy_set, recorder, arguments, backend):
    X, y = toy_set("iris", "softmax")
    callback = recorder()
    model = LogisticRegression(**arguments).set_callbacks(callback).fit(X, y)
    assert model.backend_ == backend
    assert callback.calls == ["setup", "begin fit", "end fit", "teardown"]


@unconverged
@each
def test_meta_estimators_pass_callbacks_on(toy_set, recorder, estimator):
    X, y = toy_set("iris", "softmax")
    outer, inner = recorder.Propagated(), recorder()
    pipeline = make_pipeline(StandardScaler(), clone(estimator).set_callbacks(inner))
    GridSearchCV(pipeline, {}, cv=2).set_callbacks(outer).fit(X, y)
    for callback in (outer, inner):
        assert callback.calls.count("end epoch") == callback.calls.count("begin epoch") == 18
    assert outer.calls.count("setup") == 1
    assert inner.calls.count("setup") == inner.calls.count("teardown") == 3


@unconverged
@pytest.mark.parametrize("early_stopping", [False, True])
@each
def test_a_scoring_monitor_scores_each_epoch(toy_set, recorder, estimator, early_stopping):
    from sklearn.callback import ScoringMonitor

    X, y = toy_set("iris", "softmax")
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    model = clone(estimator).set_params(early_stopping=early_stopping).set_callbacks(monitor)
    model.fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 6
    for epoch, row in enumerate(rows):
        seen = []
        clone(estimator).set_params(early_stopping=early_stopping).fit(
            X,
            y,
            callback=lambda i, _, it, epoch=epoch, seen=seen: (
                i == epoch and seen.append((it.score(X, y), log_loss(y, it.predict_proba(X))))
            ),
        )
        assert (row["accuracy"], -row["neg_log_loss"]) == seen[0]


@unconverged
@each
def test_a_progress_bar_shows_the_epochs(toy_set, recorder, estimator, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    X, y = toy_set("iris", "softmax")
    clone(estimator).set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert f"{type(estimator).__name__} - fit" in shown
    assert "100%" in shown
