"""Confidence intervals of weighted means over cases, by resampling identities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

from benchbed.statistics.estimate import Estimate, require_confidence
from benchbed.statistics.totals import Totals, totals

# With fewer identities too many resamples consist of one and the same.
BOOTSTRAP_FROM = 5
RESAMPLES = 10_000
# Scores that are zero but for a few identities have resamples almost without spread, and studentised values
# without bound. Up to three times Student's quantile the coverage still gains (measured on skewed scores).
LARGEST_STRETCH = 3.0
# Resamples are worked on in blocks of at most this many numbers.
BLOCK = 2_000_000


def weighted_mean_interval(
    values: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray,
    identities: Sequence[str] | np.ndarray,
    partners: Sequence[str] | np.ndarray | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The weighted mean over cases, with an interval that resamples identities.

    The bootstrap-t: 10,000 resamples of identities give the distribution of the studentised mean, and the
    jackknife over identities its error. It follows the skewness of the scores, which Student's t and the BCa
    bootstrap do not with a few dozen identities: on exponential scores of 8 and 24 identities with unequal
    clips t covered 88 and 91 %, BCa 84 and 90 %, this 93 and 94 %. Its quantiles are never inside those of Student's t, nor
    beyond three times them. Fewer than 5 identities: Student-t with the jackknife's error.

    Args:
        values: one per case; NaN (nothing scored) leaves the case out.
        weights: frames scored per case where the mean is over frames, 1 where it is over clips; 0 leaves out.
        identities: identity of each case's source.
        partners: identity of each case's driver; None: the same. Drivers are resampled as sources are.
        confidence: coverage of the interval.
        seed: of the bootstrap.

    Returns:
        sum(w v) / sum(w) with its interval; independent of the order of the cases. No interval where one
        identity takes part in every case.

    Raises:
        ValueError: the lengths differ, a weight is negative, or the confidence is not inside (0, 1).

    Source: Efron and Tibshirani 1993, section 12.5 (bootstrap-t); `Totals.variance` for two roles.
    """
    require_confidence(confidence)
    sums = totals(values, weights, identities, partners)
    if sums.count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, "none")
    ((low, high),) = mean_bounds(sums, (confidence,), seed=seed)
    method = "none" if math.isnan(low) else "student-t" if sums.count < BOOTSTRAP_FROM else "bootstrap-t"
    return Estimate(sums.mean, low, high, sums.count, method)


def mean_bounds(
    sums: Totals, confidences: Sequence[float], *, seed: int = 0
) -> tuple[tuple[float, float], ...]:
    """The interval of the mean for each confidence, from one set of resamples; NaN where there is none."""
    value, error = sums.mean, sums.error
    if not (math.isfinite(value) and math.isfinite(error)):
        return tuple((math.nan, math.nan) for _ in confidences)
    if error <= 1e-13 * abs(value):
        return tuple((value, value) for _ in confidences)
    spread = np.empty(0) if sums.count < BOOTSTRAP_FROM else _studentised(sums, seed)
    bounds = []
    for confidence in confidences:
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        student = float(stats.t.ppf(tails[1], sums.freedom))
        lower, upper = np.quantile(spread, tails) if len(spread) else (-student, student)
        farthest = LARGEST_STRETCH * student
        bounds.append(
            (
                value - min(max(float(upper), student), farthest) * error,
                value - max(min(float(lower), -student), -farthest) * error,
            )
        )
    return tuple(bounds)


def _studentised(sums: Totals, seed: int) -> np.ndarray:
    """(mean of a resample - mean) / error of the resample, for the resamples that have an error."""
    counts = _resamples(sums.count, seed)
    size = max(1, BLOCK // sums.count)
    parts = [_block(sums, counts[start : start + size].astype(float)) for start in range(0, RESAMPLES, size)]
    return np.concatenate(parts)


def _block(sums: Totals, times: np.ndarray) -> np.ndarray:
    """Of resamples in which the identities occur `times` `(B, K)` often."""
    if sums.shared_values is None or sums.shared_weights is None:
        weight = times @ sums.own_weights
        mean = times @ sums.own_values / weight
        residuals = (
            times @ sums.own_values**2
            - 2 * mean * (times @ (sums.own_values * sums.own_weights))
            + mean**2 * (times @ sums.own_weights**2)
        )
    else:
        # A case of two identities occurs as often as both of them together: the product.
        values = times @ sums.shared_values + sums.own_values
        weights = times @ sums.shared_weights + sums.own_weights
        weight = ((times * weights).sum(1) + times @ sums.own_weights) / 2
        present = weight > 0
        times, values, weights, weight = times[present], values[present], weights[present], weight[present]
        mean = ((times * values).sum(1) + times @ sums.own_values) / 2 / weight
        residuals = (times * (values - mean[:, None] * weights) ** 2).sum(1)
    variance = sums.count / (sums.count - 1) * np.maximum(residuals, 0.0) / weight**2
    spread = variance > 1e-12 * sums.identity_variance
    return (mean[spread] - sums.mean) / np.sqrt(variance[spread])


@lru_cache(maxsize=4)
def _resamples(count: int, seed: int) -> np.ndarray:
    """How often each identity occurs in each resample, `(RESAMPLES, count)`; kept: every column needs the same."""
    even = np.full(count, 1.0 / count)
    drawn = np.random.default_rng(seed).multinomial(count, even, size=RESAMPLES)
    drawn = drawn.astype(np.uint16)
    drawn.setflags(write=False)
    return drawn
