"""Intervals and differences of set metrics (FID, KID): one group of identities left out at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from scipy import stats

from benchbed.statistics.estimate import Estimate, require_confidence
from benchbed.statistics.paired import EQUIVALENCE_CONFIDENCE, LEVEL, PairedDifference

Part = TypeVar("Part")


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


def jackknife_influences(
    value: float, replicates: Sequence[float], shares: Sequence[float] | None = None
) -> list[float]:
    """What each group adds to the value, from the values without it; their squares add up to its variance.

    A group is judged by its pseudo-value and not by the value without it: Fréchet distances grow as samples
    get fewer, about by the share left out, and groups of unequal size would show that instead of themselves.

    Args:
        value: of all groups together.
        replicates: with each group left out in turn. Fewer than two, or one that is not finite, give nothing.
        shares: of the samples that are left out with each group, inside (0, 1); None: equal groups.

    Source: Efron and Tibshirani 1993, chapter 11; unequal groups: Busing, Meijer and van der Leeden 1999, section 3.
    """
    without = np.asarray(replicates, float)
    count = len(without)
    if count < 2 or not math.isfinite(value) or not np.isfinite(without).all():
        return []
    share = np.full(count, 1.0 / count) if shares is None else np.asarray(shares, float)
    if len(share) != count or not ((share > 0) & (share < 1)).all():
        return []
    pseudo = value + (1 - share) / share * (value - without)
    centre = (share * pseudo).sum() / share.sum()
    return [float(part) for part in math.sqrt(count / (count - 1)) * share * (pseudo - centre)]


def jackknife_interval(
    value: float,
    replicates: Sequence[float],
    *,
    n_identities: int,
    shares: Sequence[float] | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """A Student-t interval for a set metric from its values with one group of identities left out at a time.

    Made for Fréchet distances: resampling with replacement repeats samples and so shifts the value itself.

    Args:
        value, replicates, shares: as for `jackknife_influences`; without influences there is no interval.
        n_identities: identities in all groups.
        confidence: coverage of the interval.

    Raises:
        ValueError: the confidence is not inside (0, 1).

    Source: Shao and Tu 1995, section 2.3 (delete-a-group).
    """
    require_confidence(confidence)
    influences = jackknife_influences(value, replicates, shares)
    if not influences:
        return Estimate(value, math.nan, math.nan, n_identities, "none")
    error = math.hypot(*influences)
    half_width = float(stats.t.ppf((1 + confidence) / 2, len(influences) - 1)) * error
    return Estimate(value, value - half_width, value + half_width, n_identities, "jackknife-t")


def jackknife_difference(
    first: float,
    first_influences: Sequence[float],
    second: float,
    second_influences: Sequence[float],
    *,
    n_identities: int,
) -> PairedDifference | None:
    """The difference of a set metric between two methods, second minus first, paired on the same real frames.

    Leaving out the same group on both sides takes the same real frames from both, so that what they have in
    common cancels.

    Args:
        first, second: values of all groups together.
        first_influences, second_influences: of the same groups, see `jackknife_influences`.

    Returns:
        None where there are none, or not equally many.
    """
    if len(first_influences) != len(second_influences) or len(first_influences) < 2:
        return None
    value = second - first
    error = math.hypot(*np.subtract(second_influences, first_influences))
    # The sum behind a distance of thousands of dimensions is not exact to the last digit.
    if error <= 1e-12 * max(abs(first), abs(second)):
        error = 0.0
    freedom = len(first_influences) - 1
    wide, narrow = (
        float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
        for confidence in (1 - LEVEL, EQUIVALENCE_CONFIDENCE)
    )
    # No difference at all is 0 / 0.
    p = float(2 * stats.t.sf(abs(value) / error, freedom)) if error > 0 else float(value == 0)
    return PairedDifference(
        value,
        value - wide,
        value + wide,
        value - narrow,
        value + narrow,
        p,
        error,
        freedom,
        n_identities,
        "jackknife-t",
    )
