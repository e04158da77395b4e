"""A difference between two trainings, each repeated with several seeds: what both seeds and test identities leave open."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from benchbed.statistics.estimate import Estimate, require_confidence


def seeded_interval(
    per_seed: Sequence[float], error: float, freedom: int, *, n_identities: int, confidence: float = 0.95
) -> Estimate:
    """The mean over training seeds, with an interval that holds for other seeds and other identities.

    The two sources of error add up. What belongs to both (a seed that fails on one identity) is in each of them and
    counts twice, so the interval is rather too wide than too narrow. With three seeds Student's quantiles are large;
    the degrees of freedom are Satterthwaite's.

    Args:
        per_seed: the difference, or value, of each seed on the whole test set.
        error: standard error over identities of the mean over seeds; 0 or NaN where identities cannot be told apart.
        freedom: degrees of freedom of that error.
        n_identities: for the record.
        confidence: coverage of the interval.

    Returns:
        No interval for fewer than two seeds, nor where a seed has no value.

    Raises:
        ValueError: the confidence is not inside (0, 1).

    Source: Satterthwaite 1946; crossed random effects: Searle, Casella and McCulloch 1992, section 4.4.
    """
    require_confidence(confidence)
    values = np.asarray(per_seed, float)
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < 2 or not np.isfinite(values).all():
        return Estimate(mean, math.nan, math.nan, n_identities, "none")
    seeds = float(values.var(ddof=1)) / len(values)
    identities = error**2 if math.isfinite(error) else 0.0
    spread = seeds + identities
    if spread == 0:
        return Estimate(mean, mean, mean, n_identities, "student-t")
    shares = seeds**2 / (len(values) - 1) + (identities**2 / freedom if identities else 0.0)
    half_width = float(stats.t.ppf((1 + confidence) / 2, spread**2 / shares)) * math.sqrt(spread)
    return Estimate(mean, mean - half_width, mean + half_width, n_identities, "student-t")
