import itertools

import pytest

from fastlogit.benchmark.contenders import CONTENDERS
from fastlogit.benchmark.report import palette


def luminance(colour):
    """Give the relative luminance of WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", [1, 2])
def test_everything_drawn_stands_out_from_the_surface(scheme):
    values = {variable[0]: variable[scheme] for variable in palette.VARIABLES.values()}
    surface = values.pop("--surface")
    values.pop("--grid")  # decoration
    for name, value in values.items():
        assert contrast(value, surface) >= 4.5, name


def test_no_two_contenders_differ_by_colour_alone():
    looks = palette.looks([*CONTENDERS, *(f"other {i}" for i in range(8))])
    for one, other in itertools.combinations(looks.values(), 2):
        assert one.marker != other.marker or one.dash != other.dash
        assert one.colour != other.colour or one.dash != other.dash  # along a line, too


def test_the_own_contenders_look_the_same_in_every_run():
    everywhere = palette.looks(["numba"])
    assert palette.looks(["torch", "x", "numba"])["numba"] == everywhere["numba"]
    assert set(CONTENDERS) <= set(everywhere)
    assert "x" in palette.looks(["x"])


def test_the_schemes_name_every_variable():
    css = palette.scheme_css("svg")
    for name, light, dark in palette.VARIABLES.values():
        assert css.count(f"{name}:{light};") == 2  # on the screen and in print
        assert css.count(f"{name}:{dark};") >= 1
