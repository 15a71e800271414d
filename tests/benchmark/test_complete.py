import pytest

from fastlogit.benchmark.complete import settled, whole_visits
from fastlogit.benchmark.rounds import rounds


def rows(cell, *entries, division="closed"):
    return [
        {
            "cell_id": cell,
            "impl": impl,
            "repeat": str(repeat),
            "status": status,
            "division": division,
            "order_index": str(repeat),
            "compile_s": "",
            "prep_s": "",
            "rss_peak_bytes": "",
        }
        for impl, repeat, status in entries
    ]


def times(cell, *impls, of=(0, 1), **other):
    return rows(cell, *((impl, repeat, "ok") for impl in impls for repeat in of), **other)


def whole(table, impls=("x", "y"), repeats=5):
    kept, standings = whole_visits(table, impls, rounds(repeats, 2))
    return kept, {cell: each.repeats for cell, each in standings.items()}


A, B = times("a", "x", "y"), times("b", "x", "y")
LATER = times("a", "x", "y", of=(2, 3))
FAILED = rows("b", ("x", 0, "ok"), ("x", "", "failed"), ("y", 0, "ok"), ("y", 1, "ok"))
UNABLE = rows("c", ("x", "", "unsupported"), ("y", "", "failed-verification"))
ALONE = times("b", "y", of=(2, 3))
ROUNDS = {"a": 5, "b": 4}


@pytest.mark.parametrize(
    ("table", "repeats"),
    [
        ([], {}),
        (A, {"a": 2}),
        (A + B + LATER, {"a": 4, "b": 2}),
        (A + B + LATER + times("b", "x", "y", of=(2, 3)) + times("a", "x", "y", of=(4,)), ROUNDS),
        (A + FAILED, {"a": 2, "b": 2}),
        (A + FAILED + UNABLE + LATER + ALONE, {"a": 4, "b": 4, "c": 5}),  # nobody is left for c
    ],
)
def test_whole_visits_are_kept(table, repeats):
    for order in (table, settled(table)):
        kept, standings = whole(order)
        assert kept == [row for row in order if row in table]
        assert standings == repeats


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_visit_that_lacks_rows_is_not(cut):
    assert whole(A + B[:cut]) == (A, {"a": 2})
    assert whole(A + B + LATER[:cut]) == (A + B, {"a": 2, "b": 2})


def test_who_failed_in_a_visit_that_was_cut_short_is_out():
    late = rows("a", ("x", 2, "ok"), ("x", "", "failed"), ("y", 2, "ok"))
    kept, standings = whole_visits(A + late, ("x", "y"), rounds(4, 2))
    assert kept == [*A, late[1]]
    assert (standings["a"].repeats, standings["a"].out) == (2, {"x"})
    assert standings["a"].turns == 2
    assert whole(late) == ([], {})


def test_of_the_open_division_fewer_repeats_are_whole():
    table = times("a", "x") + times("a", "o", division="open")
    table += times("a", "x", of=(2, 3)) + times("a", "o", of=(2,), division="open")
    table += times("a", "x", of=(4,))
    assert whole(table, ("x", "o")) == (table, {"a": 5})
    assert whole(table[:-2], ("x", "o"))[1] == {"a": 2}


def test_repeats_are_counted_and_not_doubled():
    assert whole(rows("a", ("x", 0, "ok"), ("x", 0, "ok")), ("x",)) == ([], {})
    assert whole(rows("a", ("x", 0, "ok")), ("x",), repeats=1)[1] == {"a": 1}


def test_settled_rows_stand_by_cell_and_contender():
    later = rows("b", ("x", 2, "ok"), ("x", "", "failed"), ("y", 2, "ok"), ("y", 3, "ok"))
    table = settled(A + B + LATER + later)
    assert [(row["cell_id"], row["impl"], row["repeat"]) for row in table] == [
        *(("a", impl, str(repeat)) for impl in "xy" for repeat in range(4)),
        *(("b", "x", repeat) for repeat in ("0", "1", "2", "")),
        *(("b", "y", str(repeat)) for repeat in range(4)),
    ]
    assert settled(table) == table


def test_of_wrong_work_no_time_is_left():
    wrong = rows("a", ("x", "", "failed-verification"), ("y", 2, "ok"), ("y", 3, "ok"))
    assert settled(A + B + wrong) == [wrong[0], *A[2:], *wrong[1:], *B]


def test_what_the_first_round_measured_stands_in_every_row():
    first = [{**row, "compile_s": "0.5", "rss_peak_bytes": "4096"} for row in A]
    table = settled(first + LATER)
    assert {(row["compile_s"], row["prep_s"], row["rss_peak_bytes"]) for row in table} == {
        ("0.5", "", "4096")
    }
