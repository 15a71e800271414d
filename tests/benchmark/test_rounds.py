import pytest

from fastlogit.benchmark.cases import Grid
from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.rounds import repeats_of, rounds, schedule

CASES = Grid(models=("softmax", "logistic"), datasets=("iris",)).cases()


@pytest.mark.parametrize(
    ("repeats", "sizes"), [(1, [1]), (2, [2]), (3, [2, 1]), (5, [2, 2, 1]), (10, [2] * 5)]
)
def test_the_rounds_have_each_repeat_once(repeats, sizes):
    parts = rounds(repeats)
    assert [len(part) for part in parts] == sizes
    assert [repeat for part in parts for repeat in part] == list(range(repeats))


def test_of_the_open_division_there_are_three_repeats():
    taken = [list(repeats_of("open", part)) for part in rounds(10)]
    assert taken == [[0, 1], [2], [], [], []]
    assert [list(repeats_of("closed", part)) for part in rounds(4)] == [[0, 1], [2, 3]]


def test_all_cells_come_once_a_round():
    visits = schedule(CASES, [CONTENDERS["numpy"], CONTENDERS["scikit-learn"]], 5)
    assert [(visit.case, visit.round) for visit in visits] == [
        (case, number) for number in (1, 2, 3) for case in CASES
    ]
    assert {visit.rounds for visit in visits} == {3}
    names = [[kind.name for kind in visit.contenders] for visit in visits]
    assert names == [["numpy", "scikit-learn"]] * 4 + [["numpy"]] * 2


def test_no_visit_is_nobodys():
    visits = schedule(CASES, [CONTENDERS["scikit-learn"]], 10)
    assert [(visit.round, visit.rounds) for visit in visits] == [(1, 2)] * 2 + [(2, 2)] * 2
