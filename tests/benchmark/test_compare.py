"""Runs of a machine whose noise is known, compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_run import synthetic_run

from fastlogit.benchmark.cases import task_of
from fastlogit.benchmark.compare import compare
from fastlogit.benchmark.storage import StoredRun

SETS = ("iris", "wine", "breast_cancer", "digits", "moons", "circles", "blobs")


@pytest.fixture(scope="module")
def exact():
    """Return a run as it would be without any noise."""
    questions = ("same-estimator", "same-steps")
    facts, timings, curves = synthetic_run(
        datasets=SETS, questions=questions, repeats=10, noise=0.0, models=("softmax",)
    )
    return StoredRun(Path(), facts, timings, curves, pd.DataFrame())


def measured(exact, seed, slow=None, by=1.0):
    """Return the run as a machine measures it, with the times of some rows longer.

    A round's processes have their code where it is 2 % faster or slower in all cases of a model,
    cases differ by 2 % between runs, the machine drifts by 5 %, and in one repeat of eight another
    program takes its time.
    """
    rng, timings = np.random.default_rng(seed), exact.timings
    rounds = (timings["repeat"] // 2).to_numpy(int)

    def shared(spread, *columns):
        groups = timings.assign(round=rounds).groupby(list(columns)).ngroup().to_numpy()
        return rng.normal(0, spread, groups.max() + 1)[groups]

    logs = shared(0.02, "model", "implementation", "round") + shared(0.05, "round")
    logs += shared(0.015, "case_id", "implementation") + rng.exponential(0.03, len(timings))
    logs += np.where(rng.random(len(timings)) < 0.12, rng.exponential(0.3, len(timings)), 0.0)
    times = timings["time_s"] * np.exp(logs)
    if slow is not None:
        times = times.where(~slow(timings), times * by)
    return replace(exact, timings=timings.assign(time_s=times))


def of_fastlogit(**values):
    def chosen(timings):
        found = timings["implementation"] == "fastlogit"
        for name, value in values.items():
            found &= timings[name] == value
        return found

    return chosen


def verdicts(table, *names):
    return {tuple(row[name] for name in names): row["verdict"] for row in table.to_dict("records")}


def test_identical_code_is_no_regression_in_20_ordered_pairs(exact):
    runs = [measured(exact, seed) for seed in range(5)]
    found = [compare(a, b).verdict for a in runs for b in runs if a is not b]
    assert len(found) == 20
    assert set(found) <= {"inconclusive", "ok"}


@pytest.mark.parametrize(("model", "task"), [("softmax", "train"), ("LogisticRegression", "fit")])
def test_a_model_a_fifth_slower_is_found_in_20_pairs(exact, model, task):
    def slow(timings):
        of_task = timings["case_id"].map(task_of) == task
        return of_fastlogit(model=model)(timings) & of_task

    for seed in range(10):
        compared = compare(measured(exact, seed), measured(exact, seed + 10, slow, 1.2))
        assert compared.verdict == "regression"
        found = verdicts(compared.models, "model", "task", "implementation")
        slower = [key for key, verdict in found.items() if verdict == "slower"]
        assert slower == [(model, task, "fastlogit")]


def test_a_single_case_at_twice_its_time_is_found_in_10_of_10(exact):
    cases = exact.timings.loc[of_fastlogit()(exact.timings), "case_id"].unique()
    for seed, case_id in enumerate(cases[:: len(cases) // 10][:10]):
        new = measured(exact, seed + 5, of_fastlogit(case_id=case_id), 2.0)
        compared = compare(measured(exact, seed), new)
        assert compared.verdict == "regression"
        found = compared.cases[compared.cases["verdict"] == "slower"]
        assert found[["case_id", "implementation"]].to_numpy().tolist() == [[case_id, "fastlogit"]]


def without(run, **values):
    return replace(run, timings=run.timings[~of_fastlogit(**values)(run.timings)])


def test_a_slower_machine_is_no_regression(exact):
    base, new = measured(exact, 0), measured(exact, 1)
    slower = replace(new, timings=new.timings.assign(time_s=new.timings["time_s"] * 1.3))
    assert compare(base, slower).verdict == "inconclusive"
    before, after = (compare(base, each).models["slowdown"] for each in (new, slower))
    assert after.to_numpy() == pytest.approx(before.to_numpy())


def test_only_what_is_fastlogit_s_is_judged(exact):
    def others(timings):
        return ~timings["implementation"].str.startswith("fastlogit")

    compared = compare(exact, measured(exact, 1, others, 0.5))
    names = {*compared.models["implementation"], *compared.cases["implementation"]}
    assert names == {"fastlogit", "fastlogit-lbfgs"}


def test_the_cases_of_a_model_and_task_are_judged_together(exact):
    models = compare(exact, exact).models
    assert models[["model", "task", "implementation", "cases"]].to_numpy().tolist() == [
        ["LogisticRegression", "fit", "fastlogit", 7],
        ["LogisticRegression", "predict_proba", "fastlogit", 7],
        ["softmax", "train", "fastlogit", 7],
        ["softmax", "train", "fastlogit-lbfgs", 7],
    ]
    assert models["slowdown"].to_numpy() == pytest.approx(1.0)
    # The same figures in both runs are no proof: layout alone may differ by a few per cent.
    assert (models["high"] > 1.03).all()


def test_the_allowed_slowdown_decides(exact):
    new = measured(exact, 1, of_fastlogit(model="softmax"), 1.25)
    base = measured(exact, 0)
    found = [compare(base, new, max_slowdown=share).verdict for share in (0.02, 0.05, 0.6)]
    assert found == ["regression", "regression", "ok"]


def test_an_improvement_is_called_faster(exact):
    compared = compare(measured(exact, 0), measured(exact, 1, of_fastlogit(model="softmax"), 0.7))
    assert verdicts(compared.models, "model", "implementation")["softmax", "fastlogit"] == "faster"
    assert compared.verdict != "regression"


def test_single_cases_alone_are_never_conclusive(exact):
    one = exact.timings["dataset"] == "iris"
    compared = compare(*(replace(exact, timings=exact.timings[one]),) * 2)
    assert compared.models.empty
    assert set(compared.cases["verdict"]) == {""}
    assert compared.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("failed", "failed"), ("unsupported", "failed"), ("failed-verification",) * 2],
)
def test_what_works_in_base_alone_is_a_failure(exact, status, verdict):
    chosen = of_fastlogit(model="softmax", dataset="wine")(exact.timings)
    changed = exact.timings.assign(
        status=exact.timings["status"].mask(chosen, status),
        error=exact.timings["error"].mask(chosen, "why"),
    )
    broken = replace(exact, timings=changed)
    compared = compare(exact, broken)
    (failure,) = compared.failures
    assert failure[0].startswith("softmax/wine/")
    assert failure[1:] == ("fastlogit", status, "why")
    assert compared.verdict == verdict
    assert failure[0] not in set(compared.cases.query("implementation == 'fastlogit'")["case_id"])
    # Where it failed in the same way before, NEW has broken nothing.
    assert compare(broken, broken).failures == []
    wrong = changed["status"].replace(status, "failed-verification")
    worse = compare(broken, replace(exact, timings=changed.assign(status=wrong)))
    assert len(worse.failures) == (status != "failed-verification")


def test_wrong_results_weigh_more_than_slow_ones(exact):
    slow = measured(exact, 0, of_fastlogit(model="LogisticRegression"), 2.0)
    for status, verdict in (("failed-verification",) * 2, ("failed", "regression")):
        chosen = of_fastlogit(model="softmax", dataset="wine")(slow.timings)
        statuses = slow.timings["status"].mask(chosen, status)
        new = replace(slow, timings=slow.timings.assign(status=statuses))
        assert compare(exact, new).verdict == verdict


def test_only_equal_repeats_are_compared(exact):
    few = replace(exact, timings=exact.timings[exact.timings["repeat"] < 2])
    assert len(compare(exact, few).cases) == len(compare(exact, exact).cases)
    one = replace(exact, timings=exact.timings[exact.timings["repeat"] == 1])
    with pytest.raises(ValueError, match="two equal repeats of fastlogit and of its baseline"):
        compare(exact, one)


def test_without_its_baseline_a_case_is_not_judged(exact):
    alone = exact.timings[exact.timings["implementation"].str.startswith("fastlogit")]
    with pytest.raises(ValueError, match="nothing in common to judge"):
        compare(replace(exact, timings=alone), exact)


def test_runs_of_different_files_are_refused(exact):
    one, other, elsewhere = (
        replace(exact, facts=exact.facts | {"data": {"sha256": digest, "target": target}})
        for digest, target in ("ay", "by", "az")
    )
    assert len(compare(one, one).models)
    for new in (other, elsewhere, exact):
        with pytest.raises(ValueError, match="different data"):
            compare(one, new)


def test_what_differs_is_told(exact):
    facts = exact.facts | {
        "cpu": exact.facts["cpu"] | {"name": "Another"},
        "environment": {"OPENBLAS_CORETYPE": "Haswell"},
        "packages": exact.facts["packages"] | {"numpy": "2.5"},
        "status": "interrupted",
    }
    compared = compare(exact, replace(without(exact, model="softmax"), facts=facts))
    assert compared.machine == [
        "CPU name: A CPU in BASE, Another in NEW",
        "OPENBLAS_CORETYPE: none in BASE, Haswell in NEW",
    ]
    *others, missing = compared.notes
    assert others == [
        "numpy: 2.4.6 in BASE, 2.5 in NEW",
        "status: complete in BASE, interrupted in NEW",
    ]
    assert missing.startswith("only in BASE: fastlogit in softmax/")
    assert missing.endswith(", 7 in all")
    assert compare(exact, exact).machine == compare(exact, exact).notes == []
