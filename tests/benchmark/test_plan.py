"""The estimate of a run's length."""

import pytest

from fastlogit.benchmark.case_runner import common_fields
from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.implementations import choose
from fastlogit.benchmark.plan import Plan
from fastlogit.benchmark.schema import Timing
from fastlogit.benchmark.session import schedule


def rounds(repeats=6, names=("numpy", "fastlogit"), **grid):
    grid = Grid(**{"models": ("softmax",), "datasets": ("iris", "digits")} | grid)
    return schedule(grid.cases(), choose(names, grid.questions), repeats)


def rows(case, kinds, repeats, seconds, **other):
    common = {"status": "ok", "compile_s": 0.1, "prep_s": 0.0} | other
    return [
        Timing(**common_fields(case, kind), repeat=repeat, time_s=seconds, **common)
        for kind in kinds for repeat in repeats
    ]  # fmt: skip


def test_a_longer_training_takes_longer():
    short, long = (
        Plan(rounds(questions=("same-steps",), epochs=epochs)).seconds_left()
        for epochs in (10, 1000)
    )
    assert 10 * short < long < 200 * short or short < 15 < long


def test_what_is_done_is_not_planned():
    schedule = rounds()
    every = {(case.case_id, each.number) for each in schedule for case, _ in each.cases}
    assert Plan(schedule).n_parts == len(every)
    done = {next(iter(every))}
    assert Plan(schedule, done).n_parts == len(every) - 1
    assert Plan(schedule, every).seconds_left() == 0


def test_cases_are_counted_once():
    plan = Plan(rounds(questions=("same-steps",)))
    assert (plan.n_cases, plan.n_parts, plan.n_rounds) == (2, 2 * 3, 3)


def test_first_fits_count_seconds():
    plan = Plan(rounds(questions=("same-estimator",)))
    by_task = {case_id.split("/")[3]: seconds for (case_id, _), seconds in plan.left.items()}
    assert by_task["cold-fit"] > by_task["first-fit"] > by_task["predict_proba"]


@pytest.mark.parametrize("seconds", [0.03, 1.0])
def test_after_the_first_round_its_rows_count(seconds):
    # Whatever the sizes promised: three rounds of a case that takes so long a repeat.
    schedule = rounds(questions=("same-steps",))
    plan = Plan(schedule)
    for case, kinds in schedule[0].cases:
        plan.finish(case.case_id, 1, 60.0, rows(case, kinds, schedule[0].repeats, seconds))
    expected = 2 * 2 * 2 * (2 * seconds + 0.1)  # rounds, cases, implementations
    assert sum(plan.left.values()) == pytest.approx(expected + 2 * 2 * 0.05)


def test_what_failed_takes_no_more_time():
    schedule = rounds(questions=("same-steps",), datasets=("iris",))
    plan = Plan(schedule)
    ((case, kinds),) = schedule[0].cases
    failed = rows(case, kinds, range(1), None, status="failed")
    plan.finish(case.case_id, 1, 600.0, failed)
    assert sum(plan.left.values()) < 1


def test_later_rounds_correct_the_estimate():
    schedule = rounds(questions=("same-steps",), repeats=40)
    plan = Plan(schedule)
    for case, kinds in schedule[0].cases:
        plan.finish(case.case_id, 1, 60.0, rows(case, kinds, range(2), 1.0))
    before = plan.seconds_left()
    for each in schedule[1:10]:
        for case, _ in each.cases:
            plan.finish(case.case_id, each.number, 12.9, [])  # thrice as long as expected
    halved = before * 10 / 19
    assert 2 * halved < plan.seconds_left() < 3 * halved
