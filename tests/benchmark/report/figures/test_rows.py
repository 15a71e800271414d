import numpy as np
import pytest

from fastlogit.benchmark.report.drawing import drawing
from fastlogit.benchmark.report.figures import rows
from fastlogit.benchmark.report.figures.rows import Mark
from fastlogit.benchmark.report.palette import looks

MARKS = [Mark(0, "numba", 4.0, 3.0, 5.0), Mark(0, "jax", 2.0), Mark(1, "numba", 8.0, 6.0, 9.0)]


def test_marks_stand_at_their_values_and_bars_span_the_interval():
    with drawing(100) as (_, axes):
        rows.draw_marks(axes, MARKS, looks(["numba", "jax"]))
        bars, marks, no_bars, other = axes.lines
    np.testing.assert_array_equal(bars.get_xdata(), [3.0, 5.0, np.nan, 6.0, 9.0, np.nan])
    np.testing.assert_array_equal(marks.get_xdata(), [4.0, 8.0])
    assert len(no_bars.get_xdata()) == 0
    np.testing.assert_array_equal(other.get_xdata(), [2.0])
    # Contenders of a row stand apart, within half a row of its middle.
    first, second = marks.get_ydata()[0], other.get_ydata()[0]
    assert -0.5 < first < second < 0.5
    assert marks.get_ydata()[1] - first == 1


def test_a_lone_contender_stands_in_the_middle_of_its_row():
    with drawing(100) as (_, axes):
        rows.draw_marks(axes, [Mark(2, "numba", 4.0)], looks(["numba"]))
        assert axes.lines[1].get_ydata()[0] == 2


def test_a_group_is_named_in_its_first_row_alone():
    with drawing(100) as (_, axes):
        rows.label_rows(axes, [("iris", "8"), ("iris", "32"), ("wine", "8")])
        names = [label.get_text() for label in axes.get_yticklabels()]
        low, high = axes.get_ylim()
    assert names == ["iris, 8", "32", "wine, 8"]
    assert low > high  # from top to bottom


@pytest.mark.parametrize("include", [(), (1.0,)])
def test_limits_hold_everything(include):
    low, high = rows.limits(MARKS, *include)
    assert low < min(2.0, *include, 2.0)
    assert high > 9.0


def test_more_rows_and_contenders_are_given_more_room():
    heights = [rows.rows_height(n, 1) for n in (1, 10, 100)]
    assert heights == sorted(set(heights))
    assert rows.rows_height(10, 3) > rows.rows_height(10, 1)
