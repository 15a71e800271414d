"""By how much times shifted between two runs, and how sure one may be of it.

A *shift* is the logarithm of the ratio NEW over BASE, so a slowdown of 5 % is a shift of 0.049.

The floor of the repeats
    Other tenants of a machine only ever add to a time, now and then a multiple of it, so a
    contender's time in a cell is taken as the least of its repeats (Chen and Revels); with n
    repeats in one run and m < n in the other, as the expected least of m drawn from the n, since
    a minimum falls with the number of tries. How well that floor is established is measured by the
    bootstrap: repeats are drawn with replacement, in both runs independently, those of a
    contender and its baseline by the pair.

The spread between runs
    Two runs of the same code differ by more than their repeats tell: addresses, clocks, one long
    spell of a neighbour. The cells of one contender and model estimate that spread: what their
    shifts differ by, beyond the bootstrap's share, is its variance s² (the variance-component
    estimator of Hedges and Olkin, as in a random-effects meta-analysis). Few cells estimate it
    badly, so it is moderated by a prior (Smyth): s² = (d₀s₀² + d s²) / (d₀ + d) on d₀ + d degrees
    of freedom. A cell is judged by the spread of the others (externally studentised), so its own
    regression does not hide it; but never by less than `LAYOUT`, as every cell has its tail. No
    number of cells averages out what a whole run has in common: `SHARED` is added for that, and
    `TRANSFER` of what was divided out.

Many at once
    The intervals hold together with 95 %: Student's t at 0.05 / (2 m) for m intervals (Bonferroni),
    half of the error for the cells and half for the pools.
    The cells of a model are pooled as well, since a slow kernel hits all of them: by the median,
    with the spread from the median absolute deviation, so that a neighbour's spell over some of
    them costs no certainty about the others.

References
----------
J. Chen and J. Revels, "Robust benchmarking in noisy environments", 2016, arXiv:1608.04295.
L. V. Hedges and I. Olkin, "Statistical Methods for Meta-Analysis", 1985, chapter 9.
G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression",
Statistical Applications in Genetics and Molecular Biology 3 (1), 2004.
B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "LAYOUT",
    "LEVEL",
    "PRIOR_DOF",
    "PRIOR_SPREAD",
    "RESAMPLES",
    "SHARED",
    "TRANSFER",
    "Estimates",
    "consensus",
    "floor",
    "log_floors",
]

LEVEL = 0.95
RESAMPLES = 1000

# Where little is known, shifts of a cell between runs of the same code are taken to have a standard
# deviation of 2 %, and 1 % to be common to a whole run.
PRIOR_SPREAD, PRIOR_DOF = 0.02, 8
SHARED = 0.01

# But one cell alone may differ by a third, in all repeats of a round and with NumPy's times unmoved
# (logistic on digits, 1.3 against 1.7 ms): a process reads its rows from where they came to lie.
LAYOUT = 0.1

# What slows one contender by 10 % slows another by 7.5 to 12.5 %.
TRANSFER = 0.25

# Of a normal distribution: what makes the median absolute deviation a standard deviation, and the
# share of the values that it uses as well as the standard deviation would.
_MAD_TO_SD, _MAD_EFFICIENCY = 1.4826, 0.37


def floor(times: Floats, draws: int) -> Floats:
    """Give the expected minimum of `draws` of the n times, drawn without replacement.

    Parameters
    ----------
    times : ndarray of shape (..., n)
        Repeats of the same work.
    draws : int
        From 1, which gives the mean, to n, which gives the minimum.

    Returns
    -------
    ndarray of shape (...)
        Σ x₍ᵢ₎ C(n − i, draws − 1) / C(n, draws) over the sorted times.
    """
    n = times.shape[-1]
    weights = np.array([comb(n - i, draws - 1) for i in range(1, n + 1)]) / comb(n, draws)
    return np.asarray(np.sort(times, axis=-1) @ weights)


def log_floors(times: Floats, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Give the logarithms of floors and those of their bootstrap resamples.

    Parameters
    ----------
    times : ndarray of shape (k, n)
        Repeats of k contenders; those in one column were measured side by side and stay together.
    draws, seed : int
        As for `floor`, and where the resampling starts.

    Returns
    -------
    point : ndarray of shape (k,)
    resampled : ndarray of shape (k, RESAMPLES)
    """
    n = times.shape[-1]
    chosen = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    return np.log(floor(times, draws)), np.log(floor(times[:, chosen], draws))


@dataclass(frozen=True)
class Estimates:
    """Shifts of many cells by one way of measuring them.

    Attributes
    ----------
    shift : ndarray of shape (n,)
        Of each cell and contender; NaN where it cannot be measured this way.
    variance : ndarray of shape (n,)
        What the repeats alone say of its variance.
    common : ndarray of shape (n,)
        Variance of what was subtracted from several cells alike, which no pooling lessens.
    """

    shift: Floats
    variance: Floats
    common: Floats

    def spread(
        self, groups: list[NDArray[np.intp]], left_out: int | None = None
    ) -> tuple[float, float]:
        """Estimate the variance between runs, and its degrees of freedom.

        Parameters
        ----------
        groups : list of ndarray of int
            Positions of cells that would shift alike, were it not for that variance.
        left_out : int, optional
            A position that is to be judged by the others.
        """
        excess, dof = 0.0, 0
        for group in groups:
            members = group[(group != left_out) & np.isfinite(self.shift[group])]
            if len(members) > 1:
                dof += len(members) - 1
                explained = self.variance[members].mean()
                excess += (len(members) - 1) * (self.shift[members].var(ddof=1) - explained)
        return _moderated(max(excess, 0.0) / dof if dof else 0.0, dof)

    def of_one(
        self, position: int, groups: list[NDArray[np.intp]], tests: int
    ) -> tuple[float, float]:
        """Give the bounds of a cell's shift, if `tests` intervals are to hold together."""
        between, dof = self.spread(groups, position)
        variance = self.variance[position] + max(between, LAYOUT**2)
        half = self._half_width(variance, np.array([position]), dof, tests)
        shift = float(self.shift[position])
        return shift - half, shift + half

    def of_many(
        self, members: NDArray[np.intp], groups: list[NDArray[np.intp]], tests: int
    ) -> tuple[float, float]:
        """Give the bounds of the median shift of some cells.

        Of an even number of cells there are two medians, and the bounds are those of both: one
        of two cells may be the one whose memory lies badly.
        """
        members = members[np.isfinite(self.shift[members])]
        n = len(members)
        if n < 2:
            return self.of_one(members[0], groups, tests) if n else (np.nan, np.nan)
        between, dof = self.robust_spread(groups)
        one = max(between, float(np.median(self.variance[members])))
        half = self._half_width(_median_variance(one, n), members, dof, tests)
        ordered = np.sort(self.shift[members])
        return float(ordered[(n - 1) // 2]) - half, float(ordered[n // 2]) + half

    def _half_width(
        self, variance: float, members: NDArray[np.intp], dof: float, tests: int
    ) -> float:
        common = float(np.median(self.common[members]))
        return _quantile(dof, tests) * float(np.sqrt(variance + common + SHARED**2))

    def robust_spread(self, groups: list[NDArray[np.intp]]) -> tuple[float, float]:
        """Estimate the variance of a cell's shift within its group, and its degrees of freedom.

        From the median of the absolute deviations from the groups' medians, the least of each
        group left out: as many are next to nothing by construction.
        """
        finite = [group[np.isfinite(self.shift[group])] for group in groups]
        shifts = [self.shift[group] for group in finite if len(group)]
        deviations = [np.abs(group - np.median(group)) for group in shifts]
        kept = np.sort(np.concatenate([np.empty(0), *deviations]))[len(deviations) :]
        spread = _MAD_TO_SD * float(np.median(kept)) if len(kept) else 0.0
        return _moderated(spread**2, _MAD_EFFICIENCY * len(kept))


def consensus(shifts: Floats) -> tuple[float, float]:
    """Give the median of some witnesses' shifts and its variance; NaN of none.

    A shift that is NaN is no witness.

    The spread comes from the median absolute deviation: one disturbed witness must not speak for
    the others.
    """
    shifts = shifts[np.isfinite(shifts)]
    n = len(shifts)
    if n == 0:
        return float("nan"), float("nan")
    centre = float(np.median(shifts))
    spread = _MAD_TO_SD * float(np.median(np.abs(shifts - centre)))
    variance, _ = _moderated(spread**2, _MAD_EFFICIENCY * (n - 1))
    return centre, _median_variance(variance, n)


def _moderated(variance: float, dof: float) -> tuple[float, float]:
    """Weigh an estimated variance against the prior; give it with its degrees of freedom."""
    total = PRIOR_DOF + dof
    return (PRIOR_DOF * PRIOR_SPREAD**2 + dof * variance) / total, total


def _median_variance(variance: float, n: int) -> float:
    """Give the variance of the median of n normal values; of two it is their mean's."""
    return (np.pi / 2 if n > 2 else 1.0) * variance / n


def _quantile(dof: float, tests: int) -> float:
    from scipy import stats

    student: Any = stats.t
    return float(student.ppf(1 - (1 - LEVEL) / 2 / tests, dof))
