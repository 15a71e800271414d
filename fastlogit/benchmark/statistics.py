"""Ratios of times with 95 % intervals: of a case, of several cases, and of two runs.

A run's *repeats* of one number were measured side by side, so a ratio of two implementations is
taken over pairs of equal repeats, and the bootstrap draws pairs.

The *shift* of an implementation between two runs is the logarithm by which its time grew, less that
of the baseline in the same case: a machine that became slower has slowed both. Two runs of the same
code differ by more than their repeats tell, since code and rows lie elsewhere in each process, so
some variance is assumed from the outset, and what the repeats show is added. Of 20 ordered pairs
of runs of the same code on two cores under a load of 8, the assumed variance alone called 9 slower,
with that of the repeats none; a model a fifth slower is found on simulated idle machines all the
same. Medians or paired ratios of the repeats in place of the fastest ones raise false alarms in
about four times as many pairs.

References
----------
B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.
J. Chen and J. Revels, "Robust benchmarking in noisy environments", 2016, arXiv:1608.04295.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVEL, RESAMPLES = 0.95, 1000

# Standard deviations between runs of the same code: of a case alone, of a case among others, of
# all cases of a model in one process, and of what drifts, as a share of the drift.
CASE_SPREAD, POOLED_CASE_SPREAD, LAYOUT_SPREAD, DRIFT_SPREAD = 0.12, 0.03, 0.04, 0.25


class Interval(NamedTuple):
    """A ratio with its 95 % interval; the bounds are NaN where one pair is all there is."""

    ratio: float
    low: float
    high: float


class Shift(NamedTuple):
    """By how much the logarithm of a time grew between two runs."""

    value: float  # of the implementation, less that of the baseline
    drift: float  # of the baseline
    variance: float  # of the value, by what the repeats of either run differ
    rounds: int  # in how many processes each run has measured it


def paired_ratio(baseline: "pd.Series[float]", times: "pd.Series[float]") -> Interval | None:
    """Return how many times faster an implementation is than a baseline, from seconds by repeat.

    It is the ratio of medians with its percentile interval over resampled pairs of equal repeats;
    None if no repeat is in both.
    """
    repeats = baseline.index.intersection(times.index)
    if repeats.empty:
        return None
    theirs, ours = (np.asarray(side[repeats], np.float64) for side in (baseline, times))
    ratio = float(np.median(theirs) / np.median(ours))
    if len(repeats) < 2:
        return Interval(ratio, np.nan, np.nan)
    pairs = _resampled(len(repeats))
    return _percentiles(ratio, np.median(theirs[pairs], axis=1) / np.median(ours[pairs], axis=1))


def geometric_mean(ratios: "Floats", low: "Floats", high: "Floats") -> Interval:
    """Return the geometric mean of ratios, given with their bounds or NaN, over resampled cases."""
    logs = np.log(ratios)
    centre = float(np.exp(logs.mean()))
    if len(logs) < 2:
        return Interval(centre, float(low[0]), float(high[0]))
    # Few cases may agree by chance more closely than each of them is known.
    errors = np.nan_to_num(np.log(high / low) / (2 * _quantile()))
    noise = errors * np.random.default_rng(1).standard_normal((RESAMPLES, len(logs)))
    chosen = _resampled(len(logs))
    means = (logs[chosen] + np.take_along_axis(noise, chosen, axis=1)).mean(axis=1)
    return _percentiles(centre, np.exp(means))


def shift(base: "Floats", new: "Floats", rounds: int) -> Shift:
    """Return the shift of an implementation between two runs, each made in so many rounds.

    Each has two rows of seconds, the implementation's and the baseline's, a column per repeat.
    """
    logs = np.log(base), np.log(new)
    own, drift = _fastest(logs[1]) - _fastest(logs[0])
    variance = 0.0
    for seed, run in enumerate(logs):
        own_draws, drift_draws = _fastest(run[:, _resampled(run.shape[1], seed)])
        variance += float((own_draws - drift_draws).var())
    return Shift(float(own - drift), float(drift), variance, rounds)


def single_interval(one: Shift, spread: float, tests: int) -> Interval:
    """Return the slowdown of a case, where cases differ by `spread` from others of their models.

    The interval holds for as many cases as there are `tests` together, by Bonferroni's correction.
    """
    variance = max(CASE_SPREAD, spread) ** 2 + one.variance
    return _interval(one.value, one.drift, variance, tests)


def pooled_interval(shifts: Sequence[Shift]) -> Interval:
    """Return the typical slowdown of several cases, such as all of one model.

    It is their Hodges-Lehmann estimate, the median of the means of all pairs, which one case alone
    hardly moves.
    """
    values, drifts, repeats, rounds = np.array(shifts).T
    first, second = np.triu_indices(len(values))
    centre = float(np.median((values[first] + values[second]) / 2))
    cases = max(float(values.var(ddof=1)), POOLED_CASE_SPREAD**2) / len(values)
    # What disturbs a round disturbs all cases alike, and no number of them averages it out.
    common = max(LAYOUT_SPREAD**2 / rounds.min(), float(np.median(repeats)))
    return _interval(centre, float(np.median(drifts)), cases + common)


def robust_spread(deviations: Sequence[float]) -> float:
    """Return the standard deviation of normal values with the same median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(deviations))) if len(deviations) else 0.0


def verdict(low: float, high: float, threshold: float) -> str:
    """Return what an interval says about a slowdown of more than a threshold, such as 0.05.

    It is "slower" or "faster" if the whole interval is beyond the threshold, "within" if no more
    than the threshold is possible, else "inconclusive".
    """
    if low > 1 + threshold:
        return "slower"
    if high < 1 / (1 + threshold):
        return "faster"
    return "within" if high <= 1 + threshold else "inconclusive"


def _fastest(logs: "Floats") -> "Floats":
    """Return the mean of the fastest quarter: other programs only ever add to a time."""
    kept = -(-logs.shape[-1] // 4)
    return np.asarray(np.sort(logs, axis=-1)[..., :kept].mean(axis=-1))


def _interval(centre: float, drift: float, variance: float, tests: int = 1) -> Interval:
    half = _quantile(tests) * float(np.sqrt(variance + (DRIFT_SPREAD * drift) ** 2))
    return Interval(*np.exp([centre, centre - half, centre + half]).tolist())


def _quantile(tests: int = 1) -> float:
    return NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / tests)


def _resampled(n: int, seed: int = 0) -> "NDArray[np.int64]":
    return np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))


def _percentiles(ratio: float, draws: "Floats") -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(ratio, float(low), float(high))
