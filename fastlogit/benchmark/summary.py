"""summary.csv: one row a case and contender, derived from the other files of a run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fastlogit.benchmark.contenders import BASELINE
from fastlogit.benchmark.gather import gather_bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "SUMMARY_COLUMNS",
    "begun_at_target",
    "bootstrap_ratio",
    "first_calls",
    "paired_ratio",
    "repeat_times",
    "summarise",
    "times_to_target",
]

SUMMARY_COLUMNS = (
    "model",
    "dataset",
    "impl",
    "division",
    "solver",
    "batch_size",
    "dtype",
    "threads",
    "n",
    "median_s",
    "q1_s",
    "q3_s",
    "samples_per_s",
    "gflop_s",
    "limit_fraction",
    "speedup_vs_numpy",
    "speedup_low",
    "speedup_high",
    "time_to_target_s",
    "verified",
    "status",
)

# The product rate of the machine that a network's arithmetic is held against, by dtype.
_LIMITS = {"float32": "sgemm_gflop_s", "float64": "dgemm_gflop_s"}

_RESAMPLES = 2000


def summarise(
    timings: pd.DataFrame,
    calibration: Sequence[dict[str, Any]] = (),
    gathers: Mapping[str, float] | None = None,
    curves: pd.DataFrame | None = None,
    target_losses: Mapping[str, float | None] | None = None,
) -> pd.DataFrame:
    """Derive the summary from a run's rows.

    Parameters
    ----------
    timings : DataFrame
        The rows of timings.csv, as `fastlogit.benchmark.results.read_timings` gives them.
    calibration : sequence of dict
        ``calibration`` of run.json: the machine's own limits at each number of threads.
    gathers : mapping of str to float, optional
        ``gather_s`` of run.json: by cell_id, the seconds of gathering a linear model's rows.
    curves : DataFrame, optional
        The rows of curves.csv.
    target_losses : mapping of str to float, optional
        ``target_loss`` of run.json: by cell_id, the loss that counts as reached.

    Returns
    -------
    DataFrame
        The columns of `SUMMARY_COLUMNS`, in the order the contenders were measured. A contender
        that failed in a case has its status there and no figures.
    """
    limits = {
        (rates["threads"], dtype): rates[key]
        for rates in calibration
        for dtype, key in _LIMITS.items()
    }
    to_target = times_to_target(curves, target_losses or {})
    rows = []
    for cell_id, cell in timings.groupby("cell_id", sort=False):
        baseline = repeat_times(cell[cell["impl"] == BASELINE])
        for impl, group in cell.groupby("impl", sort=False):
            row = _row(group, baseline, limits, gathers or {})
            if row["n"]:
                row["time_to_target_s"] = to_target.get((cell_id, impl))
            rows.append(row)
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def times_to_target(
    curves: pd.DataFrame | None, target_losses: Mapping[str, float | None]
) -> dict[Any, float]:
    """Give the least time at which a curve is at its cell's target, by cell and contender.

    One that never is there is left out, and so are all where the parameters that training starts
    from are there already. A cell has one seed, and so a contender one curve in it.
    """
    if curves is None:
        return {}
    reached = _at_target(curves, target_losses)
    reached = reached[~reached["cell_id"].isin(begun_at_target(curves, target_losses))]
    return reached.groupby(["cell_id", "impl"])["elapsed_s"].min().to_dict()


def begun_at_target(curves: pd.DataFrame, target_losses: Mapping[str, float | None]) -> set[str]:
    """Name the cells whose target the parameters that training starts from meet already."""
    reached = _at_target(curves, target_losses)
    return set(reached.loc[reached["epoch"] == 0, "cell_id"])


def _at_target(curves: pd.DataFrame, target_losses: Mapping[str, float | None]) -> pd.DataFrame:
    targets = curves["cell_id"].map(dict(target_losses)).astype(float)
    return curves[curves["train_loss"] <= targets]


def first_calls(timings: pd.DataFrame) -> pd.Series[float]:
    """Give the seconds of each contender's first call in a process, by impl and model.

    Of a model's cells the first one measured compiles or loads what all later ones find loaded, so
    it is the longest of theirs. The package's own solvers find loaded, besides, what the kernels
    had to load: theirs is no less than numba's.
    """
    calls = timings.groupby(["impl", "model"], sort=False)["compile_s"].max().astype(float)
    for impl, model in calls.index:
        if impl.startswith("fastlogit-") and ("numba", model) in calls:
            calls[impl, model] = np.fmax(calls[impl, model], calls["numba", model])
    return calls


def repeat_times(group: pd.DataFrame) -> pd.Series[float]:
    """Give the times of a contender in a cell by repeat; none if it failed anywhere in it."""
    timed = group if (group["status"] == "ok").all() else group.iloc[:0]
    return timed.set_index("repeat")["time_s"]


def _row(
    group: pd.DataFrame,
    baseline: pd.Series[float],
    limits: dict[tuple[int, str], float],
    gathers: Mapping[str, float],
) -> dict[str, Any]:
    first, last = group.iloc[0], group.iloc[-1]
    names = SUMMARY_COLUMNS[: SUMMARY_COLUMNS.index("n")]
    row: dict[str, Any] = {name: first[name] for name in names}
    times = repeat_times(group)
    row |= {"n": len(times), "verified": last["verified"], "status": last["status"]}
    if times.empty:
        return row
    row["q1_s"], row["median_s"], row["q3_s"] = np.quantile(times, [0.25, 0.5, 0.75])
    if pd.notna(first["samples"]):  # else its iterations are no passes over the rows
        row |= _rates(first, row["median_s"], limits, gathers)
    if first["impl"] == BASELINE or first["division"] == "open":
        return row  # another algorithm's epochs are other work: no ratio of the two
    ratio = paired_ratio(baseline, times)
    if ratio is not None:
        row["speedup_vs_numpy"], row["speedup_low"], row["speedup_high"] = ratio
    return row


def _rates(
    first: pd.Series,
    median_s: float,
    limits: dict[tuple[int, str], float],
    gathers: Mapping[str, float],
) -> dict[str, Any]:
    """Give what was done a second, and its share of what the machine can do."""
    gflop_s = first["flops"] / median_s / 1e9
    if gather_bound(first["model"]):
        gather = gathers.get(first["cell_id"])
        fraction = gather / median_s if gather else None
    else:
        limit = limits.get((first["threads"], first["dtype"]))
        fraction = gflop_s / limit if limit else None
    samples_per_s = first["samples"] / median_s
    return {"samples_per_s": samples_per_s, "gflop_s": gflop_s, "limit_fraction": fraction}


def paired_ratio(
    baseline: pd.Series[float], times: pd.Series[float]
) -> tuple[float, float | None, float | None] | None:
    """Give `bootstrap_ratio` over the repeats that both have, None without any.

    Parameters
    ----------
    baseline, times : Series
        Seconds by repeat, of a baseline and of a contender: equal repeats ran side by side.
    """
    paired = baseline.index.intersection(times.index)
    if paired.empty:
        return None
    theirs, ours = (np.asarray(side[paired], np.float64) for side in (baseline, times))
    return bootstrap_ratio(theirs, ours)


def bootstrap_ratio(
    baseline: NDArray[np.float64], times: NDArray[np.float64], seed: int = 0
) -> tuple[float, float | None, float | None]:
    """Give the ratio of medians and its 95 % interval over resampled pairs.

    Parameters
    ----------
    baseline, times : ndarray of shape (n,)
        Times of the baseline and of a contender; equal positions were measured side by side.
    seed : int, default=0
        Seed of the resampling, so that a summary can be regenerated to the digit.

    Returns
    -------
    ratio, low, high : float
        The interval is None for fewer than two pairs: one pair says nothing about the spread.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: the
    percentile interval.
    """
    ratio = float(np.median(baseline) / np.median(times))
    if len(times) < 2:
        return ratio, None, None
    pairs = np.random.default_rng(seed).integers(len(times), size=(_RESAMPLES, len(times)))
    ratios = np.median(baseline[pairs], axis=1) / np.median(times[pairs], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return ratio, float(low), float(high)
