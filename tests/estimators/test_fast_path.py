"""The fast path leaves the same state as the full validation, and takes valid input only."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.estimators import fast_path
from fastlogit.estimators.fast_path import (
    are_known_classes,
    generator_of,
    is_valid_matrix,
    known_label_indices,
    plain_labels,
)
from fastlogit.models.checks import plain_matrix
from fastlogit.training.trainer import Trainer

# partial_fit without the full validation


ESTIMATORS = [
    MLPClassifier((5,), solver="sgd", random_state=0, batch_size=1),
    MLPClassifier(5, solver="sgd", learning_rate="invscaling", random_state=1, n_threads=2),
    MLPClassifier([5], solver="adam", random_state=None, shuffle=False),
    LogisticRegression(solver="sgd", random_state=0, batch_size=1),
    LogisticRegression(solver="adam", random_state=0, fit_intercept=False, C=10),
    LogisticRegression(solver="sgd", momentum=0.5, shuffle=False),
]
LABELS = {
    "integers": [0, 1, 2],
    "two": [0, 1],
    "strings": ["a", "bb", "ccc"],
    "bools": [False, True],
}


@pytest.fixture(params=ESTIMATORS, ids=str)
def estimator(request):
    return clone(request.param)


@pytest.fixture
def fast_calls(monkeypatch):
    """Record the calls that take the fast path."""
    calls = []
    find_rows = fast_path.valid_partial_fit_rows

    def recorded(*args):
        rows = find_rows(*args)
        if rows is not None:
            calls.append(rows)
        return rows

    monkeypatch.setattr(fast_path, "valid_partial_fit_rows", recorded)
    return calls


def a_part(classes, n_rows, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 3)).astype(dtype), rng.choice(classes, n_rows)


def state_of(estimator):
    """Return the estimator's attributes and those of its optimizer, without the generator."""
    state = dict(vars(estimator))
    state.pop("_random_state", None)  # new in every fit
    state.pop("_label_binarizer", None)
    state["_optimizer"] = vars(state["_optimizer"])
    return state


# With row weights, even all 1, the call takes the full validation.
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("classes", LABELS.values(), ids=LABELS)
def test_leaves_the_same_state_as_the_full_validation(estimator, classes, dtype, fast_calls):
    classes = np.array(classes)
    if estimator.random_state is None:
        estimator.set_params(shuffle=False)
    first = estimator.partial_fit(*a_part(classes, 20, dtype=dtype), classes=classes)
    short, full = copy.deepcopy(first), copy.deepcopy(first)
    assert not fast_calls
    for seed, n_rows in enumerate((1, 1, 9, 2)):
        X, y = a_part(classes, n_rows, seed, dtype)
        short.partial_fit(X, y)
        assert len(fast_calls) == seed + 1
        full.partial_fit(X, y, np.ones(n_rows))
        assert len(fast_calls) == seed + 1
    for value, expected in zip(vars(short).values(), vars(full).values(), strict=True):
        assert type(value) is type(expected)
    states = state_of(short), state_of(full)
    # With row weights, logarithms are taken per row and in the rows' dtype.
    rtol = 1e-14 if dtype == np.float64 else 1e-7
    curves = [[*state.pop("loss_curve_"), state.pop("loss_")] for state in states]
    np.testing.assert_allclose(*curves, rtol=rtol)
    best = [state.pop("best_loss_") for state in states]
    np.testing.assert_allclose(*best, rtol=rtol)
    np.testing.assert_equal(*states)


def fitted(estimator, dtype=np.float64):
    return clone(estimator).partial_fit(*a_part([0, 1, 2], 20, dtype=dtype), classes=[0, 1, 2])


BAD_PARTS = {
    "NaN": (np.full((1, 3), np.nan), np.array([0]), ValueError, "NaN"),
    "infinity": (np.full((1, 3), np.inf), np.array([0]), ValueError, "infinity"),
    "features": (np.ones((1, 2)), np.array([0]), ValueError, "X has 2 features"),
    "rows": (np.ones((2, 3)), np.array([0]), ValueError, "inconsistent numbers of samples"),
    "no rows": (np.ones((0, 3)), np.array([], int), ValueError, "0 sample"),
    "a vector": (np.ones(3), np.array([0]), ValueError, "Expected 2D array"),
    "a label": (np.ones((1, 3)), np.array([7]), ValueError, "classes"),
    "labels": (np.ones((2, 3)), np.array([0, 7]), ValueError, "classes"),
}


@pytest.mark.parametrize(("X", "y", "error", "match"), BAD_PARTS.values(), ids=BAD_PARTS)
def test_bad_input_is_refused(estimator, X, y, error, match):
    model = fitted(estimator)
    before = pickle.dumps(model)
    with pytest.raises(error, match=match):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(np.ones((1, 3)), np.array([0]), classes=[0, 1])
    if isinstance(model, LogisticRegression):  # scikit-learn's makes a generator first
        assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    "argument",
    [
        {"batch_size": -3},
        {"tol": -1.0},
        {"shuffle": "yes"},
        {"random_state": "x"},
        {"n_threads": 0},
    ],
    ids=str,
)
def test_arguments_changed_between_calls_are_checked(estimator, argument):
    model = fitted(estimator).set_params(**argument)
    (name,) = argument
    with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
        model.partial_fit(*a_part([0, 1, 2], 1))
    with config_context(skip_parameter_validation=True):
        if name in ("batch_size", "tol", "n_threads"):
            model.partial_fit(*a_part([0, 1, 2], 1))
            assert np.isfinite(model.loss_)


def test_arguments_of_one_class_are_checked():
    with pytest.raises(ValueError, match="The 'alpha' parameter"):
        fitted(ESTIMATORS[0]).set_params(alpha=-1).partial_fit(*a_part([0, 1, 2], 4))
    with pytest.raises(ValueError, match="The 'C' parameter"):
        fitted(ESTIMATORS[3]).set_params(C=0).partial_fit(*a_part([0, 1, 2], 4))
    with pytest.raises(ValueError, match="supports only the L2 penalty"):
        fitted(ESTIMATORS[3]).set_params(l1_ratio=0.5).partial_fit(*a_part([0, 1, 2], 4))
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        fitted(ESTIMATORS[3]).set_params(solver="lbfgs").partial_fit(*a_part([0, 1, 2], 4))
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        fitted(ESTIMATORS[0]).set_params(solver="lbfgs").partial_fit(*a_part([0, 1, 2], 4))


def test_arguments_changed_between_calls_are_honoured(fast_calls):
    part = a_part([0, 1, 2], 4)
    for model, strong in (
        (fitted(ESTIMATORS[0]), {"alpha": 100.0}),
        (fitted(ESTIMATORS[3]), {"C": 1e-5}),
    ):
        other = copy.deepcopy(model).set_params(**strong)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # such a penalty diverges
            other.partial_fit(*part)
        assert other.loss_ > 2 * model.partial_fit(*part).loss_
    whole, rows = copy.deepcopy(model), copy.deepcopy(model).set_params(batch_size=4)
    assert abs(whole.partial_fit(*part).coef_ - rows.partial_fit(*part).coef_).max() > 1e-3
    assert len(fast_calls) == 6


def test_continues_from_assigned_parameters(fast_calls):
    X, y = a_part([0, 1, 2], 4)
    model = fitted(LogisticRegression(solver="sgd", momentum=0))
    model.coef_ = np.full((3, 3), 0.5)
    assert abs(model.partial_fit(X, y).coef_ - 0.5).max() < 0.1
    model.coef_ = np.asfortranarray(model.coef_, np.float32)  # of another dtype: full validation
    assert model.partial_fit(X, y).coef_.dtype == np.float32
    assert len(fast_calls) == 2
    model.coef_ = np.ones((3, 9), np.float32)
    with pytest.raises(ValueError, match="coef_ of the previous fit is of shape"):
        model.partial_fit(X.astype(np.float32), y)
    network = fitted(ESTIMATORS[0])
    network.coefs_[0] = np.zeros((3, 5))
    network.intercepts_ = [np.zeros(5), np.zeros(3)]
    assert network.predict_proba(X).shape == (4, 3)
    network.partial_fit(X, y)
    assert abs(network.coefs_[0]).max() < 0.1


def test_adds_no_attributes_to_those_of_a_fit(estimator):
    model = fitted(estimator)
    once = set(vars(model))
    model.partial_fit(*a_part([0, 1, 2], 1))
    assert set(vars(model)) == once
    assert "generator" not in "".join(vars(model))


class Overriding(MLPClassifier):
    def _validate_input(self, X, y, incremental, reset):
        self.seen = getattr(self, "seen", 0) + 1
        return super()._validate_input(X, y, incremental, reset)


class Inheriting(MLPClassifier):
    pass


def test_subclasses_keep_what_they_override(fast_calls):
    part = a_part([0, 1, 2], 1)
    for _ in range(2):
        assert fitted(Overriding((5,), solver="sgd")).partial_fit(*part).seen == 2
    fast_calls.clear()
    expected = fitted(MLPClassifier((5,), solver="sgd", random_state=0)).partial_fit(*part)
    subclass = fitted(Inheriting((5,), solver="sgd", random_state=0)).partial_fit(*part)
    np.testing.assert_array_equal(subclass.coefs_[0], expected.coefs_[0])


def test_warm_start_of_a_network_requires_all_classes():
    model = fitted(MLPClassifier((5,), solver="sgd", warm_start=True))
    with pytest.raises(ValueError, match="same classes"):
        model.partial_fit(np.ones((1, 3)), np.array([0]))


def test_callbacks_take_the_full_validation(fast_calls):
    model = fitted(ESTIMATORS[3])
    model._skl_callbacks = []
    model.partial_fit(*a_part([0, 1, 2], 1))
    assert not fast_calls


def test_an_interrupt_keeps_the_optimizer(monkeypatch):
    def interrupted(self, *args):
        self.moments += 1
        raise KeyboardInterrupt

    for estimator in (ESTIMATORS[0], ESTIMATORS[3]):
        model = fitted(estimator)
        before = copy.deepcopy(model._optimizer.velocities)
        monkeypatch.setattr(Trainer, "_run_slices", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            model.partial_fit(*a_part([0, 1, 2], 9))
        monkeypatch.undo()
        for array, expected in zip(model._optimizer.velocities, before, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1])
def test_a_seeded_generator_is_scikit_learns(seed):
    expected = np.random.RandomState(seed).permutation(100)
    for _ in range(2):
        np.testing.assert_array_equal(generator_of(seed).permutation(100), expected)


def test_a_given_generator_is_that_one():
    given = np.random.RandomState(0)
    assert generator_of(given) is given
    assert generator_of(None) is np.random.mtrand._rand
    assert generator_of(3) not in (given, np.random.mtrand._rand)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        generator_of("seed")


# The tests that replace the validation


X = np.arange(6.0).reshape(3, 2)
FITTED = LogisticRegression(solver="sgd").partial_fit(X, [0, 1, 0], classes=[0, 1])


class Fitted(LogisticRegression):
    def __sklearn_is_fitted__(self):
        return False


@pytest.mark.parametrize("rows", [X, X[:1], X.astype(np.float32), X * 1e200, -X])
def test_valid_matrices(rows):
    assert is_valid_matrix(FITTED, rows)
    locked = rows.copy()
    locked.setflags(write=False)
    assert is_valid_matrix(FITTED, locked)


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_valid_sparse_matrices(kind):
    for rows in (X, X[:1], X.astype(np.float32), 0 * X):
        assert is_valid_matrix(FITTED, kind(rows))
    for rows in (X.astype(int), X[:0], np.ones((3, 3)), np.where(X == 3, np.nan, X)):
        assert not is_valid_matrix(FITTED, kind(rows))
    assert not is_valid_matrix(FITTED, kind(X).tocsc())


STRANGE_ROWS = {
    "a list": X.tolist(),
    "integers": X.astype(int),
    "half precision": X.astype(np.float16),
    "swapped bytes": X.astype(X.dtype.newbyteorder()),
    "objects": X.astype(object),
    "a subclass": np.ma.masked_array(X),
    "column by column": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "one dimension": X[0],
    "another number of features": np.ones((3, 3)),
    "no rows": X[:0],
    "NaN": np.where(X == 3, np.nan, X),
    "infinities that cancel": np.array([[np.inf, 0], [-np.inf, 0]]),
}


@pytest.mark.parametrize("rows", STRANGE_ROWS.values(), ids=STRANGE_ROWS)
def test_rows_that_need_a_check(rows):
    assert not is_valid_matrix(FITTED, rows)
    assert plain_matrix(rows) == (np.shape(rows) == (3, 3))  # valid but for the number of features


def test_estimators_that_need_a_check():
    assert not is_valid_matrix(LogisticRegression(), X)
    pandas = pytest.importorskip("pandas")
    named = LogisticRegression().fit(pandas.DataFrame(X, columns=["a", "b"]), [0, 1, 0])
    assert not is_valid_matrix(named, X)
    assert not is_valid_matrix(Fitted().fit(X, [0, 1, 0]), X)


@pytest.mark.parametrize(
    ("classes", "y"),
    [
        ([0, 1, 5], [5, 0, 1, 1]),
        ([0, 1, 5], [5]),
        ([-1.0, 1.0], [1.0, -1.0]),
        (["a", "bcd"], ["bcd", "a"]),
        ([False, True], [True]),
    ],
)
def test_known_label_indices(classes, y):
    classes, y = np.array(classes), np.array(y)
    indices = known_label_indices(classes, y, len(y))
    assert indices.dtype == np.intp
    np.testing.assert_array_equal(classes[indices], y)


@pytest.mark.parametrize(
    "y",
    [[0, 5], [-1, 1], [0, 10**12], [False, True], ["a", "bc"], np.array([3, 4], np.uint8),
     np.array([0, 2**64 - 1], np.uint64)],
)  # fmt: skip
def test_classes_of_plain_arrays(y):
    labels = np.repeat(y, 2)
    for given in (labels, np.repeat(labels, 2)[::2]):  # which does not lie together
        classes, indices = plain_labels(np.eye(4), given)
        np.testing.assert_array_equal(classes, y)
        assert classes.dtype == labels.dtype
        np.testing.assert_array_equal(indices, [0, 0, 1, 1])
        assert indices.dtype == np.intp
        assert indices.flags.c_contiguous
    assert plain_labels(np.eye(4).tolist(), labels) is None
    assert plain_labels(np.full((4, 4), np.nan), labels) is None


@pytest.mark.parametrize(
    "y",
    [[0, 1] * 2, np.zeros(5, int), np.zeros((4, 1), int), np.zeros(4), np.array([b"a", b"b"] * 2),
     np.array(["a", "b"] * 2, object), np.arange(4)],
)  # fmt: skip
def test_targets_that_need_a_check(y):
    assert plain_labels(np.eye(4), y) is None


STRANGE_LABELS = {
    "a list": [0, 1],
    "a column": np.array([[0], [1]]),
    "too few": np.array([1]),
    "floats": np.array([0.0, 1.0]),
    "objects": np.array([0, 1], object),
    "below": np.array([0, -1]),
    "above": np.array([0, 9]),
    "between": np.array([0, 3]),
}


@pytest.mark.parametrize("y", STRANGE_LABELS.values(), ids=STRANGE_LABELS)
def test_labels_that_need_a_check(y):
    assert known_label_indices(np.array([0, 1, 5]), y, 2) is None


@pytest.mark.parametrize("label", [-1, 3, 9])
def test_one_label_that_is_no_class(label):
    assert known_label_indices(np.array([0, 1, 5]), np.array([label]), 1) is None


def test_known_classes():
    known = np.array([0, 1, 5])
    assert are_known_classes(known, None)
    assert are_known_classes(known, known.copy())
    assert are_known_classes(known, [0, 1, 5])
    for other in ([0, 1], [0, 1, 4], [5, 1, 0], (0, 1, 5), known.astype(float), ["0", "1", "5"]):
        assert not are_known_classes(known, other)
    assert not are_known_classes(np.array(["0", "a"]), [0, "a"])


@pytest.mark.parametrize(
    "argument",
    [
        {"batch_size": 0}, {"batch_size": 2.0}, {"batch_size": "all"}, {"shuffle": 1},
        {"verbose": "yes"}, {"tol": -1}, {"tol": np.nan}, {"tol": None}, {"n_iter_no_change": 0},
        {"n_iter_no_change": 2.5}, {"n_threads": 0}, {"n_threads": None}, {"random_state": -1},
        {"random_state": 1 << 32}, {"random_state": "seed"}, {"exact_resume": 1},
        {"random_state": np.random.default_rng(0)}, {"learning_rate_init": 0.0},
    ],
    ids=lambda argument: next(iter(argument)),
)  # fmt: skip
def test_invalid_arguments_are_refused_in_later_calls(estimator, argument):
    model = fitted(estimator)
    with pytest.raises(ValueError, match=f"The '{next(iter(argument))}' parameter of"):
        model.set_params(**argument).partial_fit(*a_part([0, 1, 2], 4))


@pytest.mark.parametrize(
    "argument",
    [{"class_weight": {0: 2}}, {"n_jobs": 1}, {"penalty": "l2"}, {"penalty": None},
     {"l1_ratio": None}, {"C": np.inf, "l1_ratio": 0.5}],
    ids=str,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:l1_ratio parameter is only used")
def test_arguments_that_take_the_full_validation(argument, monkeypatch):
    model = fitted(LogisticRegression(solver="sgd")).set_params(**argument)
    full = []
    run = LogisticRegression._fit_minibatch
    monkeypatch.setattr(LogisticRegression, "_fit_minibatch", lambda *a: (full.append(1), run(*a)))
    model.partial_fit(*a_part([0, 1, 2], 4))
    assert full


def test_a_generator_given_is_no_obstacle(fast_calls):
    for kind in (LogisticRegression, lambda **a: MLPClassifier((5,), **a)):
        generator = np.random.RandomState(0)
        model = fitted(kind(solver="sgd"))
        model.set_params(random_state=generator).partial_fit(*a_part([0, 1, 2], 4))
        assert len(fast_calls) == 1
        fast_calls.clear()
        assert generator.get_state()[2] != np.random.RandomState(0).get_state()[2]
