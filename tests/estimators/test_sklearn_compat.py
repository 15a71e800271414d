"""The private names of scikit-learn are named in one file, exist and mean what they meant."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.linear_model import LogisticRegressionCV as SklearnLogisticRegressionCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import LogisticRegression, LogisticRegressionCV, MLPClassifier
from fastlogit.estimators import fast_path, sklearn_compat
from fastlogit.estimators.logistic_regression import MINIBATCH_ARGUMENTS

# Methods of scikit-learn's MLPClassifier that our subclass overrides or calls, and their arguments.
FIT_ARGUMENTS = (
    "self", "X", "y", "sample_weight", "activations", "deltas", "coef_grads", "intercept_grads",
    "layer_units",
)  # fmt: skip
MLP_METHODS = {
    "_fit_stochastic": (*FIT_ARGUMENTS, "incremental"),
    "_fit_lbfgs": FIT_ARGUMENTS,
    "_fit": ("self", "X", "y", "sample_weight", "incremental"),
    "_forward_pass_fast": ("self", "X", "check_input"),
    "_predict": ("self", "X", "check_input"),
}
ADDED = {"n_threads", "exact_resume"}
SOURCES = sorted(Path(sklearn_compat.__file__).parents[1].rglob("*.py"))


def private_imports(source):
    """Return the modules and names of scikit-learn in imports that begin with an underscore."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sklearn"):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            full = [alias.name for alias in node.names if alias.name.startswith("sklearn")]
        else:
            continue
        found += [name for name in full if any(part[0] == "_" for part in name.split("."))]
    return found


def test_no_other_file_imports_private_names():
    files = [path.name for path in SOURCES if private_imports(path.read_text())]
    assert files == ["sklearn_compat.py"]
    assert private_imports("from sklearn.base import _fit_context, clone") == [
        "sklearn.base._fit_context"
    ]
    assert private_imports("import sklearn._config") == ["sklearn._config"]


@pytest.mark.parametrize(("method", "arguments"), MLP_METHODS.items())
def test_overridden_methods_have_scikit_learns_arguments(method, arguments):
    assert f"``{method}``" in sklearn_compat.__doc__
    for estimator in (SklearnMLPClassifier, MLPClassifier):
        assert tuple(inspect.signature(getattr(estimator, method)).parameters) == arguments


@pytest.mark.parametrize("name", sklearn_compat.__all__)
def test_every_name_exists(name):
    assert getattr(sklearn_compat, name) is not None


@pytest.mark.parametrize("method", sklearn_compat.MLP_STEPS)
def test_fits_go_through_these_steps(monkeypatch, method):
    model = SklearnMLPClassifier((2,), solver="lbfgs" if method == "_fit_lbfgs" else "adam")

    def reached(*_, **__):
        raise NotImplementedError(method)

    monkeypatch.setattr(SklearnMLPClassifier, method, reached)
    with pytest.raises(NotImplementedError, match=method):
        model.fit(np.eye(2), [0, 1])
    if method in sklearn_compat.MLP_STEPS[:3]:
        with pytest.raises(NotImplementedError, match=method):
            model.partial_fit(np.eye(2), [0, 1], classes=[0, 1])


def test_scikit_learns_fit_is_the_step_that_ours_calls(monkeypatch):
    calls = []
    monkeypatch.setattr(SklearnMLPClassifier, "_fit", lambda *a, **k: calls.append((a[1:], k)))
    SklearnMLPClassifier().fit("X", "y", "weight")
    MLPClassifier().fit("X", "y", "weight")
    expected = ("X", "y"), {"sample_weight": "weight", "incremental": False}
    assert calls == [expected, expected]


def test_callbacks_are_supported_where_scikit_learn_has_them():
    pytest.importorskip("sklearn.callback", reason="scikit-learn below 1.9")
    from sklearn.callback import CallbackSupportMixin

    assert sklearn_compat.CallbackSupport is CallbackSupportMixin
    for estimator in (MLPClassifier(), LogisticRegression(), LogisticRegression(solver="sgd")):
        assert isinstance(estimator, CallbackSupportMixin)
        assert not sklearn_compat.has_callbacks(estimator)
        assert estimator.set_callbacks() is estimator
    task = sklearn_compat.root_task(MLPClassifier(), 5)
    assert (task.task_name, task.max_subtasks, task.parent) == ("fit", 5, None)


def test_below_it_there_is_nothing_to_set_callbacks_with():
    supported = hasattr(sklearn_compat.CallbackSupport, "set_callbacks")
    for estimator in (MLPClassifier(), LogisticRegression(), LogisticRegression(solver="sgd")):
        assert hasattr(estimator, "set_callbacks") is supported


def test_arguments_are_validated_where_the_configuration_lets_them_be():
    rows = np.eye(2), np.array([0, 1])
    wrong = LogisticRegression(solver="sgd").partial_fit(*rows, classes=[0, 1]).set_params(tol=-1)
    with pytest.raises(ValueError, match="'tol' parameter"):
        fast_path.valid_partial_fit_rows(wrong, *rows, None, None)
    with config_context(skip_parameter_validation=True):
        assert fast_path.valid_partial_fit_rows(wrong, *rows, None, None) is not None


def test_a_fit_of_scikit_learns_leaves_the_state_that_ours_continues_from():
    X, y = np.eye(4), [0, 1, 0, 1]
    for solver, moments in (("sgd", ["velocities"]), ("adam", ["ms", "vs"])):
        fitted = SklearnMLPClassifier((2,), solver=solver, n_iter_no_change=1, tol=1).fit(X, y)
        assert fitted._no_improvement_count == 2
        assert isinstance(fitted._random_state, np.random.RandomState)
        assert fitted._label_binarizer.y_type_ == "binary"
        assert fitted._label_binarizer.sparse_input_ is False
        assert fitted._label_binarizer.classes_.tolist() == [0, 1]
        for name in moments:
            shapes = [array.shape for array in getattr(fitted._optimizer, name)]
            assert shapes == [(4, 2), (2, 1), (2,), (1,)]


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_offsets_of_the_flat_parameters_are_scikit_learns():
    X, y = np.eye(5), [0, 1, 2, 1, 0]
    kept = ("_coef_indptr", "_intercept_indptr")
    for hidden in ((4,), (4, 3)):
        fitted = SklearnMLPClassifier(hidden, solver="lbfgs", max_iter=1).fit(X, y)
        offsets = sklearn_compat.packed_offsets([5, *hidden, 3])
        assert offsets == tuple(getattr(fitted, name) for name in kept)
    ours = MLPClassifier((4,), solver="lbfgs", max_iter=1).fit(X, y)
    assert ours._coef_indptr == [(0, 20, (5, 4)), (20, 32, (4, 3))]
    assert ours._intercept_indptr == [(32, 36), (36, 39)]


@pytest.mark.parametrize(
    ("ours", "theirs", "added"),
    [
        (MLPClassifier, SklearnMLPClassifier, {"class_weight", *ADDED}),
        (LogisticRegression, SklearnLogisticRegression, {*MINIBATCH_ARGUMENTS, *ADDED}),
        (LogisticRegressionCV, SklearnLogisticRegressionCV, {"n_threads"}),
    ],
)
def test_arguments_are_scikit_learns_and_the_added_ones(ours, theirs, added):
    arguments, expected = ours().get_params(), theirs().get_params()
    assert set(arguments) - set(expected) == added
    assert {name: arguments[name] for name in expected} == expected
    positional = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters)[: len(positional)] == positional
    assert set(ours._parameter_constraints) >= set(arguments)
