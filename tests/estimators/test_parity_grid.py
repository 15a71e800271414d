"""MLPClassifier equals scikit-learn's over a grid of all that a stochastic fit depends on.

A step of scikit-learn's takes about a hundred times ours, so cases with small batches use a part of
the rows, and those with batches of one row also fewer epochs. On all rows for 30 epochs the cases
hold as well, with two exceptions on the digits: Adam at alpha=0.1, which the last test covers, and
float32 with momentum and batches of one row, where the rounding of 54,000 steps adds up to 4e-4.
Most of the time is scikit-learn's, so cases of equal batches share its fit.
"""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from fastlogit import MLPClassifier

EPOCHS, STEPS = 30, 210
MOMENTUM = {
    "plain": {"momentum": 0},
    "momentum": {"nesterovs_momentum": False},
    "nesterov": {"nesterovs_momentum": True},
}
SETTINGS = {
    f"{schedule}-{name}": {"solver": "sgd", "learning_rate": schedule, **momentum}
    for schedule, (name, momentum) in product(
        ("constant", "invscaling", "adaptive"), MOMENTUM.items()
    )
} | {"adam": {"solver": "adam"}}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`:UserWarning"),
]


def part_of(X, y, batch_size):
    """Return at least 60 rows and a number of epochs, for about so many steps at most."""
    batch = min(200, len(y)) if batch_size == "auto" else batch_size
    if -(-len(y) // batch) * EPOCHS <= STEPS:
        return X, y, EPOCHS
    n_rows = max(STEPS // EPOCHS * batch, 60)
    taken = np.random.default_rng(0).permutation(len(y))[:n_rows]
    return X[taken], y[taken], min(EPOCHS, STEPS * batch // n_rows)


def rates(solver, batch_size, activation):
    """Return a learning rate that trains and does not amplify rounding: small batches' is less.

    So is that of units without a bound.
    """
    small = batch_size in (1, 7) or activation != "logistic"
    if solver == "adam":
        return 0.001 if small else 0.01
    return 0.01 if small else 0.1


@pytest.fixture(scope="module")
def fits(toy_set):
    """Return the rows of a case, and a class's fit on them."""

    def fit(estimator, name, dtype, batch_size, settings, activation="logistic", **arguments):
        X, y, epochs = part_of(*toy_set(name, "softmax", dtype), batch_size)
        if name == "digits" and activation in ("relu", "identity"):
            X = X / X.dtype.type(16)  # or scikit-learn clips the probabilities of a first epoch
        return X, estimator(
            hidden_layer_sizes=(16,), activation=activation, batch_size=batch_size,
            learning_rate_init=rates(SETTINGS[settings]["solver"], batch_size, activation),
            n_iter_no_change=3, max_iter=epochs, random_state=0, **SETTINGS[settings], **arguments,
        ).fit(X, y)  # fmt: skip

    return fit


@pytest.fixture(scope="module")
def scikit_learns(fits):
    """Return scikit-learn's fit, shared by batch_size=200 and "auto"."""
    fit = lru_cache(1)(lambda *cell, **arguments: fits(SklearnMLPClassifier, *cell, **arguments)[1])
    return lambda name, dtype, batch_size, *settings, **arguments: fit(
        name, dtype, 200 if batch_size == "auto" else batch_size, *settings, **arguments
    )


# The first varies fastest: what shares a fit of scikit-learn's stands side by side.
@pytest.mark.parametrize("batch_size", [1, 7, 32, 200, "auto"])
@pytest.mark.parametrize("early_stopping", [False, True], ids=["all", "early"])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("alpha", [0, 1e-4, 1e-1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "name",
    [
        "iris",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("wine", "breast_cancer", "digits")),
    ],
)
def test_equals_scikit_learn(
    fits, scikit_learns, assert_equal, name, dtype, batch_size, alpha, settings, early_stopping
):
    cell = (name, dtype, batch_size, settings)
    arguments = {"alpha": alpha, "early_stopping": early_stopping}
    X, ours = fits(MLPClassifier, *cell, **arguments)
    assert_equal(ours, scikit_learns(*cell, **arguments), X)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 200, "auto"])
@pytest.mark.parametrize("early_stopping", [False, True], ids=["all", "early"])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "activation", ["relu", *(pytest.param(a, marks=pytest.mark.slow) for a in ("tanh", "identity"))]
)
@pytest.mark.parametrize("name", ["iris", pytest.param("digits", marks=pytest.mark.slow)])
def test_other_activations_equal_scikit_learn(
    fits, scikit_learns, assert_equal, name, activation, dtype, settings, early_stopping, batch_size
):
    cell = (name, dtype, batch_size, settings)
    arguments = {"activation": activation, "early_stopping": early_stopping}
    X, ours = fits(MLPClassifier, *cell, **arguments)
    assert_equal(ours, scikit_learns(*cell, **arguments), X)


def test_auto_is_200_rows_or_all_in_scikit_learn(fits):
    """Otherwise the cases above could not share its fits."""
    for name in ("iris", "digits"):
        first, second = (
            fits(SklearnMLPClassifier, name, np.float64, batch_size, "constant-nesterov", alpha=0)
            for batch_size in (200, "auto")
        )
        np.testing.assert_array_equal(first[0], second[0])
        assert first[1].loss_curve_ == second[1].loss_curve_


def test_adam_in_float32_differs_only_for_constant_features(toy_set, largest_difference):
    """Three of the digits' pixels are always 0: the gradient of their weights is the penalty's.

    Adam divides the gradient by its magnitude. Where such a weight passes 0, both are rounding
    errors, and scikit-learn's float32 ends as far from its own float64 as from ours.
    """
    X, y = toy_set("digits", "softmax", np.float32)
    arguments = {
        "hidden_layer_sizes": (16,), "activation": "logistic", "alpha": 0.1, "batch_size": 32,
        "learning_rate_init": 0.01, "n_iter_no_change": 3, "max_iter": EPOCHS, "random_state": 0,
    }  # fmt: skip
    ours = MLPClassifier(**arguments).fit(X, y)
    theirs = SklearnMLPClassifier(**arguments).fit(X, y)
    wide = SklearnMLPClassifier(**arguments).fit(X.astype(float), y)
    dark = np.ptp(X, axis=0) == 0
    assert dark.sum() == 3
    fits = (ours, theirs, wide)
    lit = [[fit.coefs_[0][~dark], fit.coefs_[1], *fit.intercepts_] for fit in fits]
    assert largest_difference(lit[0], lit[1]) < 1e-4
    unlit = [fit.coefs_[0][dark] for fit in fits]
    assert np.abs(unlit[1] - unlit[2]).max() > 1e-4
    assert np.abs(unlit[0] - unlit[2]).max() < arguments["learning_rate_init"]  # one step
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
