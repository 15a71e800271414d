import pytest

from fastlogit.benchmark.complete import complete_rows


def rows(cell, *entries):
    return [
        {"cell_id": cell, "impl": impl, "repeat": str(repeat), "status": status}
        for impl, repeat, status in entries
    ]


A = rows("a", ("x", 0, "ok"), ("x", 1, "ok"), ("y", 0, "ok"), ("y", 1, "ok"))
FAILED = rows("b", ("x", 0, "ok"), ("x", "", "failed"), ("y", 0, "ok"), ("y", 1, "ok"))
UNABLE = rows("c", ("x", "", "unsupported"), ("y", "", "failed-verification"))


@pytest.mark.parametrize("whole", [[], A, A + FAILED, A + FAILED + UNABLE, UNABLE + A])
def test_whole_cells_are_kept(whole):
    assert complete_rows(whole, ["x", "y"], 2) == whole


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_cell_that_lacks_rows_is_not(cut):
    for cell in (FAILED, [{**row, "cell_id": "z"} for row in A]):
        assert complete_rows(A + cell[:cut], ["x", "y"], 2) == A


def test_what_follows_a_cell_that_lacks_rows_is_not_kept_either():
    assert complete_rows(A[:3] + FAILED, ["x", "y"], 2) == []


def test_repeats_are_counted_and_not_doubled():
    doubled = rows("a", ("x", 0, "ok"), ("x", 0, "ok"))
    assert complete_rows(doubled, ["x"], 2) == []
    assert complete_rows(rows("a", ("x", 0, "ok")), ["x"], 2) == []
    assert complete_rows(rows("a", ("x", 0, "ok")), ["x"], 1) != []
