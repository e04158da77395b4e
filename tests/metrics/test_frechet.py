"""FID: closed forms, merging, and agreement with pytorch-fid's distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchbed.errors import WeightsMissingError
from benchbed.interfaces.evaluator import PooledFeatures
from benchbed.interfaces.metric import Sample
from benchbed.metrics.evaluators.inception import build
from benchbed.metrics.frechet import FrechetDistance, Moments, TwoSets, covariance_factor, frechet_distance


def vectors(seed: int, n: int, dimensions: int = 12) -> np.ndarray:
    """Correlated Gaussian vectors, float32."""
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((dimensions, dimensions))
    return (
        generator.standard_normal((n, dimensions)) @ mixing + generator.standard_normal(dimensions)
    ).astype(np.float32)


def pooled(values: np.ndarray) -> Sample:
    return Sample(torch.zeros(len(values), 3, 8, 8), {"pooled": PooledFeatures(torch.from_numpy(values))})


def fid(first: np.ndarray, second: np.ndarray, chunk: int = 1000) -> float:
    """FID of two sets of equal size, accumulated in chunks."""
    metric = FrechetDistance()
    parts = [
        metric.accumulate(pooled(first[start : start + chunk]), pooled(second[start : start + chunk]))
        for start in range(0, len(first), chunk)
    ]
    return metric.finish(metric.merge(parts))


def test_gaussians_with_diagonal_covariances_have_a_closed_form():
    mean, other = np.zeros(2), np.array([3.0, 4.0])
    distance = frechet_distance(
        mean, covariance_factor(np.diag([4.0, 9.0])), other, covariance_factor(np.diag([1.0, 1.0]))
    )
    # 25 from the means, (2 - 1)^2 and (3 - 1)^2 from the deviations.
    assert distance == pytest.approx(30.0, abs=1e-12)


def test_a_zero_covariance_leaves_the_means_and_the_trace():
    nothing = covariance_factor(np.zeros((2, 2)))
    something = covariance_factor(np.diag([2.0, 3.0]))
    assert frechet_distance(np.zeros(2), nothing, np.ones(2), nothing) == 2.0
    assert frechet_distance(np.zeros(2), nothing, np.zeros(2), something) == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize("n", [5, 12, 13, 100])
def test_equal_sets_have_no_distance_with_few_and_with_many_frames(n):
    values = vectors(0, n)
    # Rounding of float64 relative to traces of some hundreds.
    assert fid(values, values.copy()) < 1e-8


@pytest.mark.parametrize("n", [6, 40])
def test_a_shift_of_all_vectors_adds_its_squared_length(n):
    values = vectors(1, n)
    # float32 vectors of size 10 lose 1e-6 in the shift.
    assert fid(values, values + np.float32(0.5)) == pytest.approx(12 * 0.25, abs=1e-4)


@pytest.mark.filterwarnings("ignore:The `disp` argument")
@pytest.mark.parametrize(("n", "m"), [(8, 6), (8, 50), (50, 60)])
def test_the_distance_agrees_with_that_of_pytorch_fid(n, m):
    library = pytest.importorskip("pytorch_fid.fid_score")
    first, second = vectors(2, n).astype(np.float64), vectors(3, m).astype(np.float64)
    statistics = TwoSets(Moments.of(first.astype(np.float32)), Moments.of(second.astype(np.float32)))
    try:
        expected = library.calculate_frechet_distance(
            first.mean(0), np.cov(first, rowvar=False), second.mean(0), np.cov(second, rowvar=False)
        )
    except TypeError:
        pytest.skip("this SciPy has no sqrtm(disp=), which pytorch-fid calls")
    # A singular product costs the library's matrix root half its digits.
    assert FrechetDistance().finish(statistics) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n", [10, 30, 64])
def test_the_value_does_not_depend_on_the_chunks(n):
    first, second = vectors(4, n), vectors(5, n)
    whole = fid(first, second)
    for chunk in (3, 7, 16):
        assert fid(first, second, chunk) == pytest.approx(whole, rel=1e-10)


def test_vectors_are_kept_while_they_are_few_and_moments_afterwards():
    few, many = Moments.of(vectors(6, 12)), Moments.of(vectors(6, 13))
    assert few.rows is not None and few.scatter is None
    assert many.rows is None and many.scatter is not None
    assert Moments.union([few, Moments.of(vectors(7, 1))]).rows is None


def test_merging_moments_equals_the_moments_of_all_vectors():
    values = vectors(8, 90) + 100
    parts = [Moments.of(values[:40]), Moments.of(values[40:45]), Moments.of(values[45:])]
    merged = Moments.union(parts)
    assert merged.n == 90
    np.testing.assert_allclose(merged.mean, values.astype(np.float64).mean(0), rtol=1e-12)
    centred = values - values.astype(np.float64).mean(0)
    # Centred sums: no digits are lost to the mean of 100.
    np.testing.assert_allclose(merged.scatter, centred.T @ centred, atol=1e-9)


@pytest.mark.parametrize("n", [4, 40])
def test_statistics_survive_the_store(n):
    metric = FrechetDistance()
    statistics = metric.accumulate(pooled(vectors(9, n)), pooled(vectors(10, n)))
    restored = metric.from_arrays(metric.to_arrays(statistics))
    assert metric.finish(restored) == metric.finish(statistics)


def test_fewer_than_two_frames_or_features_that_are_not_finite_have_no_value():
    assert math.isnan(fid(vectors(0, 1), vectors(1, 1)))
    for n in (6, 40):
        broken = vectors(0, n)
        broken[2, 3] = np.nan
        assert math.isnan(fid(broken, vectors(1, n)))


def test_without_the_weights_the_message_names_the_command_that_brings_them(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="weights missing: benchbed weights pull inception-fid"):
        build(device=torch.device("cpu"))
