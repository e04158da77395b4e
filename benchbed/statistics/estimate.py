"""What an interval is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence interval.

    Args:
        value: NaN where nothing was scored.
        low, high: bounds of the interval; NaN where there is none.
        n_identities: identities that entered.
        method: `student-t`, `bootstrap-t`, `jackknife-t`, or `none` where there is no interval.
    """

    value: float
    low: float
    high: float
    n_identities: int
    method: str


def require_confidence(confidence: float) -> None:
    """Refuse a confidence that is no probability (95 for 0.95).

    Raises:
        ValueError: it is not inside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
