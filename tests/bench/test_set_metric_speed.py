"""Timings of set metrics on rows of 2048 features, beside pytorch-fid's distance: the ratio is printed."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest

from benchbed.interfaces.metric import SetFeatures
from benchbed.metrics.extrapolation import InfiniteFrechetDistance
from benchbed.metrics.frechet import FrechetDistance
from benchbed.metrics.kernel_distance import KernelDistance, KernelDistanceOfSubsets

DIMENSIONS, GROUPS = 2048, 24


@pytest.fixture(scope="module")
def turn() -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSIONS, DIMENSIONS)))[0]


def rows(seed: int, n: int, turn: np.ndarray) -> np.ndarray:
    """Vectors whose deviations fall as steeply as those of pooled features do, float32."""
    spread = np.arange(1, DIMENSIONS + 1) ** -0.75
    return ((np.random.default_rng(seed).standard_normal((n, DIMENSIONS)) * spread) @ turn).astype(np.float32)


def groups_of(metric, n: int, turn: np.ndarray) -> list:
    first, second = rows(1, n, turn), 1.1 * rows(2, n, turn)
    return [
        metric.statistics(SetFeatures(x, len(x)), SetFeatures(y, len(y)))
        for x, y in zip(np.array_split(first, GROUPS), np.array_split(second, GROUPS), strict=True)
    ]


def library_seconds(n: int, turn: np.ndarray) -> tuple[float, float]:
    """The value of pytorch-fid's function of means and covariances, and its time."""
    library = pytest.importorskip("pytorch_fid.fid_score")
    moments = []
    for values in (rows(1, n, turn), 1.1 * rows(2, n, turn)):
        values = values.astype(np.float64)
        moments += [values.mean(0), np.cov(values, rowvar=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        start = time.perf_counter()
        value = library.calculate_frechet_distance(*moments)
    return float(value), time.perf_counter() - start


@pytest.mark.parametrize("n", [1000, 10_000])
def test_finishing_fid(benchmark, capsys, turn, n):
    metric = FrechetDistance()
    merged = metric.merge(groups_of(metric, n, turn))
    value = benchmark.pedantic(lambda: metric.finish(merged), rounds=3, warmup_rounds=1)
    expected, seconds = library_seconds(n, turn)
    ratio = seconds / benchmark.stats.stats.min
    benchmark.extra_info.update(library_seconds=seconds, ratio=ratio, relative=abs(value / expected - 1))
    with capsys.disabled():
        print(
            f"\nFID of {n} rows: {benchmark.stats.stats.min:.2f} s, pytorch-fid {seconds:.2f} s, "
            f"ratio {ratio:.1f}, relative difference {abs(value / expected - 1):.1e}"
        )


@pytest.mark.parametrize("n", [1000, 10_000])
def test_leaving_out_24_groups_in_turn_of_fid(benchmark, capsys, turn, n):
    metric = FrechetDistance()
    groups = groups_of(metric, n, turn)
    benchmark.pedantic(lambda: metric.finish_without_each(groups), rounds=1)
    _, seconds = library_seconds(n, turn)
    ratio = GROUPS * seconds / benchmark.stats.stats.min
    benchmark.extra_info.update(library_seconds=GROUPS * seconds, ratio=ratio)
    with capsys.disabled():
        print(
            f"\njackknife of {n} rows: {benchmark.stats.stats.min:.1f} s, {GROUPS} times pytorch-fid "
            f"{GROUPS * seconds:.1f} s, ratio {ratio:.1f}"
        )


@pytest.mark.parametrize("n", [1000, 10_000])
@pytest.mark.parametrize(
    "metric",
    [KernelDistance(), KernelDistanceOfSubsets(), InfiniteFrechetDistance()],
    ids=lambda m: type(m).__name__,
)
def test_finishing_kid_and_the_extrapolation(benchmark, turn, metric, n):
    merged = metric.merge(groups_of(metric, n, turn))
    benchmark.pedantic(lambda: metric.finish(merged), rounds=1)


def test_leaving_out_24_groups_in_turn_of_kid(benchmark, turn):
    metric = KernelDistance()
    groups = groups_of(metric, 10_000, turn)
    benchmark.pedantic(lambda: metric.finish_without_each(groups), rounds=1)
