"""Means with confidence intervals; their unit is the identity, not the frame and not the clip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special, stats

Part = TypeVar("Part")

BOOTSTRAP_FROM = 30
RESAMPLES = 10_000
# Resampling weights are drawn in blocks of at most this many numbers.
BLOCK = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval.

    Args:
        value: NaN where nothing was scored.
        low, high: bounds of the interval; NaN where there is none.
        n_identities: identities that entered.
        method: `student-t`, `bootstrap-bca`, `jackknife-t`, or `none` where there is no interval.
    """

    value: float
    low: float
    high: float
    n_identities: int
    method: str


def weighted_mean_interval(
    values: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray,
    identities: Sequence[str] | np.ndarray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The weighted mean over cases, with an interval that resamples identities.

    Fewer than 30 identities: Student-t around the mean, with the linearised standard error of a ratio of sums
    over identities (the usual standard error of a mean where all identities weigh the same). From 30 on: the
    bias-corrected and accelerated bootstrap, 10,000 resamples of identities.

    Args:
        values: one per case; NaN (nothing scored) leaves the case out.
        weights: frames scored per case where the mean is over frames, 1 where it is over clips; 0 leaves out.
        identities: identity of each case.
        confidence: coverage of the interval.
        seed: of the bootstrap.

    Returns:
        sum(w v) / sum(w) with its interval; independent of the order of the cases.

    Raises:
        ValueError: the lengths differ, a weight is negative, or the confidence is not inside (0, 1).

    Source: Cochran 1977, section 2.11 (ratio estimator); Efron 1987, section 2 (BCa).
    """
    _require_confidence(confidence)
    sums = _sums_by_identity(np.asarray(values, float), np.asarray(weights, float), np.asarray(identities))
    count = len(sums.weights)
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, "none")
    value = float(sums.values.sum() / sums.weights.sum())
    if count == 1 or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, count, "none")
    if count < BOOTSTRAP_FROM:
        residuals = sums.values - value * sums.weights
        error = math.sqrt(count / (count - 1) * (residuals**2).sum()) / sums.weights.sum()
        return _student_t(value, error, count - 1, count, confidence, "student-t")
    low, high = _bca_interval(sums, value, confidence, seed)
    return Estimate(value, low, high, count, "bootstrap-bca")


def identity_groups(parts: Mapping[str, Sequence[Part]], *, groups: int) -> list[list[Part]]:
    """Identities dealt out to groups of nearly equal size, by name; never a part of one identity elsewhere.

    Args:
        parts: what belongs to each identity; identities without parts are passed over.
        groups: how many at most; with fewer identities each is a group of its own.

    Raises:
        ValueError: fewer than two groups are asked for.
    """
    if groups < 2:
        raise ValueError(f"a jackknife needs at least 2 groups, not {groups}")
    names = sorted(name for name, own in parts.items() if len(own))
    count = min(groups, len(names))
    return [[part for name in names[start::count] for part in parts[name]] for start in range(count)]


def jackknife_interval(
    value: float, replicates: Sequence[float], *, n_identities: int, confidence: float = 0.95
) -> Estimate:
    """A Student-t interval for a set metric from its values with one group of identities left out at a time.

    Made for Fréchet distances: resampling with replacement repeats samples and so shifts the value itself.

    Args:
        value: of all groups together.
        replicates: with each group left out in turn; the groups are of nearly equal size. Fewer than two, or one
            that is not finite, give no interval.
        n_identities: identities in all groups.
        confidence: coverage of the interval.

    Raises:
        ValueError: the confidence is not inside (0, 1).

    Source: Efron and Tibshirani 1993, chapter 11 (jackknife); Shao and Tu 1995, section 2.3 (delete-a-group).
    """
    _require_confidence(confidence)
    left_out = np.asarray(replicates, float)
    count = len(left_out)
    if count < 2 or not math.isfinite(value) or not np.isfinite(left_out).all():
        return Estimate(value, math.nan, math.nan, n_identities, "none")
    error = math.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return _student_t(value, error, count - 1, n_identities, confidence, "jackknife-t")


@dataclass(frozen=True)
class _Sums:
    """Per identity: sum of weight times value, and sum of weights, float64 `(K,)`."""

    values: np.ndarray
    weights: np.ndarray


def _sums_by_identity(values: np.ndarray, weights: np.ndarray, identities: np.ndarray) -> _Sums:
    if not len(values) == len(weights) == len(identities):
        raise ValueError(
            f"{len(values)} values, {len(weights)} weights and {len(identities)} identities; "
            "give one of each per case"
        )
    if (weights < 0).any():
        raise ValueError("a weight is negative; weights count frames or clips")
    kept = ~np.isnan(values) & (weights > 0)
    values, weights, identities = values[kept], weights[kept], identities[kept]
    names, index = np.unique(identities, return_inverse=True)
    # Sums run in an order of their own, so that the order of the cases does not show in the last digit.
    order = np.lexsort((weights, values, index))
    index = index[order]
    return _Sums(
        np.bincount(index, (weights * values)[order], minlength=len(names)),
        np.bincount(index, weights[order], minlength=len(names)),
    )


def _bca_interval(sums: _Sums, value: float, confidence: float, seed: int) -> tuple[float, float]:
    replicates = _bootstrap_means(sums, seed)
    if np.ptp(replicates) <= 1e-13 * abs(value):
        return value, value
    # Replicates equal to the value count half, or discrete scores would look biased.
    below = (replicates < value).mean() + (replicates == value).mean() / 2
    below = np.clip(below, 0.5 / RESAMPLES, 1 - 0.5 / RESAMPLES)
    bias = special.ndtri(below)
    left_out = (sums.values.sum() - sums.values) / (sums.weights.sum() - sums.weights)
    influence = left_out.mean() - left_out
    acceleration = (influence**3).sum() / (6.0 * (influence**2).sum() ** 1.5)
    tails = special.ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    levels = special.ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(replicates, levels)
    return float(low), float(high)


def _bootstrap_means(sums: _Sums, seed: int) -> np.ndarray:
    """Weighted means of `RESAMPLES` resamples of identities with replacement."""
    generator = np.random.default_rng(seed)
    count = len(sums.weights)
    even = np.full(count, 1.0 / count)
    block = max(1, BLOCK // count)
    means = []
    for start in range(0, RESAMPLES, block):
        times = generator.multinomial(count, even, size=min(block, RESAMPLES - start)).astype(float)
        means.append((times @ sums.values) / (times @ sums.weights))
    return np.concatenate(means)


def _student_t(
    value: float, error: float, freedom: int, count: int, confidence: float, method: str
) -> Estimate:
    half_width = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return Estimate(value, value - half_width, value + half_width, count, method)


def _require_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
