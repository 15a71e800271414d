"""Callbacks see each epoch's state and may end a fit; the arguments of a fit are its own."""

import pickle
import threading
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import mlp_classifier
from fastlogit.estimators.callbacks import FitCall
from fastlogit.training.trainer import Trainer

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


# Re-entrant fits


@unconverged
@each
def test_a_callback_may_fit_a_clone_with_a_callback_of_its_own(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    calls, inner_models = [], []

    def inner(epoch, loss, model):
        calls.append(("inner", epoch))
        return epoch == 1

    def outer(epoch, loss, model):
        calls.append(("outer", epoch))
        inner_models.append(clone(model).fit(X, y, X_val=X[::2], y_val=y[::2], callback=inner))

    model = clone(estimator).set_params(max_iter=3)
    model.fit(X, y, callback=outer)
    each_epoch = [("inner", 0), ("inner", 1)]
    assert calls == [call for i in range(3) for call in [("outer", i), *each_epoch]]
    assert_same(model, clone(model).fit(X, y))
    assert model.validation_scores_ is None  # of the inner fits
    for fitted in inner_models:
        assert epochs_of(fitted) == len(fitted.validation_loss_curve_) == 2
    assert_no_call_left(model)


@unconverged
def test_an_inner_fit_that_fails_leaves_the_outer_its_arguments(toy_set):
    X, y = toy_set("iris", "softmax")
    epochs = []

    def outer(epoch, loss, model):
        epochs.append(epoch)
        with pytest.raises(ValueError, match="callback is for the solvers"):
            MLPClassifier((3,), solver="lbfgs").fit(X, y, callback=print)
        MLPClassifier((3,), solver="lbfgs", max_iter=2).fit(X, y)  # has no callback to refuse

    model = clone(MINIBATCH[0]).fit(X, y, X_val=X, y_val=y, callback=outer)
    assert epochs == list(range(6))
    assert len(model.validation_loss_curve_) == 6
    assert_no_call_left(model)


@unconverged
def test_an_estimator_may_be_fitted_again_inside_its_own_fit(toy_set):
    X, y = toy_set("iris", "softmax")
    epochs = []

    def outer(epoch, loss, model):
        model.fit(X, y, callback=lambda epoch, *_: epochs.append(epoch))
        return True

    model = clone(MINIBATCH[0])
    model.fit(X, y, callback=outer)
    assert epochs == list(range(6))
    assert_no_call_left(model)


@unconverged
def test_threads_that_fit_at_once_keep_their_arguments_apart(toy_set):
    X, y = toy_set("iris", "softmax")
    meet = threading.Barrier(2, timeout=60)
    models, epochs = [clone(MINIBATCH[0]) for _ in range(2)], [[], []]

    def fit(i):
        def callback(epoch, loss, model):
            assert model is models[i]
            epochs[i].append(epoch)
            meet.wait()  # each epoch of one between two of the other

        models[i].fit(X, y, X_val=X[i::2], y_val=y[i::2], callback=callback)

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert epochs == [list(range(6))] * 2
    for i, model in enumerate(models):
        assert_same(model, clone(model).fit(X, y, X_val=X[i::2], y_val=y[i::2]))
        assert_no_call_left(model)


# A plain callback


@unconverged
@each
def test_a_callback_is_called_after_each_epoch(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    calls, params = [], []

    def callback(epoch, loss, model):
        calls.append((epoch, loss, model.loss_curve_[-1], model.n_iter_))
        params.append([*params_of(model), model.predict_proba(X)])

    model = clone(estimator).fit(X, y, callback=callback)
    assert_same(model, clone(estimator).fit(X, y))
    assert [call[0] for call in calls] == list(range(6))
    assert [call[1] for call in calls] == [call[2] for call in calls] == model.loss_curve_
    assert [call[3] for call in calls] == list(range(1, 7))
    for epochs, reached in enumerate(params, 1):
        shorter = clone(estimator).set_params(max_iter=epochs).fit(X, y)
        np.testing.assert_equal(reached, [*params_of(shorter), shorter.predict_proba(X)])
    assert_no_call_left(model)


@each
def test_a_true_value_ends_the_fit_without_a_warning(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    model = clone(estimator).fit(X, y, callback=lambda epoch, *_: epoch == 2)
    assert epochs_of(model) == len(model.loss_curve_) == 3
    with pytest.warns(match="Maximum iterations"):
        assert_same(model, clone(estimator).set_params(max_iter=3).fit(X, y))
    stopped_exactly = clone(estimator).set_params(exact_resume=True)
    stopped_exactly.fit(X, y, callback=lambda epoch, *_: epoch == 2)
    stopped_exactly.partial_fit(X, y)
    with pytest.warns(match="Maximum iterations"):
        expected = clone(estimator).set_params(max_iter=4).fit(X, y)
    np.testing.assert_equal(params_of(stopped_exactly), params_of(expected))


@each
def test_a_stopped_fit_with_early_stopping_keeps_the_best(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    model = clone(estimator).set_params(early_stopping=True, n_iter_no_change=100, max_iter=50)
    seen = []
    model.fit(X, y, callback=lambda epoch, _, it: seen.append(params_of(it)) or epoch == 20)
    best = int(np.argmax(model.validation_scores_))
    np.testing.assert_equal(params_of(model), seen[best])


@unconverged
@each
def test_a_callback_may_pickle_the_estimator(toy_set, estimator):
    X, y = toy_set("iris", "softmax")
    files = []
    clone(estimator).fit(X, y, callback=lambda *a: files.append(pickle.dumps(a[2])))
    third = pickle.loads(files[2])  # noqa: S301
    expected = clone(estimator).set_params(max_iter=3).fit(X, y)
    np.testing.assert_array_equal(third.predict_proba(X), expected.predict_proba(X))
    assert_no_call_left(third)


@each
def test_an_error_in_a_callback_propagates(toy_set, estimator):
    X, y = toy_set("iris", "softmax")

    def callback(*_):
        raise RuntimeError("mine")

    model = clone(estimator)
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, y, callback=callback)
    assert_no_call_left(model)
    with pytest.raises(TypeError, match="callback must be callable or None, got 3"):
        model.fit(X, y, callback=3)


@unconverged
def test_without_a_callback_epochs_run_together(toy_set, monkeypatch):
    X, y = toy_set("iris", "softmax")
    sizes = []
    run_epochs = Trainer.run_epochs

    def counted(self, rows, orders, losses):
        sizes.append(len(orders))
        return run_epochs(self, rows, orders, losses)

    monkeypatch.setattr(Trainer, "run_epochs", counted)
    clone(MINIBATCH[0]).fit(X, y)
    clone(MINIBATCH[0]).fit(X, y, callback=lambda *_: None)
    assert sizes == [6] + [1] * 6


@unconverged
def test_searches_and_pipelines_pass_a_callback_on(toy_set):
    X, y = toy_set("iris", "softmax")
    epochs = []
    pipeline = make_pipeline(StandardScaler(), clone(MINIBATCH[0]))
    search = GridSearchCV(pipeline, {}, cv=2)
    search.fit(X, y, mlpclassifier__callback=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [0, 1, 2, 3, 4, 5] * 3


@pytest.mark.parametrize("extra", [{"callback": print}, {"X_val": np.eye(4), "y_val": [0] * 4}])
def test_fits_without_epochs_refuse_arguments_that_need_them(toy_set, extra):
    X, y = toy_set("iris", "softmax")
    (name, *_) = extra
    for model, rows, reason in (
        (MLPClassifier((3,), solver="lbfgs"), X, "solver='lbfgs'"),
        (LogisticRegression(), X, "solver='lbfgs'"),
        (LogisticRegression(solver="saga"), X, "solver='saga'"),
        (MLPClassifier((3,), activation="relu"), X, "activation='relu'"),
        (MLPClassifier((3, 3)), csr_array(X), "2 hidden layers"),
        (LogisticRegression(solver="newton-cg"), X, "solver='newton-cg'"),
    ):
        with pytest.raises(ValueError, match=f"{name} is for the solvers .* {reason}"):
            model.fit(rows, y, **extra)
        assert_no_call_left(model)
    with pytest.raises(ValueError, match=r"early_stopping='loss' is for .* activation='relu'"):
        MLPClassifier((3,), activation="relu", early_stopping="loss").fit(X, y)


# scikit-learn's callbacks


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
@pytest.mark.parametrize("arguments", [{"solver": "lbfgs"}, {"activation": "relu"}])
def test_a_network_without_epochs_of_ours_is_one_task(toy_set, recorder, arguments):
    X, y = toy_set("iris", "softmax")
    callback = recorder()
    MLPClassifier((4,), max_iter=5, **arguments).set_callbacks(callback).fit(X, y)
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
    np.testing.assert_equal(params_of(model), params_of(shorter))


@pytest.mark.filterwarnings("ignore:Callbacks are only supported:UserWarning")
@pytest.mark.parametrize(
    ("arguments", "backend"),
    [
        ({"solver": "newton-cg"}, "numba"),
        ({"solver": "saga", "l1_ratio": 1}, "numba"),
        ({"solver": "saga", "max_iter": 3000}, "scikit-learn"),
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
