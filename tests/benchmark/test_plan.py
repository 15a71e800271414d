import pytest

from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.plan import by_case, counted, lines, plan, spoken
from fastlogit.benchmark.rounds import schedule


def planned(cases, impls, repeats=10):
    return plan(schedule(cases, [CONTENDERS[impl] for impl in impls], repeats))


def total(impls, repeats=10, **axes):
    return sum(each.seconds for each in planned(Grid(**axes).cases(), impls, repeats))


def test_more_work_takes_longer():
    one = total(["numpy"], models=("softmax",), datasets=("digits",))
    assert 1 < one < 3  # so many runs of about 0.1 s
    assert total(["numpy"], models=("softmax",), datasets=("digits", "wine")) > one
    assert total(["numpy"], repeats=20, models=("softmax",), datasets=("digits",)) > one
    assert one < total(["numpy", "numba"], models=("softmax",), datasets=("digits",)) < 2 * one
    assert total(["numpy"], models=("softmax",), datasets=("digits",), epochs=1000) > 5 * one
    few, many = (
        total(["numpy"], epochs=2000, datasets=(f"classification-{n}x9x3",)) for n in (99, 999)
    )
    assert many > 5 * few


def test_the_plan_is_a_line_a_case_and_one_for_all():
    cases = Grid(models=("softmax", "logistic"), datasets=("iris",), epochs=5000).cases()
    visits = planned(cases, ["numpy", "numba"])
    assert len(visits) == 2 * 5
    *each, last = lines(visits, 10)
    assert [line.split()[0] for line in each] == [case.cell_id for case in cases]
    assert all(line.endswith(" s  numpy, numba") for line in each)
    assert last.startswith("2 cells, 10 repeats each: about ")
    assert last.endswith("; nothing was written")


def test_the_rounds_add_up():
    (case,) = Grid(models=("softmax",), datasets=("digits",)).cases()
    visits = planned([case], ["numpy", "scikit-learn"])
    ((impls, seconds),) = by_case(visits).values()
    assert impls == ("numpy", "scikit-learn")
    assert seconds == pytest.approx(sum(each.seconds for each in visits))
    first, second, *others = (each.seconds for each in visits)
    assert first > second > others[0]  # of the open division three repeats, and none after that
    assert others == [others[0]] * 3
    assert [each.impls for each in visits] == [impls] * 2 + [("numpy",)] * 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_times_are_said_in_their_unit(seconds, words):
    assert spoken(seconds) == words


def test_one_cell_is_one():
    assert [counted(n) for n in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]
