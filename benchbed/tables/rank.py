"""Which values are best, given a metric's direction."""

from __future__ import annotations

import math
from collections.abc import Sequence


def best_positions(values: Sequence[float | None], direction: str) -> frozenset[int]:
    """Positions of the best values; all of them where several are equal.

    Args:
        values: None or NaN where there is nothing to rank.
        direction: `lower` or `higher` is better.

    Returns:
        Empty where nothing can be ranked.

    Raises:
        ValueError: another direction.
    """
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction is '{direction}', expected 'lower' or 'higher'")
    ranked = [value for value in values if value is not None and not math.isnan(value)]
    if not ranked:
        return frozenset()
    best = min(ranked) if direction == "lower" else max(ranked)
    return frozenset(position for position, value in enumerate(values) if value == best)
