"""The same estimator of two libraries."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from small_cases import estimator_case

from fastlogit.benchmark.cases import ESTIMATORS
from fastlogit.benchmark.implementations import UnsupportedError
from fastlogit.benchmark.implementations import same_estimator as module
from fastlogit.benchmark.implementations.same_estimator import FastlogitEstimator, SklearnEstimator
from fastlogit.benchmark.verification import compare

BOTH = pytest.mark.parametrize("kind", [FastlogitEstimator, SklearnEstimator], ids=lambda k: k.name)


@pytest.mark.parametrize(
    ("estimator", "solver"),
    [(name, solver) for name, some in ESTIMATORS.items() for solver in some],
)
def test_both_fit_the_same_with_every_solver(prepared, estimator, solver):
    case = estimator_case(estimator, solver=solver, dataset="wine")
    (ours, problem), (theirs, _) = (
        prepared(kind, case) for kind in (FastlogitEstimator, SklearnEstimator)
    )
    assert ours._fitted.backend_ == "numba"
    for each in (ours, theirs):
        assert each._fitted.solver == solver
        each.run()
    agreement = compare(ours.result(), theirs.result(), case)
    assert agreement.holds, str(agreement)
    proba = ours._fitted.predict_proba(problem.X)
    assert ours.result().loss == pytest.approx(log_loss(problem.y, proba), rel=1e-9)


@BOTH
def test_the_arguments_are_the_defaults_of_scikit_learn(prepared, kind):
    fitted = prepared(kind, estimator_case("LogisticRegression"))[0]._fitted
    assert fitted.get_params().items() >= type(fitted)().get_params().items()
    assert type(fitted).__module__.startswith({"fastlogit": "fastlogit"}.get(kind.name, "sklearn"))


@BOTH
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_prediction_is_of_the_fitted_estimator(prepared, kind, estimator):
    implementation, problem = prepared(kind, estimator_case(estimator, "predict_proba"))
    implementation.run()
    (proba,) = implementation.result().params
    np.testing.assert_array_equal(proba, implementation._fitted.predict_proba(problem.X))


@pytest.mark.parametrize("solver", [None, "newton-cholesky"])
def test_wrong_probabilities_never_agree(prepared, solver):
    case = estimator_case("LogisticRegression", "predict_proba", solver=solver)
    implementation, problem = prepared(FastlogitEstimator, case)
    implementation.run()
    right = implementation.result()
    assert right.loss == pytest.approx(log_loss(problem.y, right.params[0]), rel=1e-12)
    assert compare(right, right, case).holds
    for wrong in (np.full_like(right.params[0], np.nan), right.params[0][:, ::-1]):
        implementation._proba = wrong
        assert not compare(implementation.result(), right, case).holds


@BOTH
def test_a_first_fit_is_timed_in_a_process_of_its_own(prepared, kind):
    case = estimator_case("LogisticRegression", "first-fit")
    implementation, _ = prepared(kind, case)
    assert implementation.measured_s is None  # not run yet: it would only take time
    implementation.run()
    reference, _ = prepared(SklearnEstimator, replace(case, task="fit"))
    agreement = compare(implementation.result(), reference.result(), case)
    assert agreement.holds, str(agreement)
    assert implementation.measured_s > 0


def test_a_cold_fit_finds_no_kernels(prepared, monkeypatch, tmp_path):
    asked = []

    class Done:
        returncode, stdout = 0, "1.25"

    def run(command, env, **_):
        asked.append((json.loads(command[4]), env))
        Path(command[5]).write_bytes(pickle.dumps("what was fitted"))
        return Done

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    case = replace(estimator_case("LogisticRegression", "cold-fit"), threads=2)
    for task in ("cold-fit", "first-fit"):
        implementation, _ = prepared(FastlogitEstimator, replace(case, task=task))
        implementation.run()
        assert implementation.measured_s == 1.25
        assert implementation._fitted == "what was fitted"
    (spec, cold), (_, warm) = asked
    assert spec == ["fastlogit", "LogisticRegression", {"solver": "lbfgs", "n_threads": 2}]
    assert warm["NUMBA_CACHE_DIR"] == str(tmp_path) != cold["NUMBA_CACHE_DIR"]
    assert {env["OPENBLAS_NUM_THREADS"] for env in (cold, warm)} == {"2"}


def test_a_first_fit_that_fails_says_why(prepared):
    case = replace(estimator_case("LogisticRegression", "first-fit"), solver="no-solver")
    implementation, _ = prepared(SklearnEstimator, case)
    with pytest.raises(RuntimeError, match="'solver' parameter of LogisticRegression"):
        implementation.run()


@BOTH
def test_a_model_is_no_estimator(prepared, kind):
    with pytest.raises(UnsupportedError, match=f"{kind.name} has no model softmax"):
        prepared(kind, replace(estimator_case("LogisticRegression"), model="softmax"))
