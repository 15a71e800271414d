"""For every argument of the public functions every kind of bad input, and the numbers allowed."""

import re
from fractions import Fraction

import numpy as np
import pytest

import fastlogit
from fastlogit.models import checks as check

X = [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]
Y = [0, 1, 1]
PARAMS = ([[0.5], [-0.5]], [0.0])
MULTI = ([[0.5, 0.0, 0.1], [-0.5, 0.2, 0.3]], [0.0, 0.1, 0.2])
MLP = ([[0.5, 1.0], [-0.5, 0.0]], [0.0, 0.0], [[1.0], [2.0]], [0.0])


def evaluate(**changes):
    arguments = {"model": "logistic", "params": PARAMS, "X": X, "y": Y, **changes}
    return fastlogit.loss_and_gradient(**arguments)


def predict(**changes):
    return fastlogit.predict_proba(**{"model": "logistic", "params": PARAMS, "X": X, **changes})


def train(**changes):
    return fastlogit.train(**{"model": "logistic", "X": X, "y": Y, "random_state": 0, **changes})


def refuses(call, error, parts, **changes):
    """Whether the call fails with that error, whose text holds all parts."""
    with pytest.raises(error) as caught:
        call(**changes)
    for part in parts:
        assert re.search(part, str(caught.value)), (part, str(caught.value))


ALL = (evaluate, predict, train)
BOTH = (evaluate, predict)
WITH_Y = (evaluate, train)
ONLY_TRAIN = (train,)
MLP_NAMES = r"\(W1, b1, W2, b2\)"
NAMES = "there are logistic, softmax, mlp-logistic, mlp-softmax"
NAN, INF = float("nan"), float("inf")

# Which functions, the argument and its bad value, the error, what its text holds.
BAD = [
    (ALL, {"model": "logstic"}, ValueError, ["no model 'logstic'", NAMES, "mean 'logistic'"]),
    (ALL, {"model": "mlp_softmax"}, ValueError, ["did you mean 'mlp-softmax'"]),
    (ALL, {"model": "zzz"}, ValueError, ["no model 'zzz'", NAMES]),
    (ALL, {"model": None}, ValueError, ["no model None", NAMES]),
    (ALL, {"model": 3}, ValueError, ["no model 3", NAMES]),
    (ALL, {"backend": "nunba"}, ValueError, ["backend 'nunba'", "numba, numpy", "mean 'numba'"]),
    (ALL, {"backend": None}, ValueError, ["no backend None", "numba, numpy"]),
    # X
    (ALL, {"X": [["a", "b"]] * 3}, TypeError, ["X of dtype <U1", "real numbers"]),
    (ALL, {"X": None}, TypeError, ["X of dtype object"]),
    (ALL, {"X": [[1j, 2], [1, 2], [1, 2]]}, TypeError, ["X of dtype complex128", "real"]),
    (ALL, {"X": np.zeros((3, 2), "M8[s]")}, TypeError, ["X of dtype datetime64"]),
    (ALL, {"X": [1.0, 2.0, 3.0]}, ValueError, [r"X of shape \(3,\)", "two dimensions"]),
    (ALL, {"X": np.zeros((3, 2, 1))}, ValueError, [r"X of shape \(3, 2, 1\)", "two dimensions"]),
    (ALL, {"X": 1.0}, ValueError, [r"X of shape \(\)", "two dimensions"]),
    (ALL, {"X": np.zeros((0, 2))}, ValueError, [r"X of shape \(0, 2\)", "at least"]),
    (ALL, {"X": np.zeros((3, 0))}, ValueError, [r"X of shape \(3, 0\)", "at least"]),
    (ALL, {"X": [[1, 2], [NAN, 1], [1, 2]]}, ValueError, ["X must be finite", "NaN"]),
    (ALL, {"X": [[1, 2], [INF, 1], [1, 2]]}, ValueError, ["X must be finite", "infinity"]),
    (ALL, {"X": [[INF, 2], [-INF, 1], [1, 2]]}, ValueError, ["X must be finite"]),
    (ALL, {"X": [[1, 2], [3]]}, ValueError, [r"\bX\b"]),
    # y
    (WITH_Y, {"y": [0, 1]}, ValueError, [r"y of shape \(2,\)", r"\(3,\)"]),
    (WITH_Y, {"y": [[0], [1], [1]]}, ValueError, [r"y of shape \(3, 1\)", r"\(3,\)"]),
    (WITH_Y, {"y": 1}, ValueError, [r"y of shape \(\)"]),
    (WITH_Y, {"y": [0, 1, 2]}, ValueError, ["y holds 2", "from 0 to 1"]),
    (WITH_Y, {"y": [0, -1, 1]}, ValueError, ["y holds -1", "from 0 to 1"]),
    (WITH_Y, {"y": [0, 0.5, 1]}, ValueError, ["y must hold class indices", "0.5"]),
    (WITH_Y, {"y": [0, NAN, 1]}, ValueError, ["y must hold class indices", "nan"]),
    (WITH_Y, {"y": [0, INF, 1]}, ValueError, ["y must hold class indices", "inf"]),
    (WITH_Y, {"y": [0, 1e300, 1]}, ValueError, [r"\by\b", r"1e\+300"]),
    (WITH_Y, {"y": np.array([0, 2**63, 1], np.uint64)}, ValueError, [r"\by\b"]),
    (WITH_Y, {"y": ["a", "b", "c"]}, TypeError, ["y of dtype <U1", "np.unique.y, return_inverse"]),
    (WITH_Y, {"y": [None, 0, 1]}, TypeError, ["y of dtype object", "class indices"]),
    (WITH_Y, {"y": None}, TypeError, [r"y of dtype object", "class indices"]),
    (WITH_Y, {"y": [[0], [1, 1], 1]}, ValueError, [r"\by\b"]),
    ((evaluate,), {"model": "softmax", "params": MULTI, "y": [0, 3, 1]}, ValueError, ["y holds 3"]),
    (ONLY_TRAIN, {"model": "softmax", "y": [0, -2, 1]}, ValueError, ["y holds -2", "from 0"]),
    (
        ONLY_TRAIN,
        {"model": "softmax", "params": None, "y": [1, 2, 3]},
        ValueError,
        ["y holds 1 to 3", "from 0", "np.unique"],
    ),
    # params
    (BOTH, {"params": None}, ValueError, [r"params must be \(W, b\)", "'logistic'", "NoneType"]),
    (ALL, {"params": 3}, ValueError, ["params must be", "int"]),
    (ALL, {"params": MLP}, ValueError, [r"params must be \(W, b\)", "got 4"]),
    (ALL, {"params": ([[0.5]], [0.0])}, ValueError, [r"W of shape \(1, 1\)", r"\(2, 1\)"]),
    (ALL, {"params": ([0.5, 1], [0.0])}, ValueError, [r"W of shape \(2,\)", r"\(2, 1\)"]),
    (ALL, {"params": ([[1], [1]], 0.0)}, ValueError, [r"b of shape \(\)", r"\(1,\)"]),
    (ALL, {"params": ([[1], [1]], [0.0, 0])}, ValueError, [r"b of shape \(2,\)", r"\(1,\)"]),
    (ALL, {"params": ([[1], [NAN]], [0.0])}, ValueError, ["params: W must be finite"]),
    (ALL, {"params": ([[1], [1]], [INF])}, ValueError, ["params: b must be finite"]),
    (ALL, {"params": ([["a"], ["b"]], [0.0])}, TypeError, ["params: W of dtype <U1"]),
    (ALL, {"params": ([[1], [1, 2]], [0.0])}, ValueError, ["params"]),
    (
        ALL,
        {"model": "mlp-logistic", "params": PARAMS},
        ValueError,
        [r"\(W1, b1, W2, b2\)", "got 2"],
    ),
    (
        ALL,
        {"model": "mlp-logistic", "params": (*MLP[:2], [[1.0]], [0.0])},
        ValueError,
        [r"W2 of shape \(1, 1\)", r"\(2, 1\)"],
    ),
    (
        ALL,
        {"model": "softmax", "params": PARAMS},
        ValueError,
        [r"W of shape \(2, 1\)", r"\(2, 2\)"],
    ),
    # sample_weight
    (WITH_Y, {"sample_weight": [1, 1]}, ValueError, [r"sample_weight of shape \(2,\)", r"\(3,\)"]),
    (WITH_Y, {"sample_weight": [[1], [1], [1]]}, ValueError, [r"shape \(3, 1\)"]),
    (WITH_Y, {"sample_weight": 2.0}, ValueError, ["sample_weight of shape"]),
    (WITH_Y, {"sample_weight": [1, -1, 1]}, ValueError, ["sample_weight", "at least 0", "-1"]),
    (WITH_Y, {"sample_weight": [1, NAN, 1]}, ValueError, ["sample_weight", "finite", "nan"]),
    (WITH_Y, {"sample_weight": [1, INF, 1]}, ValueError, ["sample_weight", "finite", "inf"]),
    (WITH_Y, {"sample_weight": [0, 0, 0]}, ValueError, ["sample_weight sums to 0", "positive"]),
    (WITH_Y, {"sample_weight": [1e308] * 3}, ValueError, ["sample_weight sums to inf", "finite"]),
    (WITH_Y, {"sample_weight": [0, 1e-310, 0]}, ValueError, ["sample_weight sums to 1e-310"]),
    (WITH_Y, {"sample_weight": ["a", "b", "c"]}, (TypeError, ValueError), ["sample_weight"]),
    (WITH_Y, {"sample_weight": [1j, 1, 1]}, (TypeError, ValueError), ["sample_weight"]),
    (WITH_Y, {"sample_weight": [[1], [1, 2], 3]}, ValueError, ["sample_weight"]),
    # order
    (ONLY_TRAIN, {"order": [0, 1, 2]}, ValueError, [r"order of shape \(3,\)", r"\(1, 3\)"]),
    (ONLY_TRAIN, {"order": [[0, 1, 2]], "epochs": 2}, ValueError, [r"\(1, 3\)", r"\(2, 3\)"]),
    (ONLY_TRAIN, {"order": [[0, 1]]}, ValueError, [r"order of shape \(1, 2\)", r"\(1, 3\)"]),
    (ONLY_TRAIN, {"order": [[0, 1, 3]]}, ValueError, ["order holds 0 to 3", "from 0 to 2"]),
    (ONLY_TRAIN, {"order": [[0, -1, 2]]}, ValueError, ["order holds -1 to 2", "from 0 to 2"]),
    (ONLY_TRAIN, {"order": [[0.0, 1.0, 2.0]]}, TypeError, ["order of dtype float64", "integers"]),
    (ONLY_TRAIN, {"order": "shuffled"}, TypeError, ["order of dtype", "integers"]),
    (ONLY_TRAIN, {"order": [[0, 1, 2], [0, 1]], "epochs": 2}, ValueError, ["order"]),
    # activation
    (ALL, {"activation": "logisti"}, ValueError, ["no activation 'logisti'", "mean 'logistic'"]),
    (
        ALL,
        {"activation": 1},
        ValueError,
        ["no activation 1", "there are logistic, relu, tanh, identity"],
    ),
    # hidden
    (ONLY_TRAIN, {"hidden": 4}, ValueError, ["hidden=4", "None", "'logistic'"]),
    (ONLY_TRAIN, {"hidden": 4, "params": PARAMS}, ValueError, ["hidden=4", "None"]),
    (ONLY_TRAIN, {"model": "mlp-logistic"}, ValueError, ["hidden=None", "at least 1"]),
    (ONLY_TRAIN, {"model": "mlp-logistic", "hidden": 0}, ValueError, ["hidden=0", "at least 1"]),
    (ONLY_TRAIN, {"model": "mlp-logistic", "hidden": 2.0}, TypeError, ["hidden=2.0", "integer"]),
    (ONLY_TRAIN, {"model": "mlp-logistic", "hidden": (4,)}, TypeError, [r"hidden=\(4,\)"]),
    # what is left
    (ONLY_TRAIN, {"solver": "adm"}, ValueError, ["no solver 'adm'", "sgd, adam", "mean 'adam'"]),
    (ONLY_TRAIN, {"callback": 3}, TypeError, ["callback=3", "callable or None"]),
    (ONLY_TRAIN, {"nesterov": 1}, TypeError, ["nesterov=1", "True or False"]),
    (ONLY_TRAIN, {"nesterov": "yes"}, TypeError, ["nesterov='yes'", "True or False"]),
    (ONLY_TRAIN, {"random_state": "zero"}, TypeError, ["random_state='zero'", "integer"]),
    (ONLY_TRAIN, {"random_state": 1.5}, TypeError, ["random_state=1.5", "integer"]),
    (ONLY_TRAIN, {"random_state": -1}, ValueError, ["random_state=-1", "at least 0"]),
]


@pytest.mark.parametrize(
    ("call", "changes", "error", "parts"),
    [
        pytest.param(call, changes, error, parts, id=f"{call.__name__}-{changes}")
        for calls, changes, error, parts in BAD
        for call in calls
    ],
)
def test_bad_input(call, changes, error, parts):
    refuses(call, error, parts, **changes)


INTEGERS = {"batch_size": 1, "epochs": 1, "n_threads": 1}
# Each number's interval as the message shows it, and finite values just outside.
REALS = {
    "learning_rate": (r"\(0, inf\)", [0, -0.1]),
    "momentum": (r"\[0, 1\]", [-0.1, 1.1]),
    "beta_1": (r"\[0, 1\)", [-0.1, 1, 1.1]),
    "beta_2": (r"\[0, 1\)", [-0.1, 1, 1.1]),
    "epsilon": (r"\(0, inf\)", [0, -0.1]),
    "alpha": (r"\[0, inf\)", [-0.1]),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_bad_integers(name):
    for value in (0, -1):
        refuses(train, ValueError, [f"{name}={value}", "at least 1"], **{name: value})
    for value in (1.0, "1", None, True, [1]):
        text = re.escape(f"{name}={value!r}")
        refuses(train, TypeError, [text, "integer of at least 1"], **{name: value})


@pytest.mark.parametrize("name", REALS)
def test_bad_numbers(name):
    interval, outside = REALS[name]
    for value in (*outside, NAN, INF, -INF):
        text = re.escape(f"{name}={value!r}")
        refuses(train, ValueError, [text, "finite", interval], **{name: value})
    for value in ("0.5", None, True, [0.5], 1j):
        text = re.escape(f"{name}={value!r}")
        refuses(train, TypeError, [text, "number", interval], **{name: value})
    if name == "alpha":
        refuses(evaluate, ValueError, ["alpha=-1"], alpha=-1)


@pytest.mark.parametrize("name", [*INTEGERS, *REALS])
def test_numbers_of_every_type(name):
    value = 1 if name in INTEGERS else 0.5
    kinds = [np.int8, np.int64, np.uint16] if name in INTEGERS else [np.float32, Fraction]
    expected = train(**{name: value})
    for kind in kinds:
        assert train(**{name: kind(value)}).params.W.tolist() == expected.params.W.tolist()


def test_every_argument_of_train_is_checked_here():
    tested = {name for _, changes, *_ in BAD for name in changes} | set(INTEGERS) | set(REALS)
    code = fastlogit.train.__code__
    assert set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) <= tested


def test_bad_input_is_refused_before_anything_runs():
    def callback(*_):
        raise AssertionError("trained")

    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="order"):
        train(order=[[0, 1, 7]], callback=callback, random_state=generator, params=PARAMS)
    assert generator.random() == np.random.default_rng(0).random()


def test_a_range_is_checked_in_the_dtype_that_counts():
    """10³⁰⁰ is finite in the float64 that it comes in, not in the float32 of X."""
    narrow = np.array(X, np.float32)
    for call, name, value in (
        (evaluate, "params", ([[1e300], [0]], [0])),
        (predict, "params", ([[1e300], [0]], [0])),
        (evaluate, "sample_weight", [1e300, 1, 1]),
    ):
        refuses(call, ValueError, [name, "finite"], X=narrow, **{name: value})


def test_finite_is_right_where_the_sum_overflows():
    assert check.finite(np.full(9, 1e308))
    assert not check.finite(np.array([1e308, 1e308, np.inf]))
    assert not check.finite(np.array([np.inf, -np.inf]))
    assert not check.finite(np.array([1.0, np.nan]))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 2**62}, f"epochs={2**62} must be at most {2**31 - 1}"),
        ({"batch_size": 2**70}, f"batch_size={2**70} must be at most {2**63 - 1}"),
        ({"learning_rate": 10**400}, "must be a finite number in"),
        ({"model": np.array(["logistic", "softmax"])}, "no model array"),
        ({"alpha": 1e39, "X": np.ones((2, 1), np.float32)}, "alpha=1e\\+39 must be 0 or from"),
        (
            {"solver": "adam", "epsilon": 1e-46, "X": np.ones((2, 1), np.float32)},
            "epsilon=1e-46 must be 0 or from",
        ),
        ({"model": "softmax", "y": [0, 10**12]}, f"y holds {10**12}, must hold class indices"),
    ],
)
def test_values_beyond_what_can_be_worked_with(changes, text):
    arguments = {"model": "logistic", "X": [[1.0], [2.0]], "y": [0, 1]} | changes
    with pytest.raises(ValueError, match=text):
        fastlogit.train(**arguments)


def test_a_batch_larger_than_any_data_is_the_data():
    X, y = np.array([[1.0], [2.0], [3.0]]), [0, 1, 1]
    arguments = {"epochs": 4, "random_state": 0}
    huge = fastlogit.train("logistic", X, y, batch_size=2**63 - 1, **arguments)
    whole = fastlogit.train("logistic", X, y, batch_size=3, **arguments)
    assert np.array_equal(huge.loss_curve, whole.loss_curve)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_batch_of_next_to_no_weight_is_passed_over(backend):
    X, y = np.array([[1.0], [2.0], [3.0]], np.float32), [0, 1, 1]
    result = fastlogit.train(
        "logistic", X, y, batch_size=1, sample_weight=[1.0, 1e-40, 1.0], random_state=0,
        backend=backend,
    )  # fmt: skip
    assert result.n_steps == 2
