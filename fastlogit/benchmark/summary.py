"""The rows of summary.csv, derived from the other files of a run alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastlogit.benchmark.schema import BASELINES, SUMMARY_COLUMNS
from fastlogit.benchmark.statistics import paired_ratio
from fastlogit.models import MODELS

if TYPE_CHECKING:
    import pandas as pd

# The machine's rate that a network's products are held against, by dtype.
_LIMITS = {"float32": "sgemm_gflop_s", "float64": "dgemm_gflop_s"}
_KEYS = SUMMARY_COLUMNS[: SUMMARY_COLUMNS.index("n")]
_QUARTILES = [0.25, 0.5, 0.75]
_RATIO = ["speedup", "speedup_low", "speedup_high"]


def summarise(
    timings: "pd.DataFrame", curves: "pd.DataFrame", facts: Mapping[str, Any]
) -> "pd.DataFrame":
    """Return the summary of a run, a row for each case and implementation.

    What failed in a case has its status there and no figures. Of the facts in run.json it takes
    ``calibration``, ``take_s`` and ``target_loss``, as far as measured.
    """
    import pandas as pd

    to_target = _times_to_target(curves, facts.get("target_loss", {}))
    rows = []
    for case_id, case in timings.groupby("case_id", sort=False):
        groups = dict(iter(case.groupby("implementation", sort=False)))
        times = {name: repeat_times(group) for name, group in groups.items()}
        for name, group in groups.items():
            first, last = (group.iloc[end].to_dict() for end in (0, -1))
            row = {key: first[key] for key in _KEYS}
            row |= {"verified": last["verified"], "status": last["status"], "n": len(times[name])}
            if row["n"]:
                row["q1_s"], row["median_s"], row["q3_s"] = np.quantile(times[name], _QUARTILES)
                row["time_to_target_s"] = to_target.get((case_id, name))
                row |= _rates(first, row["median_s"], facts)
            baseline = BASELINES[row["comparison"]]  # none for another algorithm
            compared = baseline in times and baseline != name
            if compared and (ratio := paired_ratio(times[baseline], times[name])):
                row |= {"baseline": baseline} | dict(zip(_RATIO, ratio, strict=True))
            rows.append(row)
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)).astype({"batch_size": "Int64"})


def repeat_times(group: "pd.DataFrame") -> "pd.Series[float]":
    """Return an implementation's times in a case by repeat; none if it failed anywhere in it."""
    timed = group if (group["status"] == "ok").all() else group.iloc[:0]
    return timed.set_index("repeat")["time_s"].sort_index()


def _times_to_target(
    curves: "pd.DataFrame", target_losses: Mapping[str, float | None]
) -> dict[Any, float]:
    """Return by case and implementation the time to the target loss, unless they begin there."""
    targets = curves["case_id"].map(dict(target_losses)).astype(float)
    reached = curves[curves["train_loss"].astype(float) <= targets]
    begun_there = reached.loc[reached["epoch"] == 0, "case_id"]
    reached = reached[~reached["case_id"].isin(begun_there)]
    return dict(reached.groupby(["case_id", "implementation"])["elapsed_s"].min())


def _rates(first: Mapping[Any, Any], median_s: float, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was done in a second, and its share of what the machine can do."""
    samples, flops = (float(first[name] or np.nan) for name in ("samples", "flops"))
    if np.isnan(samples):  # its iterations are no passes over the rows
        return {}
    rates = {"samples_per_s": samples / median_s, "gflop_s": flops / median_s / 1e9}
    if np.isnan(flops):
        return rates
    if MODELS[first["model"]].has_hidden:
        limits = {each["threads"]: each for each in facts.get("calibration", ())}
        limit = limits.get(first["threads"], {}).get(_LIMITS[first["dtype"]], np.nan)
        return rates | {"limit_fraction": rates["gflop_s"] / limit}
    # A linear model does little but fetch the rows, so fetching them is its limit.
    take_s = facts.get("take_s", {}).get(first["case_id"], np.nan)
    return rates | {"limit_fraction": take_s / median_s}
