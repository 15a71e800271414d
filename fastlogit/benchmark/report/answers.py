"""The answers of a run: how much faster fastlogit is than each other, in the page's words."""

import math
from typing import Any

from pandas import DataFrame

from fastlogit.benchmark.cases import TINY_ELEMENTS, task_of
from fastlogit.benchmark.schema import PRODUCT
from fastlogit.benchmark.statistics import geometric_mean, paired_ratio
from fastlogit.benchmark.storage import StoredRun
from fastlogit.benchmark.summary import repeat_times
from fastlogit.benchmark.text import display_name, format_duration, format_ratio, pluralize

TASKS = {
    "fit": "fit, repeated", "predict_proba": "predict_proba, repeated",
    "first-fit": "first fit of a process", "cold-fit": "first fit of an installation",
}  # fmt: skip
_SIZES = ("n_samples", "n_features", "n_classes", "n_hidden")
_VARIANTS = ("solver", "batch_size", "dtype", "threads", "seed")


def describe_cases(run: StoredRun) -> DataFrame:
    """Return each case's data, its ``task`` and a ``label`` that tells it from the others.

    A case is ``tiny`` whose times are bound by the overhead of calls.
    """
    cases = run.timings.drop_duplicates("case_id").set_index("case_id")
    cases["task"] = [task_of(str(case_id)) for case_id in cases.index]
    cases["tiny"] = cases["n_samples"] * cases["n_features"] < TINY_ELEMENTS
    cases["label"] = cases["dataset"] + cases["tiny"].map({True: " *", False: ""})
    for _, alike in cases.groupby(["model", "task"]):
        for name in _VARIANTS:
            if alike[name].nunique() > 1:
                words = f" · {name.removesuffix('_size')} " + alike[name].map(str)
                cases.loc[alike.index, "label"] += words
    return cases[["model", "dataset", "task", "label", "tiny", *_SIZES]]


def pair_up(run: StoredRun) -> DataFrame:
    """Return a row for each case that fastlogit and another implementation have done.

    The times are seconds per call, for the same steps per row trained on; for any algorithm those
    to the target loss of either library's fastest solver, and NaN where it does not reach it.
    """
    rows: list[tuple[Any, ...]] = []
    fixed = run.timings[run.timings["comparison"] != "any-algorithm"]
    for (comparison, case_id), group in fixed.groupby(["comparison", "case_id"], sort=False):
        by_name = group.groupby("implementation", sort=False)
        times = {str(name): repeat_times(own) for name, own in by_name}
        per = 1 if comparison == "same-estimator" else group["samples"].iloc[0]
        for other in times if PRODUCT in times else ():
            if other != PRODUCT and (found := paired_ratio(times[other], times[PRODUCT])):
                medians = (times[name].median() / per for name in (PRODUCT, other))
                rows.append((comparison, case_id, display_name(other), *found, *medians))
    reached = run.summary.dropna(subset="time_to_target_s")
    libraries = reached["implementation"].str.split("-").str[0].replace("sklearn", "scikit-learn")
    best = reached.groupby(["case_id", libraries], sort=False)["time_to_target_s"].min().unstack()
    for name in sorted(map(str, best), key=lambda it: it != "scikit-learn"):
        if name != PRODUCT and PRODUCT in best:
            for case_id, (ours, theirs) in best[[PRODUCT, name]].dropna(how="all").iterrows():
                row = (theirs / ours, None, None, ours, theirs)
                rows.append(("any-algorithm", case_id, display_name(name), *row))
    figures = ["ratio", "low", "high", "ours", "theirs"]
    pairs = DataFrame(rows, columns=["comparison", "case_id", "other", *figures])
    pairs = pairs.astype(dict.fromkeys(figures, float)).join(describe_cases(run), on="case_id")
    return pairs.assign(result=[format_ratio(*each[3:6]) for each in pairs.to_numpy()])


def cards(pairs: DataFrame, comparison: str) -> dict[str, list[dict[str, Any]]]:
    """Return what answers a question, below headings: one for each estimator, else one.

    A card has ``title, head, verdict``, and where both are timed ``interval, ours, theirs, mean,
    words, note``.
    """
    rows = pairs[pairs["comparison"] == comparison]
    if comparison != "same-estimator":
        others = rows.groupby("other", sort=False)
        found = [_card(f"against {other}", of_other) for other, of_other in others]
        return {"": found} if found else {}
    return {str(model): _task_cards(own) for model, own in rows.groupby("model", sort=False)}


def _task_cards(rows: DataFrame) -> list[dict[str, Any]]:
    found, by_task = [], dict(iter(rows.groupby("task")))
    for task in (task for task in TASKS if task in by_task):
        card, first = _card(TASKS[task], by_task[task]) | {"task": task}, by_task[task].iloc[0]
        later = rows[(rows["task"] == "fit") & (rows["dataset"] == first.dataset)]
        if task == "cold-fit":
            card["note"] = f"{first.label}; scikit-learn's code runs while kernels are compiled"
        elif task == "first-fit" and len(later):
            note = "no break-even: later fits are not faster"
            if (won := later["theirs"].iloc[0] - later["ours"].iloc[0]) > 0:
                n = 1 + max(0, math.ceil((first.ours - first.theirs) / won))
                note = f"break-even at {pluralize(n, 'fit')} in one process"
            card["note"] = f"{first.label}; {note}"
        found.append(card)
    return found


def _card(title: str, rows: DataFrame) -> dict[str, Any]:
    other, both = rows["other"].iloc[0], rows.dropna(subset="ratio").sort_values("ratio")
    wins, n = int(((rows["ratio"] > 1) | rows["theirs"].isna()).sum()), len(rows)
    if both.empty:
        head, verdict = (PRODUCT, "faster") if 2 * wins >= n else (other, "slower")
        head = f"only {head} reaches it in {max(wins, n - wins)} of {pluralize(n, 'case')}"
        return {"title": title, "head": head, "verdict": verdict}
    mean = geometric_mean(*(both[name].to_numpy() for name in ("ratio", "low", "high")))
    words = format_ratio(mean.ratio, mean.low or math.nan, mean.high or math.nan)
    head, _, interval = words.rstrip(")").partition(" (")
    ours, theirs = (2 ** both[name].map(math.log2).mean() for name in ("ours", "theirs"))
    ends = zip(both["ratio"].iloc[[0, -1]], both["label"].iloc[[0, -1]], strict=True)
    note = f"faster in {wins} of {pluralize(n, 'case')}: "
    note += " … ".join(f"{format_ratio(ratio)} ({label})" for ratio, label in ends)
    if len(both) < n:
        note += f"; only one of them reaches the target in {pluralize(n - len(both), 'case')}"
    return {
        "title": title, "head": head, "verdict": head.split()[-1], "interval": interval,
        "ours": format_duration(ours), "theirs": format_duration(theirs), "mean": mean,
        "words": words, "note": note if n > 1 else f"one case: {both['label'].iloc[0]}",
    }  # fmt: skip


def first_to_target(run: StoredRun) -> str:
    """Return in how many cases who is first, such as ``"JAX in 2, none in 1 of 3 cases"``."""
    rows = run.summary[run.summary["comparison"] != "same-estimator"]
    rows = rows.astype({"time_to_target_s": float})
    times = rows.groupby(["case_id", "implementation"])["time_to_target_s"].min().unstack()
    first = times.dropna(how="all").idxmin(axis=1).map(display_name)
    counts = first.reindex(times.index, fill_value="none").value_counts().items()
    said = ", ".join(f"{name} in {count}" for name, count in counts)
    return f"{said} of {pluralize(len(times), 'case')}"
