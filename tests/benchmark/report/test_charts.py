"""The charts, as Vega-Lite itself sees them."""

import re

import pytest

from fastlogit.benchmark.report import charts

vl_convert = pytest.importorskip("vl_convert", reason="vl-convert is not installed")


def row(ratio, series="fit", label="iris", **more):
    return {"label": label, "series": series, "ratio": ratio, "low": ratio / 1.1,
            "high": ratio * 1.1, "model": "m", "dataset": label} | more  # fmt: skip


def texts(spec):
    return re.findall(
        r"<text[^>]*>([^<]*)</text>", vl_convert.vegalite_to_svg(spec | {"width": 600})
    )


def test_both_directions_have_words():
    spec = charts.speedups([row(0.5, label="iris"), row(8.0, label="wine")], "JAX", "")
    words = texts(spec)
    assert {"2× slower", "same", "2× faster", "5× faster", "iris", "wine"} <= set(words)
    assert "fastlogit against JAX" in words


@pytest.mark.parametrize("low", [None, 1.8], ids=["without an interval", "with one"])
def test_a_mark_a_ratio_and_an_interval_where_there_is_one(low):
    rows = [row(2.0, low=low, high=low and 2.2)]
    svg = vl_convert.vegalite_to_svg(charts.speedups(rows, "JAX", "") | {"width": 600})
    assert svg.count('aria-roledescription="point"') == 1
    assert svg.count('aria-roledescription="rule mark"') == bool(low)


def test_no_two_names_differ_by_colour_alone():
    names = [f"solver-{k}" for k in range(14)]
    spec = charts.lines("", names, ("x", "x"), ("y", "y"), {"values": []}, log=True)
    looks = [spec["encoding"][channel]["scale"] for channel in ("color", "shape")]
    shapes = looks[1]["range"]
    pairs = {name: shapes[k % len(shapes)] for k, name in enumerate(looks[1]["domain"])}
    assert len(set(pairs.values())) == len(shapes)
    both = {(looks[0]["range"][k], shapes[k % len(shapes)]) for k in range(len(pairs))}
    assert len(both) == len(pairs)


def test_a_known_name_looks_the_same_in_every_chart():
    looks = []
    for names in (["JAX"], ["fastlogit", "JAX", "sklearn-sgd"]):
        scale = charts.lines("", names, ("x", "x"), ("y", "y"), {"values": []}, log=True)
        scale = scale["encoding"]["color"]["scale"]
        looks.append(scale["range"][scale["domain"].index("JAX")])
    assert looks[0] == looks[1]


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["--ground", "--panel"])
def test_text_has_contrast(theme, ground):
    block = charts.css().split("@media")[theme]
    colours = dict(re.findall(r"(--\w+):(#\w{6})", block))
    for name, colour in colours.items():
        if name not in ("--ground", "--panel", "--grid"):
            low, high = sorted((luminance(colour), luminance(colours[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name
