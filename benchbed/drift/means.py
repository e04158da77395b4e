"""The means' tier: the paired test over identities, applied to the differences from a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchbed.drift.measurement import Scores, SectionMeasurement
from benchbed.registry import card
from benchbed.statistics import paired_difference


@dataclass(frozen=True)
class MeanChange:
    """Mean difference over the cases that both sides scored.

    Args:
        difference: now minus then.
        low, high: its 95 % interval; NaN where there is none.
        p: of the sign-flip test at the level of identities; NaN where there is none.
    """

    difference: float
    low: float
    high: float
    p: float

    @property
    def excludes_zero(self) -> bool:
        return not self.low <= 0.0 <= self.high


def mean_change(
    variant: str, section: SectionMeasurement, before: Scores, after: Scores
) -> MeanChange | None:
    """The paired difference of a metric variant; None for set metrics, and where nothing can be paired."""
    if not before.values or len(before.values) != len(after.values):
        return None
    pairs = [
        (now - then, float(count), identity, partner)
        for then, now, count, identity, partner in zip(
            before.values, after.values, before.n, section.identities, section.partners, strict=True
        )
        if math.isfinite(then) and math.isfinite(now)
    ]
    if not pairs:
        return None
    differences, counts, identities, partners = (list(column) for column in zip(*pairs, strict=True))
    weights = counts if _reduction(variant) == "frames" else [1.0] * len(counts)
    found = paired_difference(differences, weights, identities, partners)
    return None if found is None else MeanChange(found.value, found.low, found.high, found.p)


def _reduction(variant: str) -> str:
    identifier = variant.partition("@")[0]
    known = {
        one["id"]: one["reduction"] for one in card("metric", identifier.partition("/")[0]).data["variant"]
    }
    return known.get(identifier, "frames")
