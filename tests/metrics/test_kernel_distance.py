"""KID: the sum written out, agreement with torch-fidelity, groups left out, and no value where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics import kernel_distance
from benchbed.metrics.feature_rows import TwoRowSets
from benchbed.metrics.kernel_distance import KernelDistance, KernelDistanceOfSubsets


def vectors(seed: int, n: int, dimensions: int = 12, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, dimensions)) + shift).astype(np.float32)


def rows(values: np.ndarray) -> SetFeatures:
    return SetFeatures(values, len(values))


def written_out(first: np.ndarray, second: np.ndarray) -> float:
    """The estimator as three nested means, pair by pair."""

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x.astype(np.float64) @ y.astype(np.float64) / len(x) + 1) ** 3)

    own = [k(x, other) for i, x in enumerate(first) for j, other in enumerate(first) if i != j]
    real = [k(y, other) for i, y in enumerate(second) for j, other in enumerate(second) if i != j]
    return float(np.mean(own) + np.mean(real) - 2 * np.mean([k(x, y) for x in first for y in second]))


def kid(first: np.ndarray, second: np.ndarray, metric: KernelDistance | None = None) -> float:
    return (metric or KernelDistance()).finish(TwoRowSets(first, second))


@pytest.fixture(params=[5, 2048], ids=["tiles-of-5", "one-tile"])
def tile(request, monkeypatch) -> int:
    """The sums must not depend on the size of the tiles."""
    monkeypatch.setattr(kernel_distance, "TILE", request.param)
    return request.param


def test_two_rows_a_side_by_hand():
    first, second = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [2.0, 2.0]])
    # k = (x.y / 2 + 1)^3: within 1 and 27, between 8, 8, 1, 8.
    assert kid(first.astype(np.float32), second.astype(np.float32)) == pytest.approx(1 + 27 - 2 * 25 / 4)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (11, 7), (12, 12)])
def test_the_value_is_the_unbiased_estimator_over_all_pairs(tile, n, m):
    first, second = vectors(0, n), vectors(1, m, shift=0.3)
    assert kid(first, second) == pytest.approx(written_out(first, second), rel=1e-11)


def test_equal_distributions_give_values_around_zero_and_equal_sets_below_it():
    values = [kid(vectors(seed, 50), vectors(seed + 100, 50)) for seed in range(40)]
    # Two standard errors of the mean of 40 values.
    assert abs(np.mean(values)) < 2 * np.std(values) / math.sqrt(40)
    assert min(values) < 0 < max(values)
    same = vectors(2, 50)
    assert kid(same, same.copy()) < 0


def test_chunks_and_cases_without_rows_change_nothing():
    metric, first, second = KernelDistance(), vectors(3, 20), vectors(4, 16)
    parts = [
        metric.statistics(rows(one), rows(other))
        for one, other in zip(np.split(first, [7, 7, 15]), np.split(second, [0, 9, 10]), strict=True)
    ]
    # float64 sums in another order
    assert metric.finish(metric.merge(parts)) == pytest.approx(kid(first, second), rel=1e-12)


@pytest.mark.parametrize("sizes", [(1, 1, 2), (4, 7, 1, 3, 5), (6, 0, 8)])
def test_leaving_out_each_group_equals_the_others_alone(tile, sizes):
    metric, ends = KernelDistance(), np.cumsum(sizes)
    first = np.split(vectors(5, ends[-1]), ends[:-1])
    second = np.split(vectors(6, ends[-1], shift=0.2), ends[:-1])
    groups = [metric.statistics(rows(x), rows(y)) for x, y in zip(first, second, strict=True)]
    for index, value in enumerate(metric.finish_without_each(groups)):
        others = metric.merge(groups[:index] + groups[index + 1 :])
        # Sums of kernel values near 1 give differences near 0.01.
        assert value == pytest.approx(metric.finish(others), rel=1e-11)


def test_too_few_others_have_no_value_and_a_single_group_has_no_others():
    metric = KernelDistance()
    groups = [TwoRowSets(vectors(7, n), vectors(8, n)) for n in (1, 6)]
    without_the_first, without_the_second = metric.finish_without_each(groups)
    assert math.isfinite(without_the_first) and math.isnan(without_the_second)
    assert metric.finish_without_each(groups[1:]) == []


def test_fewer_than_two_rows_or_features_that_are_not_finite_have_no_value():
    assert math.isnan(kid(vectors(0, 1), vectors(1, 5)))
    broken = vectors(0, 6)
    broken[2, 3] = np.nan
    assert math.isnan(kid(broken, vectors(1, 6)))
    groups = [TwoRowSets(broken, vectors(1, 6)), TwoRowSets(vectors(2, 6), vectors(3, 6))]
    assert all(math.isnan(value) for value in KernelDistance().finish_without_each(groups))


def test_sides_of_two_evaluators_are_refused():
    with pytest.raises(BenchbedError, match="features of 12 values and real ones of 5"):
        KernelDistance().statistics(rows(vectors(0, 4)), rows(vectors(0, 4, 5)))


@pytest.mark.parametrize(("n", "m"), [(1100, 1300), (1000, 1000)])
def test_subsets_equal_those_of_torch_fidelity(n, m):
    library = pytest.importorskip("torch_fidelity.metric_kid")
    first, second = vectors(9, n, 16), vectors(10, m, 16, shift=0.1)
    # In float64: its own float32 kernels round by 1e-7 of values near 1, which is 1e-4 of such distances.
    expected = library.kid_features_to_metric(
        torch.from_numpy(first).double(), torch.from_numpy(second).double(), verbose=False
    )["kernel_inception_distance_mean"]
    assert kid(first, second, KernelDistanceOfSubsets()) == pytest.approx(expected, rel=1e-6)


def test_subsets_of_many_rows_equal_those_of_torch_fidelity():
    library = pytest.importorskip("torch_fidelity.metric_kid")
    first, second = vectors(11, 900), vectors(12, 700, shift=0.1)
    expected = library.kid_features_to_metric(
        torch.from_numpy(first).double(),
        torch.from_numpy(second).double(),
        kid_subsets=20,
        kid_subset_size=30,
        verbose=False,
    )["kernel_inception_distance_mean"]
    # So many rows that the subsets alone have fewer pairs.
    metric = KernelDistanceOfSubsets(subsets=20, size=30)
    assert kid(first, second, metric) == pytest.approx(expected, rel=1e-6)


def test_subsets_spread_around_the_exact_value():
    first, second = vectors(13, 400), vectors(14, 400, shift=0.5)
    exact = kid(first, second)
    # The mean of 200 draws of 100 of 400 rows errs by a few hundredths of so clear a distance.
    assert kid(first, second, KernelDistanceOfSubsets(200, 100)) == pytest.approx(exact, rel=0.05)


def test_subsets_need_as_many_rows_as_they_draw_and_have_no_interval():
    metric = KernelDistanceOfSubsets(subsets=3, size=20)
    assert math.isnan(kid(vectors(0, 19), vectors(1, 40), metric))
    assert math.isfinite(kid(vectors(0, 20), vectors(1, 20), metric))
    assert metric.finish_without_each([TwoRowSets(vectors(0, 30), vectors(1, 30))] * 3) == []
