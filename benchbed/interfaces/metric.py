"""What a metric must do: pure arithmetic on frames and features, with values, counts and missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from benchbed.interfaces.evaluator import Features


@dataclass(frozen=True)
class Sample:
    """Some frames of one clip and what the evaluators said of them.

    Args:
        frames: `[N, 3, H, W]` RGB float32 in [0, 1], quantised as the metric variant asks.
        features: by role (`keypoints`, `identity`, `perceptual`, `pooled`); holds the roles the variant needs.
    """

    frames: Tensor
    features: Mapping[str, Features] = field(default_factory=dict)


class FrameMetric(Protocol):
    """A metric defined on single frames; clips and datasets are means of frames (`reduction` in the card)."""

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """Scores float64 `(N,)`; NaN where the frame cannot be scored (counted as missing, never as zero)."""
        ...

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """The value a missing frame cannot exceed (for the worst-case bound), None where there is none."""
        ...


Statistics = TypeVar("Statistics")


@dataclass(frozen=True)
class SetFeatures:
    """What a set metric gets of one side of one case, in the order of the frames; kept in the store.

    Args:
        vectors: float32 `[N, D]`: a row per frame (role `pooled`), or per full segment of 16 frames (role
            `segments`).
        frames: number of frames that the rows come from.
    """

    vectors: np.ndarray
    frames: int


class SetMetric(Protocol[Statistics]):
    """A metric of two sets of frames (FID): mergeable statistics per case, one value per dataset."""

    def statistics(self, generated: SetFeatures, target: SetFeatures) -> Statistics:
        """Statistics of one case."""
        ...

    def merge(self, parts: list[Statistics]) -> Statistics:
        """Statistics of the union, in the order given."""
        ...

    def finish(self, statistics: Statistics) -> float:
        """The value; NaN where it is not defined (fewer than two rows)."""
        ...

    def finish_without_each(self, groups: list[Statistics]) -> list[float]:
        """The values of the union with each group left out in turn, for the jackknife.

        Empty where the metric has no interval.
        """
        ...
