"""Fits while kernels are compiled by another process: scikit-learn's code runs, bit for bit."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import linear_model, neural_network

import fastlogit
from fastlogit.estimators import background
from fastlogit.kernels.codegen import linking, waiting

pytestmark = [
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ROWS = np.random.default_rng(0).normal(size=(60, 4))
LABELS = (ROWS[:, 0] + np.arange(60) % 3 > 1).astype(int)
FITS = [
    ("LogisticRegression", {}),
    ("LogisticRegression", {"solver": "newton-cholesky", "C": 0.1}),
    ("LogisticRegression", {"solver": "liblinear", "dual": True, "random_state": 0}),
    ("LogisticRegressionCV", {"Cs": 2, "cv": 2}),
    ("MLPClassifier", {"max_iter": 3}),
    ("MLPClassifier", {"max_iter": 3, "solver": "lbfgs"}),
    ("MLPClassifier", {"max_iter": 3, "early_stopping": True}),
]


@pytest.fixture
def started(monkeypatch):
    """Make all kernels missing; return the requests of what is to be compiled."""
    requests, call = [], linking.EntryPoint.__call__

    def missing(entry, *args):
        waiting.check(entry.__name__)
        return call(entry, *args)

    monkeypatch.setattr(linking.EntryPoint, "__call__", missing)
    monkeypatch.setattr(background, "start", lambda request, *_: requests.append(request) or True)
    monkeypatch.setenv(waiting.VARIABLE, "background")
    return requests


def of_sklearn(name, **arguments):
    module = linear_model if hasattr(linear_model, name) else neural_network
    return getattr(module, name)(**arguments)


def fitted_params(estimator):
    names = ("coef_", "intercept_", "coefs_", "intercepts_", "n_iter_", "C_")
    values = [getattr(estimator, name) for name in names if hasattr(estimator, name)]
    return [array for value in values for array in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize(("name", "arguments"), FITS, ids=str)
@pytest.mark.parametrize("make_rows", [np.array, csr_array])
def test_scikit_learns_code_fits(started, caplog, name, arguments, make_rows):
    X = make_rows(ROWS)
    if name == "MLPClassifier":
        arguments = arguments | {"random_state": np.random.RandomState(5)}
    with caplog.at_level(logging.INFO, "fastlogit"):
        ours = getattr(fastlogit, name)(**arguments).fit(X, LABELS)
    assert len(started) == 1
    assert ours.backend_ == "scikit-learn"
    assert f"{name} ran on scikit-learn: {background.REASON}" in caplog.text
    if name == "MLPClassifier":
        arguments["random_state"] = np.random.RandomState(5)
    theirs = of_sklearn(name, **arguments).fit(X, LABELS)
    for array, expected in zip(fitted_params(ours), fitted_params(theirs), strict=True):
        assert np.array_equal(array, expected)
    assert np.array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_the_global_generator_is_where_scikit_learn_leaves_it(started):
    drawn = []
    for estimator in (fastlogit.MLPClassifier(max_iter=2), of_sklearn("MLPClassifier", max_iter=2)):
        np.random.seed(3)  # noqa: NPY002
        estimator.fit(ROWS, LABELS)
        drawn.append(np.random.random())  # noqa: NPY002
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("estimator", "arguments"),
    [
        (fastlogit.LogisticRegression(solver="sgd", max_iter=2), {}),
        (fastlogit.MLPClassifier(max_iter=2, exact_resume=True), {}),
        (fastlogit.MLPClassifier(max_iter=2, early_stopping="loss"), {}),
        (fastlogit.MLPClassifier(max_iter=2), {"callback": lambda *_: False}),
        (fastlogit.MLPClassifier(max_iter=2), {"X_val": ROWS[:9], "y_val": LABELS[:9]}),
    ],
    ids=["sgd", "exact-resume", "early-stopping", "callback", "validation"],
)
def test_what_scikit_learn_cannot_do_waits(started, estimator, arguments):
    estimator.fit(ROWS, LABELS, **arguments)
    assert estimator.backend_ == "numba"
    assert not started


def test_a_warm_start_goes_on_on_the_same_code(started, monkeypatch):
    monkeypatch.setenv(waiting.VARIABLE, "wait")
    estimator = fastlogit.MLPClassifier(max_iter=2, warm_start=True).fit(ROWS, LABELS)
    monkeypatch.setenv(waiting.VARIABLE, "background")
    assert estimator.fit(ROWS, LABELS).backend_ == "numba"
    assert not started


def test_a_long_fit_waits(started, monkeypatch):
    monkeypatch.setattr(background, "SECONDS_TO_WAIT", 1e-9)
    assert fastlogit.LogisticRegression().fit(ROWS, LABELS).backend_ == "numba"
    assert not started


@pytest.mark.parametrize("name", ["LogisticRegression", "MLPClassifier"])
def test_predictions_do_not_wait_either(started, monkeypatch, name):
    monkeypatch.setenv(waiting.VARIABLE, "wait")
    estimator = getattr(fastlogit, name)(max_iter=3).fit(ROWS, LABELS)
    X = np.repeat(ROWS, 200, axis=0)
    proba, classes = estimator.predict_proba(X), estimator.predict(X)
    monkeypatch.setenv(waiting.VARIABLE, "background")
    np.testing.assert_allclose(estimator.predict_proba(X), proba, rtol=1e-12)
    assert np.array_equal(estimator.predict(X), classes)
    assert started


def test_functions_wait(started):
    fastlogit.train("logistic", ROWS, LABELS)
    assert not started


def test_another_value_of_the_variable_is_refused(monkeypatch):
    monkeypatch.setenv(waiting.VARIABLE, "soon")
    with pytest.raises(ValueError, match="FASTLOGIT_COMPILE='soon' must be 'background' or 'wait'"):
        waiting.in_background()


@pytest.mark.parametrize(("state", "expected"), [(None, True), (0, True), (1, False)])
def test_one_process_at_a_time_and_none_after_a_failure(monkeypatch, capsys, state, expected):
    begun = []
    earlier = SimpleNamespace(poll=lambda: state, returncode=state)
    later = SimpleNamespace(poll=lambda: 0, returncode=0)
    monkeypatch.setattr(background, "_process", earlier)
    monkeypatch.setattr(
        background.subprocess, "Popen", lambda command, **_: begun.append(command) or later
    )
    assert background.start("fastlogit.clear.d2") is expected
    assert len(begun) == (state == 0)


def test_no_process_is_begun_while_another_ones_compiles(monkeypatch, tmp_path):
    monkeypatch.setattr(background, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(background, "_process", None)
    with background._lock():
        assert background.start("fastlogit.clear.d2")
    assert background._process is None


def test_one_process_has_the_lock(monkeypatch, tmp_path):
    monkeypatch.setattr(background, "cache_directory", lambda: tmp_path)
    with background._lock() as first, background._lock() as second:
        assert (first, second) == (True, False)
    with background._lock() as third:
        assert third


PROGRAM = """
import sys, numpy as np, fastlogit
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
fitted = fastlogit.LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))
print(fitted.backend_, "numba" in sys.modules)
"""


def run(cache):
    package = Path(fastlogit.__file__).parents[1]
    environment = os.environ | {
        "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(cache), "FASTLOGIT_VERBOSE": "1",
        waiting.VARIABLE: "",
    }  # fmt: skip
    return subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip


def test_a_new_installation(tmp_path):
    first = run(tmp_path)
    assert first.stdout.split() == ["scikit-learn", "False"]
    assert "LogisticRegression ran on scikit-learn: kernels are being compiled" in first.stderr
    assert "FASTLOGIT_COMPILE=wait waits instead" in first.stderr
    assert len(first.stderr.splitlines()) == 2
    end = time.monotonic() + 300
    while run(tmp_path).stdout.split() != ["numba", "False"]:
        assert time.monotonic() < end
        time.sleep(2)
