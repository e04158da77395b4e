"""FID at infinitely many frames: exact on straight lines, less biased than FID, the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics.extrapolation import InfiniteFrechetDistance, intercept
from benchbed.metrics.feature_rows import TwoRowSets
from benchbed.metrics.frechet import FrechetDistance, TwoSets
from benchbed.metrics.moments import Moments


def vectors(seed: int, n: int, dimensions: int = 12, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, dimensions)) + shift).astype(np.float32)


def infinite(first: np.ndarray, second: np.ndarray) -> float:
    return InfiniteFrechetDistance().finish(TwoRowSets(first, second))


def test_a_straight_line_meets_zero_at_its_intercept():
    x = 1 / np.array([5.0, 8.0, 20.0])
    assert intercept(x, 3 + 7 * x) == pytest.approx(3, rel=1e-12)


def test_fids_are_taken_at_15_counts_from_5000_or_half_of_all_frames():
    metric = InfiniteFrechetDistance()
    paper = metric.sizes(50_000)
    assert (len(paper), paper[0], paper[-1]) == (15, 5000, 50_000)
    np.testing.assert_array_equal(metric.sizes(29), range(15, 30))
    np.testing.assert_array_equal(metric.sizes(9), range(5, 10))
    assert metric.sizes(1000)[[0, -1]].tolist() == [500, 1000]


def test_the_extrapolated_distance_is_less_biased_than_fid():
    errors, plain = [], []
    for seed in range(12):
        first, second = vectors(seed, 300), vectors(seed + 50, 300, shift=0.1)
        # Equal covariances, means apart by 0.1 in 12 dimensions: the distance is 0.12.
        errors.append(infinite(first, second) - 0.12)
        plain.append(FrechetDistance().finish(TwoSets(Moments.of(first), Moments.of(second))) - 0.12)
    # Means over 12 sets; FID is 0.1 too high.
    assert abs(np.mean(errors)) < np.mean(plain) / 3


def test_equal_sets_have_no_distance_because_subsets_are_of_pairs():
    values = vectors(0, 40)
    assert infinite(values, values.copy()) == 0.0


def test_the_value_is_the_same_every_time_and_whatever_the_chunks():
    first, second = vectors(1, 60), vectors(2, 60)
    metric = InfiniteFrechetDistance()
    parts = [
        metric.statistics(SetFeatures(x, len(x)), SetFeatures(y, len(y)))
        for x, y in zip(np.split(first, 4), np.split(second, 4), strict=True)
    ]
    assert metric.finish(metric.merge(parts)) == infinite(first, second) == infinite(first, second)
    assert metric.finish_without_each(parts) == []


def test_frames_without_partners_too_few_or_not_finite_have_no_value():
    assert math.isnan(infinite(vectors(0, 20), vectors(1, 19)))
    assert math.isnan(infinite(vectors(0, 2), vectors(1, 2)))
    assert math.isfinite(infinite(vectors(0, 3), vectors(1, 3)))
    broken = vectors(0, 20)
    broken[4, 4] = np.inf
    assert math.isnan(infinite(broken, vectors(1, 20)))
