"""Paired tests: p by enumeration and by hand, Holm's correction, verdicts, and what can be resolved."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics.frechet import FrechetDistance
from benchbed.statistics import (
    EXACT_UP_TO,
    holm,
    jackknife_difference,
    jackknife_influences,
    jackknife_interval,
    paired_difference,
    resolvable_difference,
    sign_flip_p,
    verdict,
)
from benchbed.statistics.totals import totals


def names(count: int) -> list[str]:
    return [f"person-{index}" for index in range(count)]


@pytest.mark.parametrize("count", [3, 6, 9])
def test_the_sign_flip_p_is_that_of_an_exhaustive_enumeration(count):
    generator = np.random.default_rng(count)
    clips = generator.integers(1, 4, count)
    identities = np.repeat(names(count), clips)
    values, weights = generator.normal(0.4, 1, clips.sum()), generator.integers(1, 20, clips.sum())
    by_identity = [float((weights * values)[identities == name].sum()) for name in names(count)]
    observed = abs(sum(by_identity))
    signs = list(itertools.product([-1, 1], repeat=count))
    reached = sum(abs(np.dot(pattern, by_identity)) >= observed - 1e-9 for pattern in signs)
    assert sign_flip_p(totals(values, weights, identities)) == reached / len(signs)


def test_the_exact_p_is_that_of_scipys_permutation_test():
    values = np.random.default_rng(1).normal(0.5, 1, 10)
    theirs = stats.permutation_test(
        (values, np.zeros(10)),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert sign_flip_p(totals(values, np.ones(10), names(10))) == pytest.approx(theirs.pvalue)


def test_drawn_flips_agree_with_the_normal_limit_and_depend_on_the_seed_alone():
    values = np.random.default_rng(2).normal(0.25, 1, 60)
    sums = totals(values, np.ones(60), names(60))
    found = sign_flip_p(sums, seed=1)
    # 20,000 flips fix a p of 0.05 to 0.0015; t and flips differ by less at 60 identities.
    assert found == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.006)
    assert found == sign_flip_p(sums, seed=1) != sign_flip_p(sums, seed=2)


def test_all_flips_are_looked_at_up_to_fifteen_identities():
    values = np.ones(EXACT_UP_TO)
    assert sign_flip_p(totals(values, values, names(EXACT_UP_TO))) == 2 / 2**EXACT_UP_TO
    # One pattern in 2^16 more is drawn, if at all: the pattern at hand counts itself.
    values = np.ones(EXACT_UP_TO + 1)
    assert 1 / 20_001 <= sign_flip_p(totals(values, values, names(EXACT_UP_TO + 1))) <= 6 / 20_001


def test_methods_that_give_the_same_scores_do_not_differ():
    found = paired_difference(np.zeros(20), np.ones(20), names(20))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert verdict(found, found.p, direction="lower", margin=0.0) == "equivalent"


def test_pairing_removes_what_both_methods_share():
    generator = np.random.default_rng(3)
    hard = 10 * generator.normal(size=24)
    first, second = hard + generator.normal(size=24), hard + generator.normal(size=24) - 1.5
    found = paired_difference(second - first, np.ones(24), names(24))
    assert found.p < 0.01 and found.high < 0
    assert stats.ttest_ind(second, first).pvalue > 0.5


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.2: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.2.
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    # A later one is never smaller than an earlier one, and none exceeds 1.
    assert holm([0.01, 0.011, 0.9, 0.8]) == pytest.approx([0.04, 0.04, 1.0, 1.0])


def test_what_was_not_tested_does_not_count_in_the_correction():
    adjusted = holm([0.02, math.nan, 0.04])
    assert (
        adjusted[0] == pytest.approx(0.04) and math.isnan(adjusted[1]) and adjusted[2] == pytest.approx(0.04)
    )
    assert holm([]) == []


def found(low: float, high: float, *, p: float = 0.001):
    middle = (low + high) / 2
    difference = paired_difference(np.linspace(-1, 1, 20), np.ones(20), names(20))
    inner = 0.8 * (high - low) / 2
    return replace(
        difference, value=middle, low=low, high=high, inner_low=middle - inner, inner_high=middle + inner, p=p
    )


@pytest.mark.parametrize(
    ("low", "high", "p", "margin", "direction", "said"),
    [
        (-3.0, -1.0, 0.001, 0.5, "lower", "better"),
        (-3.0, -1.0, 0.001, 0.5, "higher", "worse"),
        (1.0, 3.0, 0.001, 0.5, "lower", "worse"),
        (-3.0, -1.0, 0.2, 0.5, "lower", "inconclusive"),  # corrected away
        (-3.0, 0.1, 0.04, 0.5, "lower", "inconclusive"),  # flips alone are not enough
        (-1.0, 1.0, 0.9, 2.0, "lower", "equivalent"),
        (-1.0, 1.0, 0.9, 0.5, "lower", "inconclusive"),
        (-1.0, 1.0, 0.9, 0.8, "lower", "equivalent"),  # the 90 % interval decides, not that of 95 %
        (-0.3, -0.1, 0.001, 0.5, "lower", "equivalent"),  # surely not zero, and surely does not matter
    ],
)
def test_verdicts(low, high, p, margin, direction, said):
    assert verdict(found(low, high), p, direction=direction, margin=margin) == said


def test_verdicts_want_a_direction_and_a_margin():
    with pytest.raises(ValueError, match="expected 'lower' or 'higher'"):
        verdict(found(1, 2), 0.1, direction="up", margin=1)
    with pytest.raises(ValueError, match="negative"):
        verdict(found(1, 2), 0.1, direction="lower", margin=-1)


def test_the_resolvable_difference_is_found_in_80_percent_of_trials():
    generator = np.random.default_rng(4)
    trials, count = 4000, 12
    smallest = resolvable_difference(1 / np.sqrt(count), count - 1)
    values = generator.normal(smallest, 1, (trials, count))
    power = (stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).mean()
    # The error is taken as known; three binomial deviations of 0.6 %.
    assert power == pytest.approx(0.8, abs=0.02)


def test_the_resolvable_difference_of_many_identities_is_the_normal_one():
    known = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert resolvable_difference(2.0, 100_000) == pytest.approx(2 * known, rel=1e-3)


def test_fewer_than_six_identities_resolve_nothing_by_sign_flips():
    assert resolvable_difference(1.0, 4) == math.inf
    assert math.isfinite(resolvable_difference(1.0, 5))
    assert math.isfinite(resolvable_difference(1.0, 4, test="jackknife-t"))
    assert math.isnan(resolvable_difference(math.nan, 20))


@pytest.mark.parametrize("real_frames", [40, 400])
def test_fid_intervals_contain_their_own_value_and_pairing_narrows_the_difference(real_frames):
    generator = np.random.default_rng(real_frames)
    metric = FrechetDistance()
    each = real_frames // 10
    people = generator.normal(size=(10, 1, 8))
    real = people + generator.normal(size=(10, each, 8))
    # What the second method gets wrong, the first does as well.
    shared = real + 0.5 * generator.normal(size=real.shape)
    sides = [shared, 1.1 * shared + 0.3]

    def groups(generated):
        return [
            metric.statistics(SetFeatures(own.astype("f4"), each), SetFeatures(true.astype("f4"), each))
            for own, true in zip(generated, real, strict=True)
        ]

    values = [metric.finish(metric.merge(groups(side))) for side in sides]
    without = [metric.finish_without_each(groups(side)) for side in sides]
    estimates = [
        jackknife_interval(value, replicates, n_identities=10)
        for value, replicates in zip(values, without, strict=True)
    ]
    for value, estimate in zip(values, estimates, strict=True):
        assert estimate.low < value < estimate.high
    influences = [jackknife_influences(*each) for each in zip(values, without, strict=True)]
    paired = jackknife_difference(values[0], influences[0], values[1], influences[1], n_identities=10)
    assert paired.low < values[1] - values[0] < paired.high
    apart = math.hypot(*[(estimate.high - estimate.low) for estimate in estimates])
    assert paired.high - paired.low < apart
