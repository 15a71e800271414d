"""What a fit checks before it trains: as scikit-learn does, once or at a glance."""

import warnings
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, MLPClassifier

LABELS = {
    "two": [3, 7, 3, 7, 7, 3],
    "three": [2, 0, 1, 1, 0, 2],
    "bool": [True, False, False, True, True, False],
    "str": ["b", "a", "cc", "b", "a", "cc"],
    "wide str": np.array(["no", "yes", "no", "yes", "yes", "no"], "U9"),
    "int8": np.array([1, -1, 1, -1, 1, 1], np.int8),
    "uint64": np.array([0, 2**63, 5, 5, 0, 2**63], np.uint64),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_are_taken_as_scikit_learn_takes_them(monkeypatch, labels):
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.array(labels)
    ours, theirs = MLPClassifier(), SklearnMLPClassifier()
    expected = theirs._validate_input(X, y, incremental=False, reset=True)
    # Where it would come to scikit-learn's checks, the arrays would not be as they came.
    monkeypatch.setattr(SklearnMLPClassifier, "_validate_input", None)
    actual = ours._validate_input(X, y, incremental=False, reset=True)
    assert actual[0] is X
    for got, wanted in [*zip(actual, expected, strict=True), (ours.classes_, theirs.classes_)]:
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(got, wanted)
    assert ours.n_features_in_ == theirs.n_features_in_ == 2
    binarizers = [vars(model._label_binarizer) for model in (ours, theirs)]
    assert str(binarizers[0]) == str(binarizers[1])


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2], [0.0, 1.0, 0.5], [0, 1, None]])
def test_labels_in_doubt_are_left_to_scikit_learn(monkeypatch, y):
    def left(*_):
        raise NotImplementedError

    monkeypatch.setattr(SklearnMLPClassifier, "_validate_input", left)
    with pytest.raises(NotImplementedError):
        MLPClassifier().fit(np.eye(3), np.array(y))


@pytest.mark.parametrize("estimator", [MLPClassifier, LogisticRegression])
def test_arguments_that_passed_once_do_not_pass_in_another_type(estimator):
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    model = estimator(max_iter=1, tol=1, n_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y).fit(X, y)
    for wrong in ({"n_threads": 1.0}, {"max_iter": -1}, {"tol": "1"}, {"solver": "no"}):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter"):
            clone(model).set_params(**wrong).fit(X, y)
    with pytest.raises(ValueError, match="'max_iter' parameter"):
        clone(model).set_params(max_iter=np.nan).fit(X, y)


def test_arguments_of_an_heir_are_checked_by_its_own_constraints():
    class Patient(LogisticRegression):
        _parameter_constraints: ClassVar[dict[str, Any]] = {
            **LogisticRegression._parameter_constraints, "max_iter": ["boolean"],
        }  # fmt: skip

    X, y = np.eye(4), np.array([0, 1, 0, 1])
    LogisticRegression(max_iter=50).fit(X, y)
    with pytest.raises(ValueError, match="'max_iter' parameter of Patient"):
        Patient(max_iter=50).fit(X, y)


@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=1), LogisticRegression()])
def test_a_fit_to_an_array_forgets_a_frames_names(estimator):
    pandas = pytest.importorskip("pandas")
    X, y = np.eye(6), np.array([0, 1, 0, 1, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = clone(estimator).fit(pandas.DataFrame(X, columns=[*"abcdef"]), y)
        assert fitted.feature_names_in_.tolist() == [*"abcdef"]
        fitted.fit(X[:, :4], y)
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.n_features_in_ == 4
    assert fitted.predict(X[:, :4]).shape == (6,)
