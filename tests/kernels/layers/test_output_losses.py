"""The output layers of both backends against SciPy's expit, log_expit and log_softmax."""

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_softmax

from fastlogit.kernels.layers import output_losses as jitted
from fastlogit.reference import models as plain

SIZES = [(1, 2), (1, 17), (2, 3), (5, 2), (9, 8), (33, 5), (257, 3), (64, 33)]
ACCURACY = {np.float32: 1e-6, np.float64: 1e-14}


@pytest.fixture(scope="module", params=["numba", "by class", "numpy"])
def functions(request, jit):
    """Return a backend's functions as ones that Python can call."""
    if request.param == "numpy":
        return plain

    class Called:
        logistic_loss = jit(lambda z, y, w, s: jitted.logistic_loss(z, y, w, s))
        softmax_loss = jit(lambda Z, y, w, s: jitted.softmax_loss(Z, y, w, s))
        logistic_proba = jit(lambda z, proba: jitted.logistic_proba(z, proba))
        softmax_proba = jit(lambda Z, proba: jitted.softmax_proba(Z, proba))
        most_probable = jit(lambda Z, classes: jitted.most_probable(Z, classes))

    class ByClass(Called):
        logistic_loss = by_class(jit(lambda z, y, w, s: jitted.logistic_loss_by_class(z, y, w, s)))
        softmax_loss = by_class(jit(lambda Z, y, w, s: jitted.softmax_loss_by_class(Z, y, w, s)))

    return ByClass if request.param == "by class" else Called


def by_class(loss):
    """Return the loss as one of logits row by row."""

    def call(logits, y, weight, scale):
        rows, classes = logits.shape
        shape = jitted.shape_by_class(classes, rows)
        block = np.full(shape[0] * shape[1] + 8, np.nan, logits.dtype)[:-8].reshape(shape)
        block[:classes, :rows] = logits.T
        result = loss(block, y, weight, scale)
        logits[...] = block[:classes, :rows].T
        assert not block[:classes, rows:].any()  # no gradient beyond the rows
        return result

    return call


def draw(rows, classes, dtype, outputs, weighted, spread=3.0):
    rng = np.random.default_rng([rows, classes])
    logits = rng.normal(scale=spread, size=(rows, outputs)).astype(dtype)
    weight = rng.uniform(0, 2, rows if weighted else 0).astype(dtype)
    return logits, rng.integers(classes, size=rows), weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 33, 257])
def test_logistic_loss(functions, rows, weighted, dtype):
    logits, y, weight = draw(rows, 2, dtype, 1, weighted)
    scale = 0.25
    z, w = logits[:, 0].astype(float), weight if weighted else 1
    d_logits = logits.copy()
    loss = functions.logistic_loss(d_logits, y, weight, scale)
    losses = -np.where(y == 1, log_expit(z), log_expit(-z))
    assert loss == pytest.approx((w * losses).sum() * scale, rel=ACCURACY[dtype])
    np.testing.assert_allclose(
        d_logits[:, 0], w * (expit(z) - y) * scale, rtol=0, atol=ACCURACY[dtype]
    )


@pytest.mark.parametrize("rows", [300, 600])
@pytest.mark.parametrize(("low", "high"), [(-90, -30), (-30, -7), (-8, -5), (-40, 90)])
def test_losses_of_any_size_are_kept(functions, low, high, rows, dtype):
    """Rows that are sure and right lose next to nothing, and their sum still says how much."""
    u = np.linspace(low, high, rows).astype(dtype)
    y = np.arange(rows) % 2
    z = np.where(y == 1, -u, u)
    expected = pytest.approx(-log_expit(-u.astype(float)).sum(), rel=max(ACCURACY[dtype], 1e-13))
    none = np.empty(0, dtype)
    assert functions.logistic_loss(z[:, None].copy(), y, none, 1.0) == expected
    pairs = np.stack([np.zeros_like(z), z], axis=1)
    if functions is not plain:  # whose loss is the difference of two larger numbers
        assert functions.softmax_loss(pairs, y, none, 1.0) == expected


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("rows", "classes"), SIZES)
def test_softmax_loss(functions, rows, classes, weighted, dtype):
    logits, y, weight = draw(rows, classes, dtype, classes, weighted)
    scale = 0.25
    log_proba = log_softmax(logits.astype(float), axis=1)
    w = weight[:, None] if weighted else np.ones((rows, 1))
    d_logits = logits.copy()
    loss = functions.softmax_loss(d_logits, y, weight, scale)
    expected = -(w[:, 0] * log_proba[np.arange(rows), y]).sum() * scale
    assert loss == pytest.approx(expected, rel=ACCURACY[dtype])
    onehot = np.eye(classes)[y]
    np.testing.assert_allclose(
        d_logits, w * (np.exp(log_proba) - onehot) * scale, rtol=0, atol=ACCURACY[dtype]
    )


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 257])
def test_logistic_proba(functions, rows, dtype):
    logits, _, _ = draw(rows, 2, dtype, 1, False, spread=20.0)
    proba = np.full((rows, 2), np.nan, dtype)
    functions.logistic_proba(logits.copy(), proba)
    z = logits[:, 0].astype(float)
    # Both columns are accurate however small: neither is one minus the other.
    np.testing.assert_allclose(proba, np.stack([expit(-z), expit(z)], 1), rtol=ACCURACY[dtype])


@pytest.mark.parametrize(("rows", "classes"), SIZES)
def test_softmax_proba(functions, rows, classes, dtype):
    logits, _, _ = draw(rows, classes, dtype, classes, False)
    proba = np.full((rows, classes), np.nan, dtype)
    functions.softmax_proba(logits.copy(), proba)
    expected = np.exp(log_softmax(logits.astype(float), axis=1))
    np.testing.assert_allclose(proba, expected, rtol=5 * ACCURACY[dtype])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=5 * ACCURACY[dtype])


def test_logistic_loss_at_the_extremes(functions, dtype):
    logits = np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype)
    weight = np.array([1, 1, 0, 2], dtype)
    loss = functions.logistic_loss(logits, np.array([1, 0, 0, 1]), weight, 1.0)
    assert loss == 2e4
    assert logits[:, 0].tolist() == [0, 0, 0, -2]


def test_softmax_loss_at_the_extremes(functions, dtype):
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    loss = functions.softmax_loss(logits, np.array([0, 1, 2]), np.empty(0, dtype), 1.0)
    assert loss == pytest.approx(2e4 + np.log(3), rel=1e-7)
    np.testing.assert_allclose(
        logits, [[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_small_residual_is_accurate(functions, classes, dtype):
    """Where p_y is next to 1, p_y − 1 is minus the sum of the others' p, not a difference."""
    logits = np.repeat(np.linspace(-3, -14, 24), classes).reshape(24, classes).astype(dtype)
    logits[:, 0] = 0
    functions.softmax_loss(logits, np.zeros(24, np.intp), np.empty(0, dtype), 1.0)
    np.testing.assert_allclose(-logits[:, 0], logits[:, 1:].sum(axis=1), rtol=ACCURACY[dtype])


def test_the_loss_is_summed_in_float64(functions):
    """2¹⁷ losses of log 2: summed in float32 they drift by parts in a hundred thousand."""
    rows = 1 << 17
    none = np.empty(0, np.float32)
    y = np.zeros(rows, np.intp)
    expected = pytest.approx(float(np.float32(np.log(2))), rel=1e-7)
    loss = functions.logistic_loss(np.zeros((rows, 1), np.float32), y, none, 1 / rows)
    assert loss == expected
    assert functions.softmax_loss(np.zeros((rows, 2), np.float32), y, none, 1 / rows) == expected


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
def test_no_bit_depends_on_where_an_empty_array_of_weights_is(functions, classes, dtype):
    """LLVM asks whether arrays overlap, and sums in another order where it cannot exclude it."""
    loss_of = functions.logistic_loss if classes == 1 else functions.softmax_loss
    expected, y, none = draw(256, max(classes, 2), dtype, classes, False)
    logits, around = expected.copy(), np.empty(256 * classes, dtype)
    loss = loss_of(expected, y, none, 1.0)
    inside = around.reshape(256, classes)
    for place in (0, 5, 256 * classes):
        inside[...] = logits
        assert loss_of(inside, y, around[place:place], 1.0) == loss
        np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize(("rows", "outputs"), [*SIZES, (1, 1), (9, 1), (257, 1)])
def test_most_probable(functions, rows, outputs, dtype):
    logits, classes = draw(rows, 2, dtype, outputs, weighted=False)[0], np.full(rows, -1)
    logits[::3] = np.rint(logits[::3])  # equal ones among them, and zeros
    expected = logits[:, 0] > 0 if outputs == 1 else logits.argmax(axis=1)
    assert functions.most_probable(logits.copy(), classes) == 0
    np.testing.assert_array_equal(classes, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_logit_that_is_not_finite_is_reported(functions, outputs, value, dtype):
    for place in (0, 40 * outputs - 1):
        logits, classes = np.zeros((40, outputs), dtype), np.empty(40, np.intp)
        assert functions.most_probable(logits, classes) == 0
        logits.reshape(-1)[place] = value
        assert np.isnan(functions.most_probable(logits, classes))
