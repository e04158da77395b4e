"""The sign-flip permutation test: what a mean of differences looks like when the two methods trade places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchbed.statistics.totals import Totals

# 2^15 sign patterns are all looked at; of more identities so many are drawn.
EXACT_UP_TO = 15
FLIPS = 20_000
BLOCK = 4_000_000
# With fewer identities the variance that pairs share is too uncertain to be taken off (measured: 6 % false alarms with 8).
PAIRS_FROM = 20


def sign_flip_p(differences: Totals, *, seed: int = 0) -> float:
    """Two-sided p of the mean difference being zero, by flipping the signs of whole identities.

    Cases of one identity: where neither method is better, trading the two methods' places on an identity is as
    likely as not, and flips the sign of its sum. Exact for differences that are symmetric around zero,
    whatever their distribution.

    Cases of two identities: a case cannot be flipped for one of them alone. What each identity adds to the mean (its
    jackknife pseudo-value) is flipped instead; approximate.

    Args:
        differences: second minus first method, summed by identity.
        seed: of the drawn flips, where there are too many identities for all.

    Returns:
        The share of sign patterns with a sum as large; the pattern at hand is one of them. 1 where nothing differs.

    Source: Fisher 1935, section 21; Good 2005, section 3.2. Drawn flips: Phipson and Smyth 2010.
    """
    parts = _parts(differences)
    if parts is None:
        return float("nan")
    size = float(np.abs(parts).sum())
    if size == 0.0:
        return 1.0
    # Sums of the same numbers in another order differ in the last digits.
    reached = abs(float(parts.sum())) - 1e-10 * size
    count = len(parts)
    if count <= EXACT_UP_TO:
        return float((np.abs(all_signs(count) @ parts) >= reached).mean())
    signs = _drawn_signs(count, seed)
    rows = max(1, BLOCK // count)
    hits = sum(
        int((np.abs(signs[start : start + rows].astype(float) @ parts) >= reached).sum())
        for start in range(0, FLIPS, rows)
    )
    return (1 + hits) / (1 + FLIPS)


def _parts(differences: Totals) -> np.ndarray | None:
    """What each identity adds to the sum of all cases."""
    if differences.shared_values is None:
        return differences.own_values
    left_out = differences.without_each
    if left_out is None:
        return None
    count = differences.count
    variance = (
        differences.variance
        if count >= PAIRS_FROM
        else max(differences.identity_variance, differences.pair_variance)
    )
    influence = left_out.mean() - left_out
    spread = differences.identity_variance
    scale = np.sqrt(variance / spread) if spread > 0 else 0.0
    # (K - 1) (mean - left out) is the pseudo-value's deviation; their mean is an equal share of the whole.
    return ((count - 1) * influence * scale + differences.mean) / count


def all_signs(count: int) -> np.ndarray:
    """Every pattern of signs up to a common factor of -1, float64 `(2^(count - 1), count)`."""
    patterns = np.arange(2 ** (count - 1))[:, None] >> np.arange(count)
    return 1.0 - 2.0 * (patterns & 1)


@lru_cache(maxsize=4)
def _drawn_signs(count: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(0, 2, size=(FLIPS, count), dtype=np.int8)
    drawn = np.int8(1) - np.int8(2) * drawn
    drawn.setflags(write=False)
    return drawn
