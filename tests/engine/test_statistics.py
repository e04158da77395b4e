"""Intervals: numbers by hand, coverage, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchbed.statistics import identity_groups, jackknife_interval, weighted_mean_interval


def names(count: int) -> list[str]:
    return [f"person-{index}" for index in range(count)]


def test_with_equal_weights_the_interval_is_the_classic_t_interval_of_identity_means():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(12, 3))
    identities = np.repeat(names(12), 3)
    estimate = weighted_mean_interval(values.ravel(), np.full(36, 16), identities)
    means = values.mean(axis=1)
    low, high = stats.t.interval(0.95, 11, means.mean(), stats.sem(means))
    assert estimate.method == "student-t" and estimate.n_identities == 12
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (means.mean(), low, high), rel=1e-12
    )


def test_two_identities_of_unequal_weight_by_hand():
    estimate = weighted_mean_interval([1.0, 4.0], [1, 3], ["a", "b"])
    # Value 13/4; residuals 1 - 13/4 = -9/4 and 3 (4 - 13/4) = 9/4; error sqrt(2 (81/16 + 81/16)) / 4 = 9/8.
    assert estimate.value == 3.25
    half = stats.t.ppf(0.975, 1) * 9 / 8
    assert (estimate.low, estimate.high) == pytest.approx((3.25 - half, 3.25 + half), rel=1e-12)


def test_the_value_weighs_clips_by_their_frames():
    estimate = weighted_mean_interval([0.0, 1.0, 1.0], [10, 20, 10], ["a", "b", "b"])
    assert estimate.value == 0.75
    assert estimate.n_identities == 2


@pytest.mark.parametrize(("count", "method"), [(29, "student-t"), (30, "bootstrap-bca")])
def test_thirty_identities_are_enough_for_the_bootstrap(count, method):
    values = np.random.default_rng(1).normal(size=count)
    assert weighted_mean_interval(values, np.ones(count), names(count)).method == method


@pytest.mark.parametrize("count", [8, 40])
def test_the_order_of_the_cases_changes_nothing(count):
    generator = np.random.default_rng(2)
    values, weights = generator.normal(size=3 * count), generator.integers(1, 20, 3 * count)
    identities = np.tile(names(count), 3)
    order = generator.permutation(3 * count)
    first = weighted_mean_interval(values, weights, identities)
    assert first == weighted_mean_interval(values[order], weights[order], identities[order])


@pytest.mark.parametrize("count", [2, 10, 40])
def test_equal_values_have_an_interval_of_no_width(count):
    # Weighted sums of 0.3 round in the last digit.
    estimate = weighted_mean_interval(np.full(count, 0.3), np.arange(1, count + 1), names(count))
    assert estimate.low == pytest.approx(0.3, abs=1e-15)
    assert estimate.high == pytest.approx(0.3, abs=1e-15)


def test_zeros_have_an_interval_of_exactly_zero():
    for count in (5, 40):
        estimate = weighted_mean_interval(np.zeros(count), np.ones(count), names(count))
        assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_one_identity_has_a_value_and_no_interval():
    estimate = weighted_mean_interval([1.0, 3.0], [1, 1], ["a", "a"])
    assert estimate.value == 2.0 and estimate.n_identities == 1 and estimate.method == "none"
    assert math.isnan(estimate.low) and math.isnan(estimate.high)


def test_cases_without_a_score_are_left_out_and_nothing_scored_is_no_number():
    estimate = weighted_mean_interval([1.0, math.nan, 3.0, 9.0], [1, 1, 1, 0], ["a", "b", "c", "d"])
    assert estimate.value == 2.0 and estimate.n_identities == 2
    nothing = weighted_mean_interval([math.nan], [1], ["a"])
    assert math.isnan(nothing.value) and nothing.n_identities == 0


def test_an_infinite_value_has_no_interval():
    estimate = weighted_mean_interval([math.inf, math.inf], [1, 1], ["a", "b"])
    assert estimate.value == math.inf and math.isnan(estimate.low)


def test_the_seed_fixes_the_bootstrap():
    values = np.random.default_rng(3).gamma(1.0, size=60)
    first = weighted_mean_interval(values, np.ones(60), names(60), seed=1)
    assert first == weighted_mean_interval(values, np.ones(60), names(60), seed=1)
    other = weighted_mean_interval(values, np.ones(60), names(60), seed=2)
    # 10,000 resamples fix a bound to about a hundredth of the width.
    assert other.low != first.low
    assert other.low == pytest.approx(first.low, abs=0.03 * (first.high - first.low))


def test_the_bootstrap_agrees_with_that_of_scipy():
    values = np.random.default_rng(4).gamma(2.0, size=50)
    ours = weighted_mean_interval(values, np.ones(50), names(50))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    width = theirs.high - theirs.low
    # Two independent sets of 10,000 resamples.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


@pytest.mark.parametrize("count", [10, 40])
def test_intervals_cover_the_truth_as_often_as_they_say(count):
    generator = np.random.default_rng(6)
    repetitions, clips = 400, 3
    identities = np.repeat(names(count), clips)
    hits = 0
    for seed in range(repetitions):
        # Clips of one person share an offset that is larger than their own noise: frames are far from independent.
        values = np.repeat(generator.normal(size=count), clips) + 0.3 * generator.normal(size=count * clips)
        weights = generator.integers(8, 24, size=count * clips)
        estimate = weighted_mean_interval(values, weights, identities, seed=seed)
        hits += estimate.low <= 0.0 <= estimate.high
    # 95 % plus or minus three binomial deviations of 1.1 %, and 1.5 % that the bootstrap lacks at 40 identities.
    assert 0.90 <= hits / repetitions <= 0.985


def test_intervals_that_ignore_the_identity_would_be_too_narrow():
    generator = np.random.default_rng(7)
    values = np.repeat(generator.normal(size=10), 20)
    honest = weighted_mean_interval(values, np.ones(200), np.repeat(names(10), 20))
    naive = weighted_mean_interval(values, np.ones(200), names(200))
    assert honest.high - honest.low > 3 * (naive.high - naive.low)


def without_each(statistic, values) -> list[float]:
    return [float(statistic(np.delete(values, left_out))) for left_out in range(len(values))]


def test_the_jackknife_of_a_mean_is_the_classic_t_interval():
    values = np.random.default_rng(8).normal(size=9)
    estimate = jackknife_interval(values.mean(), without_each(np.mean, values), n_identities=9)
    low, high = stats.t.interval(0.95, 8, values.mean(), stats.sem(values))
    assert estimate.method == "jackknife-t" and estimate.n_identities == 9
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (values.mean(), low, high), rel=1e-12
    )


def test_groups_hold_whole_identities_and_are_at_most_so_many():
    assert identity_groups({"b": [3, 4], "a": [1], "c": [5], "none": []}, groups=50) == [[1], [3, 4], [5]]
    dealt = identity_groups({name: [name] * 2 for name in names(100)}, groups=24)
    assert len(dealt) == 24 and {len(parts) for parts in dealt} == {8, 10}
    assert sorted(part for parts in dealt for part in parts) == sorted(names(100) * 2)


def test_the_groups_do_not_depend_on_the_order_of_the_identities():
    parts = {name: [index] for index, name in enumerate(names(20))}
    assert identity_groups(parts, groups=7) == identity_groups(dict(reversed(parts.items())), groups=7)


def test_the_jackknife_covers_the_truth_for_a_curved_statistic():
    generator = np.random.default_rng(10)
    hits = 0
    for _ in range(400):
        values = generator.normal(1.0, 1.0, 30)
        replicates = without_each(lambda kept: np.mean(kept) ** 2, values)
        estimate = jackknife_interval(values.mean() ** 2, replicates, n_identities=30)
        hits += estimate.low <= 1.0 <= estimate.high
    # 95 % plus or minus three binomial deviations of 1.1 %, less a little for the curvature.
    assert 0.91 <= hits / 400 <= 0.985


def test_a_set_metric_that_is_not_defined_without_an_identity_has_no_interval():
    for replicates in ([math.nan, 1.0], [2.0], []):
        estimate = jackknife_interval(1.0, replicates, n_identities=2)
        assert estimate.value == 1.0 and estimate.method == "none" and math.isnan(estimate.low)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="2 values, 1 weights"):
        weighted_mean_interval([1.0, 2.0], [1], ["a", "b"])
    with pytest.raises(ValueError, match="negative"):
        weighted_mean_interval([1.0], [-1], ["a"])
    with pytest.raises(ValueError, match="confidence"):
        weighted_mean_interval([1.0], [1], ["a"], confidence=95)
    with pytest.raises(ValueError, match="at least 2 groups"):
        identity_groups({"a": [1]}, groups=1)
