"""report.html: the answers of a run, its charts and all of its figures in one file."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pandas import DataFrame, isna

from fastlogit.benchmark import text
from fastlogit.benchmark.advice import add_costs, advice_lines
from fastlogit.benchmark.machine import is_busy
from fastlogit.benchmark.report import answers, charts
from fastlogit.benchmark.schema import BASELINES
from fastlogit.benchmark.storage import StoredRun, replace_file

# Of the scripts that vl-convert brings, the two parts that the page needs.
_VEGA = """import {{View, parse}} from "https://cdn.jsdelivr.net/npm/vega@{}/+esm";
window.vega = {{View, parse}};"""
_CURVE_POINTS = 30
_TIMES = ("median_s", "q1_s", "q3_s", "time_to_target_s")
_SCALING = {"n_samples": "rows", "n_features": "features", "threads": "threads"}
_ALIKE = ["task", "n_classes", "n_hidden", "solver", "batch_size", "dtype", "implementation"]


def write_page(run: StoredRun, path: Path) -> None:
    """Write a run, complete or not, as one page that needs no network.

    ValueError if nothing was measured; OSError if the file cannot be written.
    """
    import vl_convert
    from jinja2 import Environment, PackageLoader

    if run.summary["median_s"].isna().all():
        raise ValueError(f"the run {run.directory.name} has no times: there is nothing to report")
    pairs, cases = answers.pair_up(run), answers.describe_cases(run)
    table, (curves, over_time) = _table(run, cases), _over_time(run, cases)
    figures = _speedups(pairs) + over_time + _scaling(table)
    specs = [vl_convert.vegalite_to_vega(figure["spec"]) for figure in figures]
    data = {"specs": specs, "curves": curves}
    if advice := run.facts.get("advice"):
        advice = {**advice, "lines": advice_lines(add_costs(advice, run.summary))}
    loader = PackageLoader("fastlogit.benchmark.report", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    page = environment.get_template("page.html").render(
        run=run.facts, css=charts.css(), advice=advice, cautions=_cautions(run),
        script=vl_convert.javascript_bundle(_VEGA.format(vl_convert.get_vega_version())),
        # "</" would end the script element.
        data=json.dumps(data, allow_nan=False, separators=(",", ":")).replace("</", "<\\/"),
        cards={name: answers.cards(pairs, name) for name in BASELINES}, figures=figures,
        first=answers.first_to_target(run), rows=table.to_dict("records"),
        heads=list(table.columns[-9:]), cases=cases, curves=curves, plural=text.pluralize,
    )  # fmt: skip
    replace_file(path, page.encode())


def _speedups(pairs: DataFrame) -> list[dict[str, Any]]:
    figures, shown = [], pairs[~pairs["task"].isin(["first-fit", "cold-fit"])]
    shown = shown.dropna(subset="ratio").assign(series=shown["other"])
    shown["series"] = shown["task"].where(shown["comparison"] == "same-estimator", shown["other"])
    for name in ("ours", "theirs"):
        shown[name] = shown[name].map(text.format_duration)
    for (question, model), rows in shown.groupby(["comparison", "model"], sort=False):
        others = rows["other"].unique()
        other = others[0] if len(others) == 1 else "the others"
        said = "; ".join(rows["label"] + ", " + rows["series"] + ": " + rows["result"])
        alt = f"{model} by fastlogit against {' and '.join(others)}. {said}"
        columns = ["model", "dataset", "label", "series", "ratio", "low", "high", "result"]
        values = rows[[*columns, "ours", "theirs"]].to_json(orient="records", double_precision=4)
        spec = charts.speedups(json.loads(values), other, alt)
        figures.append({"section": question, "caption": model, "spec": spec, "model": model})
    return figures


def _over_time(run: StoredRun, cases: DataFrame) -> tuple[list[dict[str, Any]], ...]:
    """Return the curves of the first seed, of about so many points in arrays, and their charts."""
    rows, figures, names = [], [], dict[str, None]()
    points = run.curves[run.curves["elapsed_s"] > 0]
    points = points[points["seed"] == points["seed"].min()]
    columns = {"time": "elapsed_s", "loss": "train_loss", "accuracy": "test_accuracy"}
    for (case_id, name), group in points.groupby(["case_id", "implementation"], sort=False):
        case, group = cases.loc[case_id], group.iloc[:: math.ceil(len(group) / _CURVE_POINTS)]
        label = {"case": f"{case['model']}, {case['label']}", "model": case["model"]}
        label |= {"dataset": case["dataset"], "implementation": text.display_name(name)}
        arrays = {
            key: [None if isna(it) else float(f"{it:.4g}") for it in group[column]]
            for key, column in columns.items()
        }
        rows.append(label | arrays | {"epoch": group["epoch"].tolist()})
        names[label["implementation"]] = None
    for field, title in (("loss", "Mean training loss"), ("accuracy", "Test accuracy")):
        if any(value is not None for row in rows for value in row[field]):
            alt = f"{title} over seconds of training, a line per implementation."
            axes = (("time", "training time"), (field, title.lower()))
            spec = charts.lines(alt, [*names], *axes, {"name": "curves"}, log=field == "loss")
            figures.append({"section": "curves", "caption": title, "spec": spec, "model": "all"})
    return rows, figures


def _scaling(table: DataFrame) -> list[dict[str, Any]]:
    """Chart what differs in its rows, features or threads alone, where a run has several."""
    figures = []
    for axis, name in _SCALING.items():
        # The toy sets differ in more than their size.
        alike = table[table["dataset"].str.startswith("classification-") | (axis == "threads")]
        others = [other for other in _SCALING if other != axis]
        groups = alike.groupby(["comparison", "model", *others, *_ALIKE], dropna=False)
        several = alike[groups[axis].transform("nunique") > 1]
        several = several.assign(text=several["Median time"], group=several["task"])
        for other in others:
            several["group"] += f", {_SCALING[other]}: " + several[other].astype(str)
        for model, rows in several.groupby("model", sort=False):
            columns = ["model", "dataset", "implementation", "group", axis, "median_s", "text"]
            data, names = {"values": rows[columns].to_dict("records")}, rows["implementation"]
            alt = f"Seconds of {model} over the number of {name}; the table has the figures."
            axes = (axis, name), ("median_s", "time")
            spec = charts.lines(alt, [*names.unique()], *axes, data, log=True)
            caption = f"{model}, over {name}"
            figures.append({"section": "scaling", "caption": caption, "spec": spec, "model": model})
    return figures


def _table(run: StoredRun, cases: DataFrame) -> DataFrame:
    """Return the summary's rows that have a time, with words for the page."""
    rows = run.summary.dropna(subset="median_s").reset_index(drop=True)
    rows = rows.join(cases.drop(columns=["model", "dataset"]), on="case_id")
    rows["implementation"] = rows["implementation"].map(text.display_name)
    ratios = zip(rows["speedup"], rows["speedup_low"], rows["speedup_high"], strict=True)
    times = {name: _words(rows[name], text.format_duration) for name in _TIMES}
    words: dict[str, Any] = {
        "Model": rows["model"], "Case": rows["label"], "Task": rows["task"],
        "Implementation": rows["implementation"], "Median time": times["median_s"],
        "Middle half": list(map("{} to {}".format, times["q1_s"], times["q3_s"])),
        "Than the baseline": ["" if isna(it[0]) else text.format_ratio(*it) for it in ratios],
        "To target loss": times["time_to_target_s"],
        "Of the limit": _words(100 * rows["limit_fraction"], "{:.0f} %".format),
    }  # fmt: skip
    return rows.assign(**words)


def _words(values: Any, spell: Callable[[float], str]) -> list[str]:
    return ["" if isna(value) else spell(value) for value in values]


def _cautions(run: StoredRun) -> list[str]:
    """Return what a reader has to know before believing a figure."""
    words, load, cores = [], run.facts["load_start"], run.facts["cpu"]["cores"]
    if run.facts["status"] != "complete":
        words.append(f"The run is {run.facts['status']}: some cases or rounds are missing.")
    if is_busy(load, cores):
        words.append(f"The load average was {load[0]:.1f} on {cores} cores: times are uncertain.")
    return words + list(text.failure_lines(run.timings))
