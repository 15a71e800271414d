"""From a matplotlib figure to an SVG that can stand in a page, or alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from fastlogit.benchmark.report.palette import GRID, INK, MUTED, VARIABLES, scheme_css
from fastlogit.benchmark.table import duration

__all__ = [
    "WIDTH",
    "Panel",
    "drawing",
    "log_axis",
    "standalone_svg",
    "svg_swatch",
    "svg_text",
    "times",
]

# Points, which are the units of the drawing: about the width of a phone, so that text of 10 of them
# stays legible there, and grows with the column elsewhere.
WIDTH = 360

_SVG = "http://www.w3.org/2000/svg"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: smaller, searchable, in the page's own font
    "text.parse_math": False,  # a user's data set may be called $x$
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure: its heading, what it shows in words, and the SVG."""

    heading: str
    finding: str
    svg: str


@contextmanager
def drawing(
    height: float, width: float = WIDTH, *, margin: float = 3
) -> Iterator[tuple[Figure, Axes]]:
    """Open an empty drawing in the report's style, sizes in points; convert it within."""
    with mpl.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=margin / 72, h_pad=margin / 72)
        figure = Figure(figsize=(width / 72, height / 72), layout=layout)
        FigureCanvasSVG(figure)
        yield figure, figure.subplots()


def log_axis(axes: Axes, which: str, unit: str, low: float, high: float) -> None:
    """Make an axis logarithmic from low to high, with a few ticks in words.

    unit: "times" for ratios, "seconds", "fraction", or "" for plain numbers.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    decades = high / low
    subs = (1.0, 2.0, 5.0) if decades < 60 else (1.0, 3.0) if decades < 1000 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=6 if decades >= 1000 else 9))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    words: dict[str, Callable[[float], str]] = {
        "times": lambda value: f"{value:.3g}×",
        "seconds": duration,
        "fraction": lambda value: f"{100 * value:.3g} %",
        "": lambda value: f"{value:,.10g}",
    }
    word = words[unit]
    axis.set_major_formatter(FuncFormatter(lambda value, _: word(value)))


def times(ratio: float) -> str:
    """Write a ratio in three digits, with its sign."""
    return f"{ratio:.0f}×" if ratio >= 99.5 else f"{ratio:#.3g}×"


def svg_text(figure: Figure, name: str, title: str, finding: str) -> str:
    """Convert a drawing to an SVG element for a page.

    Parameters
    ----------
    figure : Figure
        The drawing.
    name : str
        A word that no other drawing of the page has: its ids begin with it.
    title, finding : str
        What it is and what it shows, for those who cannot see it.
    """
    root = _tree(figure, name)
    _describe(root, name, title, finding)
    return _serialise(root)


def svg_swatch(figure: Figure, name: str) -> str:
    """Convert a drawing to an SVG element that stands beside the word for it, and says nothing."""
    root = _tree(figure, name)
    root.set("aria-hidden", "true")
    return _serialise(root)


def standalone_svg(figure: Figure, name: str, title: str, finding: str, values: Any) -> str:
    """Convert a drawing to an SVG file of both schemes, which carries its values as JSON."""
    root = _tree(figure, name)
    _describe(root, name, title, finding)
    metadata = ElementTree.Element("metadata", {"id": f"{name}-values"})
    metadata.text = json.dumps(values, indent=1)
    root.insert(2, metadata)
    style = ElementTree.Element("style")
    # A frame that ignores the page's scheme still shows ink on the surface that goes with it.
    style.text = (
        scheme_css("svg") + "\nsvg{font-family:system-ui,sans-serif;color-scheme:light dark}"
    )
    root.insert(3, style)
    surface = {"width": "100%", "height": "100%", "rx": "6", "style": "fill: var(--surface)"}
    root.insert(4, ElementTree.Element("rect", surface))
    root.set("xmlns", _SVG)
    # A README's column is some 800 pixels wide.
    width, height = (float(root.get(side, "0")) for side in ("width", "height"))
    root.set("width", f"{1.4 * width:g}")
    root.set("height", f"{1.4 * height:g}")
    return _serialise(root) + "\n"


def _tree(figure: Figure, name: str) -> ElementTree.Element:
    stream = io.StringIO()
    # The salt makes the names of markers and clips the same in every run, and other ones in
    # every drawing.
    with mpl.rc_context({"svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing)
    root = ElementTree.fromstring(stream.getvalue())  # noqa: S314 - just written
    for parent in list(root.iter()):
        for child in list(parent):
            # Rules for everything, which would reach out into the page.
            if child.tag == f"{{{_SVG}}}style":
                parent.remove(child)
    used = dict.fromkeys(re.findall(r"(?:href=\"|url\()#([\w.]+)", stream.getvalue()))
    ids = {old: f"{name}-{position}" for position, old in enumerate(used)}
    for element in root.iter():
        _clean(element, ids)
        _share_style(element)
    width, height = root.get("viewBox", "").split()[2:]
    root.attrib = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    return root


def _share_style(element: ElementTree.Element) -> None:
    """Say once, in a group of marks, what all of them look like: there are thousands in a page."""
    marks = [child for child in element if child.tag.endswith("use")]
    styles = {mark.get("style", "") for mark in marks}
    if len(styles) == 1 and len(marks) == len(element) > 1 and "style" not in element.attrib:
        element.set("style", _with_variables(styles.pop()))
        for mark in marks:
            mark.attrib.pop("style", None)


def _with_variables(style: str) -> str:
    style = re.sub(r"font-family:[^;]*;? ?", "", style)
    return re.sub(r"#f0f[01]\w\w", lambda hit: f"var({VARIABLES[hit[0]][0]})", style)


def _clean(element: ElementTree.Element, ids: dict[str, str]) -> None:
    """Drop namespaces, fonts and ids that nothing refers to; name the colours' variables."""
    element.tag = element.tag.split("}")[-1]
    attributes = {key.split("}")[-1]: value for key, value in element.attrib.items()}
    if attributes.get("id") not in ids:
        attributes.pop("id", None)
    for key, value in attributes.items():
        if key == "d":
            value = re.sub(r"(\d+\.\d\d)\d+", r"\1", " ".join(value.split()))
        elif key == "style":
            value = _with_variables(value)
        elif key in ("x", "y", "width", "height", "transform"):
            value = re.sub(r"(\d+\.\d\d)\d+", r"\1", value)
        value = re.sub(r"url\(#([\w.]+)\)", lambda hit: f"url(#{ids[hit[1]]})", value)
        if key == "id":
            value = ids[value]
        elif key == "href":
            value = f"#{ids[value[1:]]}"
        attributes[key] = value
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    element.attrib = attributes
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


def _describe(root: ElementTree.Element, name: str, title: str, finding: str) -> None:
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-finding")
    for position, (tag, key, text) in enumerate(
        (("title", "title", title), ("desc", "finding", finding))
    ):
        element = ElementTree.Element(tag, {"id": f"{name}-{key}"})
        element.text = text
        root.insert(position, element)


def _serialise(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
