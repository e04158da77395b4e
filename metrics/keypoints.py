"""AKD and MKR: where key points of generated frames lie and which of them are lost."""

from __future__ import annotations

import math

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.interfaces.metric import Sample

from .paired import role_features

NORMS = ("coordinate", "euclidean")
LOST = ("missing", "counted")


class AverageKeypointDistance:
    """AKD in pixels, over the points found in both frames.

    Args:
        norm: `coordinate` averages |dx| and |dy| over points and both coordinates; `euclidean` averages the
            lengths of the differences.
        lost: what a generated frame is worth in which none of the target's points was found: `missing` leaves it
            out, as the scripts do; `counted` gives it the worst case.

    Source: the field's pose-evaluation script (per coordinate); the papers' text reads as Euclidean.
    """

    def __init__(self, norm: str = "coordinate", lost: str = "missing") -> None:
        if norm not in NORMS:
            raise BenchbedError(f"unknown AKD norm '{norm}'; known: {', '.join(NORMS)}")
        if lost not in LOST:
            raise BenchbedError(f"unknown rule for lost key points '{lost}'; known: {', '.join(LOST)}")
        self._norm = norm
        self._lost = lost

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """AKD of each frame, `(N,)`, pixels; NaN where no point was found in both frames (`counted`: in the target)."""
        first, second = role_features(generated, target, "keypoints", KeypointFeatures)
        common = _array(first.found) & _array(second.found)
        difference = _array(first.positions).astype(np.float64) - _array(second.positions)
        if self._norm == "coordinate":
            distance = np.abs(difference).mean(axis=2)
        else:
            distance = np.hypot(difference[..., 0], difference[..., 1])
        # Positions of points that were not found mean nothing: they may be NaN.
        scores = _ratio(np.where(common, distance, 0.0).sum(axis=1), common.sum(axis=1))
        if self._lost == "counted":
            height, width = generated.frames.shape[-2:]
            scores[_array(second.found).any(axis=1) & ~common.any(axis=1)] = self.worst((height, width))
        return scores

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """The distance between opposite corners of the frame in the chosen norm, pixels.

        Holds for detectors that keep their points inside the frame.
        """
        height, width = resolution
        return (height + width) / 2 if self._norm == "coordinate" else math.hypot(height, width)


class MissingKeypointRate:
    """MKR: the share of the target's key points that were not found in the generated frame.

    Source: the field's pose-evaluation script. Points found only in the generated frame cost nothing.
    """

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """MKR of each frame, `(N,)`, in [0, 1]; NaN where the target frame has no point."""
        first, second = role_features(generated, target, "keypoints", KeypointFeatures)
        present = _array(second.found)
        lost = present & ~_array(first.found)
        return _ratio(lost.sum(axis=1), present.sum(axis=1))

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """1: all points lost."""
        return 1.0


def _array(tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """sums / counts, NaN where a count is 0."""
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
