"""What the core's tests share: every model, random problems, scikit-learn's toy sets."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from scipy.special import softmax
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from fastlogit import verbosity
from fastlogit.kernels.codegen import waiting
from fastlogit.models import BACKENDS, MODELS, OPTIMIZERS

os.environ[waiting.VARIABLE] = "wait"  # every fit runs on the kernels
os.environ[verbosity.VARIABLE] = "0"  # what tests expect on stderr does not depend on the cache

TOY_SETS = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast_cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "moons": lambda: datasets.make_moons(300, noise=0.2, random_state=0),
    "circles": lambda: datasets.make_circles(300, noise=0.1, factor=0.5, random_state=0),
    "blobs": lambda: datasets.make_blobs(300, n_features=8, centers=5, random_state=0)[:2],
}


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread():
    """Hold BLAS to one thread in this process, unless a test or what it tests says otherwise.

    The matrices of most tests are small, and threads that wait for each other spin: with another
    process on the cores, scikit-learn's solvers take up to a hundred times as long with two.
    """
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


@dataclass(frozen=True)
class Problem:
    """A model's parameters and rows to evaluate or train it on; weight is None for unit weights."""

    params: tuple[Any, ...]
    X: Any
    y: Any
    weight: Any
    n_classes: int


def random_problem(model, n, d, h=4, k=3, *, dtype=np.float64, weighted=False, seed=0):
    """Draw n rows of d features, k classes (2 for a binary model) and h hidden units if any.

    Weights hold zeros and leave one row at least a positive one.
    """
    spec = MODELS[model]
    rng = np.random.default_rng([seed, n, d, h, k])
    n_classes = 2 if spec.binary else k
    shapes = spec.shapes(d, h if spec.has_hidden else None, spec.n_outputs(n_classes))
    params = tuple((rng.normal(size=shape) / np.sqrt(shape[0])).astype(dtype) for shape in shapes)
    X = rng.normal(size=(n, d)).astype(dtype)
    y = rng.integers(n_classes, size=n)
    weight = None
    if weighted:
        weight = (rng.uniform(0.1, 2, n) * (rng.random(n) > 0.2)).astype(dtype)
        weight[rng.integers(n)] = 1
    return Problem(params, X, y, weight, n_classes)


@pytest.fixture(params=list(MODELS))
def model(request):
    return request.param


@pytest.fixture(params=list(BACKENDS))
def backend(request):
    return request.param


@pytest.fixture(params=list(OPTIMIZERS))
def solver(request):
    return request.param


@pytest.fixture(scope="session")
def problem():
    return random_problem


@cache
def _toy_set(name, binary, dtype):
    X, y = TOY_SETS[name]()
    X = StandardScaler().fit_transform(X).astype(dtype)
    n_classes = int(y.max()) + 1
    if binary and n_classes > 2:
        y = (y >= -(-n_classes // 2)).astype(int)
    for array in (X, y):
        array.setflags(write=False)
    return X, y


@pytest.fixture(scope="session")
def toy_set():
    """Return (X, y) of a toy set, standardised; a binary model's labels are the upper classes'."""
    return lambda name, model, dtype=np.float64: _toy_set(name, MODELS[model].binary, dtype)


@pytest.fixture(params=list(TOY_SETS))
def toy_name(request):
    return request.param


@pytest.fixture(scope="session")
def relative_error():
    """Return the norm of the difference over the norm of what is expected."""

    def error(actual, expected):
        actual, expected = np.asarray(actual, float), np.asarray(expected, float)
        assert actual.shape == expected.shape
        difference = float(np.linalg.norm(actual - expected))
        return difference / float(np.linalg.norm(expected)) if difference else 0.0

    return error


@pytest.fixture(scope="session")
def linear_problem():
    """Return X, weights (perhaps none), Wt (K, D) and b of a random linear model."""

    def draw(n, D, K, dtype, weighted):
        rng = np.random.default_rng([n, D, K])
        X = rng.normal(size=(n, D)).astype(dtype)
        Wt = (rng.normal(size=(K, D)) / np.sqrt(D)).astype(dtype)
        weight = rng.uniform(0, 2, n if weighted else 0).astype(dtype)
        return X, weight, Wt, rng.normal(size=K).astype(dtype)

    return draw


@pytest.fixture(scope="session")
def expected_hessian():
    """Return the Hessian of the mean loss, its formula written out in float64.

    In the weights of the first n_kept classes, class by class, then in their biases.
    """

    def hessian(X, weight, Wt, b, n_kept):
        X, Wt, b, weight = (array.astype(float) for array in (X, Wt, b, weight))
        weight = weight / weight.sum() if weight.size else np.full(len(X), 1 / len(X))
        logits = X @ Wt.T + b
        if len(Wt) == 1:
            logits = np.hstack([logits, np.zeros_like(logits)])
        p = softmax(logits, axis=1)[:, :n_kept]
        v = weight[:, None, None] * (p[:, :, None] * np.eye(n_kept) - p[:, :, None] * p[:, None])
        X = np.hstack([X, np.ones((len(X), 1))])
        size = n_kept * X.shape[1]
        by_class = np.einsum("nkl,ni,nj->kilj", v, X, X).reshape(size, size)
        order = np.arange(size).reshape(n_kept, -1)
        order = np.append(order[:, :-1], order[:, -1])
        return by_class[np.ix_(order, order)]

    return hessian
