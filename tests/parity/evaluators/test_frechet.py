"""The Fréchet distance against recorded exact values, from moments and from few samples."""

from __future__ import annotations

import numpy as np
import pytest

from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics.frechet import FrechetDistance, frechet_distance
from benchbed.metrics.moments import covariance_factor

FIXTURES = ("frechet",)
# The fixture's word: 1e-6 relative for these, 1e-3 for singular covariances; float32 inputs are the cause.
REGULAR = ("regular", "identical", "diagonal")


def test_distances_between_gaussians_equal_the_exact_ones(recorded):
    assert recorded.facts["cases"]
    for case in recorded.facts["cases"]:
        name, exact = case["name"], case["symmetric_value"]
        mean_1, sigma_1, mean_2, sigma_2 = (
            recorded.arrays[f"{name}_{part}"].astype(np.float64)
            for part in ("mu1", "sigma1", "mu2", "sigma2")
        )
        value = frechet_distance(mean_1, covariance_factor(sigma_1), mean_2, covariance_factor(sigma_2))
        bound = 1e-6 * abs(exact) + 1e-9 if name in REGULAR else 1e-3 * (1 + abs(exact))
        assert abs(value - exact) <= bound, name


def test_the_distance_of_few_samples_equals_the_recorded_one(recorded):
    first, second = recorded.arrays["samples_a"], recorded.arrays["samples_b"]
    metric = FrechetDistance()
    statistics = metric.statistics(SetFeatures(first, len(first)), SetFeatures(second, len(second)))
    # Both in float64 from the same float32 rows, without a covariance.
    assert metric.finish(statistics) == pytest.approx(recorded.facts["samples"]["gram_value"], rel=1e-9)


def test_the_distance_of_few_samples_equals_that_of_the_library(recorded):
    first, second = recorded.arrays["samples_a"], recorded.arrays["samples_b"]
    metric = FrechetDistance()
    statistics = metric.statistics(SetFeatures(first, len(first)), SetFeatures(second, len(second)))
    # A singular product costs the library's matrix root half of its 16 digits.
    assert metric.finish(statistics) == pytest.approx(recorded.facts["samples"]["library_value"], rel=1e-6)
