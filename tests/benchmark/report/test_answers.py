"""What a run says, against ratios that are known."""

import dataclasses

import pytest

from fastlogit.benchmark.report.answers import cards, first_to_target, pair_up

SAME = {"questions": ("same-estimator",), "models": ("softmax",), "noise": 0.0}
STEPS = {"questions": ("same-steps",), "models": ("softmax",), "noise": 0.0}


def card(run, question="same-estimator", heading="LogisticRegression", title="fit, repeated"):
    (found,) = [each for each in cards(pair_up(run), question)[heading] if each["title"] == title]
    return found


def test_faster_by_the_geometric_mean(stored, timed):
    times = {"scikit-learn": 8.0, ("fastlogit", "iris"): 1.0, ("fastlogit", "digits"): 4.0}
    found = card(stored(change=timed(times), **SAME))
    assert found["head"] == "4.0× faster"  # of 8 and 2
    assert (found["ours"], found["theirs"]) == ("2.0 s", "8.0 s")
    assert found["note"] == "faster in 2 of 2 cases: 2.0× faster (digits) … 8.0× faster (iris *)"


def test_slower_is_said_as_plainly(stored, timed):
    found = card(stored(change=timed({"scikit-learn": 1.0, "fastlogit": 2.5}), **SAME))
    assert (found["head"], found["verdict"]) == ("2.5× slower", "slower")
    assert found["note"].startswith("faster in 0 of 2 cases")


def test_an_interval_that_holds_1_is_inconclusive(stored, timed):
    times = {"scikit-learn": 1.0, ("fastlogit", "iris"): 0.5, ("fastlogit", "digits"): 2.1}
    found = card(stored(change=timed(times), **SAME))
    assert (found["head"], found["verdict"]) == ("inconclusive", "inconclusive")
    assert found["interval"] == "2.1× slower to 2.0× faster"


def test_the_interval_stands_beside_the_ratio(stored):
    found = card(stored(questions=("same-estimator",), noise=0.05))
    low, ratio, high = (found["mean"][k] for k in (1, 0, 2))
    assert low < ratio < high
    assert found["interval"] == f"{low:.1f}× to {high:.1f}×"


@pytest.mark.parametrize(
    ("first", "repeated", "said"),
    [
        ((3.0, 1.0), (0.5, 1.0), "break-even at 5 fits in one process"),  # 3 + 4 · 0.5 = 1 + 4 · 1
        ((0.5, 1.0), (0.5, 1.0), "break-even at 1 fit in one process"),
        ((3.0, 1.0), (1.0, 1.0), "no break-even: later fits are not faster"),
    ],
    ids=["later", "at once", "never"],
)
def test_break_even_of_the_first_fit(stored, timed, first, repeated, said):
    names = ("fastlogit", "scikit-learn")
    times = dict(zip(((name, "first-fit") for name in names), first, strict=True))
    times |= dict(zip(((name, "fit") for name in names), repeated, strict=True))
    run = stored(change=timed(times), datasets=("breast_cancer",), **SAME)
    assert card(run, title="first fit of a process")["note"] == f"breast_cancer *; {said}"


def test_who_failed_in_a_case_is_not_compared_there(stored):
    def fail(timing):
        if (timing.implementation, timing.dataset) != ("fastlogit", "iris"):
            return timing
        return dataclasses.replace(timing, time_s=None, status="failed-verification")

    pairs = pair_up(stored(change=fail, **SAME))
    assert set(pairs["dataset"]) == {"digits"}


def test_same_steps_are_compared_with_each_library(stored, timed):
    times = {"fastlogit": 1.0, "numpy": 20.0, "jax": 4.0, "torch": 0.5}
    found = cards(pair_up(stored(change=timed(times), **STEPS)), "same-steps")[""]
    assert {each["title"]: each["head"] for each in found} == {
        "against NumPy reference": "20× faster",
        "against JAX": "4.0× faster",
        "against PyTorch": "2.0× slower",
    }


def test_times_of_the_same_steps_are_those_per_row(stored, timed):
    run = stored(change=timed({"fastlogit": 1.0, "numpy": 20.0}), datasets=("iris",), **STEPS)
    pairs = pair_up(run)
    samples = run.timings["samples"].dropna().iloc[0]
    assert pairs[pairs["comparison"] == "same-steps"]["ours"].tolist() == pytest.approx(
        [1 / samples] * 3
    )


def test_a_librarys_fastest_solver_counts(stored):
    run = stored(**STEPS)
    pairs = pair_up(run)
    rows = pairs[(pairs["comparison"] == "any-algorithm") & (pairs["other"] == "scikit-learn")]
    times = run.summary.set_index(["case_id", "implementation"])["time_to_target_s"]
    for row in rows.itertuples():
        ours = min(times[row.case_id, name] for name in ("fastlogit", "fastlogit-lbfgs"))
        theirs = min(times[row.case_id, name] for name in ("sklearn-lbfgs", "sklearn-sgd"))
        assert row.ratio == pytest.approx(theirs / ours)
    assert len(rows) == 2
    assert first_to_target(run) == "fastlogit in 2 of 2 cases"


def test_the_first_to_the_target_are_counted(stored):
    run = stored(**STEPS)
    first, second = dict.fromkeys(run.timings[run.timings["epochs"].notna()]["case_id"])
    times = run.summary.set_index(["case_id", "implementation"])["time_to_target_s"]
    times[first, "torch"] = times[second, "sklearn-sgd"] = 1e-9
    run.summary["time_to_target_s"] = times.to_numpy()
    said = first_to_target(run).removesuffix(" of 2 cases").split(", ")
    assert sorted(said) == ["PyTorch in 1", "sklearn-sgd in 1"]
    run.summary.loc[run.summary["case_id"] == first, "time_to_target_s"] = None
    assert first_to_target(run) == "sklearn-sgd in 1, none in 1 of 2 cases"


def test_a_target_that_only_one_reaches_is_no_ratio(stored):
    run = stored(**STEPS)
    lost = run.summary["implementation"].str.startswith("fastlogit") & (
        run.summary["dataset"] == "iris"
    )
    run.summary.loc[lost, "time_to_target_s"] = None
    found = cards(pair_up(run), "any-algorithm")[""][0]
    assert found["title"] == "against scikit-learn"
    assert found["note"].startswith("faster in 1 of 2 cases")
    assert found["note"].endswith("only one of them reaches the target in 1 case")
    run.summary.loc[
        run.summary["implementation"].str.startswith("fastlogit"), "time_to_target_s"
    ] = None
    run.summary.loc[run.summary["implementation"] == "fastlogit-lbfgs", "dataset"] = "iris"
    assert cards(pair_up(run), "any-algorithm") == {}


def test_cases_differ_by_their_label(stored):
    run = stored(dtypes=("float32", "float64"), datasets=("digits",), **SAME)
    pairs = pair_up(run)
    labels = pairs[(pairs["model"] == "LogisticRegression") & (pairs["task"] == "fit")]["label"]
    assert set(labels) == {"digits · dtype float32", "digits · dtype float64"}
    pairs = pair_up(stored(batch_sizes=(8, 32), datasets=("digits",)))  # estimators have none
    assert set(pairs.loc[pairs["model"] == "softmax", "label"]) == {
        "digits · batch 8", "digits · batch 32",
    }  # fmt: skip
