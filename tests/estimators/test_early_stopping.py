"""Early stopping: validation data, the split of the training rows, the criterion."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators.predictions import kernel_proba
from fastlogit.estimators.progress import EarlyStopping, ValidationSet, split_rows, start_history
from fastlogit.models import MODELS, Rows

# X_val and y_val


MINIBATCH = [
    MLPClassifier((5,), solver="sgd", learning_rate_init=0.3, random_state=0, batch_size=20),
    MLPClassifier((5,), solver="adam", learning_rate_init=0.05, random_state=0, batch_size=20),
    LogisticRegression(solver="sgd", random_state=0, batch_size=20),
    LogisticRegression(solver="adam", learning_rate_init=0.1, random_state=0, batch_size=20),
]
each = pytest.mark.parametrize("estimator", MINIBATCH, ids=str)
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["iris", "breast_cancer"])
def halves(toy_set, request):
    X, y = toy_set(request.param, "softmax")
    order = np.random.RandomState(0).permutation(len(y))
    X, y = X[order][:300], y[order][:300]
    third = len(y) // 3
    return X[third:], y[third:], X[:third], y[:third]


def params_of(model):
    if hasattr(model, "coef_"):
        return [model.coef_, model.intercept_]
    return model.coefs_ + model.intercepts_


@unconverged
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each
def test_the_curves_are_those_of_the_epochs(halves, estimator, dtype):
    X, y, X_val, y_val = halves
    X, wide, X_val = X.astype(dtype), X_val, X_val.astype(dtype)
    scores, losses = [], []

    def callback(_, __, model):
        proba = model.predict_proba(X_val)
        scores.append(accuracy_score(y_val, model.predict(X_val)))
        losses.append(-np.mean(np.log(proba[np.arange(len(y_val)), y_val].astype(float))))

    model = clone(estimator).set_params(max_iter=8)
    model.fit(X, y, X_val=wide, y_val=y_val, callback=callback)
    assert model.validation_scores_ == scores
    assert model.best_validation_score_ == max(scores)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(model.validation_loss_curve_, losses, rtol=tolerance)
    assert model.best_validation_loss_ == min(model.validation_loss_curve_)
    without = clone(model).fit(X, y)  # all rows are trained on: the fit is the same
    np.testing.assert_equal(params_of(model), params_of(without))
    assert without.validation_scores_ is None
    assert not hasattr(without, "validation_loss_curve_")
    assert model.fit(X, y).validation_scores_ is None
    assert not hasattr(model, "validation_loss_curve_")


@pytest.mark.parametrize("early_stopping", [True, "score", "loss"])
@each
def test_stops_by_score_or_loss_and_keeps_the_best(halves, estimator, early_stopping):
    X, y, X_val, y_val = halves
    model = clone(estimator).set_params(early_stopping=early_stopping, max_iter=2000, tol=1e-4)
    seen = []
    model.fit(X, y, X_val=X_val, y_val=y_val, callback=lambda _, __, it: seen.append(params_of(it)))
    if early_stopping == "loss":
        curve = -np.array(model.validation_loss_curve_)
    else:
        curve = np.array(model.validation_scores_)
    np.testing.assert_equal(params_of(model), seen[int(np.argmax(curve))])
    count, best = 0, -np.inf
    for epoch, value in enumerate(curve, 1):
        count = 0 if value >= best + 1e-4 else count + 1
        best = max(best, value)
        assert (count > model.n_iter_no_change) == (epoch == len(curve))
    assert len(curve) == len(model.loss_curve_) == len(seen)
    assert model.best_loss_ is None
    assert model.t_ == len(curve) * len(y)  # all rows are trained on


@each
def test_score_is_true(halves, estimator):
    X, y, *_ = halves
    models = [
        clone(estimator).set_params(early_stopping=value, max_iter=500).fit(X, y)
        for value in (True, np.True_, "score")
    ]
    for model in models[1:]:
        np.testing.assert_equal(params_of(model), params_of(models[0]))
        assert model.validation_scores_ == models[0].validation_scores_
        assert not hasattr(model, "validation_loss_curve_")


@unconverged
@each
def test_the_loss_on_split_rows_may_stop_a_fit(halves, estimator):
    X, y, *_ = halves
    model = clone(estimator).set_params(early_stopping="loss", max_iter=2000).fit(X, y)
    assert model.best_validation_loss_ == min(model.validation_loss_curve_)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_)
    assert model.t_ < len(y) * len(model.loss_curve_)
    sparse = clone(model).set_params(max_iter=20).fit(csr_array(X), y)
    np.testing.assert_allclose(
        sparse.validation_loss_curve_[:20], model.validation_loss_curve_[:20], rtol=1e-8
    )
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        model.partial_fit(X, y)


@unconverged
@each
def test_a_loss_is_without_the_penalty_and_weighted_by_class(halves, estimator):
    X, y, X_val, y_val = halves
    weight = {label: label + 0.5 for label in np.unique(y)}
    strong = {"C": 1e-2} if isinstance(estimator, LogisticRegression) else {"alpha": 10.0}
    model = clone(estimator).set_params(max_iter=3, class_weight=weight, **strong)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    by_row = np.array([weight[label] for label in y_val])
    if isinstance(estimator, LogisticRegression):
        params = np.ascontiguousarray(model.coef_.T), model.intercept_
    else:
        params = model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]
    expected, _ = fastlogit.loss_and_gradient(
        model.model_, params, X_val, y_val, sample_weight=by_row, backend="numpy",
        activation=getattr(model, "activation", "logistic"),
    )  # fmt: skip
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)
    score = accuracy_score(y_val, model.predict(X_val), sample_weight=by_row)
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-12)


@unconverged
@each
def test_curves_grow_with_warm_start(halves, estimator):
    X, y, X_val, y_val = halves
    model = clone(estimator).set_params(warm_start=True, max_iter=3).fit(X, y)
    model.fit(X, y, X_val=X_val, y_val=y_val).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.loss_curve_) == 9
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 6


def test_verbose_prints_both(halves, capsys):
    X, y, X_val, y_val = halves
    model = clone(MINIBATCH[1]).set_params(verbose=True, max_iter=500, early_stopping="loss")
    model.fit(X, y, X_val=X_val, y_val=y_val)
    first = capsys.readouterr().out.splitlines()
    assert first[0] == f"Iteration 1, loss = {model.loss_curve_[0]:.8f}"
    assert first[1] == f"Validation score: {model.validation_scores_[0]:f}"
    assert first[2] == f"Validation loss: {model.validation_loss_curve_[0]:.8f}"
    assert first[-1] == (
        "Validation loss did not improve more than tol=0.000100 for 10 consecutive epochs. "
        "Stopping."
    )


@unconverged
@each
def test_forms_of_validation_data(halves, estimator):
    X, y, X_val, y_val = halves
    model = clone(estimator).set_params(max_iter=2).fit(X, y, X_val=X_val, y_val=y_val)
    expected = model.validation_loss_curve_
    read_only = X_val.copy()
    read_only.setflags(write=False)
    for form in (X_val.tolist(), np.asfortranarray(X_val), read_only, X_val.astype(object)):
        model.fit(X, y, X_val=form, y_val=list(y_val))
        assert model.validation_loss_curve_ == expected
    for form, rows in (
        (csr_array(X_val), X),
        (coo_array(X_val), csr_array(X)),
        (X_val, coo_array(X)),
    ):
        model.fit(rows, y, X_val=form, y_val=y_val)
        np.testing.assert_allclose(model.validation_loss_curve_, expected, rtol=1e-10)
        assert model.backend_ == "numba"
    labels = np.array(["a", "b", "c"])
    model.fit(X, labels[y], X_val=X_val, y_val=labels[y_val])
    assert model.validation_loss_curve_ == expected
    names = [f"f{i}" for i in range(X.shape[1])]
    frame, frame_val = (pd.DataFrame(array, columns=names) for array in (X, X_val))
    model.fit(frame, pd.Series(y), X_val=frame_val, y_val=pd.Series(y_val))
    assert model.validation_loss_curve_ == expected
    with pytest.raises(ValueError, match=r"X_val: The feature names should match"):
        model.fit(frame, y, X_val=frame_val[names[::-1]], y_val=y_val)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.fit(frame, y, X_val=X_val, y_val=y_val)


BAD = {
    "features": (lambda X, y: (X[:, 1:], y), "X_val: X has 3 features, but .* expecting 4"),
    "NaN": (lambda X, y: (X * np.nan, y), "X_val: Input X contains NaN"),
    "a vector": (lambda X, y: (X[0], y), "X_val: Expected 2D array"),
    "no rows": (lambda X, y: (X[:0], y[:0]), r"X_val: Found array with 0 sample"),
    "rows": (lambda X, y: (X, y[1:]), "y_val: .* inconsistent numbers of samples"),
    "a matrix": (lambda X, y: (X, np.eye(len(y))), "y_val: .*1d array"),
    "a label": (lambda X, y: (X, y + 1), "y_val holds the label 3, which is not one of classes_"),
    "strings": (lambda X, y: (X, y.astype(str)), "y_val holds the label '.', which is not one"),
    "no y_val": (lambda X, y: (X, None), "X_val and y_val go together, got y_val=None"),
    "no X_val": (lambda X, y: (None, y), "X_val and y_val go together, got X_val=None"),
}


@pytest.mark.parametrize(("change", "match"), BAD.values(), ids=BAD)
@each
def test_errors_name_the_argument(toy_set, estimator, change, match):
    X, y = toy_set("iris", "softmax")
    X_val, y_val = change(X[::2], y[::2])
    with pytest.raises((ValueError, TypeError), match=match):
        clone(estimator).fit(X, y, X_val=X_val, y_val=y_val)


def test_classes_of_weight_0_are_refused(toy_set):
    X, y = toy_set("iris", "softmax")
    model = LogisticRegression(solver="sgd", class_weight={0: 0.0})
    with pytest.raises(ValueError, match="class_weight of the classes in y_val sums to 0"):
        model.fit(X, y, X_val=X[:9], y_val=y[:9])


@unconverged
@each
def test_metadata_routing_passes_validation_data_on(halves, estimator):
    X, y, X_val, y_val = halves
    expected = clone(estimator).set_params(max_iter=3).fit(X, y, X_val=X_val, y_val=y_val)
    with config_context(enable_metadata_routing=True):
        asking = clone(estimator).set_params(max_iter=3)
        asking.set_fit_request(X_val=True, y_val=True, callback=True, sample_weight=True)
        epochs = []
        routed = make_pipeline(asking).fit(
            X, y, X_val=X_val, y_val=y_val, callback=lambda *a: epochs.append(a[0])
        )
    assert routed[-1].validation_loss_curve_ == expected.validation_loss_curve_
    assert epochs == [0, 1, 2]


# The split of the training rows


@pytest.mark.parametrize("model", ["mlp-logistic", "softmax"])
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_scikit_learns_split(problem, model, weighted):
    given = problem(model, 40, 3, weighted=weighted)
    rows = Rows(given.X, given.y, np.empty(0) if given.weight is None else given.weight)
    binary = MODELS[model].binary
    train, validation = split_rows(rows, 0.25, np.random.RandomState(5), stratified=binary)
    stratify = given.y if binary else None
    expected = train_test_split(
        given.X, given.y, random_state=np.random.RandomState(5), test_size=0.25, stratify=stratify
    )
    np.testing.assert_array_equal(train.X, expected[0])
    np.testing.assert_array_equal(train.y, expected[2])
    assert train.weight.size == (30 if weighted else 0)

    predicted = kernel_proba(MODELS[model], given.params, expected[1]).argmax(axis=1)
    weight = validation.weight if weighted else None
    score = accuracy_score(expected[3], predicted, sample_weight=weight)
    found = ValidationSet(MODELS[model], validation).score(given.params)
    assert found == pytest.approx(score, rel=1e-15)


def test_without_early_stopping_there_are_no_validation_rows(problem):
    given = problem("softmax", 6, 2)
    rows = Rows(given.X, given.y, np.empty(0))
    whole, validation = LogisticRegression()._split_validation(rows, None, None)
    assert whole is rows
    assert validation is None


def test_a_single_row_is_too_small(problem):
    given = problem("softmax", 6, 2)
    rows = Rows(given.X, given.y, np.empty(0))
    with pytest.raises(ValueError, match="The validation set is too small"):
        split_rows(rows, 0.1, np.random.RandomState(0), stratified=False)


def test_a_class_of_one_row_is_named():
    rows = Rows(np.eye(6), np.array([0, 0, 0, 0, 0, 1]), np.empty(0))
    with pytest.raises(ValueError, match=r"too few members are: \['True'\]|least populated class"):
        split_rows(rows, 0.4, np.random.RandomState(0), stratified=True)


# The history and its criterion


class Validation:
    """A validation set with given scores and losses."""

    def __init__(self, scores, losses=()):
        self.scores, self.losses = iter(scores), iter(losses)
        self.has_loss = bool(losses)

    def score(self, params):
        return next(self.scores)

    def loss(self, params):
        return next(self.losses)


def begun(early_stopping, tol=0.1):
    estimator = SimpleNamespace(early_stopping=early_stopping, tol=tol, verbose=False, n_iter_=0)
    start_history(estimator)
    return estimator


def counts(stopping, losses):
    found = []
    for loss in losses:
        best = stopping.update(loss, None)
        found.append((stopping.estimator._no_improvement_count, best))
    return found


def test_training_loss_decides_without_early_stopping():
    estimator = begun(False)
    stopping = EarlyStopping(estimator, None)
    # An improvement by less than tol counts as none, one by tol as one.
    assert counts(stopping, [1.0, 0.95, 0.8125, 0.9]) == [
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
    stopping = EarlyStopping(estimator, Validation([0.5, 0.55, 0.75, 0.7]))
    assert counts(stopping, [1, 2, 3, 4]) == [(0, True), (1, True), (0, True), (1, False)]
    assert (estimator.best_validation_score_, estimator.best_loss_) == (0.75, None)


@pytest.mark.parametrize("early_stopping", ["loss", np.str_("loss")])
def test_loss_decides_where_asked(early_stopping):
    estimator = begun(early_stopping)
    stopping = EarlyStopping(estimator, Validation([0.9, 0.8, 0.7], [2.0, 1.0, 1.5]))
    assert counts(stopping, [9, 8, 7]) == [(0, True), (0, True), (1, False)]
    assert estimator.validation_loss_curve_ == [2.0, 1.0, 1.5]
    assert estimator.best_validation_loss_ == 1.0
    assert estimator.best_validation_score_ == 0.9


def test_validation_without_early_stopping_only_keeps_curves():
    estimator = begun(False)
    stopping = EarlyStopping(estimator, Validation([0.1, 0.9], [1.0, 9.0]))
    assert [count for count, _ in counts(stopping, [2.0, 1.0])] == [0, 0]
    assert (estimator.validation_scores_, estimator.best_loss_) == ([0.1, 0.9], 1.0)


def test_a_new_fit_drops_the_curves_of_the_last():
    estimator = begun(False)
    counts(EarlyStopping(estimator, Validation([0.1], [1.0])), [2.0])
    start_history(estimator)
    EarlyStopping(estimator, None)
    assert not hasattr(estimator, "validation_loss_curve_")
    assert not hasattr(estimator, "best_validation_loss_")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (False, "Training loss"),
        (np.False_, "Training loss"),
        (True, "Validation score"),
        (np.True_, "Validation score"),
        ("score", "Validation score"),
        ("loss", "Validation loss"),
    ],
)
def test_what_ends_a_fit(value, expected):
    assert EarlyStopping(begun(value), None).criterion == expected
