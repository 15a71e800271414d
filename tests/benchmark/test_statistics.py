"""Ratios with intervals, against figures by hand and against what is true by construction."""

import math

import numpy as np
import pandas as pd
import pytest

from fastlogit.benchmark.statistics import (
    geometric_mean,
    paired_ratio,
    pooled_interval,
    robust_spread,
    shift,
    single_interval,
    verdict,
)


def test_a_paired_ratio_covers_the_true_one_about_95_times_in_100():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        noise = rng.lognormal(sigma=0.1, size=(2, 20))
        _, low, high = paired_ratio(pd.Series(3.0 * noise[0]), pd.Series(noise[1]))
        covered += low <= 3.0 <= high
    assert 176 <= covered <= 199  # 95 % of 200 is 190, the standard deviation 3


def test_shared_noise_does_not_widen_a_paired_ratio():
    drift = pd.Series(np.linspace(1.0, 3.0, 11))
    assert paired_ratio(4.0 * drift, drift) == pytest.approx((4.0, 4.0, 4.0))


def test_a_paired_ratio_is_over_the_repeats_that_both_have():
    theirs, ours = pd.Series({0: 9.0, 1: 6.0}), pd.Series({1: 2.0, 2: 1.0})
    ratio, low, high = paired_ratio(theirs, ours)
    assert ratio == 3.0
    assert math.isnan(low)
    assert math.isnan(high)
    assert paired_ratio(theirs, ours[[2]]) is None


def test_a_geometric_mean_lies_between_its_cases():
    ratios = np.array([1.0, 2.0, 4.0, 2.0])
    ratio, low, high = geometric_mean(ratios, ratios, ratios)
    assert ratio == pytest.approx(2.0)
    assert 1.0 <= low < 2.0 < high <= 4.0


def test_cases_that_agree_are_known_no_better_than_each_of_them_is():
    ratios = np.array([2.0, 2.0])
    _, low, high = geometric_mean(ratios, ratios / 1.2, ratios * 1.2)
    assert low < 2.0 / 1.05
    assert high > 2.0 * 1.05


def test_the_mean_of_one_case_is_the_case():
    one = (np.array([2.0]), np.array([1.5]), np.array([3.0]))
    assert geometric_mean(*one) == pytest.approx((2.0, 1.5, 3.0))


def test_a_shift_is_what_the_baseline_does_not_share():
    base = np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 6.0]])
    found = shift(base, base * [[1.5], [1.25]], rounds=2)
    assert found.value == pytest.approx(np.log(1.2))
    assert found.drift == pytest.approx(np.log(1.25))
    assert found.rounds == 2
    assert shift(base * 3, base * 3, 1)._replace(variance=0) == pytest.approx((0, 0, 0, 1))


def test_slow_repeats_move_no_shift():
    base = np.ones((2, 8))
    disturbed = base.copy()
    disturbed[0, 3:] = 4.0
    assert shift(base, disturbed, rounds=4).value == 0.0


def test_repeats_that_differ_widen_the_interval_of_a_case():
    steady, uneven = np.ones((2, 2)), np.array([[1.0, 3.0], [1.0, 1.0]])
    intervals = [single_interval(shift(run, run, 1), 0.0, tests=1) for run in (steady, uneven)]
    assert [each.ratio for each in intervals] == pytest.approx([1.0, 1.0])
    assert intervals[1].high > intervals[0].high * 1.2
    assert single_interval(shift(steady, steady, 1), 0.0, tests=90).high > intervals[0].high
    assert single_interval(shift(steady, steady, 1), 0.5, tests=1).high > 2


def test_one_case_alone_hardly_moves_its_pool():
    calm = np.ones((2, 4))
    alike = [shift(calm, calm * [[1.1], [1.0]], 2)] * 6
    far = shift(calm, calm * [[3.0], [1.0]], 2)
    assert pooled_interval(alike).ratio == pytest.approx(1.1)
    assert pooled_interval([*alike, far]).ratio == pytest.approx(1.1)
    assert pooled_interval([*alike, far]).high > pooled_interval(alike).high


@pytest.mark.parametrize("what", ["rounds", "cases", "drift"])
def test_a_pool_is_known_better_from(what):
    calm = np.ones((2, 4))
    few = [shift(calm, calm, 1)] * 2
    more = {"rounds": [shift(calm, calm, 5)] * 2, "cases": few * 4, "drift": few}[what]
    worse = [shift(calm, calm * 1.5, 1)] * 2 if what == "drift" else few
    assert pooled_interval(more).high < pooled_interval(worse).high


def test_the_spread_is_that_of_most_deviations():
    normal = np.random.default_rng(0).normal(0, 0.1, 400)
    assert robust_spread([*normal, 50.0, -80.0]) == pytest.approx(0.1, rel=0.15)
    assert robust_spread([]) == 0.0


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (1.06, 1.3, "slower"), (1.04, 1.3, "inconclusive"), (0.9, 1.05, "within"),
        (0.9, 1.06, "inconclusive"), (0.7, 0.95, "faster"), (0.7, 0.96, "within"),
    ],
)  # fmt: skip
def test_the_verdict_on_five_per_cent(low, high, word):
    assert verdict(low, high, 0.05) == word
