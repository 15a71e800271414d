"""Callbacks see each epoch's state and may end a fit; the arguments of a fit are its own."""

import pickle
import threading

import numpy as np
import pytest
from minibatch_estimators import (
    MINIBATCH,
    assert_no_call_left,
    assert_same,
    each,
    epochs_of,
    params_of,
    unconverged,
)
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.training.trainer import Trainer

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
        (MLPClassifier((3, 3)), csr_array(X), "2 hidden layers"),
        (LogisticRegression(solver="newton-cg"), X, "solver='newton-cg'"),
    ):
        with pytest.raises(ValueError, match=f"{name} is for the solvers .* {reason}"):
            model.fit(rows, y, **extra)
        assert_no_call_left(model)
    with pytest.raises(ValueError, match=r"early_stopping='loss' is for .* 2 hidden layers"):
        MLPClassifier((3, 3), early_stopping="loss").fit(X, y)
