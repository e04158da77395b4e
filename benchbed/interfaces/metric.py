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


class SetMetric(Protocol[Statistics]):
    """A metric of two sets of frames (FID): mergeable statistics per clip, one value per dataset."""

    def accumulate(self, generated: Sample, target: Sample) -> Statistics:
        """Statistics of some frames."""
        ...

    def merge(self, parts: list[Statistics]) -> Statistics:
        """Statistics of the union, in the order given."""
        ...

    def finish(self, statistics: Statistics) -> float:
        """The value; NaN where it is not defined (fewer than two frames)."""
        ...

    def to_arrays(self, statistics: Statistics) -> dict[str, np.ndarray]:
        """For the store."""
        ...

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> Statistics:
        """Inverse of `to_arrays`."""
        ...
