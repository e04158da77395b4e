"""Two methods on the same cases: their difference, whether it is real, and what to call it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchbed.statistics.intervals import mean_bounds
from benchbed.statistics.sign_flip import sign_flip_p
from benchbed.statistics.totals import totals

LEVEL = 0.05
# Two one-sided tests at 5 % each are an interval of 90 % inside the margin.
EQUIVALENCE_CONFIDENCE = 1 - 2 * LEVEL

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True)
class PairedDifference:
    """Second minus first method.

    Args:
        value: the difference.
        low, high: its 95 % interval; NaN where there is none.
        inner_low, inner_high: its 90 % interval, for equivalence.
        p: two-sided, of one test alone.
        error: standard error.
        freedom: degrees of freedom of the error.
        n_identities: identities that entered.
        method: `sign-flip` or `jackknife-t`, what p comes from.
    """

    value: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p: float
    error: float
    freedom: int
    n_identities: int
    method: str

    def separates(self, adjusted_p: float) -> bool:
        """Whether the two methods can be told apart: p below 5 %, and the interval without zero.

        Both are asked for: the sign flips take differences for symmetric, which few or skewed ones are not; the
        interval does not.
        """
        return adjusted_p < LEVEL and not self.low <= 0.0 <= self.high


def paired_difference(
    differences: Sequence[float] | np.ndarray,
    weights: Sequence[float] | np.ndarray,
    identities: Sequence[str] | np.ndarray,
    partners: Sequence[str] | np.ndarray | None = None,
    *,
    seed: int = 0,
) -> PairedDifference | None:
    """The mean difference over cases, with an interval and a p at the level of identities.

    Args:
        differences: second minus first method, one per case that both scored.
        weights, identities, partners: as for `weighted_mean_interval`.

    Returns:
        None without a case; no interval and no p (NaN) where one identity takes part in every case.
    """
    sums = totals(differences, weights, identities, partners)
    if sums.count == 0:
        return None
    (low, high), (inner_low, inner_high) = mean_bounds(sums, (1 - LEVEL, EQUIVALENCE_CONFIDENCE), seed=seed)
    p = math.nan if math.isnan(low) else sign_flip_p(sums, seed=seed)
    return PairedDifference(
        sums.mean,
        low,
        high,
        inner_low,
        inner_high,
        p,
        sums.error,
        sums.freedom,
        sums.count,
        "sign-flip",
    )


def verdict(difference: PairedDifference, adjusted_p: float, *, direction: str, margin: float) -> Verdict:
    """What the second method is, compared with the first.

    Args:
        adjusted_p: corrected for the family of tests.
        direction: `lower` or `higher` is better.
        margin: differences up to this size do not matter. What lies within it for sure is equivalent, even
            where it is surely not zero.

    Raises:
        ValueError: another direction, or a negative margin.
    """
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction is '{direction}', expected 'lower' or 'higher'")
    if margin < 0:
        raise ValueError(f"margin {margin} is negative")
    if -margin <= difference.inner_low and difference.inner_high <= margin:
        return "equivalent"
    if not difference.separates(adjusted_p):
        return "inconclusive"
    return "better" if (difference.value < 0) == (direction == "lower") else "worse"
