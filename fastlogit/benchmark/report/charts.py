"""The charts, as Vega-Lite specifications: the page draws them, and so does README's picture.

Colours are CSS variables, to follow the page's theme; the page filters by the parameters.
"""

from typing import Any

Spec = dict[str, Any]

# Okabe and Ito's hues, darkened or lightened to a contrast of 4.5 to 1 on either ground.
_LIGHT = (
    "--ink:#1b1f24;--muted:#57606a;--grid:#dfe3e8;--ground:#ffffff;--panel:#f5f7f9;--s0:#0063a6;"
    "--s1:#bd3f0a;--s2:#636b74;--s3:#00755a;--s4:#96457f;--s5:#806300;--s6:#04718a;--s7:#6b4fc8"
)
_DARK = (
    "--ink:#e8eaed;--muted:#a9b1ba;--grid:#343a41;--ground:#15181d;--panel:#1e2329;--s0:#5db5f0;"
    "--s1:#ff9a5c;--s2:#a8b0b8;--s3:#3ccb9f;--s4:#e5a1cf;--s5:#e3c54a;--s6:#74d8ea;--s7:#b7a6ff"
)
# Names that look the same in every chart; no two differ by colour alone, and none is ▲ or ▼, which
# say what is faster.
_KNOWN = ["fastlogit", "scikit-learn", "NumPy reference", "JAX", "PyTorch"]
_SHAPES = ["circle", "square", "diamond", "cross", "arrow", "triangle-left", "triangle-right"]
# A phone has no room for long labels, whose cases the tooltips name in full.
_LABELS, _COLUMNS = ({"expr": f"containerSize()[0] < 500 ? {it}"} for it in ("130 : 260", "2 : 3"))


def css() -> str:
    """Return the colours as CSS variables, for both themes; print is always light."""
    night = f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    return f":root{{color-scheme:light dark;{_LIGHT}}}{night}"


def speedups(rows: list[Spec], other: str, alt: str) -> Spec:
    """Chart ratios to `other` with their intervals on a log scale, a line per case.

    The rows have ``label, series, ratio, low, high``, for the tooltip ``result, ours, theirs``, and
    maybe a ``text`` to be written above the mark.
    """
    names = list(dict.fromkeys(row["series"] for row in rows))
    ends = [end for row in rows for end in (row["low"], row["high"], row["ratio"], 1) if end]
    room, step = (1.6, 36) if "text" in rows[0] else (1.25, 13)
    low, high = min(ends) / 1.25, max(ends) * room
    ticks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
    axis = {
        "title": f"fastlogit against {other}", "labelOverlap": "greedy", "labelSeparation": 8,
        "values": [tick for tick in ticks if low <= tick <= high], "labelFlush": 40,
        "labelExpr": "datum.value > 0.99 && datum.value < 1.01 ? 'same' : datum.value > 1 ? "
        "format(datum.value, '~r') + '× faster' : format(1 / datum.value, '.2~r') + '× slower'",
    }  # fmt: skip
    scale = {"type": "log", "domain": [low, high], "nice": False}
    x = {"field": "ratio", "type": "quantitative", "axis": axis, "scale": scale}
    place = {
        "y": {"field": "label", "type": "nominal", "title": None, "sort": list(dict.fromkeys(
            row["label"] for row in rows)), "axis": {"grid": False, "labelLimit": _LABELS}},
        "yOffset": {"field": "series", "sort": names}, **_looks(names, "series"),
        "tooltip": _tooltip(label="case", series="", result="", ours="fastlogit", theirs="other"),
    }  # fmt: skip
    one = dict.fromkeys(("y", "yOffset", "shape", "tooltip"))
    ink = {"color": {"value": "var(--ink)"}, "shape": None}
    layers: list[Spec] = [
        {"mark": "rule", "encoding": {**one, **ink, "x": {"datum": 1}}},
        {"mark": {"type": "rule", "strokeWidth": 2}, "transform": [{"filter": "datum.low > 0"}],
         "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "shape": None}},
        {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1}, "encoding": {"x": x}},
        {"mark": {"type": "text", "dy": -14, "fontSize": 13},
         "encoding": {"x": x, **ink, "text": {"field": "text"}}},
    ]  # fmt: skip
    layers = layers[: 4 if "text" in rows[0] else 3]
    return _chart(alt, layers, place, {"values": rows}, {"step": step, "for": "offset"})


def lines(
    alt: str, names: list[str], x: tuple[str, str], y: tuple[str, str], data: Spec, *, log: bool
) -> Spec:
    """Chart y over x, a field and its title each, on a log scale, a line per implementation.

    The data, as Vega-Lite takes it, has ``implementation, group, text``; `log` is for y's scale.
    """
    place = _looks(names, "implementation") | {
        "detail": {"field": "group"},
        "tooltip": _tooltip(implementation="", group="case", **dict([x]), text=""),
    }
    for channel, (field, title) in (("x", x), ("y", y)):
        form, unit = ("~s", "s") if field in ("time", "median_s") else ("~g", "")
        axis = {"tickCount": 5, "labelExpr": f"format(datum.value, '{form}') + '{unit}'"}
        axis |= {"labelOverlap": "greedy", "labelSeparation": 8}
        scale = {"type": "log", "nice": False} if log or channel == "x" else {"zero": False}
        place[channel] = {"field": field, "type": "quantitative", "title": title}
        place[channel] |= {"axis": axis, "scale": scale}
    layers: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"shape": None}},
        {"mark": {"type": "point", "filled": True, "size": 40, "opacity": 1}},
    ]  # fmt: skip
    return _chart(alt, layers, place, data, 260)


def _chart(alt: str, layers: list[Spec], place: Spec, data: Spec, height: Any) -> Spec:
    ink, muted, grid = ("var(--ink)", "var(--muted)", "var(--grid)")
    text = {"labelColor": ink, "titleColor": muted, "labelFontSize": 13, "titleFontSize": 13}
    text |= {"titleFontWeight": "normal"}
    axis = {"gridColor": grid, "gridOpacity": 0.6, "domainColor": muted, "tickColor": muted}
    fields = {"model": "model", "dataset": "dataset", "chosen": "case"}
    fits = (f"({it} == 'all' || !datum.{of} || datum.{of} == {it})" for it, of in fields.items())
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": alt, "width": "container", "height": height, "data": data,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [{"name": name, "value": "all"} for name in fields],
        "transform": [{"filter": " && ".join(fits)}], "encoding": place, "layer": layers,
        "config": {
            "background": None, "font": "system-ui, sans-serif", "view": {"stroke": None},
            "axis": text | axis, "axisY": {"domain": False, "ticks": False, "labelPadding": 8},
            "legend": text | {"orient": "top", "columns": _COLUMNS, "symbolSize": 90},
        },
    }  # fmt: skip


def _looks(names: list[str], field: str) -> Spec:
    """Return the encoding of a field by colour and shape."""
    domain = _KNOWN + [name for name in names if name not in _KNOWN]
    shown = {"values": [name for name in domain if name in names]} if len(names) > 1 else None
    common = {"field": field, "type": "nominal", "title": None, "legend": shown}
    colours = [f"var(--s{k % 8})" for k in range(len(domain))]
    return {
        channel: common | {"scale": {"domain": domain, "range": looks}}
        for channel, looks in (("color", colours), ("shape", _SHAPES))
    }


def _tooltip(**titles: str) -> list[Spec]:
    # The title of a field that needs none is blank, and no other field's.
    return [{"field": field, "title": titles[field] or " " * len(field)} for field in titles]
