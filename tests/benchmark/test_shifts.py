from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fastlogit.benchmark import shifts
from fastlogit.benchmark.shifts import Estimates, consensus, floor, log_floors

TIMES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=7)


def estimates(shift, variance=0.0, common=0.0):
    shift = np.array(shift, float)
    return Estimates(shift, np.full(len(shift), variance), np.full(len(shift), common))


@given(TIMES, st.data())
def test_the_floor_is_the_mean_of_the_least_over_all_draws(times, data):
    draws = data.draw(st.integers(1, len(times)))
    least = [min(chosen) for chosen in combinations(times, draws)]
    assert floor(np.array(times), draws) == pytest.approx(np.mean(least), rel=1e-12)


def test_more_repeats_do_not_lower_the_floor():
    rng = np.random.default_rng(0)
    few, many = rng.exponential(size=(2, 20000, 10))
    assert few.min(axis=1).mean() == pytest.approx(0.1, rel=0.03)
    assert floor(few, 5).mean() == pytest.approx(floor(many[:, :5], 5).mean(), rel=0.03)


def test_the_bootstrap_of_a_minimum_has_its_known_distribution():
    times = np.exp(np.arange(5.0))[None]
    point, resampled = log_floors(times, 5, seed=0)
    assert point == pytest.approx([0.0])
    for i in range(5):
        # All draws are from the last 5 − i values, but not all from the 4 − i after it.
        expected = ((5 - i) / 5) ** 5 - ((4 - i) / 5) ** 5
        assert np.isclose(resampled, i).mean() == pytest.approx(expected, abs=0.05)


def test_columns_are_resampled_together():
    times = np.array([[1.0, 2.0, 3.0, 4.0]]) * np.array([[1.0], [3.0]])
    point, resampled = log_floors(times, 4, seed=1)
    assert resampled.shape == (2, shifts.RESAMPLES)
    assert point[1] - point[0] == pytest.approx(log(3))
    assert resampled[1] - resampled[0] == pytest.approx(log(3))


def test_the_same_seed_gives_the_same_resamples():
    times = np.random.default_rng(0).exponential(size=(1, 6))
    first, again, other = (log_floors(times, 6, seed)[1] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_the_spread_is_the_variance_of_the_cells_beyond_their_own():
    rng = np.random.default_rng(0)
    groups = list(np.arange(4000).reshape(400, 10))
    shift = np.repeat(rng.normal(size=400), 10) + rng.normal(0, 0.3, 4000)
    variance, dof = estimates(shift, variance=0.05).spread(groups)
    assert variance == pytest.approx(0.09 - 0.05, rel=0.05)
    assert dof == 3600 + shifts.PRIOR_DOF
    robust, _ = estimates(shift).robust_spread(groups)
    assert robust == pytest.approx(0.09, rel=0.1)


def test_without_other_cells_the_spread_is_the_prior():
    for view, groups in ((estimates([0.3]), [np.array([0])]), (estimates([np.nan] * 2), [])):
        for spread in (view.spread, view.robust_spread):
            assert spread(groups) == (pytest.approx(0.02**2), 8)


def test_a_few_disturbed_cells_do_not_widen_what_is_said_of_a_model():
    rng = np.random.default_rng(1)
    groups = list(np.arange(40).reshape(4, 10))
    calm = rng.normal(0, 0.01, 40)
    disturbed = calm.copy()
    disturbed[::10] += 2.0
    widths = [np.diff(estimates(s).of_many(groups[1], groups, 10)) for s in (calm, disturbed)]
    assert widths[1] < 1.5 * widths[0]


def test_a_cell_is_judged_by_the_others():
    groups = [np.arange(5), np.arange(5, 10)]
    for outlier in (0.0, 5.0):
        shift = np.zeros(10)
        shift[0] = outlier
        low, high = estimates(shift).of_one(0, groups, 4)
        width = stats.t.ppf(1 - 0.025 / 4, 8 + 7) * np.hypot(shifts.LAYOUT, shifts.SHARED)
        assert (low, high) == pytest.approx((outlier - width, outlier + width))


def test_a_pool_takes_the_middle_one_and_of_an_even_number_both():
    groups = [np.arange(3), np.arange(3, 7)]
    view = estimates([0.1, 0.5, 0.2, 1.0, 2.0, 3.0, 4.0])
    low, high = view.of_many(groups[0], groups, 1)
    assert low + high == pytest.approx(0.4)
    low, high = view.of_many(groups[1], groups, 1)
    assert (low + high) / 2 == pytest.approx(2.5)
    centre = estimates([0.1, 0.5, 0.2, 2.5, 2.5, 2.5, 2.5]).of_many(groups[1], groups, 1)
    assert high - low > 1.0 + np.diff(centre)


def test_what_is_common_is_not_averaged_out():
    groups = [np.arange(1000)]
    low, high = estimates(np.zeros(1000), common=0.04).of_many(groups[0], groups, 1)
    assert high - low == pytest.approx(2 * 1.96 * 0.2, rel=0.03)


def test_a_pool_of_one_is_a_cell_and_of_none_is_nothing():
    view = estimates([0.3, np.nan])
    groups = [np.arange(2)]
    assert view.of_many(groups[0], groups, 3) == view.of_one(0, groups, 3)
    assert np.isnan(view.of_many(np.array([1]), groups, 3)).all()


def test_bounds_hold_together_in_95_of_100_runs():
    """Simulated runs of the same code by the model behind the intervals."""
    rng = np.random.default_rng(2)
    groups = list(np.arange(28).reshape(4, 7))
    broken = 0
    for _ in range(300):
        shift = rng.normal(0, 0.02, 28) + np.repeat(rng.normal(0, shifts.SHARED, 4), 7)
        bounds = [estimates(shift).of_many(group, groups, 4) for group in groups]
        broken += any(not low <= 0 <= high for low, high in bounds)
    assert broken <= 25  # 5 % of 300 is 15, the standard deviation below 4


def test_witnesses_agree_on_their_median():
    centre, variance = consensus(np.array([0.1, 0.11, 0.12, np.nan, -3.0]))
    assert centre == pytest.approx(0.105)
    assert variance < 0.02**2
    assert np.isnan(consensus(np.array([np.nan]))).all()
    assert np.isnan(consensus(np.empty(0))).all()
    assert consensus(np.array([0.2])) == (0.2, pytest.approx(0.02**2))


def test_witnesses_who_disagree_say_little():
    spread = np.array([-0.5, -0.2, 0.0, 0.3, 0.6])
    assert consensus(spread)[1] > 10 * consensus(0.01 * spread)[1]
