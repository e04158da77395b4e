"""Intervals: numbers by hand, coverage, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchbed.statistics import (
    identity_groups,
    jackknife_difference,
    jackknife_influences,
    jackknife_interval,
    weighted_mean_interval,
)
from benchbed.statistics.totals import totals


def names(count: int) -> list[str]:
    return [f"person-{index}" for index in range(count)]


def test_four_identities_of_equal_weight_have_the_classic_t_interval_of_their_means():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(4, 3))
    identities = np.repeat(names(4), 3)
    estimate = weighted_mean_interval(values.ravel(), np.full(12, 16), identities)
    means = values.mean(axis=1)
    low, high = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    assert estimate.method == "student-t" and estimate.n_identities == 4
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (means.mean(), low, high), rel=1e-12
    )


def test_two_identities_of_unequal_weight_by_hand():
    estimate = weighted_mean_interval([1.0, 4.0], [1, 3], ["a", "b"])
    # Value 13/4; without a it is 4, without b it is 1; error sqrt(1/2 (9/4 + 9/4)) = 3/2.
    assert estimate.value == 3.25
    half = stats.t.ppf(0.975, 1) * 3 / 2
    assert (estimate.low, estimate.high) == pytest.approx((3.25 - half, 3.25 + half), rel=1e-12)


def test_the_value_weighs_clips_by_their_frames():
    estimate = weighted_mean_interval([0.0, 1.0, 1.0], [10, 20, 10], ["a", "b", "b"])
    assert estimate.value == 0.75
    assert estimate.n_identities == 2


@pytest.mark.parametrize(("count", "method"), [(4, "student-t"), (5, "bootstrap-t")])
def test_five_identities_are_enough_for_the_bootstrap(count, method):
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
    assert other.high != first.high
    assert other.high == pytest.approx(first.high, abs=0.03 * (first.high - first.low))


def test_the_interval_is_never_inside_that_of_student_nor_three_times_as_far():
    generator = np.random.default_rng(4)
    # Zero but for one identity: resamples without it have no spread at all.
    for values in (generator.normal(size=12), generator.gamma(0.3, size=12), np.eye(1, 12)[0]):
        found = weighted_mean_interval(values, np.ones(12), names(12))
        half = stats.t.ppf(0.975, 11) * stats.sem(values)
        for reach in (found.value - found.low, found.high - found.value):
            assert half * (1 - 1e-9) <= reach <= 3 * half * (1 + 1e-9)


def test_skewed_scores_have_a_longer_upper_half():
    values = np.random.default_rng(5).gamma(1.0, size=24)
    found = weighted_mean_interval(values, np.ones(24), names(24))
    assert found.high - found.value > 1.1 * (found.value - found.low)


def two_ways(first: int, second: int, generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sources, drivers = (part.ravel() for part in np.indices((first, second)))
    values = generator.normal(size=first)[sources] + 2 * generator.normal(size=second)[drivers]
    return values + generator.normal(size=len(sources)), sources, drivers


def test_with_separate_sources_and_drivers_the_error_is_that_of_two_way_clusters():
    values, sources, drivers = two_ways(40, 50, np.random.default_rng(11))
    sums = totals(values, np.ones(len(values)), [f"s{i}" for i in sources], [f"d{i}" for i in drivers])
    residuals = values - values.mean()
    by_source, by_driver = np.bincount(sources, residuals), np.bincount(drivers, residuals)
    linear = ((by_source**2).sum() + (by_driver**2).sum() - (residuals**2).sum()) / len(values) ** 2
    # The jackknife is larger than the linear formula by about one part in the number of identities.
    assert sums.error == pytest.approx(np.sqrt(linear), rel=0.03)
    assert sums.freedom == 39


def test_a_person_in_both_roles_counts_once():
    case = ([1.0, 2.0, 4.0], [1, 1, 1], ["a", "b", "c"], ["b", "c", "a"])
    assert totals(*case).count == 3
    assert weighted_mean_interval(*case).n_identities == 3
    # Without a only (b, c) is left, and so on: values 2, 4, 1 around 7/3.
    left_out = totals(*case).without_each
    assert sorted(left_out) == [1.0, 2.0, 4.0]


def test_drivers_equal_to_sources_are_the_same_as_none():
    generator = np.random.default_rng(12)
    values, weights = generator.normal(size=60), generator.integers(1, 9, 60)
    identities = np.tile(names(20), 3)
    assert weighted_mean_interval(values, weights, identities) == weighted_mean_interval(
        values, weights, identities, identities
    )


def test_one_source_in_every_case_has_no_interval():
    found = weighted_mean_interval([1.0, 2.0, 3.0], [1, 1, 1], ["a"] * 3, ["b", "c", "d"])
    assert found.value == 2.0 and found.method == "none" and math.isnan(found.low)


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


def test_groups_of_unequal_size_show_their_difference_and_not_their_size():
    generator = np.random.default_rng(13)
    sizes = np.array([2, 3, 5, 8, 12, 20])
    groups = [generator.normal(size=size) for size in sizes]
    # Biased by 10 / n, as Fréchet distances are: groups that leave out more would seem to matter more.
    everything = np.concatenate(groups)
    biased = lambda kept: kept.mean() + 10 / len(kept)  # noqa: E731
    without = [
        np.concatenate([group for index, group in enumerate(groups) if index != left_out])
        for left_out in range(len(groups))
    ]
    shares = sizes / sizes.sum()
    plain = jackknife_influences(everything.mean(), [kept.mean() for kept in without], shares)
    with_bias = jackknife_influences(biased(everything), [biased(kept) for kept in without], shares)
    assert with_bias == pytest.approx(plain, abs=1e-12)
    assert jackknife_influences(biased(everything), [biased(kept) for kept in without]) != pytest.approx(
        plain, abs=0.05
    )


def test_a_difference_of_set_metrics_is_paired_by_group():
    generator = np.random.default_rng(14)
    shared = generator.normal(size=20)
    first, second = shared + 0.1 * generator.normal(size=20), shared + 0.3
    influences = [jackknife_influences(part.mean(), without_each(np.mean, part)) for part in (first, second)]
    found = jackknife_difference(first.mean(), influences[0], second.mean(), influences[1], n_identities=20)
    low, high = stats.t.interval(0.95, 19, (second - first).mean(), stats.sem(second - first))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.p == pytest.approx(stats.ttest_rel(second, first).pvalue, rel=1e-6)


def test_a_set_metric_does_not_differ_from_itself():
    influences = jackknife_influences(1.0, [1.1, 0.9, 1.3])
    found = jackknife_difference(1.0, influences, 1.0, influences, n_identities=3)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert jackknife_difference(1.0, influences, 2.0, influences[:2], n_identities=3) is None


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="2 values, 1 weights"):
        weighted_mean_interval([1.0, 2.0], [1], ["a", "b"])
    with pytest.raises(ValueError, match="negative"):
        weighted_mean_interval([1.0], [-1], ["a"])
    with pytest.raises(ValueError, match="confidence"):
        weighted_mean_interval([1.0], [1], ["a"], confidence=95)
    with pytest.raises(ValueError, match="at least 2 groups"):
        identity_groups({"a": [1]}, groups=1)
