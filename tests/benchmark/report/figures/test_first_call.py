import dataclasses
import math

import pandas as pd
import pytest

from fastlogit.benchmark.report.figures import first_call

SMALL = {"models": ("softmax",), "sets": ("iris",)}


def cells(**rows):
    """Give cells of 10 epochs by contender: seconds of the first call and of all epochs."""
    frame = pd.DataFrame(
        [
            {"impl": impl.replace("_", "-"), "compile_s": first, "median_s": all_epochs}
            for impl, (first, all_epochs) in rows.items()
        ]
    )
    return frame.assign(cell_id="cell", epochs=10)


@pytest.mark.parametrize(
    ("first", "all_epochs", "expected"),
    [
        (4.0, 10.0, 3.0),  # owes 3 s, and gains 1 s an epoch on numpy's 2
        (1.0, 10.0, 0.0),
        (0.5, 10.0, 0.0),
        (4.0, 20.0, math.inf),
        (4.0, 30.0, math.inf),
    ],
)
def test_a_first_call_has_paid_after_so_many_epochs(first, all_epochs, expected):
    rows = cells(numpy=(1.0, 20.0), numba=(first, all_epochs))
    (epochs,) = first_call.break_even_epochs(rows, "numba")
    assert epochs == expected


def test_the_baseline_pays_nothing_back_to_itself():
    assert first_call.break_even_epochs(cells(numpy=(1.0, 20.0)), "numpy").empty
    assert first_call.break_even_epochs(cells(numba=(1.0, 20.0)), "numba").empty


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (0.0, "is ahead of numpy at once"),
        (0.3, "is ahead of numpy after 1 epoch"),
        (1234.4, "is ahead of numpy after 1,234 epochs"),
        (math.inf, "is never ahead of numpy"),
    ],
)
def test_it_is_said_in_words(epochs, words):
    assert first_call.pays(epochs) == words


def test_a_first_call_is_that_of_the_model_s_first_cell(findings):
    # The kernels are loaded in the first cell, and found loaded in all others.
    seconds = {("numba", "iris"): 0.9, ("scikit-learn", "digits"): 0.2}
    run = findings(
        models=("softmax",),
        sets=("iris", "wine", "digits"),
        impls=("numpy", "numba", "scikit-learn"),
        change=lambda t: dataclasses.replace(
            t, compile_s=0.0 if t.impl == "numpy" else seconds.get((t.impl, t.dataset), 0.0005)
        ),
    )
    table = first_call.first_calls(run).set_index("impl")
    assert table["longest_s"].to_dict() == {"numpy": 0.0, "numba": 0.9, "scikit-learn": 0.2}
    # Epochs of another algorithm are other work.
    assert math.isnan(table.loc["scikit-learn", "epochs"])
    assert table.loc["numba", "epochs"] > 0
    (panel,) = first_call.paying_back(run)
    assert panel.heading == "softmax, digits"
    assert "numba needs 900 ms for its first call" in panel.finding


def test_the_drawing_reaches_until_all_have_paid_that_ever_do(findings):
    run = findings(**SMALL, impls=("numpy", "numba", "jax"))
    (panel,) = first_call.paying_back(run)
    paid = first_call.break_even_epochs(run.ok, "jax").iloc[0]
    assert (
        f"jax needs 350 ms for its first call and is ahead of numpy after {paid:,.0f}"
        in panel.finding
    )
    assert panel.heading == "softmax, iris"


def test_without_first_calls_there_is_nothing_to_draw(findings):
    run = findings(**SMALL, change=lambda t: dataclasses.replace(t, compile_s=None))
    assert first_call.paying_back(run) == []
