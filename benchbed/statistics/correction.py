"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(ps: Sequence[float]) -> list[float]:
    """p-values so enlarged that together they raise a false alarm as rarely as one alone.

    Args:
        ps: of one family of tests; NaN (no test) stays NaN and does not count.

    Source: Holm 1979, section 3 (step-down Bonferroni).
    """
    given = np.asarray(ps, float)
    adjusted = np.full(len(given), np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    steps = given[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in adjusted]
