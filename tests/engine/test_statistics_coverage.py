"""Intervals contain the truth as often as they say, on scores nested as real ones are; tests raise no false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from benchbed.statistics import intervals, paired_difference, sign_flip, weighted_mean_interval

from ..nested_scores import crossed, effects, nested

# Coverage of 95 % is then known to 0.7 %; tests/bench/test_interval_coverage.py looks closer and at more kinds of data.
TRIALS = 1000
CROSSED_TRIALS = 700
# Three binomial deviations at 5 %.
NOISE = 3 * np.sqrt(0.05 * 0.95 / CROSSED_TRIALS)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch):
    """A tenth of the resamples: the quantiles of one interval get noisier, their coverage stays."""
    monkeypatch.setattr(intervals, "RESAMPLES", 999)
    monkeypatch.setattr(sign_flip, "FLIPS", 999)
    for cached in (intervals._resamples, sign_flip._drawn_signs):
        cached.cache_clear()
    yield
    for cached in (intervals._resamples, sign_flip._drawn_signs):
        cached.cache_clear()


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "skewed"])
@pytest.mark.parametrize("identities", [8, 24, 60, 200])
def test_95_percent_intervals_contain_the_truth_in_93_to_97_percent_of_trials(identities, skewed):
    generator = np.random.default_rng([identities, skewed])
    hits = 0
    for _ in range(TRIALS):
        scores = nested(generator, identities, skewed=skewed)
        found = weighted_mean_interval(scores.values, scores.frames, scores.sources)
        hits += found.low <= 0.0 <= found.high
    assert 0.93 <= hits / TRIALS <= 0.97


@pytest.mark.parametrize("alike", [0.0, 0.8], ids=["independent roles", "roles alike"])
@pytest.mark.parametrize("identities", [24, 60])
def test_two_way_intervals_do_too_whether_or_not_people_are_alike_in_both_roles(identities, alike):
    generator = np.random.default_rng([identities, int(10 * alike)])
    hits = 0
    for _ in range(CROSSED_TRIALS):
        scores = crossed(generator, identities, 200, skewed=True, alike=alike)
        found = weighted_mean_interval(scores.values, scores.frames, scores.sources, scores.drivers)
        hits += found.low <= 0.0 <= found.high
    assert 0.93 <= hits / CROSSED_TRIALS <= 0.97


def test_one_way_intervals_of_crossed_scores_are_too_narrow():
    generator = np.random.default_rng(1)
    trials, hits = 300, 0
    for _ in range(trials):
        scores = crossed(generator, 24, 200, skewed=False, alike=0.8)
        found = weighted_mean_interval(scores.values, scores.frames, scores.sources)
        hits += found.low <= 0.0 <= found.high
    assert hits / trials < 0.85


@pytest.mark.parametrize("identities", [8, 24, 60])
def test_the_paired_test_raises_a_false_alarm_in_at_most_5_percent_of_trials(identities):
    generator = np.random.default_rng(identities)
    alarms = told_apart = 0
    for _ in range(TRIALS):
        shared = nested(generator, identities, skewed=True)
        # Two methods, equally good: what they do with an identity and with a clip differs, and is skewed.
        own = [
            effects(generator, identities, True)[shared.sources]
            + effects(generator, len(shared.values), True)
            for _ in range(2)
        ]
        found = paired_difference(own[1] - own[0], shared.frames, shared.sources)
        alarms += found.p < 0.05
        told_apart += found.separates(found.p)
    assert alarms / TRIALS <= 0.05 + NOISE
    assert told_apart / TRIALS <= 0.05 + NOISE


@pytest.mark.parametrize("alike", [0.0, 0.8], ids=["independent roles", "roles alike"])
@pytest.mark.parametrize("identities", [12, 60])
def test_neither_does_it_where_sources_and_drivers_differ(identities, alike):
    generator = np.random.default_rng([identities, int(10 * alike)])
    alarms = told_apart = 0
    for _ in range(CROSSED_TRIALS):
        one = crossed(generator, identities, 200, skewed=True, alike=alike)
        # The same pairs by another method.
        as_source = effects(generator, identities, True)
        as_driver = alike * as_source + np.sqrt(1 - alike**2) * effects(generator, identities, True)
        other = as_source[one.sources] + as_driver[one.drivers] + effects(generator, len(one.values), True)
        found = paired_difference(other - one.values, one.frames, one.sources, one.drivers)
        alarms += found.p < 0.05
        told_apart += found.separates(found.p)
    assert alarms / CROSSED_TRIALS <= 0.05 + NOISE
    assert told_apart / CROSSED_TRIALS <= 0.05 + NOISE
