"""Which code would run a fit, told before it, and told after it on stderr."""

import logging

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline

from fastlogit import LogisticRegression, MLPClassifier, supports
from fastlogit.verbosity import VARIABLE

RNG = np.random.default_rng(0)
X, Y = RNG.random((30, 3)), np.arange(30) % 3
SEVERAL = np.eye(3, dtype=int)[Y] | np.eye(3, dtype=int)[::-1][Y]
# An estimator, its X and y, and a part of the reason, None for none.
CASES = [
    (LogisticRegression(), X, Y, None),
    (LogisticRegression(penalty=None), X, Y, None),
    (LogisticRegression(solver="sag"), X, Y, None),
    (LogisticRegression(solver="saga", l1_ratio=0.5), np.tile(X, 200), Y, None),
    (LogisticRegression(solver="newton-cg"), csr_array(X), Y, None),
    (LogisticRegression(solver="adam"), csr_array(X), Y, None),
    (MLPClassifier(4, "logistic"), X, Y, None),
    (MLPClassifier([4], "logistic", solver="lbfgs"), X, Y, None),
    (MLPClassifier((4, 4), "logistic"), X, Y, "2 hidden layers"),
    (MLPClassifier((4, 4), "logistic", solver="lbfgs"), X, Y, "2 hidden layers"),
    (MLPClassifier((), "logistic"), X, Y, "0 hidden layers"),
    (MLPClassifier(4, "logistic"), X, SEVERAL, "several labels"),
]


@pytest.mark.filterwarnings(
    "ignore:.*('penalty' was deprecated|C=np.inf|converge|Maximum iter|max_iter|did not)"
)
@pytest.mark.parametrize(
    ("estimator", "X", "y", "reason"), CASES, ids=[f"{case[0]}, {case[3]}" for case in CASES]
)
def test_says_before_a_fit_which_code_runs_it(capsys, caplog, monkeypatch, estimator, X, y, reason):
    estimator.set_params(max_iter=3, random_state=0)
    said = supports(estimator, X, y)
    assert not hasattr(estimator, "classes_")
    assert (said is None) == (reason is None)
    assert reason is None or reason in said
    monkeypatch.setenv(VARIABLE, "1")
    with caplog.at_level(logging.INFO, logger="fastlogit"):
        estimator.fit(X, y)
    assert estimator.backend_ == ("numba" if said is None else "scikit-learn")
    code = "kernels" if said is None else f"scikit-learn: {said}"
    line = f"{type(estimator).__name__} ran on {code} ("
    assert [record.getMessage()[: len(line)] for record in caplog.records] == [line]
    assert capsys.readouterr().err.count(f"fastlogit: {line}") == 1
    assert supports(estimator, X, y) == said


def test_answers_from_the_arguments_alone():
    assert supports(LogisticRegression(solver="newton-cg")) is None
    assert supports(LogisticRegression(solver="saga", l1_ratio=1)) is None
    assert "l1_ratio=0.5" in supports(LogisticRegression(l1_ratio=0.5))


def test_a_fitted_network_is_asked_for_its_next_fit():
    network = MLPClassifier(4, "logistic").partial_fit(X, Y, classes=[0, 1, 2])
    assert supports(network.set_params(hidden_layer_sizes=(4, 4))) is not None


def test_scikit_learns_estimators_stand_for_ours():
    assert supports(SklearnLogisticRegression(C=2)) is None
    assert "penalty='l1'" in supports(SklearnLogisticRegression(penalty="l1"))
    assert "2 hidden layers" in supports(SklearnMLPClassifier((3, 3), "logistic"))


@pytest.mark.parametrize(
    "other",
    [
        make_pipeline(LogisticRegression()),
        GridSearchCV(LogisticRegression(), {}),
        LogisticRegression,
        type("Derived", (SklearnLogisticRegression,), {})(),
        None,
    ],
    ids=["pipeline", "search", "class", "subclass", "None"],
)
def test_refuses_other_objects(other):
    with pytest.raises(TypeError, match=r"a LogisticRegression or .*MLPClassifier of fastlogit or"):
        supports(other)


def test_refuses_what_a_fit_refuses():
    with pytest.raises(ValueError, match="'C' parameter"):
        supports(LogisticRegression(C=-1))
    with pytest.raises(ValueError, match="supports only the L2 penalty"):
        supports(LogisticRegression(solver="adam", l1_ratio=1))
