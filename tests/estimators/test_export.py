"""ONNX: onnxruntime returns the labels and probabilities of the exported estimator."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastlogit
from fastlogit import LogisticRegression, LogisticRegressionCV, MLPClassifier
from fastlogit.estimators import register_converters

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PLAIN = {"zipmap": False}  # probabilities as an array
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ON_KERNELS = [
    *(LogisticRegression(solver=s, random_state=0) for s in ("lbfgs", "sgd", "adam")),
    LogisticRegression(fit_intercept=False),
    *(LogisticRegression(solver=s) for s in ("newton-cg", "sag", "saga")),
    LogisticRegression(solver="saga", l1_ratio=1.0),
    LogisticRegressionCV(
        Cs=[0.01, 1.0], l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False
    ),
    *(MLPClassifier((7,), "logistic", solver=s, random_state=0) for s in ("lbfgs", "sgd", "adam")),
    *(MLPClassifier((7,), a, random_state=0) for a in ("relu", "tanh", "identity")),
]
ON_SCIKIT_LEARN = [MLPClassifier((7, 5), random_state=0)]


def outputs(exported, X):
    session = onnxruntime.InferenceSession(
        exported.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    return session.run(None, {given.name: X})


def assert_agree(exported, fitted, X):
    labels, proba = outputs(exported, X)
    np.testing.assert_array_equal(labels, fitted.predict(X))
    assert proba.dtype == X.dtype
    # In float64 for either dtype, so that the rounding of a float32 model does not count twice.
    expected = fitted.predict_proba(X.astype(np.float64))
    atol = 1e-6 if X.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(proba, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "model"), [("breast_cancer", "logistic"), ("digits", "logistic"), ("iris", "softmax")]
)
@pytest.mark.parametrize("estimator", ON_KERNELS + ON_SCIKIT_LEARN, ids=str)
def test_probabilities_are_those_of_the_estimator(toy_set, estimator, name, model, dtype):
    X, y = toy_set(name, model, dtype)
    fitted = clone(estimator).set_params(max_iter=20).fit(X, y)
    assert fitted.backend_ == ("numba" if estimator in ON_KERNELS else "scikit-learn")
    assert_agree(fastlogit.to_onnx(fitted, X[:1], options=PLAIN), fitted, X)


@pytest.mark.parametrize("estimator", [LogisticRegression(), MLPClassifier((3,), random_state=0)])
@pytest.mark.parametrize("labels", [["b", "a", "c"], ["no", "yes"], [False, True], [-1, 1]])
def test_labels_of_every_kind(toy_set, estimator, labels):
    X, y = toy_set("iris", "softmax")
    fitted = clone(estimator).fit(X, np.array(labels)[y % len(labels)])
    assert_agree(fastlogit.to_onnx(fitted, X[:1], options=PLAIN), fitted, X)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(LogisticRegression, SklearnLogisticRegression), (MLPClassifier, SklearnMLPClassifier)],
)
def test_the_graph_is_the_one_of_scikit_learns_class(toy_set, ours, theirs):
    X, y = toy_set("iris", "softmax")
    fitted = ours(max_iter=5).fit(X, y)
    same = theirs().set_params(**{name: getattr(fitted, name) for name in theirs().get_params()})
    vars(same).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    same._label_binarizer = getattr(fitted, "_label_binarizer", None)
    ours_graph, theirs_graph = (fastlogit.to_onnx(e, X[:1]).graph for e in (fitted, same))
    theirs_graph.name = ours_graph.name  # of the class
    assert ours_graph == theirs_graph
    assert [output.name for output in ours_graph.output] == ["output_label", "output_probability"]


@pytest.mark.parametrize(
    "outer",
    [
        lambda inner: make_pipeline(StandardScaler(), inner),
        lambda inner: GridSearchCV(inner, {"tol": [1e-3]}, cv=2),
        lambda inner: VotingClassifier(
            [("a", inner), ("b", clone(inner))], voting="soft", flatten_transform=False
        ),
    ],
)
@pytest.mark.parametrize("inner", [LogisticRegression(), MLPClassifier((3,), random_state=0)])
def test_inside_of_other_estimators(toy_set, outer, inner):
    X, y = toy_set("wine", "softmax")
    fitted = outer(inner).fit(X, y)
    register_converters()
    assert_agree(skl2onnx.to_onnx(fitted, X[:1], options=PLAIN), fitted, X)


def test_importing_the_estimators_does_not_import_skl2onnx():
    program = "import sys, fastlogit.estimators; print('skl2onnx' in sys.modules)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
