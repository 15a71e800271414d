import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from fastlogit.benchmark.report import drawing as module
from fastlogit.benchmark.report.palette import INK, SURFACE

parse = ElementTree.fromstring


def draw(name="one", label="a"):
    with module.drawing(100) as (figure, axes):
        axes.plot([1, 10], [1, 2], color=INK, marker="o", markeredgecolor=SURFACE)
        axes.set_yticks([1], [label])
        return module.svg_text(figure, name, "title <&>", "finding <&>")


def test_the_same_drawing_is_the_same_text():
    assert draw() == draw()


def test_ids_of_two_drawings_do_not_clash():
    ids = [re.findall(r'\bid="([^"]+)"', draw(name)) for name in ("one", "two")]
    assert len(ids[0]) == len(set(ids[0])) > 2
    assert not set(ids[0]) & set(ids[1])


def test_everything_referred_to_is_there():
    svg = draw()
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    referred = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    labels = re.search(r'aria-labelledby="([^"]+)"', svg)[1].split()
    assert referred
    assert referred | set(labels) <= ids


def test_what_all_marks_share_is_said_once():
    with module.drawing(100) as (figure, axes):
        axes.plot(range(1, 200), marker="o", linestyle="none", color=INK)
        svg = module.svg_text(figure, "one", "title", "finding")
    group = re.search(r"<g [^>]*>(?=<use)[^<]*(?:<use [^>]*/>)+", svg)[0]
    assert group.count("<use") == 199
    assert group.count("style=") == 1
    assert group.count("var(--ink)") == 2  # its inside and its edge


def test_colours_are_variables():
    svg = draw()
    assert "var(--ink)" in svg
    assert "var(--surface)" in svg
    assert "#f0f" not in svg


def test_it_says_what_it_is_and_shows():
    root = parse(draw())
    assert root.get("role") == "img"
    assert root.find("title").text == "title <&>"
    assert root.find("desc").text == "finding <&>"


@pytest.mark.parametrize("label", ["$x$", "<b>", "ünïcode"])
def test_text_stays_text(label):
    root = parse(draw(label=label))
    assert label in [element.text for element in root.iter("text")]
    assert "font-family" not in draw(label=label)


def test_no_rule_reaches_out_of_the_drawing():
    assert "<style" not in draw()
    assert "<!DOCTYPE" not in draw()
    assert "xmlns" not in draw()


def test_a_file_stands_alone():
    with module.drawing(100) as (figure, axes):
        axes.plot([1, 2], color=INK)
        text = module.standalone_svg(figure, "one", "title", "finding", {"a": [1.5]})
    root = parse(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    assert json.loads(root.find(f"{space}metadata").text) == {"a": [1.5]}
    style = root.find(f"{space}style").text
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= set(re.findall(r"(--[\w-]+):", style))
    assert "prefers-color-scheme:dark" in style
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("low", "high", "unit", "words"),
    [
        (0.5, 20, "times", ["0.5×", "1×", "2×", "5×", "10×", "20×"]),
        (1e-6, 1e-3, "seconds", ["1 µs", "10 µs", "100 µs", "1 ms"]),
        (0.01, 1, "fraction", ["1 %", "3 %", "10 %", "30 %", "100 %"]),
        (1, 1e4, "", ["1", "10", "100", "1,000", "10,000"]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_words(low, high, unit, words):
    with module.drawing(100) as (figure, axes):
        module.log_axis(axes, "x", unit, low, high)
        figure.canvas.draw()
        ticks = axes.xaxis.get_major_ticks()
        shown = [
            tick.label1.get_text()
            for tick in ticks
            if low * 0.999 <= tick.get_loc() <= high * 1.001
        ]
    assert shown == words


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0456, "0.0456×"), (1.0, "1.00×"), (22.64, "22.6×"), (99.7, "100×"), (1234.5, "1234×")],
)
def test_ratios_have_three_digits(ratio, text):
    assert module.times(ratio) == text


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw()
    assert all(np.all(before[key] == value) for key, value in mpl.rcParams.items())
