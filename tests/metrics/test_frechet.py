"""FID: closed forms, exactness for few and many and degenerate rows, merging, and agreement with the libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from benchbed.datasets.video_io import read_video
from benchbed.errors import BenchbedError, WeightsMissingError
from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics.evaluators.inception import build
from benchbed.metrics.frechet import (
    FrechetDistance,
    TwoSets,
    VideoFrechetDistance,
    frechet_distance,
    sum_of_singular_values,
)
from benchbed.metrics.moments import VECTORS_AT_ONCE, Moments, covariance_factor, without_each


def vectors(seed: int, n: int, dimensions: int = 12, rank: int | None = None) -> np.ndarray:
    """Correlated Gaussian vectors, float32; small whole numbers in a random subspace where a rank is given."""
    generator = np.random.default_rng(seed)
    if rank is not None:
        mixing = generator.integers(-3, 4, (rank, dimensions))
        return (generator.integers(-9, 10, (n, rank)) @ mixing + 5).astype(np.float32)
    mixing = generator.standard_normal((dimensions, dimensions))
    offset = generator.standard_normal(dimensions)
    return (generator.standard_normal((n, dimensions)) @ mixing + offset).astype(np.float32)


def rows(values: np.ndarray) -> SetFeatures:
    return SetFeatures(values, len(values))


def fid(first: np.ndarray, second: np.ndarray, chunk: int = 10_000) -> float:
    """FID of two sets, accumulated in chunks of both."""
    metric, longest = FrechetDistance(), max(len(first), len(second))
    parts = [
        metric.statistics(rows(first[start : start + chunk]), rows(second[start : start + chunk]))
        for start in range(0, longest, chunk)
    ]
    return metric.finish(metric.merge(parts))


def exact(first: np.ndarray, second: np.ndarray) -> float:
    """FID by a full singular value decomposition of centred rows, without covariances."""
    factors, means = [], []
    for values in (first.astype(np.float64), second.astype(np.float64)):
        means.append(values.mean(0))
        factors.append((values - values.mean(0)) / math.sqrt(len(values) - 1))
    common = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
    spread = (factors[0] ** 2).sum() + (factors[1] ** 2).sum() - 2 * common
    return float(((means[0] - means[1]) ** 2).sum() + spread)


@pytest.fixture(scope="module")
def real_frames(shared) -> list[np.ndarray]:
    """64 values per frame of two clips, grey levels of an 8 x 8 picture: float32 `[T, 64]` in [0, 1]."""
    features = []
    for name in ("vox/lia_driving1.mp4", "ted/lia_driving2.mp4"):
        frames = torch.from_numpy(read_video(shared / "data" / "clips" / name).frames).permute(0, 3, 1, 2)
        features.append(adaptive_avg_pool2d(frames.float().mean(1, keepdim=True) / 255, 8).flatten(1).numpy())
    return features


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


@pytest.mark.parametrize("n", [2, 5, 12, 13, 100])
def test_equal_sets_have_no_distance_at_all_with_few_and_with_many_rows(n):
    values = vectors(0, n)
    assert fid(values, values.copy()) == 0.0
    # In another order sums round differently: float64 relative to traces of some hundreds.
    assert fid(values, values[::-1]) < 1e-9


def test_two_rows_a_side_have_the_distance_of_their_lines():
    first, second = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 5.0]])
    # Means (1, 0) and (1, 3); variances 2 along x and 8 along y, which have nothing in common.
    assert fid(first.astype(np.float32), second.astype(np.float32)) == pytest.approx(9 + 2 + 8, abs=1e-12)


@pytest.mark.parametrize("n", [6, 40])
def test_a_shift_of_all_vectors_adds_its_squared_length(n):
    values = vectors(1, n)
    # float32 vectors of size 10 lose 1e-6 in the shift.
    assert fid(values, values + np.float32(0.5)) == pytest.approx(12 * 0.25, abs=1e-4)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (8, 6), (8, 50), (50, 8), (50, 60)])
@pytest.mark.parametrize(("rank", "other_rank"), [(None, None), (4, None), (3, 5)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_distance_is_exact_for_few_and_many_and_degenerate_rows_far_from_zero(
    n, m, rank, other_rank, offset
):
    # Whole numbers up to 1e4 are exact in float32, so that the ranks are exact too.
    first = (vectors(2, n, rank=rank) + offset).astype(np.float32)
    second = (2 * vectors(3, m, rank=other_rank) + offset).astype(np.float32)
    assert fid(first, second) == pytest.approx(exact(first, second), rel=1e-9)


def library_distances(first: np.ndarray, second: np.ndarray) -> list[float]:
    """What pytorch-fid and torch-fidelity give for float64 vectors."""
    pytorch_fid = pytest.importorskip("pytorch_fid.fid_score")
    torch_fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    moments = []
    for values in (first.astype(np.float64), second.astype(np.float64)):
        statistics = torch_fidelity.fid_features_to_statistics(torch.from_numpy(values))
        moments.append((statistics["mu"], statistics["sigma"]))
    distances = [
        torch_fidelity.fid_statistics_to_metric(
            *({"mu": mean, "sigma": covariance} for mean, covariance in moments), verbose=False
        )["frechet_inception_distance"]
    ]
    try:
        distances.append(pytorch_fid.calculate_frechet_distance(*moments[0], *moments[1]))
    except TypeError:
        pytest.skip("this SciPy has no sqrtm(disp=), which pytorch-fid calls")
    return distances


@pytest.mark.filterwarnings("ignore:The `disp` argument")
@pytest.mark.parametrize(("n", "m"), [(8, 6), (8, 50), (50, 60)])
def test_the_distance_agrees_with_pytorch_fid_and_torch_fidelity(n, m):
    first, second = vectors(2, n), vectors(3, m)
    for expected in library_distances(first, second):
        assert fid(first, second) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The `disp` argument")
@pytest.mark.parametrize("taken", [slice(0, 40), slice(None)], ids=["fewer-than-values", "all"])
def test_the_distance_agrees_with_the_libraries_on_real_frames(real_frames, taken):
    first, second = (values[taken] for values in real_frames)
    for expected in library_distances(first, second):
        assert fid(first, second) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The `disp` argument")
def test_the_distance_agrees_with_the_libraries_in_2048_dimensions_with_fewer_and_with_more_rows():
    generator = np.random.default_rng(4)
    deviations = np.arange(1, 2049) ** -0.5
    few = (generator.standard_normal((600, 2048)) * deviations).astype(np.float32)
    many = (generator.standard_normal((2600, 2048)) * deviations + 0.01).astype(np.float32)
    for expected in library_distances(few, many):
        assert fid(few, many) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(("n", "m"), [(80, 80), (60, 80), (80, 30)])
def test_the_fast_sum_of_singular_values_errs_less_than_it_says(decay, n, m):
    generator = np.random.default_rng(5)
    spread = np.arange(1, 101) ** -decay
    matrix = (generator.standard_normal((n, 100)) * spread) @ (generator.standard_normal((m, 100)) * spread).T
    true = np.linalg.svd(matrix, compute_uv=False).sum()
    fast, rounding = sum_of_singular_values(matrix)
    # The decomposition rounds too.
    assert math.isinf(rounding) or abs(fast - true) <= rounding + 1e-14 * true
    if decay in (0.0, 0.5, 1.0, 4.0):
        assert math.isinf(rounding) == (decay == 4.0)


def test_the_fast_sum_is_refused_for_a_singular_matrix():
    matrix = vectors(5, 40, 30)
    for singular in (np.tile(matrix[:2], (3, 1)), matrix * (np.arange(30) < 20), np.zeros((3, 4))):
        assert math.isinf(sum_of_singular_values(singular.astype(np.float64))[1])


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0, 4.0])
def test_steep_spectra_are_as_exact_as_flat_ones(decay):
    generator = np.random.default_rng(6)
    spread = np.arange(1, 65) ** -decay
    turn = np.linalg.qr(generator.standard_normal((64, 64)))[0]
    for n, m in ((50, 60), (300, 300)):
        first = ((generator.standard_normal((n, 64)) * spread) @ turn).astype(np.float32)
        second = ((generator.standard_normal((m, 64)) * spread * 1.05) @ turn).astype(np.float32)
        # `exact` itself has rounding of 1e-15 of traces near 1, the distances are 1e-3 and more.
        assert fid(first, second) == pytest.approx(exact(first, second), rel=1e-7)


@pytest.mark.parametrize("n", [10, 30, 64])
def test_the_value_does_not_depend_on_the_chunks(n):
    first, second = vectors(4, n), vectors(5, n)
    whole = fid(first, second)
    for chunk in (3, 7, 16):
        assert fid(first, second, chunk) == pytest.approx(whole, rel=1e-10)


def test_cases_without_real_rows_or_without_any_change_nothing():
    metric, nothing = FrechetDistance(), vectors(0, 0)
    for n in (8, 40):
        first, second = vectors(4, n), vectors(5, n)
        parts = [
            metric.statistics(rows(nothing), rows(nothing)),
            metric.statistics(rows(first), rows(nothing)),
            metric.statistics(rows(nothing), rows(second)),
        ]
        assert metric.finish(metric.merge(parts)) == fid(first, second)


def test_vectors_are_kept_while_they_are_few_and_moments_afterwards():
    few, many = Moments.of(vectors(6, 12)), Moments.of(vectors(6, 13))
    assert few.rows is not None and few.scatter is None
    assert many.rows is None and many.scatter is not None
    assert Moments.union([few, Moments.of(vectors(7, 1))]).rows is None


@pytest.mark.parametrize("offset", [100, 1e4])
def test_merging_moments_equals_the_moments_of_all_vectors(offset):
    values = (vectors(8, VECTORS_AT_ONCE + 90) + offset).astype(np.float32)
    parts = [Moments.of(values[:40]), Moments.of(values[40:45]), Moments.of(values[45:])]
    small = [Moments.of(values[start : start + 8]) for start in range(0, len(values), 8)]
    true = values.astype(np.float64)
    centred = true - true.mean(0)
    for merged in (Moments.union(parts), Moments.union(small)):
        assert merged.n == len(values)
        np.testing.assert_allclose(merged.mean, true.mean(0), rtol=1e-12)
        # Centred sums: no digits are lost to the mean; entries are near 1e5.
        np.testing.assert_allclose(merged.scatter, centred.T @ centred, rtol=1e-11, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 5, 11, 12])
def test_a_covariance_of_some_rank_has_a_factor_of_so_many_rows(rank):
    centred = vectors(9, 40, rank=rank).astype(np.float64)
    centred -= centred.mean(0)
    # Dimensions of very different size count alike.
    scale = 10.0 ** np.arange(-6, 6)
    covariance = (centred.T @ centred) * scale * scale[:, None]
    factor = covariance_factor(covariance)
    assert factor.shape == (rank, 12)
    bound = 1e-12 * np.sqrt(np.outer(np.diagonal(covariance), np.diagonal(covariance)))
    assert (np.abs(factor.T @ factor - covariance) <= bound).all()


def test_a_covariance_rounded_to_float32_loses_its_negative_eigenvalues_only():
    centred = vectors(10, 6).astype(np.float64)
    covariance = (centred.T @ centred).astype(np.float32).astype(np.float64)
    assert np.linalg.eigvalsh(covariance)[0] < 0
    factor = covariance_factor(covariance)
    # Rounding to float32 is 6e-8 of the largest entry.
    np.testing.assert_allclose(factor.T @ factor, covariance, atol=1e-6 * covariance.max())


@pytest.mark.parametrize("rank", [None, 5])
@pytest.mark.parametrize("sizes", [(2, 1, 3), (9, 4, 3, 6, 2), (40, 30, 20, 25), (5, 60, 0, 7)])
def test_leaving_out_each_group_is_as_exact_as_the_others_alone(sizes, rank):
    metric = FrechetDistance()
    ends = np.cumsum(sizes)
    first, second = vectors(11, ends[-1], rank=rank), vectors(12, ends[-1])
    pairs = list(zip(np.split(first, ends[:-1]), np.split(second, ends[:-1]), strict=True))
    groups = [metric.statistics(rows(one), rows(other)) for one, other in pairs]
    replicates = metric.finish_without_each(groups)
    assert len(replicates) == len(groups)
    for index, value in enumerate(replicates):
        one, other = (
            np.concatenate([pair[side] for k, pair in enumerate(pairs) if k != index]) for side in (0, 1)
        )
        assert value == pytest.approx(exact(one, other), rel=1e-9)


def test_leaving_out_groups_of_equal_sets_gives_exactly_no_distance():
    metric = FrechetDistance()
    parts = np.split(vectors(13, 60), 6)
    groups = [metric.statistics(rows(part), rows(part.copy())) for part in parts]
    assert metric.finish_without_each(groups) == [0.0] * 6


def test_a_single_group_has_no_others():
    metric = FrechetDistance()
    assert metric.finish_without_each([metric.statistics(rows(vectors(0, 9)), rows(vectors(1, 9)))]) == []


def test_the_moments_without_a_group_have_the_rows_of_the_others_in_count():
    groups = [Moments.of(vectors(seed, seed + 1)) for seed in range(7)]
    assert [moments.n for moments in without_each(groups)] == [28 - seed - 1 for seed in range(7)]


def test_fewer_than_two_rows_or_features_that_are_not_finite_have_no_value():
    assert math.isnan(fid(vectors(0, 1), vectors(1, 1)))
    assert math.isnan(fid(vectors(0, 9), vectors(1, 1)))
    for n in (6, 40):
        for bad in (np.nan, np.inf):
            broken = vectors(0, n)
            broken[2, 3] = bad
            assert math.isnan(fid(broken, vectors(1, n)))
            # Not even where both sides are broken alike.
            assert math.isnan(fid(broken, broken))


def test_sides_of_two_evaluators_are_refused():
    with pytest.raises(BenchbedError, match="features of 12 values and real ones of 5; take both from one"):
        FrechetDistance().statistics(rows(vectors(0, 4)), rows(vectors(0, 4, 5)))


@pytest.mark.parametrize(
    ("frames", "counted"), [(15, 0), (16, 0), (17, 1), (32, 1), (33, 2), (96, 5), (97, 6), (100, 6), (300, 6)]
)
def test_video_fid_counts_the_segments_of_the_released_extractor(frames, counted):
    features = SetFeatures(vectors(0, frames // 16), frames)
    statistics = VideoFrechetDistance().statistics(features, features)
    assert statistics.generated.n == statistics.real.n == counted
    if counted:
        np.testing.assert_array_equal(statistics.generated.rows, features.vectors[:counted])


def test_video_fid_is_the_distance_between_the_segments_that_count():
    first, second = vectors(14, 18), vectors(15, 18)
    metric = VideoFrechetDistance(first_frames=100)
    merged = metric.merge([metric.statistics(SetFeatures(first, 300), SetFeatures(second, 300))] * 2)
    expected = exact(np.tile(first[:6], (2, 1)), np.tile(second[:6], (2, 1)))
    assert metric.finish(merged) == pytest.approx(expected, rel=1e-9)
    assert isinstance(merged, TwoSets)


def test_video_fid_over_too_few_frames_is_refused():
    with pytest.raises(BenchbedError, match="first 16 frames has no segment of 16; give first_frames above"):
        VideoFrechetDistance(first_frames=16)


def test_without_the_weights_the_message_names_the_command_that_brings_them(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="weights missing: benchbed weights pull inception-fid"):
        build(device=torch.device("cpu"))
