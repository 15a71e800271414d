"""Ctrl-C: work over many rows is cut into calls, which changes no bit, and ends between two."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import sparse

import fastlogit
from fastlogit import LogisticRegression, MLPClassifier
from fastlogit.kernels.training import epoch
from fastlogit.kernels.training.epoch import BLOCK_ROWS, calls
from fastlogit.models import MODELS
from fastlogit.training.objective import predict
from fastlogit.training.threads import ThreadPool, cut, n_groups

FULL_FITS = {
    "lbfgs": lambda: LogisticRegression(C=10),
    "newton-cholesky": lambda: LogisticRegression(solver="newton-cholesky"),
    "newton-cg": lambda: LogisticRegression(solver="newton-cg"),
    "saga": lambda: LogisticRegression(solver="saga", l1_ratio=0.5),
    "sgd": lambda: LogisticRegression(solver="sgd", batch_size=2900, max_iter=3, random_state=0),
    "mlp-lbfgs": lambda: MLPClassifier((3,), solver="lbfgs", max_iter=5, random_state=0),
    "mlp-adam": lambda: MLPClassifier((3,), batch_size=2900, max_iter=3, random_state=0),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def rows(request):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2900, 5)), rng.integers(request.param, size=2900)


@pytest.fixture
def small_calls(monkeypatch):
    monkeypatch.setattr(epoch, "CALL_MULTIPLY_ADDS", 1)


@pytest.mark.parametrize("n_rows", [1, 256, 257, 10_000, 10_000_000])
@pytest.mark.parametrize("multiply_adds", [1, 1e3, 1e9])
def test_the_calls_cover_all_rows_once(n_rows, multiply_adds):
    ends = calls(n_rows, multiply_adds)
    assert [first for first, _ in ends] == [0, *[last for _, last in ends[:-1]]]
    assert ends[-1][1] == n_rows
    spans = cut(n_rows, multiply_adds)
    assert [first for first, _ in spans] == [0, *[last for _, last in spans[:-1]]]
    assert spans[-1][1] * n_groups(n_rows) * BLOCK_ROWS >= n_rows


@pytest.mark.parametrize("name", FULL_FITS)
def test_a_fit_cut_into_calls_has_the_same_bits(rows, name, monkeypatch):
    monkeypatch.setattr("fastlogit.solvers.newton.MOST_IN_KERNEL", 0)  # whose fits are not cut
    whole = FULL_FITS[name]().fit(*rows)
    monkeypatch.setattr(epoch, "CALL_MULTIPLY_ADDS", 1)
    in_parts = FULL_FITS[name]().fit(*rows)
    for array, other in zip(fitted(whole), fitted(in_parts), strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("as_csr", [False, True])
def test_a_loss_and_predictions_cut_into_calls_have_the_same_bits(
    problem, model, weighted, n_threads, as_csr, monkeypatch
):
    monkeypatch.setattr("fastlogit.training.threads.WORTH_SHARING", 0)
    monkeypatch.setattr("fastlogit.training.threads.Pace.shares", lambda _pace: True)
    task = problem(model, 2900, 5, 3, weighted=weighted)
    X = sparse.csr_array(task.X) if as_csr else task.X
    order = np.random.default_rng(0).permutation(2900)[None]

    def results():
        loss, gradient = fastlogit.loss_and_gradient(
            model, task.params, X, task.y, alpha=0.1, sample_weight=task.weight
        )
        trained = fastlogit.train(
            model, X, task.y, task.params, batch_size=2600, order=order, n_threads=n_threads,
            sample_weight=task.weight, solver="adam",
        )  # fmt: skip
        params = [np.asarray(array) for array in task.params]
        proba = predict(MODELS[model], params, X, n_threads=n_threads)
        return [loss, *gradient, *trained.params, trained.loss_curve, proba]

    whole = results()
    monkeypatch.setattr(epoch, "CALL_MULTIPLY_ADDS", 1)
    for array, other in zip(whole, results(), strict=True):
        np.testing.assert_array_equal(array, other)


def fitted(estimator):
    return estimator.coefs_ if hasattr(estimator, "coefs_") else [estimator.coef_]


@pytest.mark.usefixtures("small_calls")
@pytest.mark.parametrize("refitted", [False, True])
@pytest.mark.parametrize("name", ["lbfgs", "newton-cholesky", "newton-cg", "saga", "mlp-lbfgs"])
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(rows, name, refitted, monkeypatch):
    X, y = rows
    estimator = FULL_FITS[name]()
    if refitted:
        estimator.fit(X[:300, :4], y[:300])
    before = dict(vars(estimator))
    made, bind = [], ThreadPool.bind

    def bind_interrupted(*args):
        function = bind(*args)

        def call(*call_args):
            made.append(call_args)
            if len(made) == 3:
                raise KeyboardInterrupt
            function(*call_args)

        return call

    monkeypatch.setattr(ThreadPool, "bind", bind_interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert vars(estimator) == before


PROGRAM = """
import signal, sys
import numpy as np
from scipy import sparse
from fastlogit import LogisticRegression

signal.signal(signal.SIGINT, signal.default_int_handler)  # which may be inherited as ignored
X = np.random.default_rng(0).normal(size=(200_000, 20))
y = np.arange(len(X)) % 10
X = sparse.csr_array(X) if sys.argv[1] == "csr" else X
LogisticRegression().fit(X[:1000], y[:1000])
print("begins", flush=True)
try:
    while True:
        LogisticRegression(tol=1e-6).fit(X, y)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not sent so")
@pytest.mark.parametrize("form", ["dense", "csr"])
def test_a_real_one_ends_fits(form):
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PROGRAM, form], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "begins\n"
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert out == "interrupted\n"
