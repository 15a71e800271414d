import numpy as np
import pytest

from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.problem import Outcome, build
from fastlogit.benchmark.verification import OWN_STEPS, TOLERANCES, compare, train_reference


def outcome(W, b, loss, n_iter=None):
    return Outcome((np.array(W, dtype=float), np.array(b, dtype=float)), (1.0, loss), n_iter)


REFERENCE = outcome([[4.0, -8.0]], [0.01, 0.0], 0.5)


def case(dtype="float64", model="softmax", **axes):
    grid = Grid(models=(model,), datasets=("iris",), dtypes=(dtype,), epochs=2, **axes)
    return grid.cases()[-1]


def test_equal_outcomes_agree():
    agreement = compare(REFERENCE, REFERENCE, case())
    assert agreement.params_error == agreement.loss_error == 0
    assert agreement.holds


def test_errors_are_relative_to_the_largest_value_of_each_array_or_to_one():
    agreement = compare(outcome([[4.0, -8.8]], [0.01, 0.0], 0.6), REFERENCE, case())
    assert agreement.params_error == pytest.approx(0.1)
    assert agreement.loss_error == pytest.approx(0.2)
    agreement = compare(outcome([[4.0, -8.0]], [0.26, 0.0], 0.5), REFERENCE, case())
    assert agreement.params_error == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_tolerance_is_the_dtype_s(dtype, factor):
    off = factor * TOLERANCES[dtype]
    in_params = compare(
        outcome([[4.0, -8.0 * (1 + off)]], [0.01, 0.0], 0.5), REFERENCE, case(dtype)
    )
    in_loss = compare(outcome([[4.0, -8.0]], [0.01, 0.0], 0.5 * (1 + off)), REFERENCE, case(dtype))
    assert in_params.holds == in_loss.holds == (factor < 1)


@pytest.mark.parametrize(
    "other",
    [
        outcome([[np.nan, -8.0]], [0.01, 0.0], 0.5),
        outcome([[4.0, -8.0]], [np.inf, 0.0], 0.5),
        outcome([[4.0, -8.0]], [0.01, 0.0], np.nan),
        outcome([[4.0], [-8.0]], [0.01, 0.0], 0.5),
        Outcome(REFERENCE.params[:1], (0.5,)),
    ],
    ids=["nan", "inf", "nan loss", "shape", "count"],
)
def test_what_is_not_a_number_or_has_another_shape_never_agrees(other):
    assert not compare(other, REFERENCE, case("float32")).holds


def test_a_reference_loss_of_zero_asks_for_zero():
    zero = outcome([[1.0]], [0.0], 0.0)
    assert compare(zero, zero, case()).holds
    assert not compare(outcome([[1.0]], [0.0], 1e-9), zero, case()).holds


def test_estimators_must_report_the_same_iterations():
    ours, theirs = outcome([[1.0]], [0.0], 0.5, 7), outcome([[1.0]], [0.0], 0.5, 8)
    assert compare(theirs, theirs, case()).holds
    agreement = compare(ours, theirs, case())
    assert not agreement.holds
    assert str(agreement).endswith("n_iter_ is 7, the reference's 8")


@pytest.mark.parametrize(
    ("model", "solver"), [(model, solver) for model, few in OWN_STEPS.items() for solver in few]
)
def test_where_the_steps_are_its_own_the_loss_must_be_no_higher(model, solver):
    network = "mlp-softmax" if model == "MLPClassifier" else "softmax"
    axes = {"questions": ("same-estimator",), "solvers": (solver,)}
    own = case(model=network, **axes)
    assert (own.model, own.solver) == (model, solver)
    elsewhere = [[4.5, -8.8]], [0.3, 0.0]
    assert compare(outcome(*elsewhere, 0.4, 9), REFERENCE, own).holds
    assert compare(outcome(*elsewhere, 0.504), REFERENCE, own).holds
    assert not compare(outcome(*elsewhere, 0.506), REFERENCE, own).holds
    assert not compare(outcome(*elsewhere, np.nan), REFERENCE, own).holds
    text = str(compare(outcome(*elsewhere, 0.51), REFERENCE, own))
    assert text == "the loss is higher by 2.00e-02; allowed is 0.01"


def test_the_message_names_both_errors_and_the_tolerance():
    text = str(compare(outcome([[4.0, -8.8]], [0.01, 0.0], 0.6), REFERENCE, case("float32")))
    assert text == "parameters differ by 1.00e-01, loss by 2.00e-01; allowed is 0.0001"


def test_the_reference_trains(small_case):
    reference = train_reference(build(small_case))
    assert len(reference.loss_curve) == small_case.epochs
    assert reference.loss_curve[-1] < reference.loss_curve[0]
    assert [p.dtype for p in reference.params] == [np.float32, np.float32]
