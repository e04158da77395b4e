"""Two methods' scores of the same cases, frame by frame: what paired tests work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchbed.statistics import PairedDifference, jackknife_difference, paired_difference


@dataclass(frozen=True)
class CaseScore:
    """One case of one method under one metric variant.

    Args:
        identity, driving_identity: of the source and of the driving clip.
        frames: float64 `(T,)`, NaN or infinite where a frame has no score.
    """

    identity: str
    driving_identity: str
    frames: np.ndarray


@dataclass(frozen=True)
class SetScore:
    """The value of a set metric, and what each group of identities adds to it (`jackknife_influences`)."""

    value: float
    influences: tuple[float, ...]
    n_identities: int


# Scores of one method under one metric variant: by case, or of the set.
Scores = Mapping[str, CaseScore] | SetScore


@dataclass(frozen=True)
class Pairing:
    """Two methods on what both have scored.

    Args:
        first, second: their values there.
        frames: frames that both scored; 0 for set metrics, where the cases are paired and not the frames.
        difference: second minus first; None where nothing could be paired.
    """

    first: float
    second: float
    frames: int
    difference: PairedDifference | None


def pair(first: Scores, second: Scores, *, reduction: str) -> Pairing:
    """The paired difference of two methods.

    A frame counts where both methods have a score of it: so neither gains by frames on which a detector found
    nothing of its own.

    Args:
        reduction: `frames` (mean over frames), `clips` (mean over clips) or `set`, as the metric variant says.
    """
    if isinstance(first, SetScore) and isinstance(second, SetScore):
        difference = jackknife_difference(
            first.value,
            first.influences,
            second.value,
            second.influences,
            n_identities=min(first.n_identities, second.n_identities),
        )
        return Pairing(first.value, second.value, 0, difference)
    if isinstance(first, SetScore) or isinstance(second, SetScore):
        raise TypeError("a set metric cannot be paired with a frame metric")
    rows = [
        (ours, theirs, both)
        for case, ours in first.items()
        if (theirs := second.get(case)) is not None and len(ours.frames) == len(theirs.frames)
        if (both := np.isfinite(ours.frames) & np.isfinite(theirs.frames)).any()
    ]
    if not rows:
        return Pairing(float("nan"), float("nan"), 0, None)
    frames = np.array([both.sum() for _, _, both in rows], float)
    weights = frames if reduction == "frames" else np.ones_like(frames)
    values = np.array([(ours.frames[both].mean(), theirs.frames[both].mean()) for ours, theirs, both in rows])
    difference = paired_difference(
        values[:, 1] - values[:, 0],
        weights,
        [ours.identity for ours, _, _ in rows],
        [ours.driving_identity for ours, _, _ in rows],
    )
    means = weights @ values / weights.sum()
    return Pairing(float(means[0]), float(means[1]), int(frames.sum()), difference)
