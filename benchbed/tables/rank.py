"""Which values are best, given a metric's direction, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchbed.tables.numbers import significant

SEPARATION = (
    "bold: the best of a column and all that the paired test over identities (sign flips, for FID and KID the "
    "jackknife; Holm within the column, 5 %) cannot tell from it; resolves: the smallest difference from the best "
    "that the test would find with 80 % power"
)


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


def separation(
    label: str, unit: str, methods: Sequence[str], best: Sequence[bool], resolvable: Sequence[float]
) -> str:
    """A line on what a column can tell apart; empty where it ranks fewer than two methods.

    Args:
        methods: the ranked rows, the best one first.
        best: whether each belongs to the best.
        resolvable: the smallest difference from the best that the test would find; NaN where there is no test.
    """
    if len(methods) < 2:
        return ""
    together = [method for method, marked in zip(methods[1:], best[1:], strict=True) if marked]
    told = f"{label}: best {methods[0]}"
    if together:
        told += f", not separable from it {', '.join(together)}"
    sizes = sorted(size for size in resolvable if not math.isnan(size))
    if not sizes:
        return f"{told}; nothing to test with"
    ending = f" {unit}" if unit else ""
    if math.isinf(sizes[0]):
        return f"{told}; too few identities to resolve any difference"
    least, most = (significant(size) for size in (sizes[0], sizes[-1]))
    span = least if least == most else f"{least} to {most}"
    return f"{told}; resolves {span}{ending}"
